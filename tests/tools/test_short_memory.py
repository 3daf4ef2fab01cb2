"""At full size every family is drawn on ever smaller cards; with tiny models, and what becomes of the other
jobs: tests/vision/diffusion/test_short_memory.py."""

from pathlib import Path

import pytest

from tools.short_memory import FAMILIES, cell, outcomes, published


def test_the_page_has_what_became_of_pictures_on_each_card() -> None:
    shown = published()
    assert shown and shown.keys() <= set(FAMILIES)
    for cells in shown.values():
        assert len(cells) == 6 and cells["ample"].endswith(": as asked")
        assert not any("BACK" in text for text in cells.values())


@pytest.mark.long
@pytest.mark.parametrize("family", FAMILIES)
def test_a_picture_of_full_size_is_drawn_in_a_smaller_way_on_ever_smaller_cards(
    family: str, tmp_path: Path
) -> None:
    cards = {card.title: (card, outcome) for card, outcome in outcomes(family, tmp_path)}
    found = {title: outcome for title, (_, outcome) in cards.items()}
    assert all(one.output and one.is_back for one in found.values())
    assert found["ample"].ways == () and "tiles" in found["decoder"].ways and "parts" in found["a row"].ways
    for title, text in published().get(family, {}).items():
        size, _, ways = text.partition(": ")
        assert cell(*cards[title]).partition(": ")[2] == ways
        assert cards[title][0].bytes / 2**30 == pytest.approx(float(size), rel=0.02)
