"""A mask without a door: bytes and an actor become a request."""

import io

import numpy as np
import pytest
from PIL import Image

from core.errors import ImageError
from core.requests import RegionRequest
from tests.studio.conftest import ALICE, SIDE, Opened, Sent, png


async def test_an_exact_mask_is_kept_to_the_pixel(opened: Opened) -> None:
    job = (await opened.drawn(ALICE)).job
    mask = Image.new("L", (SIDE, SIDE))
    mask.paste(255, (3, 5, 4, 6))
    out = io.BytesIO()
    mask.save(out, "PNG")
    new = await opened.studio.regions.ask(ALICE, job.id, 0, Sent(out.getvalue()), kind="mask")
    assert isinstance(new.request, RegionRequest) and new.parent == (job.id, 0)
    kept = Image.open(io.BytesIO(await opened.services.files.get(new.request.mask_image)))
    assert np.array_equal(np.asarray(kept.convert("L")), np.asarray(mask))
    with pytest.raises(ImageError, match="marks nothing"):
        await opened.studio.regions.ask(ALICE, job.id, 0, Sent(png(SIDE, SIDE, (90, 90, 90))), kind="mask")


async def test_a_mask_of_another_size_is_no_exact_one(opened: Opened) -> None:
    job = (await opened.drawn(ALICE)).job
    white = png(SIDE * 2, SIDE * 2, (255, 255, 255))
    with pytest.raises(ImageError, match="a mask of this picture has 64×64 px"):
        await opened.studio.regions.ask(ALICE, job.id, 0, Sent(white), kind="mask")
