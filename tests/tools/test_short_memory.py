"""At full size every family is drawn on ever smaller cards; with tiny models, and what becomes of the other
jobs: tests/vision/diffusion/test_short_memory.py."""

from pathlib import Path

import pytest

from tools.short_memory import FAMILIES, outcomes


@pytest.mark.long
@pytest.mark.parametrize("family", FAMILIES)
def test_a_picture_of_full_size_is_drawn_in_a_smaller_way_on_ever_smaller_cards(
    family: str, tmp_path: Path
) -> None:
    found = {card.title: outcome for card, outcome in outcomes(family, tmp_path)}
    assert all(one.output and one.is_back for one in found.values())
    assert found["ample"].ways == () and "tiles" in found["decoder"].ways and "parts" in found["a row"].ways
