"""The short form of ``python -m proofs.vision.video.watching``."""

from pathlib import Path

import pytest

from proofs.vision.video import watching


@pytest.mark.slow
def test_a_video_is_seen_early_and_gone_soon_after_it_is_cancelled(tmp_path: Path) -> None:
    figures = watching.measure("wan", 2, tmp_path)
    assert figures.right and figures.first > 0 and len(figures.gone) == 2, figures


def test_a_step_that_is_finished_after_a_cancel_is_counted() -> None:
    watcher = watching.Watcher(stop_at=-1.0)
    watcher.step(1, 4)
    watcher.step(2, 4)
    assert watcher.late == 2
