"""Why?: the map of what speaks for a label, by every kind of reader, while others use its weights."""

import io
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import ResNetConfig, ResNetForImageClassification

from core.errors import UserError
from core.profiles import PROFILES
from core.requests import ClassifyRequest, WhyRequest
from demo.drawing import draw_apart, layout
from demo.evaluate.images import two_objects
from demo.world import OBJECTS
from tests.support import tiny
from tests.vision.conftest import SHA, ask, cpu_models
from vision.readers import attribution
from vision.readers.classifier import Classifier, odds
from vision.reporter import Reporter
from vision.store import Models

LABELS = ("a cat", "a dog", "a very red boat")
DEMO = {role: PROFILES["demo"][f"{role.upper()}_MODEL"] for role in ("vit", "clip")}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return cpu_models(DEMO, tmp_path_factory.mktemp("cache"), cpu_threads=1)


def counts_of(output, image: Image.Image) -> Image.Image:
    shown = Image.open(io.BytesIO(output.grid.data))
    assert shown.size == image.size
    return shown


@pytest.mark.parametrize(("name", "how"), [("clip", "attention"), ("siglip", "covering")])
def test_a_given_label_has_the_chance_that_classify_gave_it_and_a_map(name: str, how: str, models_of) -> None:
    models, image = models_of(clip=name), tiny.picture()
    wanted = dict(ask(models, ClassifyRequest(image=SHA, labels=LABELS), image).scores)
    output = ask(models, WhyRequest(image=SHA, label="a dog", labels=LABELS), image)
    ((label, chance),) = output.scores
    assert label == "a dog" and chance == pytest.approx(wanted["a dog"])
    assert output.parameters["how"] == how and "not whether it is right" in output.parameters["notes"][0]
    counts_of(output, image)


def test_a_classifiers_own_label_has_its_chance_and_a_map(models_of: Callable[..., Models]) -> None:
    models, image = models_of(vit="vit"), tiny.picture()
    (label, wanted), *_ = ask(models, ClassifyRequest(image=SHA), image).scores
    output = ask(models, WhyRequest(image=SHA, label=label), image)
    assert output.scores == ((label, pytest.approx(wanted)),) and output.parameters["how"] == "attention"
    with pytest.raises(UserError, match="doesn't know that label"):
        ask(models, WhyRequest(image=SHA, label="of another model"), image)


@pytest.mark.slow
def test_another_label_of_a_picture_with_two_objects_lights_up_the_other_object(demo: Models) -> None:
    classifier, matcher, right = demo.get("vit"), demo.get("clip"), []
    for scene, rng in two_objects(12, "why"):
        placed = layout(scene, rng)
        image, owner = draw_apart(scene, rng, (128, 128), placed)
        for obj in (0, 1):
            label = scene.groups[obj].object
            for reason in (
                attribution.classifier_reason(classifier, image, label, Reporter()),
                attribution.matcher_reason(matcher, image, label, OBJECTS, Reporter()),
            ):
                assert reason.how == "attention" and reason.counts.shape == (8, 8)
                row, column = (16 * int(at) for at in np.unravel_index(reason.counts.argmax(), (8, 8)))
                there = owner[row : row + 16, column : column + 16] == [p.group for p in placed].index(obj)
                right.append(there.mean() >= 0.1)
    assert sum(right) / len(right) >= 0.8


def test_the_model_is_watched_beside_others_and_stays_as_it_is(models_of: Callable[..., Models]) -> None:
    reader = models_of(vit="vit").get("vit")
    pixels = reader.pixels([tiny.picture()])
    with torch.inference_mode():
        before = reader.model(pixel_values=pixels).logits
        twin = attribution.watched(reader.model)
        assert torch.allclose(twin(pixel_values=pixels).logits, before, atol=1e-5)
        found = attribution.relevance(reader.model, pixels, lambda output: odds(output.logits[0], 0))
    assert found is not None and found.max() == pytest.approx(1) and found.min() >= 0
    assert reader.model.config._attn_implementation != "eager"
    own = {value.data_ptr() for value in reader.model.parameters()}
    assert {value.data_ptr() for value in twin.parameters()} == own
    assert not any(value.requires_grad and value.grad is not None for value in reader.model.parameters())


def test_what_has_no_class_token_is_explained_by_covering() -> None:
    torch.manual_seed(0)
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], num_labels=3)
    model = ResNetForImageClassification(config).eval()
    images = lambda pictures, **_: {"pixel_values": torch.stack([tensor_of(one) for one in pictures])}  # noqa: E731
    process = SimpleNamespace(__call__=images)
    reader = Classifier("resnet", model, lambda images, return_tensors: process.__call__(images))
    reason = attribution.classifier_reason(reader, tiny.picture(), reader.labels[1], Reporter())
    assert reason.how == "covering" and reason.counts.shape == (8, 8) and reason.counts.max() <= 1


def tensor_of(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.asarray(image.resize((64, 64)), np.float32) / 255).permute(2, 0, 1)


@pytest.mark.parametrize(
    ("processor", "wanted"),
    [
        ({"do_center_crop": False}, (0, 0, 400, 200)),
        ({"do_center_crop": True, "do_resize": True, "size": {"shortest_edge": 100}}, (100, 0, 300, 200)),
        ({"do_center_crop": True, "do_resize": False, "size": {}}, (150, 50, 250, 150)),
        (
            {"do_center_crop": True, "do_resize": True, "size": {"width": 200, "height": 200}},
            (100, 50, 300, 150),
        ),
    ],
)
def test_the_part_that_a_processor_leaves_is_known(processor, wanted) -> None:
    given = SimpleNamespace(crop_size={"width": 100, "height": 100}, **processor)
    assert attribution.seen_by(given, (400, 200)) == wanted


def test_the_map_is_bright_where_it_counts_and_dark_where_nobody_looked() -> None:
    image = Image.new("RGB", (200, 100), (128, 128, 128))
    counts = np.zeros((4, 4))
    counts[1, 2] = 1
    shown = np.asarray(attribution.draw_heat(image, counts, (50, 0, 150, 100)), int).sum(-1)
    row, column = np.unravel_index(shown.argmax(), shown.shape)
    assert 20 < row < 55 and 95 < column < 130
    assert shown[:, :40].max() == shown[:, :40].min() == shown.min()
    assert attribution.draw_heat(Image.new("RGB", (4000, 1000)), counts).size == (1536, 384)
