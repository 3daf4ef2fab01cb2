"""kill -9 of a process that draws a video of many windows, at random moments, until the video is there.

    PYTHONPATH=. python -m proofs.vision.video.video_kills --windows 40 --videos 10
    PYTHONPATH=. python -m proofs.vision.video.video_kills --windows 40 --kills 200 --lives 2

A tiny model of a real family, loaded and drawn by the real code, with the checkpoints that a worker has. The
video must have the frames of one that nobody killed, and a kill costs one window at most.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from tqdm import tqdm

from proofs.vision.video import operations
from vision.diffusion.checkpoint import Checkpoint, Pace
from vision.reporter import Reporter
from vision.video import generate
from vision.video.families import Operation
from vision.video.generate import Shot
from vision.video.model import VideoModel

STEPS = 4  # of a window
SLOW = 0.1  # seconds more that a step takes: jobs of less than 5 s have no checkpoints
CHEAP = Pace(max_cost=0.0)  # of a window that takes minutes writing is nothing; here it takes half a second
DRAWN = generate.STEPS_SHARE * generate.SHARE  # of the job: behind it frames are decoded
LENGTHS = {"animatediff": (8, 4), "ltx": (25, 16)}  # frames of a window, and new ones of each further window


class Diary(Reporter):
    """Writes every step down, at once."""

    def __init__(self, folder: Path) -> None:
        self.checkpoint = Checkpoint(folder, "video", CHEAP)
        self._file = os.open(folder / "steps", os.O_APPEND | os.O_CREAT | os.O_WRONLY)

    def step(self, step: int, total: int, preview: Callable[[], bytes | None] | None = None) -> None:
        os.write(self._file, f"{step / total:.6f}\n".encode())
        time.sleep(SLOW)


@dataclass
class Figures:
    """again: for each kill, the steps of drawing that were done once more after it."""

    videos: int = 0
    windows: int = 0
    kills: int = 0
    steps: int = 0
    again: list[int] = field(default_factory=list)
    wrong: int = 0

    def __str__(self) -> str:
        return (
            f"{self.videos} videos of {self.windows} windows, {self.kills} kills: {self.wrong} with other"
            f" frames; {sum(self.again)} of {self.steps} steps done again"
            f" ({sum(self.again) / self.steps:.1%}), at most"
            f" {max(self.again, default=0)} for a kill, where a window has {STEPS}"
        )


def long_shot(model: VideoModel, name: str, windows: int) -> Shot:
    """A video of so many windows."""
    longest, more = LENGTHS[name]
    model.card = replace(model.card, longest=longest)
    shot = operations.shots(model)[Operation.WORDS]
    return replace(shot, frames=longest + more * (windows - 1), num_inference_steps=STEPS)


def video_of(model: VideoModel, shot: Shot, reporter: Reporter) -> str:
    """The hash of all frames."""
    return hashlib.sha256(operations.drawn(generate.generate(model, shot, reporter)).tobytes()).hexdigest()


def kill_until_done(model: VideoModel, shot: Shot, folder: Path, most: float, rng: random.Random) -> int:
    """Kill the video's process after 0 to ``most`` seconds, again and again; how often it was. While nothing
    new gets done, as on a machine that has become busier, each lives longer than the one before."""
    kills, done, barren = 0, 0, 0
    while True:
        steps = folder / "steps"
        before, done = done, len(set(steps.read_text().split())) if steps.exists() else 0
        barren = 0 if done > before else barren + 1
        child = os.fork()
        if child == 0:
            tqdm.set_lock(threading.RLock())  # its own is one of all processes, which a killed one keeps
            try:
                (folder / "video").write_text(video_of(model, shot, Diary(folder)))
            finally:
                os._exit(0)
        end, gone = time.monotonic() + rng.random() * most * 1.25**barren, 0
        while time.monotonic() < end and not gone:
            gone, _ = os.waitpid(child, os.WNOHANG)
            time.sleep(0.005)
        if not gone:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            kills += 1
            with (folder / "steps").open("a") as file:
                file.write("killed\n")
        if (folder / "video").exists():
            return kills


def again(lines: list[str]) -> tuple[int, list[int]]:
    """How many steps of drawing there are, and how many of them each kill cost. The last one is told again
    when decoding begins."""
    seen, life, costs = set[str](), set[str](), list[int]()
    for line in lines:
        if line == "killed":
            seen |= life
            costs, life = [*costs, 0], set()
        elif float(line) <= DRAWN + 1e-3 and line not in life:
            life.add(line)
            if line in seen:
                costs[-1] += 1
    return len(seen | life), costs


def measure(
    name: str,
    windows: int,
    videos: int,
    *,
    kills: int = 0,
    lives: float | None = None,
    seed: int = 0,
    report: Callable[[Figures], object] = lambda figures: None,
) -> Figures:
    """Kill videos of a model until each is there: ``videos`` of them, and more until there were so many
    kills.

    lives: how long a process lives at most, in windows' time; None = 0.4 of the video's. report: gets the
    figures after each video.
    """
    torch.set_num_threads(1)
    rng, figures = random.Random(seed), Figures(windows=windows)
    with tempfile.TemporaryDirectory() as root:
        model = operations.load(name, Path(root) / "model")
        shot = long_shot(model, name, windows)
        began = time.monotonic()
        wanted = video_of(model, shot, Reporter())
        seconds = time.monotonic() - began + windows * STEPS * SLOW
        most = max(3.0, 0.4 * seconds) if lives is None else lives * seconds / windows
        while figures.videos < videos or figures.kills < kills:
            folder = Path(root) / str(figures.videos)
            folder.mkdir()
            figures.kills += kill_until_done(model, shot, folder, most, rng)
            steps, costs = again((folder / "steps").read_text().split())
            figures.videos += 1
            figures.steps += steps
            figures.again += costs
            figures.wrong += (folder / "video").read_text() != wanted
            report(figures)
    return figures


def check(figures: Figures) -> None:
    """Raise AssertionError unless all is as it has to be."""
    assert not figures.wrong, f"{figures.wrong} videos have other frames"
    assert figures.kills and max(figures.again) <= STEPS, f"a kill cost {max(figures.again)} steps"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=list(LENGTHS), default="animatediff")
    parser.add_argument("--windows", type=int, default=40)
    parser.add_argument("--videos", type=int, default=1)
    parser.add_argument("--kills", type=int, default=0, help="at least, in as many more videos as it takes")
    parser.add_argument("--lives", type=float, help="of a process, at most, in windows' time")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    figures = measure(
        arguments.model,
        arguments.windows,
        arguments.videos,
        kills=arguments.kills,
        lives=arguments.lives,
        seed=arguments.seed,
        report=lambda figures: print(figures, flush=True),
    )
    check(figures)


if __name__ == "__main__":
    main()
