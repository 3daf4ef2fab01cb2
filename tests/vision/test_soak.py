"""A few of the mixes of ``make soak``, and that they see what is wrong."""

from pathlib import Path
from typing import Any

import pytest

from proofs.vision.soak import Soak
from vision.engine.engine import Passes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "exact", "seeds"),
    [pytest.param("auto", False, (11, 20), marks=pytest.mark.long), ("bfloat16", True, (6,))],
)
def test_jobs_of_all_kinds_on_several_models_in_little_memory_have_the_pictures_that_they_have_alone(
    folders: dict[str, Path], tmp_path: Path, dtype: str, exact: bool, seeds: tuple[int, int]
) -> None:
    soak = Soak(tmp_path, exact, dtype, folders, most_steps=3)
    assert [problem for seed in seeds for problem in soak.mix(seed)] == []
    assert soak.counts["jobs"] > 8


@pytest.mark.slow
def test_pictures_that_were_given_to_the_wrong_job_are_seen(folders, tmp_path, monkeypatch) -> None:
    plain = Passes.run

    def swapped(self: Passes, calls: Any) -> list[Any]:
        return plain(self, calls)[::-1]

    monkeypatch.setattr(Passes, "run", swapped)
    soak = Soak(tmp_path, folders=folders, most_steps=3)
    assert any("away from the picture" in problem for problem in soak.mix(6))
