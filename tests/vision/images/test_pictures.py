"""The image tail: pixels from tensors, PNG without loss, small previews."""

import io
import json
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vision.diffusion import vae
from vision.images import encode


def random_pixels(width: int, height: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def read(data: bytes) -> Image.Image:
    """Opened and wholly read: Pillow checks every chunk's sum."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 70),
    st.integers(1, 70),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["noise", "flat", "rows"]),
)
def test_a_png_gives_back_every_pixel(width: int, height: int, seed: int, kind: str) -> None:
    wanted = random_pixels(width, height, seed)
    wanted = {
        "noise": wanted,
        "flat": np.full_like(wanted, seed % 256),
        "rows": np.repeat(wanted[:, :1], width, 1),
    }[kind]
    assert (np.asarray(read(encode.encode_image(wanted))) == wanted).all()


def test_a_png_keeps_what_is_transparent() -> None:
    wanted = np.dstack([random_pixels(31, 17), random_pixels(31, 17, 1)[..., :1]])
    made = Image.open(io.BytesIO(encode.encode_image(wanted)))
    assert made.mode == "RGBA" and (np.asarray(made) == wanted).all()


def test_a_png_from_pixels_that_lie_apart_in_memory_is_right() -> None:
    whole = random_pixels(40, 30)
    for view in (whole[:, ::2], whole[::-1], whole.transpose(1, 0, 2)):
        assert (np.asarray(read(encode.encode_image(view))) == view).all()


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((4, 4, 3)),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_a_png_of_anything_else_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        encode.encode_image(wrong)


def test_a_damaged_png_is_noticed() -> None:
    data = bytearray(encode.encode_image(random_pixels(20, 20)))
    data[60] ^= 1
    with pytest.raises((OSError, SyntaxError, zlib.error)):
        read(bytes(data))


def test_a_picture_carries_what_made_it() -> None:
    made = {"prompt": "ein Haus, 家", "num_inference_steps": 12}
    texts = read(encode.png(Image.fromarray(random_pixels(16, 16)), made, seed=7).data).text
    assert json.loads(texts["atelier"]) == {**made, "seed": 7}
    assert texts["parameters"].startswith("ein Haus, 家\nSteps: 12, Seed: 7")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_pixels_are_those_of_diffusers(dtype: torch.dtype) -> None:
    from diffusers.image_processor import VaeImageProcessor

    decoded = (torch.randn(2, 3, 48, 40, generator=torch.Generator().manual_seed(0)) * 0.6).to(dtype)
    before = decoded.clone()
    wanted = VaeImageProcessor().postprocess(decoded.float(), output_type="pil")
    made = vae.pixels_of(decoded)
    assert made.shape == (2, 48, 40, 3)
    assert all((ours == np.asarray(theirs)).all() for ours, theirs in zip(made, wanted, strict=True))
    assert torch.equal(decoded, before), "the decoder's tensor is left as it was"


def test_a_preview_is_a_small_jpeg_of_all_pictures() -> None:
    sheet = read(encode.preview([Image.new("RGB", (16, 16), color) for color in ("red", "lime", "blue")]))
    assert sheet.format == "JPEG" and sheet.size == (encode.PREVIEW_SIDE, encode.PREVIEW_SIDE)
    assert sheet.getpixel((40, 40))[0] > 200 and sheet.getpixel((280, 40))[1] > 200
    assert sheet.getpixel((40, 280))[2] > 200


@pytest.mark.parametrize("shape", [None, (3, 2), (9, 16), (97, 61)])
def test_a_picture_that_was_placed_is_found_whole_by_the_cut(shape: tuple[int, int] | None) -> None:
    size = (160, 104) if shape != (9, 16) else (104, 160)
    source = Image.fromarray(random_pixels(*encode.largest(size, shape)))
    placed = encode.placed(source, size, shape)
    assert placed.size == size
    assert (np.asarray(encode.cut_to_shape(placed, shape)) == np.asarray(source)).all()


def test_a_pattern_is_brought_to_its_shape_and_its_edges_still_meet() -> None:
    across = np.cos(np.arange(160) / 160 * 2 * np.pi) * 120 + 128
    pattern = Image.fromarray(np.repeat(np.repeat(across[None, :, None], 104, 0), 3, 2).astype(np.uint8))
    cut = encode.cut_to_shape(pattern, (3, 2), seamless=True)
    line = np.asarray(cut, int)[50, :, 0]
    assert cut.size == (156, 104) and abs(line[0] - line[-1]) <= 3
    assert abs(line.min() - 8) <= 3 and line[0] > 240, "all of the pattern is there"
