"""A few of the random documents of ``proofs.vision.exact_edits``, and that it can fail."""

import numpy as np
import pytest

from proofs.vision import exact_edits as exact
from vision.capabilities import compose


@pytest.mark.slow
async def test_nothing_but_what_may_changes(monkeypatch) -> None:
    monkeypatch.setattr(exact, "LARGE", 10**9)
    found = await exact.prove(25, seed=7)
    assert (found.bits, found.pixels, found.untouched) == (0, 0, 0)
    assert {"region", "outpaint", "compose"} <= set(found.documents)


async def test_a_pixel_too_many_is_seen(monkeypatch) -> None:
    monkeypatch.setattr(exact, "LARGE", 10**9)
    paste = compose.pasted

    def careless(painted, plan, model):
        picture = np.asarray(paste(painted, plan, model)).copy()
        kept = np.argwhere(~compose.ops.dilated(~plan.composed.covered, 40))
        if len(kept):
            picture[tuple(kept[0])] ^= 1
        return exact.Image.fromarray(picture)

    monkeypatch.setattr(compose, "pasted", careless)
    assert (await exact.prove(12, seed=3)).pixels > 0
