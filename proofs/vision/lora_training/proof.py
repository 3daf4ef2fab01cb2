"""What styles of a member's own are worth: ``python -m proofs.vision.lora_training.proof [ROW …]`` prints a
JSON line for each measurement; docs/evidence/styles.md has the last ones.

``learn``: looks that the demo world doesn't know are learned on the demo model, drawn with and judged
(``--looks``, ``--prompts``, ``--pictures``; ``--keep FOLDER`` for sheets). ``reach``: how many plain drawings
each look's filter itself brings nearer to its pictures, and after the model's own encoder and decoder.
``kill``: a process that trains a tiny SDXL or FLUX model is killed ten times (``--kills``).
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import multiprocessing
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from proofs.vision.lora_training import looks, measuring
from tests.support import tiny
from tests.vision.custom_models.memory_store import MemoryStore
from vision.custom_models.steps import Store
from vision.lora_training import train
from vision.lora_training.config import Settings, usual_settings
from vision.lora_training.dataset import Example
from vision.lora_training.train import Plan, learn_style
from vision.protocol import WorkerConfig
from vision.reporter import Reporter
from vision.store import Models

Row = dict[str, object]
DEMO_WEIGHTS = 13_000_000
FAMILIES = ("stable-diffusion-xl", "flux")
STEPS = 80
SHORTEST, LONGEST = 0.05, 1.0  # seconds that a training lives after its first sign


def learn_rows(given: argparse.Namespace, plain: Store) -> Iterator[Row]:
    """Learn each look and draw with it. plain: for the drawings without, which are the same for all."""
    for look in given.looks.split(","):
        usually = usual_settings(f"{look} style", given.pictures, DEMO_WEIGHTS)
        settings = replace(usually, checkpoints=1)  # samples on the way cost time and change nothing
        begun, cpu = time.monotonic(), time.process_time()
        learned = measuring.train(look, given.pictures, settings)
        took = {
            "cpu_seconds": round(time.process_time() - cpu, 1),
            "seconds": round(time.monotonic() - begun, 1),
        }
        figures = measuring.measure(look, learned, settings.trigger, given.prompts, plain, given.keep)
        about = {
            "steps": settings.steps,
            "pictures": given.pictures,
            "strength": learned.about["strength"],
        }
        yield {"row": "learn", **asdict(figures), **about, **took}


def reach_rows(given: argparse.Namespace, plain: Store) -> Iterator[Row]:
    """Tell how much nearer each look's filter brings plain drawings, and what of it can be decoded."""
    for look in given.looks.split(","):
        yield {"row": "reach", **asdict(measuring.reach(look, given.prompts, plain))}


def kill_rows(given: argparse.Namespace, _: Store) -> Iterator[Row]:
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
    process, told = _begun(family, folder, kept)
    for word in iter(told.recv, None):
        if isinstance(word, str):
            process.join()
            return word
    raise RuntimeError(f"the training of {family} ended without a result")


def _killed(family: str, folder: Path, count: int) -> tuple[int, list[int]]:
    """Kill a training ``count`` times, each at a random moment after its first step; return how often that
    was and after which steps."""
    rng, steps = random.Random(family), []
    while len(steps) < count:
        process, told = _begun(family, folder, f"{family}-killed")
        last = told.recv()
        if isinstance(last, str):
            break  # it came to its end before
        time.sleep(rng.uniform(SHORTEST, LONGEST))
        process.kill()
        process.join()
        with contextlib.suppress(EOFError):
            while told.poll():
                last = told.recv()
        if isinstance(last, str):
            break
        steps.append(last)
    return len(steps), steps


def _begun(family: str, folder: Path, kept: str) -> tuple[Any, Connection]:
    """Begin a training in a process that has all imports already; it sends each step, then the SHA-256."""
    context = multiprocessing.get_context("fork")  # no thread runs here that a fork could lose
    told, mine = context.Pipe(duplex=False)
    process = context.Process(target=_train, args=(family, folder, kept, mine))
    process.start()
    mine.close()
    return process, told


def _train(family: str, folder: Path, kept: str, mine: Connection) -> None:
    train.KEEP_EVERY, train.KEEP_SHARE = 0.0, 1e9  # its steps take a hundredth of a real model's
    specs = {"image": str(folder / "models" / family)}
    own = Models(WorkerConfig("cpu", specs, str(folder), cpu_threads=1, allow_download=False))
    examples = tuple(Example(picture, caption) for picture, caption in looks.pictures("woodcut", 6))
    settings = Settings("woodcut style", STEPS, 4, "all", 1e-3, batch=2, checkpoints=3, seed=11)
    plan = Plan(None, examples, ("a red boat",), settings)
    learned = learn_style(plan, own, Store(folder / kept), Telling(mine))
    mine.send(hashlib.sha256(learned.file).hexdigest())


class Telling(Reporter):
    """Sends each step of the training; samples are drawn at step 0, too."""

    def __init__(self, mine: Connection) -> None:
        self._mine = mine

    def step(self, step: int, total: int, preview: Callable[[], bytes | None] | None = None) -> None:
        """Send it."""
        if step:
            self._mine.send(step)


ROWS: dict[str, Callable[[argparse.Namespace, Store], Iterator[Row]]] = {
    "learn": learn_rows,
    "reach": reach_rows,
    "kill": kill_rows,
}


def main() -> None:
    """Print the rows that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m proofs.vision.lora_training.proof")
    parser.add_argument("rows", nargs="*", default=[*ROWS], choices=[*ROWS])
    parser.add_argument("--looks", default=",".join(looks.LOOKS), help="or seen: those that count")
    parser.add_argument("--prompts", type=int, default=60)
    parser.add_argument("--pictures", type=int, default=12)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    if given.looks == "seen":
        given.looks = ",".join(looks.SEEN)
    torch.set_num_threads(1)
    plain = MemoryStore()
    for name in given.rows:
        for row in ROWS[name](given, plain):
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
