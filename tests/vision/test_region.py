"""/region: every pixel outside stays, the inside changes, the part may be named in each way."""

import io
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.errors import UserError
from core.requests import RegionRequest
from tests.support import tiny
from tests.vision.conftest import SHA, Recorder, ask
from tests.vision.families.test_families import FROM_PICTURES
from vision.capabilities import capability
from vision.diffusion import inpaint
from vision.reporter import Reporter
from vision.store import Models
from vision.weights.card import Card, Draft

CARD = Card(64, 8, 4, 3.0, Draft(2, 1.0), "prompt", "any")
MODEL: Any = SimpleNamespace(enlarged=lambda image: image)
REQUEST = RegionRequest(
    prompt="a cat", image=SHA, boxes=((20, 10, 70, 50),), num_inference_steps=3, num_images=2
)


def difference(output, source: Image.Image, number: int = 0) -> np.ndarray:
    picture = Image.open(io.BytesIO(output.pictures[number].data)).convert("RGB")
    assert picture.size == source.size
    return np.abs(np.asarray(picture, int) - np.asarray(source, int)).max(-1)


@pytest.mark.parametrize("name", FROM_PICTURES)
def test_every_pixel_outside_stays_in_every_family(name: str, models_of: Callable[..., Models]) -> None:
    source, recorder = tiny.picture(131, 97), Recorder()
    output = ask(models_of(image=name), REQUEST, source, recorder)
    for number in range(2):
        changed = difference(output, source, number)
        assert changed[10:50, 20:70].mean() > 3
        changed[10:50, 20:70] = 0
        assert changed.max() == 0
    assert output.grid is None and recorder.steps[-1][0] == recorder.steps[-1][1]


def test_a_mask_of_any_shape_and_size_is_kept_to_the_pixel(models_of: Callable[..., Models]) -> None:
    source, white = tiny.picture(120, 80), np.zeros((160, 240), np.uint8)
    white[60:100, 40:120] = 255
    white[20:40, 200:210] = 255
    request = replace(REQUEST, boxes=(), mask_image="b" * 64, num_images=1)
    images = {SHA: source, "b" * 64: Image.fromarray(white).convert("RGB")}
    output = capability("region")(request, images, models_of(image="stable-diffusion"), Reporter())
    mask = np.asarray(inpaint.from_picture(images["b" * 64], source.size)) > 0
    changed = difference(output, source)
    assert changed[~mask].max() == 0 and changed[mask].mean() > 3
    assert 0.05 < mask.mean() < 0.2


def test_boxes_are_joined_and_cut_to_the_picture() -> None:
    mask = np.asarray(inpaint.from_boxes(((0, 0, 10, 10), (5, 5, 500, 20)), (40, 30)))
    assert mask.sum() // 255 == 100 + 35 * 15 - 25
    with pytest.raises(UserError, match="is empty"):
        inpaint.from_boxes(((50, 50, 60, 60),), (40, 30))


def test_a_black_mask_is_refused() -> None:
    with pytest.raises(UserError, match="is empty"):
        inpaint.from_picture(Image.new("RGB", (8, 8)), (40, 30))


def test_words_need_a_model_that_finds_objects(models_of: Callable[..., Models]) -> None:
    with pytest.raises(UserError, match="No model that finds objects"):
        ask(
            models_of(image="stable-diffusion"),
            replace(REQUEST, boxes=(), region="the red boat"),
            tiny.picture(),
        )


@pytest.mark.parametrize(
    "box", [(0, 0, 5, 5), (500, 300, 512, 384), (10, 10, 60, 400), (0, 0, 512, 384), (200, 100, 330, 180)]
)
def test_the_crop_holds_the_mask_with_surroundings(box: tuple[int, int, int, int]) -> None:
    size = (512, 384) if box[3] <= 384 else (512, 512)
    layout = inpaint.plan_region(inpaint.from_boxes((box,), size), CARD)
    left, top, right, bottom = layout.box
    assert 0 <= left <= box[0] and 0 <= top <= box[1] and box[2] <= right <= size[0]
    assert box[3] <= bottom <= size[1]
    assert right - left >= 32 and bottom - top >= 32
    assert layout.size[0] % 8 == layout.size[1] % 8 == 0
    if layout.box != (0, 0, *size):
        assert 1 / 2.3 <= (right - left) / (bottom - top) <= 2.3


@pytest.mark.parametrize(
    "box", [(0, 0, 90, 90), (400, 300, 512, 384), (200, 100, 330, 180), (0, 190, 60, 192)]
)
def test_a_new_thing_s_crop_is_close_with_the_mask_in_its_middle(box: tuple[int, int, int, int]) -> None:
    image, mask = tiny.picture(512, 384), inpaint.from_boxes((box,), (512, 384))
    layout = inpaint.plan_region(mask, CARD, near=True)
    left, top, right, bottom = layout.box
    assert abs(left + right - box[0] - box[2]) <= 2 and abs(top + bottom - box[1] - box[3]) <= 2
    side = max(box[2] - box[0], box[3] - box[1])
    assert 1.2 * side <= max(right - left, bottom - top) <= 1.4 * side
    crop, marked = inpaint.crop_region(image, mask, layout, CARD)
    assert crop.size == marked.size == layout.size
    assert np.asarray(crop)[0].std() > 1  # beyond the picture is its mirror image, not black
    result = np.asarray(inpaint.pasted(Image.new("RGB", layout.size, "white"), image, mask, layout, MODEL))
    changed = (result != np.asarray(image)).any(-1)
    assert changed[np.asarray(mask) > 0].mean() > 0.9 and not changed[np.asarray(mask) == 0].any()


def test_the_ground_around_a_thing_takes_the_tone_of_the_picture() -> None:
    image, mask = (
        Image.new("RGB", (256, 256), (90, 120, 200)),
        inpaint.from_boxes(((100, 60, 200, 160),), (256, 256)),
    )
    layout = inpaint.plan_region(mask, CARD, near=True)
    drawn = Image.new("RGB", layout.size, (105, 110, 190))
    drawn.paste((250, 220, 20), (24, 24, 40, 40))  # the thing itself
    result = np.asarray(inpaint.pasted(drawn, image, mask, layout, MODEL), int)
    ground = np.abs(result - (90, 120, 200)).max(-1)
    assert ground[60:160, 100:120].max() <= 1 and ground[110, 150] > 100


def test_a_thin_line_is_painted_too() -> None:
    image, mask = tiny.picture(512, 512), inpaint.from_boxes(((100, 100, 300, 101),), (512, 512))
    layout = inpaint.plan_region(mask, CARD)
    result = inpaint.pasted(Image.new("RGB", layout.size, "white"), image, mask, layout, MODEL)
    assert (np.asarray(result)[100, 100:300] == 255).all()
    assert (np.asarray(result) != np.asarray(image)).any(-1).sum() <= 200
