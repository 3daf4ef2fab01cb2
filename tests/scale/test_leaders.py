"""The short form of ``python -m tests.scale.leaders``, and its negative control."""

from pathlib import Path

import pytest

from tests.fresh import address_in
from tests.scale.leaders import measure

pytestmark = [pytest.mark.postgres, pytest.mark.long]


def test_killed_leaders_and_followers_lose_and_double_nothing(tmp_path: Path) -> None:
    figures = measure(tmp_path, address_in(tmp_path), 4, 2)
    assert figures.problems == [] and figures.heard == figures.posts > 0 and len(figures.next) >= 2


def test_two_that_both_lead_are_found(tmp_path: Path) -> None:
    figures = measure(tmp_path, address_in(tmp_path), 4, 2, bug="both lead")
    assert any("two lead" in problem for problem in figures.problems), figures
