"""A transformer that learns to see labels: only where it is better, going on where it was, kept as what was
added, exported with that in its weights."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import transformers
from PIL import Image

from core.errors import ModelError
from tests.vision.custom_models.conftest import Pile, needs_train, pile
from tests.vision.custom_models.memory_store import MemoryStore, watched
from vision.custom_models import classification
from vision.custom_models.classification import ADDED, Classifier, Tuning, train_classifier
from vision.custom_models.export import onnx_graph
from vision.custom_models.features import Extractor, TransformerFeatures, pixels, transformer
from vision.custom_models.steps import Store, exhausted

pytestmark = needs_train
EACH = 16  # pictures of a label


class Processor:
    image_mean = image_std = [0.5, 0.5, 0.5]


def tower(seed: int = 0) -> Extractor:
    """A ViT of two layers that has seen nothing yet."""
    torch.manual_seed(seed)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    config = transformers.ViTConfig(image_size=48, patch_size=8, initializer_range=0.2, **size)
    return transformer("tiny-vit", transformers.ViTModel(config, add_pooling_layer=False).eval(), Processor)


def spotted(red: bool, seed: int) -> Image.Image:
    """A square that is a little redder or greener than the noise around it, in any tint."""
    rng = np.random.default_rng(seed)
    shown = rng.normal(120, 30, (48, 48, 3)) + rng.normal(0, 40, 3)
    x, y = rng.integers(0, 5, 2) * 8
    shown[y : y + 16, x : x + 16] = rng.normal(120, 30, (16, 16, 3)) + np.array([40, -40, 0]) * (2 * red - 1)
    return Image.fromarray(shown.clip(0, 255).astype(np.uint8))


def learning(some: Pile, store: MemoryStore | Store, seconds: float = 60.0):
    return train_classifier(some.snapshot, some.open, [tower()], store, lora=Tuning(seconds))


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    """Few examples are enough here, and learned from quickly."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classification, "ENOUGH", EACH)
        patch.setattr(classification, "EPOCHS", 12)
        patch.setattr(classification, "RATE", 1e-2)
        yield


@pytest.fixture(scope="module")
def spots() -> Pile:
    return pile(
        [(spotted(red, 100 * red + k), "red" if red else "green") for red in (0, 1) for k in range(EACH)]
    )


@pytest.fixture(scope="module")
def classifier(spots: Pile) -> Classifier:
    torch.set_num_threads(1)
    return exhausted(learning(spots, MemoryStore()))


def test_it_is_chosen_where_it_tells_left_out_examples_better(classifier: Classifier) -> None:
    plain, better = classifier.card["tried"].values()
    assert list(classifier.card["tried"])[1] == f"{tower().name} with LoRA"
    assert better < 0.7 * plain
    said = [classifier.classify(spotted(n % 2 == 1, 900 + n), tower()).chances[0][0] for n in range(20)]
    assert sum(one == ("green", "red")[n % 2] for n, one in enumerate(said)) >= 15


def test_the_file_holds_what_was_added_and_not_the_tower(classifier: Classifier) -> None:
    added = [value for name, value in classifier.tensors.items() if name.startswith(ADDED)]
    assert len(added) == 2 * 2 * len(classification.TARGETS)
    assert sum(value.numel() for value in added) == 2 * 2 * 2 * 32 * classification.RANK
    image, read = spotted(True, 950), Classifier.unpack(classifier.pack())
    assert read.pack() == classifier.pack()
    assert read.classify(image, tower()) == classifier.classify(image, tower())
    plain = Classifier(
        classifier.card, {name: value for name, value in read.tensors.items() if not name.startswith(ADDED)}
    )
    assert plain.classify(image, tower()).chances != read.classify(image, tower()).chances
    with pytest.raises(ModelError, match="train it again"):
        classifier.network(tower(1))


def test_one_that_is_killed_goes_on_where_it_was_and_learns_the_same(
    classifier: Classifier, spots: Pile, tmp_path: Path
) -> None:
    stopped = learning(spots, Store(tmp_path))
    for step in stopped:
        if step.words.startswith("tuned 60 "):
            break
    stopped.close()
    kept = {file.name for file in tmp_path.iterdir()}
    assert exhausted(learning(spots, store := Store(tmp_path))).pack() == classifier.pack()
    assert kept <= {file.name for file in store.folder.iterdir()}


def test_steps_count_up_to_their_total(spots: Pile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is given up after the first examples that were left out."""
    monkeypatch.setattr(classification, "HOPELESS", 0.0)
    given_up, steps = watched(learning(spots, MemoryStore()))
    counted = [step.done for step in steps]
    assert counted == sorted(set(counted)) and counted[-1] == steps[-1].total
    all_of_them = classification.count_tuning_stops([0, 1] * EACH, list(map(str, range(2 * EACH))))
    assert sum(step.words.startswith("tuned") for step in steps) < all_of_them
    assert list(given_up.card["tried"]) == [tower().name]


def test_it_is_tried_only_with_enough_examples_and_time() -> None:
    module, groups = tower().module, [str(n) for n in range(2 * EACH)]
    assert isinstance(module, TransformerFeatures)
    labels = [0, 1] * EACH
    assert Tuning(60).allows(module, labels, groups)
    assert not Tuning(60).allows(module, [0] + labels[:-1], groups)
    needed = classification.operations(module, labels, groups) / classification.SPEED["cpu"]
    assert not Tuning(0.9 * needed).allows(module, labels, groups)
    assert Tuning(0.9 * needed, "cuda").allows(module, labels, groups)


def test_added_matrices_mean_the_same_in_the_weights_and_leave_the_tower_as_it_was() -> None:
    module = tower().module
    assert isinstance(module, TransformerFeatures)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    adapted = classification.Adapted(module, seed=3)
    seen = torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(adapted(seen), module.pooled(seen))  # nothing yet
    with torch.no_grad():
        for number, value in enumerate(adapted.added().values()):
            value.normal_(0, 0.3, generator=torch.Generator().manual_seed(number))
    merged = classification.merged(module, adapted.added())
    torch.testing.assert_close(merged.pooled(seen), adapted(seen), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(merged.pooled(seen), module.pooled(seen), atol=1e-2)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    shared = {value.data_ptr() for value in module.parameters()}
    own = [name for name, value in merged.named_parameters() if value.data_ptr() not in shared]
    assert {name.rsplit(".", 2)[-2] for name in own} == set(classification.TARGETS)


@pytest.mark.long
def test_a_graph_has_it_in_its_weights(classifier: Classifier) -> None:
    graph = onnx_graph(classifier.network(tower()), tower().side, ("logits", "distance"))
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    for n in range(4):
        seen = pixels(spotted(n % 2 == 1, 970 + n), tower().side)[None]
        logits, distance = session.run(None, {"pixels": seen.numpy()})
        own = classifier.network(tower())(seen)
        np.testing.assert_allclose(logits, own[0].numpy(), atol=1e-4, rtol=1e-4)
        np.testing.assert_allclose(distance, own[1].numpy(), atol=1e-4, rtol=1e-4)
