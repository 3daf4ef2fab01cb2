"""/outpaint: what stays, what fades, what is painted."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from core.errors import UserError
from core.requests import OutpaintRequest
from tests.support import tiny
from tests.vision.conftest import SHA, ask
from tests.vision.test_imagine import with_card
from vision.capabilities import outpaint
from vision.diffusion.model import ImageModel
from vision.families import Mode
from vision.store import Models

SIDES = {
    "left": {"left": 40},
    "all around": dict(left=20, top=30, right=40, bottom=50),
    "down": {"bottom": 96},
    "uneven": dict(right=7, top=13),
}


@pytest.mark.parametrize("sides", SIDES.values(), ids=SIDES)
@pytest.mark.parametrize("name", ["stable-diffusion", "flux2-klein"])
def test_old_pixels_stay_exactly_as_they_were_away_from_the_seam(
    name: str, sides: dict[str, int], models_of: Callable[..., Models]
) -> None:
    source = tiny.picture(150, 110, seed=3)
    output = ask(models_of(image=name), OutpaintRequest(prompt="a", image=SHA, **sides), source)
    got, seam = np.asarray(Image.open(io.BytesIO(output.pictures[0].data))), output.parameters["seam"]
    left, top, right, bottom = (sides.get(side, 0) for side in ("left", "top", "right", "bottom"))
    assert got.shape == (110 + top + bottom, 150 + left + right, 3)
    assert output.parameters["width"] == 150 + left + right
    assert output.parameters["height"] == 110 + top + bottom
    inner = (
        seam if top else 0,
        110 - (seam if bottom else 0),
        seam if left else 0,
        150 - (seam if right else 0),
    )
    kept = got[top : top + 110, left : left + 150][inner[0] : inner[1], inner[2] : inner[3]]
    assert kept.size > 0.2 * source.width * source.height
    assert (kept == np.asarray(source)[inner[0] : inner[1], inner[2] : inner[3]]).all()


def test_the_seam_fades_instead_of_jumping() -> None:
    source, painted = Image.new("RGB", (200, 100), (200, 40, 40)), Image.new("RGB", (300, 100), (40, 40, 200))
    layout = outpaint.CanvasLayout(200, 100, 100, 0, 0, 0, (300, 100), 24)
    row = np.asarray(outpaint.paste_back(painted, source, layout), int)[50]
    assert np.abs(np.diff(row, axis=0)).max(1).max() < 20, "a hard edge would jump by 160"
    assert (row[100 + 24 :] == (200, 40, 40)).all() and (row[:30] == (40, 40, 200)).all()


def test_a_drift_of_colour_is_taken_back_at_the_seam_and_left_alone_far_away() -> None:
    source, painted = (
        Image.new("RGB", (400, 300), (100, 150, 200)),
        Image.new("RGB", (600, 300), (110, 144, 200)),
    )
    row = np.asarray(
        outpaint.paste_back(painted, source, outpaint.CanvasLayout(400, 300, 200, 0, 0, 0, (600, 300), 16)),
        int,
    )[150]
    assert np.abs(np.diff(row, axis=0)).max() <= 2, "no edge to see"
    assert np.abs(row[195] - (100, 150, 200)).max() <= 3
    assert (row[:100] == (110, 144, 200)).all()


def test_the_mask_covers_the_new_area_and_a_soft_band_of_the_old() -> None:
    layout = outpaint.CanvasLayout(96, 64, 32, 0, 0, 0, (128, 64), 16)
    mask = np.asarray(outpaint.paint_mask(layout), int)[32]
    assert mask[:32].min() > 240
    assert 60 < mask[32 + 16] < 200, "half of the soft edge lies in the old picture"
    assert mask[70:].max() == 0


def test_the_canvas_continues_the_pictures_colours() -> None:
    half = Image.new("RGB", (64, 64), (220, 30, 30))
    half.paste((30, 30, 220), (32, 0, 64, 64))
    canvas = np.asarray(
        outpaint.canvas(half, outpaint.CanvasLayout(64, 64, 32, 0, 32, 0, (128, 64), 16)), int
    )
    assert (canvas[:, 32:96] == np.asarray(half)).all()
    assert canvas[:, :32, 0].mean() > canvas[:, :32, 2].mean() + 80
    assert canvas[:, 96:, 2].mean() > canvas[:, 96:, 0].mean() + 80


@pytest.mark.parametrize(
    "size, sides", [((2000, 500), {"right": 500}), ((500, 1900), {"top": 200}), ((900, 100), {"right": 900})]
)
def test_a_canvas_too_large_or_too_long_is_refused_with_its_size(
    size: tuple[int, int], sides: dict, models_of: Callable[..., Models]
) -> None:
    with pytest.raises(
        UserError, match=f"{size[0] + sides.get('right', 0)}x{size[1] + sides.get('top', 0)} px"
    ):
        ask(
            models_of(image="stable-diffusion"),
            OutpaintRequest(prompt="a", image=SHA, **sides),
            tiny.picture(*size),
        )


@pytest.mark.parametrize("max_area", [1.0, 1.5])
def test_the_model_paints_a_canvas_of_the_area_its_card_allows(max_area: float, folders, tmp_path) -> None:
    models = with_card(folders["stable-diffusion"], tmp_path, outpaint={"max_area": max_area})
    card = models.get("image").card
    layout = outpaint.plan_canvas(
        OutpaintRequest(prompt="a", image=SHA, left=256, right=256), (512, 512), card
    )
    assert layout.canvas == (1024, 512)
    assert layout.size[0] * layout.size[1] == pytest.approx(max_area * 64**2, rel=0.25)
    assert layout.size[0] / layout.size[1] == pytest.approx(2, rel=0.15)


def test_a_model_that_cannot_paint_into_a_mask_says_so(models_of, monkeypatch) -> None:
    has = ImageModel.has
    monkeypatch.setattr(ImageModel, "has", lambda self, mode: mode is not Mode.INPAINT and has(self, mode))
    output = ask(
        models_of(image="stable-diffusion"), OutpaintRequest(prompt="a", image=SHA, left=32), tiny.picture()
    )
    assert "can't paint into a mask" in output.parameters["notes"][0]
    assert output.pictures[0].width == 96


def scene() -> tuple[Image.Image, Image.Image]:
    """Return a red ball half out of the bottom of a sky over a sea, and its mask."""
    pixels = np.zeros((128, 128, 3), np.uint8)
    pixels[:64], pixels[64:] = (120, 180, 240), (20, 60, 140)
    ys, xs = np.mgrid[:128, :128]
    ball = (xs - 64) ** 2 + (ys - 122) ** 2 < 20**2
    pixels[ball] = (200, 30, 30)
    return Image.fromarray(pixels), Image.fromarray(ball.astype(np.uint8) * 255)


def test_a_still_ground_goes_on_with_its_own_bands_and_without_its_object() -> None:
    picture, ball = scene()
    layout = outpaint.CanvasLayout(128, 128, 64, 64, 64, 64, (128, 128), 8)
    got = np.asarray(outpaint.extended(picture, ball, layout), int)
    assert got.shape == (256, 256, 3)
    inner = slice(64 + 4, 192 - 4)
    assert (got[inner, inner] == np.asarray(picture)[4:-4, 4:-4]).all()
    for beside in (slice(0, 64), slice(192, 256)):
        assert np.abs(got[64:126, beside] - (120, 180, 240)).max() <= 4, "the sky goes on"
        assert np.abs(got[130:192, beside] - (20, 60, 140)).max() <= 4, (
            "the sea goes on, and no horizon moves"
        )
    assert np.abs(got[:64, 70:186] - (120, 180, 240)).max() <= 12
    red = got[..., 0] - got[..., 2] > 60
    assert red[192:195, 122:134].all() and not red[192 + 10 :].any(), "the ball ends soon behind the border"
    assert not red[:, :64].any() and not red[:, 192:].any()


@pytest.mark.parametrize("remix", [False, True])
def test_a_small_model_draws_beyond_the_border_only_what_words_of_their_own_say(
    remix: bool, folders, tmp_path
) -> None:
    models = with_card(folders["stable-diffusion"], tmp_path, outpaint={"still": True})
    source = Image.new("RGB", (96, 64), (40, 160, 220))
    output = ask(models, OutpaintRequest(prompt="a", image=SHA, left=32, remix=remix), source)
    got = np.asarray(Image.open(io.BytesIO(output.pictures[0].data)), int)
    assert ("num_inference_steps" in output.parameters) == remix
    assert any("only the background was extended" in note for note in output.parameters["notes"]) != remix
    assert (np.abs(got[:, :24] - (40, 160, 220)).max() > 2) == remix
