"""How soon somebody sees what becomes of a video, and how soon it is gone when it is cancelled.

    PYTHONPATH=. python -m proofs.vision.video.watching [sketch|wan|ltx|animatediff|hunyuan …] --cancels 20

A whole job of a video, from its words to its file: sketched by the demo models, or by a tiny video model. It
is cancelled at random moments, each time from the start. Seconds are of processor time, on one thread. What
share of a video its previews take is judged of the sketch alone: a tiny video costs less than looking at it.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from benchmarks.models import DEMO
from core.errors import JobCancelled
from core.requests.video import VideoRequest
from tests.vision.video import tiny_videos
from vision.capabilities.video import run as run_video
from vision.protocol import WorkerConfig
from vision.reporter import Reporter
from vision.store import Models
from vision.worker.main import quiet_libraries

SKETCH = "sketch"
KINDS = (SKETCH, "wan", "ltx", "animatediff", "hunyuan")
STEP, PIECE = 1.0, 2.0  # seconds: a video is gone so long after a step, and within so long when it is decoded
FIRST, COST = 0.15, 0.01  # of a video's time: until its first preview, and of all previews


class Watcher(Reporter):
    """Looks at every preview. stop_at: when the job is cancelled, in seconds from now."""

    def __init__(self, stop_at: float = float("inf")) -> None:
        self._began, self._stop_at = time.process_time(), stop_at
        self.first = self.previews = self.longest = 0.0
        self.late = 0  # steps and pieces that were finished after it was cancelled
        self._last = 0.0

    @property
    def now(self) -> float:
        """Seconds since it began."""
        return time.process_time() - self._began

    def step(self, step: int, total: int, preview: Callable[[], bytes | None] | None = None) -> None:
        now = self.now
        self.longest, self._last = max(self.longest, now - self._last), now
        self.late += now > self._stop_at
        if preview is not None and preview():
            self.first = self.first or self.now
            self.previews += self.now - now
            self._last = self.now

    def check(self) -> None:
        if self.now > self._stop_at:
            raise JobCancelled


@dataclass
class Figures:
    """seconds: of a video. first, previews: until its first preview, and of all of them. longest: of its
    steps and pieces. gone: for each cancel, how long after it."""

    kind: str
    seconds: float
    first: float
    previews: float
    longest: float
    gone: list[float] = field(default_factory=list)
    late: int = 0

    def __str__(self) -> str:
        first, previews = self.first / self.seconds, self.previews / self.seconds
        mean = sum(self.gone) / max(1, len(self.gone))
        most = max(self.gone, default=0)
        return (
            f"{self.kind}: {self.seconds:.1f} s; first preview after {self.first:.2f} s ({first:.0%}),"
            f" all of them {previews:.2%}; longest step or piece {self.longest:.2f} s; {len(self.gone)}"
            f" cancels: gone after {mean:.2f} s on average, {most:.2f} at most, {self.late} steps or pieces"
            " at most finished after one"
        )

    @property
    def right(self) -> bool:
        """Whether all is as it has to be."""
        gone = max(self.gone, default=0) <= min(self.longest + STEP, PIECE) and self.late <= 1
        cheap = self.kind != SKETCH or self.previews <= COST * self.seconds
        return gone and cheap and self.first <= FIRST * self.seconds


def measure(kind: str, cancels: int, folder: Path, *, seed: int = 0) -> Figures:
    """Make one video, and cancel as many more."""
    torch.set_num_threads(1)
    roles = {"image": str(DEMO), "clip": str(DEMO.parent / "clip")}
    if kind != SKETCH:
        roles = {"video": str(tiny_videos.save(kind, folder / kind))}
    models = Models(WorkerConfig("cpu", roles, str(folder), cpu_threads=1, allow_download=False))
    request = VideoRequest(prompt="a red ball goes to the left", seconds=1.0, num_images=1, seed=7)
    if kind != SKETCH:
        request = VideoRequest(prompt="a red ball", seconds=2.0, num_images=1, seed=7, num_inference_steps=20)

    def video(watcher: Watcher) -> float:
        with tempfile.TemporaryDirectory() as own:
            try:
                run_video(request, {}, models, watcher, Path(own))
            except JobCancelled:
                assert not list(Path(own).glob("*.mp4")), "a video that was cancelled"
            return watcher.now

    video(Watcher())  # what is loaded once
    whole = Watcher()
    figures = Figures(kind, video(whole), whole.first, whole.previews, whole.longest)
    rng = random.Random(seed)
    for _ in range(cancels):
        moment = rng.uniform(0, 0.98 * figures.seconds)
        watcher = Watcher(moment)
        figures.gone.append(max(0.0, video(watcher) - moment))
        figures.late = max(figures.late, watcher.late)
    return figures


def main() -> int:
    """Exit status: 1 when something isn't as it has to be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", choices=[[], *KINDS])
    parser.add_argument("--cancels", type=int, default=20)
    arguments = parser.parse_args()
    quiet_libraries()
    wrong = False
    for kind in arguments.kinds or KINDS:
        with tempfile.TemporaryDirectory() as folder:
            figures = measure(kind, arguments.cancels, Path(folder))
        print(figures, "" if figures.right else "SHORT", flush=True)
        wrong = wrong or not figures.right
    return int(wrong)


if __name__ == "__main__":
    raise SystemExit(main())
