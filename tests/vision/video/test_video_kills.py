"""The short form of ``python -m proofs.vision.video.video_kills``."""

import subprocess
import sys

import pytest

from core.settings import ROOT
from proofs.vision.video import video_kills


@pytest.mark.long
def test_a_killed_video_goes_on_with_one_window_done_again_at_most() -> None:
    """In a process of its own, since one with many threads isn't to be forked again and again."""
    command = [sys.executable, "-m", "proofs.vision.video.video_kills", "--windows", "16", "--videos", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0 and "1 videos of 16 windows" in done.stdout, done.stdout + done.stderr


def test_a_step_done_again_is_counted_for_the_kill_before_it() -> None:
    drawn = ["0.1", "0.2", "killed", "0.2", "0.3", "killed", "killed", "0.3", "0.4", "0.95", "0.95"]
    assert video_kills.again(drawn) == (4, [1, 0, 1])
