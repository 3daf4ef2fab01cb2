"""Small copies: made once, by a process of their own, gone with their picture."""

import asyncio
import io
from pathlib import Path

import pytest
from PIL import Image

from core.errors import ImageError
from storage.blobs.local import Folder
from studio.library import rendition
from studio.library.rendition import Thumbnails
from tests.security.hostile import encode
from tests.studio.conftest import png


@pytest.fixture
async def small(tmp_path: Path):
    found = Thumbnails(Folder(tmp_path / "pictures"))
    yield found
    await found.close()


async def test_a_copy_is_made_once_and_goes_with_its_picture(small: Thumbnails) -> None:
    files = small.files
    sha256 = await files.put(png(600, 300), "image/png")
    made = await small.get(sha256, 256)
    with Image.open(io.BytesIO(made)) as picture:
        assert (picture.format, picture.size) == ("WEBP", (256, 128))
    process = small.child.process
    small.child.command = ("nothing that could be run",)
    await small.close()
    assert await small.get(sha256, 256) == made and process.returncode is not None
    await files.remove(sha256)
    assert await files.get_derived(sha256, "256.webp") is None


async def test_a_copy_that_is_ready_after_its_picture_was_removed_is_not_kept(small: Thumbnails) -> None:
    sha256 = await small.files.put(png(), "image/png")
    await small.files.remove(sha256)
    await small.files.put_derived(sha256, "256.webp", b"late")
    assert await small.files.get_derived(sha256, "256.webp") is None


async def test_a_veiled_copy_shows_nothing_of_its_picture(small: Thumbnails) -> None:
    stripes = Image.new("RGB", (512, 512), "white")
    for x in range(0, 512, 12):
        stripes.paste("black", (x, 0, x + 6, 512))
    sha256 = await small.files.put(encode(stripes, "PNG"), "image/png")
    spreads = []
    for veiled in (False, True):
        with Image.open(io.BytesIO(await small.get(sha256, 256, veiled=veiled))) as picture:
            low, high = picture.convert("L").getextrema()
            spreads.append(high - low)
    assert spreads[0] > 200 and spreads[1] < 100


async def test_what_is_no_picture_ends_nothing(small: Thumbnails) -> None:
    bad = await small.files.put(b"no picture", "image/png")
    good = await small.files.put(png(), "image/png")
    with pytest.raises(ImageError, match="can't be read"):
        await small.get(bad, 256)
    process = small.child.process
    assert await small.get(good, 256) and small.child.process is process


async def test_a_cancelled_copy_is_not_handed_to_the_next_picture(small: Thumbnails) -> None:
    red = await small.files.put(png(400, 400), "image/png")
    blue = await small.files.put(png(400, 400, (20, 40, 200)), "image/png")
    await small.get(red, 512)
    asking = asyncio.create_task(small.get(red, 256))
    await asyncio.sleep(0.002)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    with Image.open(io.BytesIO(await small.get(blue, 256))) as picture:
        r, _, b = picture.convert("RGB").getpixel((100, 100))
        assert b > 150 > r


async def test_a_process_that_dies_is_said_and_replaced(small: Thumbnails, monkeypatch) -> None:
    sha256 = await small.files.put(png(), "image/png")
    command, small.child.command = small.child.command, ("false",)
    with pytest.raises(ImageError, match="No small copy"):
        await small.get(sha256, 256)
    small.child.command = command
    assert await small.get(sha256, 256)
    monkeypatch.setattr(rendition, "IDLE", 0.05)
    process = small.child.process
    await small.get(sha256, 512)
    async with asyncio.timeout(10):
        assert await process.wait() == 0
    assert small.child.process is None
