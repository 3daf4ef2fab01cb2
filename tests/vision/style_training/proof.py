"""What styles of a member's own are worth: ``python -m tests.vision.style_training.proof [ROW …]`` prints a
JSON line for each measurement; docs/train.md has the last ones.

``learn``: looks that the demo world doesn't know are learned on the demo model, drawn with and judged
(``--looks``, ``--prompts``, ``--pictures``; ``--keep FOLDER`` for sheets). ``kill``: a process that trains a
tiny SDXL or FLUX model is killed ten times (``--kills``). ``memory``: what the planner says of models and
cards.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import torch

from tests import tiny
from tests.vision.style_training import looks, measuring
from vision.model_store import Models
from vision.own_models.steps import FolderStore, MemoryStore
from vision.protocol import WorkerConfig
from vision.reporter import Reporter
from vision.style_training import learning
from vision.style_training.learning import Plan, learn
from vision.style_training.lesson import Example
from vision.style_training.settings import Settings, usual

Row = dict[str, object]
DEMO_WEIGHTS = 13_000_000
FAMILIES = ("stable-diffusion-xl", "flux")
SHORTEST, LONGEST = 0.3, 3.0  # seconds that a training lives after its first sign


def learn_rows(given: argparse.Namespace) -> Iterator[Row]:
    """Learn each look and draw with it."""
    plain = MemoryStore()
    for look in given.looks.split(","):
        settings = usual(f"{look} style", given.pictures, DEMO_WEIGHTS)
        begun, cpu = time.monotonic(), time.process_time()
        learned = measuring.train(look, given.pictures, settings)
        took = {
            "cpu_seconds": round(time.process_time() - cpu, 1),
            "seconds": round(time.monotonic() - begun, 1),
        }
        figures = measuring.measure(look, learned, settings.trigger, given.prompts, plain, given.keep)
        yield {"row": "learn", **asdict(figures), "steps": settings.steps, "pictures": given.pictures, **took}


def kill_rows(given: argparse.Namespace) -> Iterator[Row]:
    """Kill trainings of each family, and compare what they end in with two that weren't disturbed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tiny.build(folder / "models")
        for family in FAMILIES:
            digests = [_whole(family, folder, f"{family}-{number}") for number in range(2)]
            kills, steps = _killed(family, folder, given.kills)
            after = _whole(family, folder, f"{family}-killed")
            yield {
                "row": "kill",
                "family": family,
                "kills": kills,
                "at_steps": steps,
                "same_seed_same_bytes": digests[0] == digests[1],
                "killed_same_bytes": after == digests[0],
            }


def _whole(family: str, folder: Path, kept: str) -> str:
    """Train to the end in a process of its own; return the SHA-256 of the file."""
    done = subprocess.run(_command(family, folder, kept), capture_output=True, text=True, check=True)
    return done.stdout.split()[-1]


def _killed(family: str, folder: Path, count: int) -> tuple[int, list[int]]:
    """Kill a training ``count`` times, each at a random moment after its first step; return how often that
    was and after which steps."""
    rng, steps = random.Random(family), []
    for _ in range(count):
        process = subprocess.Popen(
            _command(family, folder, f"{family}-killed"),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout is not None
        first = process.stdout.readline()
        if not first.startswith("step"):
            break  # it came to its end before
        time.sleep(rng.uniform(SHORTEST, LONGEST))
        os.kill(process.pid, signal.SIGKILL)
        rest = [first, *process.stdout.read().splitlines()]
        process.wait()
        steps.append(max(int(line.split()[1]) for line in rest if line.startswith("step")))
    return len(steps), steps


def _command(family: str, folder: Path, kept: str) -> list[str]:
    return [sys.executable, "-m", "tests.vision.style_training.proof", "train-one", "--family", family,
            "--folder", str(folder), "--kept", kept]  # fmt: skip


def train_one(given: argparse.Namespace) -> None:
    """Train a tiny model, telling each step; print the SHA-256 of what comes out."""
    learning.KEEP_EVERY, learning.KEEP_SHARE = 0.0, 1e9  # its steps take a hundredth of a real model's
    specs = {"image": str(given.folder / "models" / given.family)}
    own = Models(WorkerConfig("cpu", specs, str(given.folder), cpu_threads=1, allow_download=False))
    examples = tuple(Example(picture, caption) for picture, caption in looks.pictures("woodcut", 6))
    settings = Settings("woodcut style", 300, 4, "all", 1e-3, batch=2, checkpoints=3, seed=11)
    plan = Plan(None, examples, ("a red boat",), settings)
    learned = learn(plan, own, FolderStore(given.folder / given.kept), Telling())
    print(hashlib.sha256(learned.file).hexdigest(), flush=True)


class Telling(Reporter):
    """Prints each step."""

    def step(self, step: int, total: int, preview: Callable[[], bytes | None] | None = None) -> None:
        """Print it."""
        print("step", step, flush=True)


ROWS: dict[str, Callable[[argparse.Namespace], Iterator[Row]]] = {"learn": learn_rows, "kill": kill_rows}


def main() -> None:
    """Print the rows that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.vision.style_training.proof")
    parser.add_argument("rows", nargs="*", default=[*ROWS], choices=[*ROWS, "train-one"])
    parser.add_argument("--looks", default=",".join(looks.LOOKS))
    parser.add_argument("--prompts", type=int, default=60)
    parser.add_argument("--pictures", type=int, default=12)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--family", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--kept", help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.rows == ["train-one"]:
        train_one(given)
        return
    for name in given.rows:
        for row in ROWS[name](given):
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
