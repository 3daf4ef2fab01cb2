"""The short form of ``python -m tests.vision.film_mixes``, and its negative control."""

from pathlib import Path

import pytest

from tests.vision import film_mixes
from vision.engine import passes


@pytest.mark.parametrize(("count", "of_each"), [(2, 1), pytest.param(6, 5, marks=pytest.mark.long)])
def test_films_and_pictures_mixed_at_random_come_out_as_alone(
    tmp_path: Path, count: int, of_each: int
) -> None:
    mixes, problems = film_mixes.measure(tmp_path, count)
    assert problems == []
    assert min(mixes.counts["films"], mixes.counts["pictures"]) > of_each
    assert mixes.counts["shared passes"] > 0


def test_a_pass_that_gives_a_little_else_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = passes.evaluate_now
    monkeypatch.setattr(passes, "evaluate_now", lambda call: tuple(1.01 * each for each in plain(call)))
    _, problems = film_mixes.measure(tmp_path, 1)
    assert problems
