"""The short form of ``python -m tests.vision.film_mixes``, and its negative control."""

from pathlib import Path

import pytest

from tests.vision import film_mixes
from vision.engine import passes


def test_films_and_pictures_mixed_at_random_come_out_as_alone(tmp_path: Path) -> None:
    mixes, problems = film_mixes.measure(tmp_path, 6)
    assert problems == []
    assert mixes.counts["films"] > 5 and mixes.counts["pictures"] > 5 and mixes.counts["shared passes"] > 0


def test_a_pass_that_gives_a_little_else_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = passes.evaluate_now
    monkeypatch.setattr(passes, "evaluate_now", lambda call: tuple(1.01 * each for each in plain(call)))
    _, problems = film_mixes.measure(tmp_path, 1)
    assert problems
