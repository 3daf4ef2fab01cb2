"""A part of a picture by words: CLIPSeg, or CLIP with parts covered."""

import random
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw

from core.errors import ModelError, UserError
from core.requests import RegionRequest
from demo.drawing import draw, layout
from demo.evaluate.images import held_out
from demo.train.loop import MODELS
from tests.support import tiny
from tests.vision.conftest import SHA, Recorder, ask
from tests.vision.families.test_families import pixels
from vision.diffusion import inpaint
from vision.images.ops import place_of
from vision.protocol import WorkerConfig
from vision.readers import attribution
from vision.store import Models


def redness(parts: list[Image.Image]) -> list[float]:
    """How much red there is: a model that knows one word."""
    return [
        float((np.asarray(part, int)[..., 0] - np.asarray(part, int)[..., 2]).clip(0).mean())
        for part in parts
    ]


@pytest.mark.parametrize("box", [(20, 30, 90, 110), (200, 10, 300, 90), (240, 150, 318, 198)])
def test_what_is_lost_when_covered_is_the_object(box: tuple[int, int, int, int]) -> None:
    image, looked = Image.new("RGB", (320, 200), (120, 130, 140)), []
    ImageDraw.Draw(image).rectangle(box, fill=(230, 30, 20))

    def look(parts: list[Image.Image]) -> list[float]:
        looked.append(len(parts))
        return redness(parts)

    found = np.asarray(attribution.find_by_occlusion(image, look), bool)
    truth = np.zeros_like(found)
    truth[box[1] : box[3], box[0] : box[2]] = True
    assert (found & truth).sum() / (found | truth).sum() > 0.4 and (found & truth).sum() / truth.sum() > 0.8
    assert looked == [16, 16, 16, 16, 1], "other jobs have their turn in between"


def test_what_hangs_apart_is_left_out() -> None:
    lost = np.zeros((8, 8))
    lost[1, 1], lost[6, 6] = 1.0, 0.5
    found = np.asarray(attribution.mask_of_drops(lost, (80, 80)))
    assert found[15, 15] == 255 and found[65, 65] == 0


def test_words_that_fit_two_places_are_refused() -> None:
    lost = np.zeros((8, 8))
    lost[1, 1], lost[6, 6] = 1.0, 0.8
    with pytest.raises(UserError, match="the upper left and the lower right"):
        attribution.mask_of_drops(lost, (80, 80))


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ((0, 0, 20, 20), "upper left, 4 %"),
        ((40, 40, 60, 60), "middle, 4 %"),
        ((40, 80, 60, 100), "bottom, 4 %"),
    ],
)
def test_a_part_is_told_in_words(box: tuple[int, int, int, int], words: str) -> None:
    mask = Image.new("L", (100, 100))
    mask.paste(255, box)
    assert place_of(mask) == f"in the {words} of the picture"


def test_words_that_nothing_fits_are_told() -> None:
    with pytest.raises(UserError, match="Nothing in the picture"):
        attribution.mask_of_drops(np.full((8, 8), -0.1), (10, 10))


@pytest.mark.slow
def test_the_demo_models_find_one_of_two_objects(tmp_path) -> None:
    models = Models(WorkerConfig("cpu", {"clip": str(MODELS / "clip")}, str(tmp_path), cpu_threads=1))
    hits, overlaps, refused = [], [], 0
    for scene, _ in held_out(12, {"pair": 1}, "finding"):
        chance = random.Random(repr(scene))
        placed = layout(scene, chance)
        image = draw(scene, chance, placed=placed)
        group = scene.groups[0]
        if group.count > 1:
            continue
        obj = next(one for one in placed if one.group == 0)
        try:
            mask = inpaint.find_mask_by_words(
                image, f"a {group.colour} {group.object}", models, Recorder()
            ).mask
        except UserError as error:
            assert "may mean" in str(error)
            refused += 1
            continue
        found = np.asarray(mask, bool)
        left, top, right, bottom = (
            int(np.clip(value, 0, 1) * 128)
            for value in (
                obj.x - obj.half,
                obj.y - obj.half,
                obj.x + obj.half,
                obj.y + obj.half,
            )
        )
        truth = np.zeros((128, 128), bool)
        truth[top:bottom, left:right] = True
        hits.append(found[int(obj.y * 127), int(obj.x * 127)])
        overlaps.append((found & truth).sum() / (found | truth).sum())
    assert refused <= 1 and len(hits) >= 7 and np.mean(hits) >= 0.9 and np.mean(overlaps) > 0.4, (
        hits,
        overlaps,
    )


def test_clipseg_is_loaded_and_used_where_it_is_configured(models_of: Callable[..., Models]) -> None:
    models, image = models_of(image="stable-diffusion", segment="clipseg"), tiny.picture(90, 60)
    segmenter = models.get("segment")
    likely = segmenter.probabilities(image, "a cat")
    assert likely.shape == (32, 32) and 0 <= float(likely.min()) <= float(likely.max()) <= 1
    segmenter.threshold = float(likely.quantile(0.9))
    mask = np.asarray(inpaint.find_mask_by_words(image, "a cat", models, Recorder()).mask)
    assert mask.shape == (60, 90) and set(np.unique(mask)) == {0, 255} and 0 < (mask > 0).mean() < 0.6
    output = ask(
        models,
        RegionRequest(prompt="a dog", image=SHA, region="a cat", num_images=1, num_inference_steps=2),
        image,
    )
    changed = np.abs(pixels(output.pictures[0]) - np.asarray(image, np.int16)).max(-1)
    assert changed[mask == 0].max() == 0 and "what “a cat” seems to be" in output.parameters["notes"][0]
    segmenter.threshold = 1.1
    with pytest.raises(UserError, match="Nothing in the picture"):
        segmenter.mask(image, "a cat")


def test_another_kind_of_model_is_refused(models_of: Callable[..., Models]) -> None:
    with pytest.raises(ModelError, match="SEGMENT_MODEL takes CLIPSeg"):
        models_of(segment="clip").get("segment")
