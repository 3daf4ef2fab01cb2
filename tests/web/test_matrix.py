"""Who may call what: every route has its line in a second table, to which cells from all over hold."""

import pytest

from proofs.web.matrix import chosen, wander
from tests.web.cells import walk, without_line
from tests.web.world import open_world

CELLS, BY_TOKEN, PAIRS = 350, 200, 150  # of tens of thousands: `make web-proof` walks them all


@pytest.mark.slow
async def test_every_route_has_expectations_and_holds_to_them(tmp_path) -> None:
    async with open_world(tmp_path) as world:
        assert without_line(world.routes) == [], "tests/web/expected.py: a line for each route"
        every = len(chosen(world, 1)) // CELLS
        tally = await walk(world, chosen(world, every))
        assert tally.cells >= CELLS and tally.wrong == []
        every = len(chosen(world, 1, programs=True)) // BY_TOKEN
        tally = await walk(world, chosen(world, every, programs=True))
        assert tally.cells >= BY_TOKEN and tally.wrong == []
        assert await wander(world, PAIRS) == []
