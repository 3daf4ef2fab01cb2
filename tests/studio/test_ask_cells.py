"""A seeded stranger at conversations; the long form is ``python -m proofs.studio.ask_cells``."""

from pathlib import Path

import pytest

from proofs.studio import ask_cells
from studio.rights import Sight


@pytest.mark.slow
@pytest.mark.parametrize("cells", [100, pytest.param(500, marks=pytest.mark.long)])
async def test_nobody_reads_words_of_others_by_any_turn(tmp_path: Path, cells: int) -> None:
    stranger = await ask_cells.walk(tmp_path, 3, cells)
    assert stranger.leaks == [] and stranger.cells >= cells
    assert all(stranger.granted[name] for name in ("answer", "conversation", "ask more", "again"))


@pytest.mark.long
async def test_the_walk_sees_a_studio_that_tells_every_turn(tmp_path, monkeypatch) -> None:
    async def sees(*_: object) -> bool:
        return True

    monkeypatch.setattr(Sight, "sees", sees)
    assert (await ask_cells.walk(tmp_path, 3, 500)).leaks
