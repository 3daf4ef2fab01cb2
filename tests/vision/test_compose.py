"""The editor's pictures: what may change and what may not, to the bit; where previews belong; what the gaps
are before they are painted."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageFilter

from core.errors import UserError
from core.requests import ComposeRequest
from tests.support import tiny
from tests.vision.conftest import Recorder
from tests.vision.families.test_families import FROM_PICTURES
from vision.capabilities import capability
from vision.capabilities.compose import compose_layers
from vision.images import ops
from vision.reporter import Reporter
from vision.store import Models

BASE, OTHER, CLIP, MASK = "a" * 64, "b" * 64, "c" * 64, "d" * 64
WHOLE = (BASE, 0, 0, 1, 1, None)


def drawn(models: Models, request: ComposeRequest, images, reporter: Reporter | None = None):
    """Return the output of a request, and its pictures as arrays."""
    output = capability("compose")(request, images, models, reporter or Reporter())
    return output, [
        np.asarray(Image.open(io.BytesIO(one.data)).convert("RGB"), int) for one in output.pictures
    ]


def marks(width: int, height: int, *boxes: tuple[int, int, int, int]) -> Image.Image:
    """Return a mask as the worker opens it, white in some boxes."""
    white = np.zeros((height, width), np.uint8)
    for left, top, right, bottom in boxes:
        white[top:bottom, left:right] = 255
    return Image.fromarray(white).convert("RGB")


def request_of(canvas: tuple[int, int], *layers, **more) -> ComposeRequest:
    given = {"prompt": "a cat", "num_images": 1, "num_inference_steps": 2, **more}
    return ComposeRequest(canvas=canvas, layers=layers, **given)


@pytest.mark.parametrize("name", FROM_PICTURES)
def test_outside_of_mask_gap_and_seam_nothing_changes_in_any_family(name: str, models_of) -> None:
    images = {BASE: tiny.picture(131, 97), MASK: marks(200, 120, (30, 20, 60, 50))}
    request = request_of((200, 120), (BASE, 0, 0, 1, 1, None), mask_image=MASK, num_images=2)
    recorder = Recorder()
    output, pictures = drawn(models_of(image=name), request, images, recorder)
    allowed = np.zeros((120, 200), bool)
    allowed[20:50, 30:60] = True
    allowed[97:] = allowed[:, 131:] = True
    seam = output.parameters["seam"]
    assert seam == request.seam == 8
    down, across = np.ogrid[:120, :200]
    away = np.minimum(np.maximum(97 - down, 0), np.maximum(131 - across, 0))  # steps to the nearest gap
    assert (away[:97, :131] > 0).all()
    for got in pictures:
        assert got.shape == (120, 200, 3)
        kept = ~allowed & (away > seam)
        assert kept.sum() > 9000
        old = np.zeros((120, 200, 3), int)
        old[:97, :131] = np.asarray(images[BASE], int)
        assert (got[kept] == old[kept]).all()
        assert np.abs(got - old)[20:50, 30:60].mean() > 3
        assert np.abs(got - old)[97:].mean() > 3
    assert recorder.boxes == [tuple(output.parameters["box"])] == [(0, 0, 200, 120)]


def test_a_kept_seam_is_not_one_pixel_wide(models_of: Callable[..., Models]) -> None:
    images = {BASE: tiny.picture(100, 80)}
    request = request_of((140, 100), (BASE, 20, 10, 1, 1, None), keep_seam=True)
    output, [got] = drawn(models_of(image="stable-diffusion"), request, images)
    assert output.parameters["seam"] == 0
    assert (got[10:90, 20:120] == np.asarray(images[BASE], int)).all()


def test_layers_lie_where_they_were_put_and_keep_their_pixels(models_of: Callable[..., Models]) -> None:
    clip = marks(40, 30, (5, 5, 25, 25))
    images = {
        BASE: tiny.picture(160, 120),
        OTHER: tiny.picture(40, 30, seed=5),
        CLIP: clip,
        MASK: marks(160, 120, (100, 80, 150, 110)),
    }
    request = request_of((160, 120), WHOLE, (OTHER, -3, 50, 1, 1, CLIP), mask_image=MASK)
    _, [got] = drawn(models_of(image="stable-diffusion"), request, images)
    wanted = np.asarray(images[BASE], int).copy()
    wanted[55:75, 2:22] = np.asarray(images[OTHER], int)[5:25, 5:25]
    wanted[80:110, 100:150] = got[80:110, 100:150]
    assert (got == wanted).all()
    assert np.abs(got - np.asarray(images[BASE], int))[80:110, 100:150].mean() > 3


def test_a_layer_that_lets_through_is_mixed_with_what_lies_below_it() -> None:
    images = {BASE: Image.new("RGB", (64, 64), (200, 0, 100)), OTHER: Image.new("RGB", (32, 64), (0, 100, 0))}
    found = compose_layers((96, 64), ((BASE, 0, 0, 1, 1, None), (OTHER, 48, 0, 1, 0.25, None)), images)
    assert found.colour[5, 50].tolist() == [150, 25, 75]
    assert found.colour[5, 70].tolist() == [0, 100, 0]  # over nothing
    assert found.covered[5].tolist() == [True] * 80 + [False] * 16


@pytest.mark.parametrize("scale", [0.01, 0.37, 0.5, 1.0, 1.7, 64.0])
@pytest.mark.parametrize("at", [(-20.5, 3.25), (0.0, 0.0), (90.5, 60.75)])
def test_a_scaled_layer_covers_the_pixels_whose_middle_it_covers(scale: float, at) -> None:
    found = compose_layers((128, 80), ((BASE, *at, scale, 1, None),), {BASE: tiny.picture(50, 30, seed=2)})
    down, across = np.mgrid[:80, :128] + 0.5
    inside = (across >= at[0]) & (across < at[0] + 50 * scale)
    inside &= (down >= at[1]) & (down < at[1] + 30 * scale)
    assert (found.covered == inside).all()
    assert not found.colour[~inside].any()


def test_nothing_to_draw_is_told(models_of: Callable[..., Models]) -> None:
    request = request_of((64, 64), WHOLE)
    with pytest.raises(UserError, match="nothing to draw.*whole canvas"):
        drawn(models_of(image="stable-diffusion"), request, {BASE: tiny.picture(64, 64)})


def test_a_gap_is_filled_from_around_it_with_some_noise() -> None:
    left = np.zeros((64, 64, 3), np.uint8)
    left[:, :40] = (200, 100, 50)
    known = np.zeros((64, 64), np.uint8)
    known[:, :40] = 255
    found = np.asarray(ops.filled(Image.fromarray(left), Image.fromarray(known)), int)
    assert (found[:, :40] == (200, 100, 50)).all()
    gap = found[:, 40:]
    assert np.abs(gap.mean((0, 1)) - (200, 100, 50)).max() < 12 and 20 < gap.std((0, 1)).mean() < 45


def test_a_reach_is_what_a_rank_filter_finds() -> None:
    flags = np.random.default_rng(4).random((40, 57)) > 0.9
    picture = Image.fromarray(flags.astype(np.uint8) * 255)
    for reach in (1, 3, 9):
        larger = np.asarray(picture.filter(ImageFilter.MaxFilter(2 * reach + 1))) > 0
        smaller = np.asarray(
            Image.fromarray(~np.asarray(picture)).filter(ImageFilter.MinFilter(2 * reach + 1))
        )
        assert (ops.dilated(flags, reach) == larger).all()
        assert (ops.eroded(~flags, reach) == (smaller > 0)).all()


def test_steps_to_the_nearest_are_counted_down_and_across() -> None:
    flags = np.zeros((9, 12), bool)
    flags[4, 5] = flags[0, 11] = True
    found = ops.distance(flags, 6)
    down, across = np.ogrid[:9, :12]
    wanted = np.minimum(abs(down - 4) + abs(across - 5), abs(down) + abs(across - 11))
    assert (found == np.minimum(wanted, 7)).all()
    assert (ops.distance(np.zeros((3, 3), bool), 6) == 7).all()


def test_the_seam_fades_and_a_drift_of_colour_is_taken_back() -> None:
    uncovered = np.zeros((40, 100), bool)
    uncovered[:, 60:] = True
    row = ops.alpha(np.zeros_like(uncovered), uncovered, 20, 2)[20]
    assert (row[60:] == 1).all() and (row[:40] == 0).all() and (row[40:60] > 0).all()
    assert np.diff(row).max() < 0.12
    old, painted = Image.new("RGB", (100, 40), (100, 150, 200)), Image.new("RGB", (100, 40), (108, 144, 200))
    added = np.asarray(ops.drift(old, painted, ~uncovered, 4), int)[20] - 128
    assert np.abs(added[58] - (-8, 6, 0)).max() <= 1 and (added[90] == 0).all()


def test_thick_strokes_are_soft_inside_and_thin_ones_are_painted_too() -> None:
    marked = np.zeros((120, 120), bool)
    marked[20:80, 20:80] = True
    marked[100] = True
    weight = ops.alpha(marked, np.zeros_like(marked), 8, 5)
    assert (weight[~marked] == 0).all()
    assert (weight[100] == 1).all() and weight[50, 50] == 1
    assert 0 < weight[50, 24] < 1
