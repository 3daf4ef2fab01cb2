"""The page of components looks as it was last looked at, in both themes. SCREENSHOTS=renew keeps it anew."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.web.conftest import Site

pytestmark = pytest.mark.asyncio(loop_scope="session")
HERE = Path(__file__).parent
COARSE = 4  # px a side of what is compared: edges of letters differ by less
FAR = 24  # of 255, from which a square of that size differs
MOST = 0.0003  # share of squares that may differ
HIDE = "() => { document.querySelector('[data-theme=dark] .part .button').style.visibility = 'hidden'; }"


async def drawn(page, theme: str) -> Image.Image:
    found = await page.locator(f".theme[data-theme={theme}]").screenshot(animations="disabled")
    return Image.open(io.BytesIO(found)).convert("RGB")


def differing(one: Image.Image, other: Image.Image) -> float:
    """Return the share of squares that differ, 1 for pictures of different sizes."""
    if one.size != other.size:
        return 1.0
    small, before = (
        np.asarray(im.resize((im.width // COARSE, im.height // COARSE), Image.Resampling.BOX), np.int16)
        for im in (one, other)
    )
    return float((np.abs(small - before).max(axis=-1) > FAR).mean())


async def test_every_component_looks_as_it_was_last_looked_at(opened: Site, you) -> None:
    await you.set_viewport_size({"width": 1366, "height": 900})
    await you.goto(f"{opened.web.url}/_components")
    await you.evaluate("() => document.fonts.ready")
    shares = {}
    for theme in ("light", "dark"):
        now, path = await drawn(you, theme), HERE / f"components-{theme}.webp"
        if os.environ.get("SCREENSHOTS") == "renew":
            now.save(path, lossless=True)
        elif folder := os.environ.get("SCREENSHOTS"):
            now.save(Path(folder) / path.name, lossless=True)
        shares[theme] = differing(now, Image.open(path).convert("RGB"))
    assert max(shares.values()) <= MOST, f"{shares}: look; SCREENSHOTS=renew keeps it as it is now"
    await you.evaluate(HIDE)
    assert differing(now, await drawn(you, "dark")) > MOST  # a button that is gone is seen
