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

import numpy as np
import torch

from proofs.vision.lora_training import filters, looks, measuring
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
        judged = (given.prompts, plain, given.keep, given.judge)
        figures = measuring.measure(look, learned, settings.trigger, *judged)
        about = {
            "steps": settings.steps,
            "pictures": given.pictures,
            "strength": learned.about["strength"],
        }
        yield {"row": "learn", **asdict(figures), **about, **took}


def hands_rows(given: argparse.Namespace, plain: Store) -> Iterator[Row]:
    """Learn looks of other hands from pictures that nobody has described, as ``/style`` does, and draw."""
    figures = []
    for look in given.looks.split(","):
        trigger, cpu = f"{look} style", time.process_time()
        learned = measuring.train_described(look, given.pictures, trigger)
        about = {name: learned.about[name] for name in ("steps", "strength", "captions")}
        took = {"cpu_seconds": round(time.process_time() - cpu, 1)}
        judged = (given.prompts, plain, given.keep, given.judge)
        figures.append(measuring.measure(look, learned, trigger, *judged))
        yield {"row": "hands", **asdict(figures[-1]), **about, **took}
    near, kept = [one.nearer for one in figures], [one.kept[1] / one.kept[0] for one in figures]
    told = {"looks": len(figures), "nearer": _interval(near), "kept": _interval(kept)}
    yield {"row": "hands together", **told}


def _interval(shares: list[float]) -> tuple[float, float, float]:
    """Return a mean over looks, and where it lies in 95 % of draws of as many looks."""
    rng, draws = np.random.default_rng(0), np.array(shares)
    means = draws[rng.integers(0, len(draws), (10_000, len(draws)))].mean(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return round(float(draws.mean()), 3), round(float(low), 3), round(float(high), 3)


def reach_rows(given: argparse.Namespace, plain: Store) -> Iterator[Row]:
    """Tell how much nearer each look's filter brings plain drawings, and what of it can be decoded."""
    for look in given.looks.split(","):
        found = measuring.reach(look, given.prompts, plain, given.judge)
        yield {"row": "reach", **asdict(found), "seen": found.is_seen}


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
    "hands": hands_rows,
    "reach": reach_rows,
    "kill": kill_rows,
}


def main() -> None:
    """Print the rows that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m proofs.vision.lora_training.proof")
    parser.add_argument("rows", nargs="*", default=[*ROWS], choices=[*ROWS])
    parser.add_argument("--looks", default=",".join(looks.OWN), help="or seen, hands: those that count")
    parser.add_argument("--prompts", type=int, default=60)
    parser.add_argument("--pictures", type=int, default=12)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--keep", type=Path, help="folder for sheets of drawings")
    parser.add_argument("--judge", type=Path, help="file where the judge of looks is kept")
    given = parser.parse_args()
    chosen = {"seen": looks.SEEN, "hands": filters.SEEN}
    given.looks = ",".join(chosen.get(given.looks, given.looks.split(",")))
    torch.set_num_threads(1)
    plain = MemoryStore()
    for name in given.rows:
        for row in ROWS[name](given, plain):
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
