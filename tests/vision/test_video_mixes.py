"""The short form of ``python -m proofs.vision.video_mixes``, and its negative control."""

from pathlib import Path

import pytest

from proofs.vision import video_mixes
from vision.engine import engine


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> video_mixes.Mixes:
    return video_mixes.Mixes(tmp_path_factory.mktemp("mixes"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "count", "of_each"), [(5, 1, 1), pytest.param(0, 6, 5, marks=pytest.mark.long)]
)
def test_videos_and_pictures_mixed_at_random_come_out_as_alone(
    models: video_mixes.Mixes, tmp_path: Path, seed: int, count: int, of_each: int
) -> None:
    mixes, problems = video_mixes.measure(tmp_path, count, seed=seed, models=models)
    assert problems == []
    assert min(mixes.counts["videos"], mixes.counts["pictures"]) > of_each
    assert mixes.counts["shared passes"] > 0


@pytest.mark.slow
def test_a_pass_that_gives_a_little_else_is_found(models, tmp_path, monkeypatch) -> None:
    plain = engine.evaluate_now
    monkeypatch.setattr(engine, "evaluate_now", lambda call: tuple(1.01 * each for each in plain(call)))
    _, problems = video_mixes.measure(tmp_path, 1, models=models)
    assert problems
