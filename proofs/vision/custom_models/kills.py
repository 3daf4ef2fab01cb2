"""kill -9 of the whole studio and of its worker while people train, add pictures and label them (8.12):
nothing is lost, nothing is there twice, and every training gives the same bytes.

A row of ``proofs.vision.custom_models.proof``: ``kills``. Its studio is a process of its own, which says
what it has done line by line; what was said counts as promised. Pictures are small and few, so that a
kill costs seconds: what is asked about is the way, not the method."""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from PIL import Image

from core.events import Progress
from core.settings import load_settings
from host.services import services
from storage.projects import dataset, versions
from studio.authority import Actor
from studio.studio import Studio
from tests.studio.conftest import KINDS, AllFit, Opened, Sent
from tests.support.fresh import fresh_database
from tests.vision.custom_models import parts

ALICE = Actor(1, None, 60)
TAUGHT, PILE = "taught", "pile"
GOOD, SIDE, PIXELS = 5, 128, 128
LABELS = ("scratch", "dent")
PATIENCE = 300.0  # seconds until a line, or the end of a training, is missed
AT_WORK = 0.75  # share of kills that wait for a step of a training: a worker takes seconds to begin
MOST_OF_ONE = 2  # kills that a training survives: its third death ends it, with a sentence


@asynccontextmanager
async def studio(folder: Path, *, fresh: bool = False) -> AsyncIterator[Opened]:
    """Open the studio that lies in ``folder``."""
    common = {"DATA_DIR": str(folder), "DISK_FLOOR_MB": "0", "PHOTO_READERS": "off", "DEVICES": "cpu"}
    loaded = load_settings(
        common | {"PROJECT_VERSIONS": "1000"}, folder / "none.env"
    )  # all files are compared
    if fresh:
        fresh_database(loaded.database)
    async with services(loaded) as built:
        built.moderator.check = AllFit()
        yield Opened(Studio(built, KINDS), built)


def picture(number: int, defect: str | None = None) -> Sent:
    """A small part, another one for each number."""
    held = io.BytesIO()
    parts.picture("plate", number, defect)[0].resize((SIDE, SIDE), Image.Resampling.BILINEAR).save(
        held, "PNG"
    )
    return Sent(held.getvalue(), f"{number}.png")


# The studio that is killed


async def live(folder: Path, number: int) -> None:
    """Train, add and label until the end comes, from act ``number`` on; say what was done."""
    async with studio(folder) as opened:
        say({"ready": True})
        training = asyncio.create_task(_train(opened))
        while True:
            [sha256] = await _added(opened, number)
            say({"added": number, "sha256": sha256})
            label = LABELS[number % 2]
            await opened.studio.labelling.mark(ALICE, PILE, sha256, label)
            say({"marked": sha256, "label": label})
            number += 1
            await asyncio.sleep(1.0)  # a project takes 2,000 pictures
            if training.done():
                training.result()
                training = asyncio.create_task(_train(opened))


async def _added(opened: Opened, number: int) -> tuple[str, ...]:
    brought = await opened.studio.dataset.add(ALICE, PILE, [picture(10_000 + number)])
    return brought.new or brought.known


async def _train(opened: Opened) -> None:
    """See the training that waits or runs to its end, or ask for another one."""
    card = await opened.studio.projects.card(ALICE, TAUGHT)
    if not (job_id := card.training):
        new = await opened.studio.training.train(ALICE, TAUGHT, pixels=PIXELS)
        job_id = (await opened.studio.submit(ALICE, new)).job.id
    say({"asked": job_id})
    async for event in await opened.studio.watch(ALICE, job_id):
        if isinstance(event, Progress):
            say({"at": event.step / event.total})
    job = await opened.services.queue.job(job_id)
    say({"ended": job_id, "status": job.status.value if job else "gone"})


def say(what: dict[str, Any]) -> None:
    """Promise something."""
    print(json.dumps(what), flush=True)


# Whoever kills it


@dataclass
class Promised:
    """What a studio has said that it did."""

    added: dict[int, str] = field(default_factory=dict)
    marked: dict[str, str] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    ended: dict[str, str] = field(default_factory=dict)
    training: str = ""  # that waits or runs now
    at: bool = False  # it has taken a step since the last kill
    hits: Counter[str] = field(default_factory=Counter)  # kills by training

    def hear(self, line: dict[str, Any]) -> None:
        if "added" in line:
            self.added[line["added"]] = line["sha256"]
        elif "marked" in line:
            self.marked[line["marked"]] = line["label"]
        elif "asked" in line:
            self.training, self.at = line["asked"], False
            self.asked.add(self.training)
        elif "at" in line:
            self.at = True
        elif "ended" in line:
            self.ended[line["ended"]] = line["status"]
            self.training, self.at = "", False


class Victim:
    """A studio in a process of its own."""

    def __init__(self, folder: Path, number: int, promised: Promised) -> None:
        command = [sys.executable, "-m", "proofs.vision.custom_models.kills", str(folder), str(number)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self._out, self._rest, self._promised = self._process.stdout.fileno(), b"", promised

    def listen(self, seconds: float, *, until: str = "") -> bool:
        """Hear what it says for so long, or until it says something; return whether it did. Raises
        RuntimeError when it ends by itself."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            if not select.select([self._out], [], [], min(left, 0.1))[0]:
                continue
            if not (data := os.read(self._out, 2**16)):
                raise RuntimeError(f"the studio ended by itself: {self._process.wait()}")
            if until in self._hear(data):
                return True
        return False

    def _hear(self, data: bytes) -> set[str]:
        """Hear whole lines, and return what they are about."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        about = set[str]()
        for line in map(json.loads, lines):
            self._promised.hear(line)
            about |= line.keys()
        return about

    def kill_worker(self) -> bool:
        """End its worker, if there is one that works."""
        for child in psutil.Process(self._process.pid).children(recursive=True):
            try:
                if "spawn_main" in " ".join(child.cmdline()):
                    os.kill(child.pid, signal.SIGKILL)
                    return True
            except (psutil.NoSuchProcess, ProcessLookupError):
                continue
        return False

    def kill(self) -> None:
        """End it, and hear its last words; its worker ends when it finds itself alone."""
        workers = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        self._process.wait()
        _, left = psutil.wait_procs(workers, timeout=30)
        if left:
            raise RuntimeError(f"{len(left)} processes outlived their studio")
        while data := os.read(self._out, 2**16):
            self._hear(data)
        if self._process.stdout is not None:
            self._process.stdout.close()


async def _begin(folder: Path) -> str:
    """Make the projects, train one undisturbed, and return the hash of its artefact."""
    async with studio(folder, fresh=True) as opened:
        shelf, pictures = opened.studio.projects, opened.studio.dataset
        for name in (TAUGHT, PILE):
            await shelf.new(ALICE, name)
        for label in LABELS:
            await shelf.put_label(ALICE, PILE, label)
        await pictures.add(ALICE, TAUGHT, [picture(n) for n in range(GOOD)], "good")
        new = await opened.studio.training.train(ALICE, TAUGHT, pixels=PIXELS)
        job = (await opened.studio.submit(ALICE, new)).job
        async for _ in await opened.studio.watch(ALICE, job.id):
            pass
        version = await opened.studio.training.trained(ALICE, job.id)
        assert version is not None and version.artefact is not None
        return version.artefact


async def _checked(folder: Path, promised: Promised, wanted: str) -> dict[str, object]:
    """Let the last training end, and return what is wrong."""
    async with studio(folder) as opened:
        card = await opened.studio.projects.card(ALICE, TAUGHT)
        if card.training:
            async for _ in await opened.studio.watch(ALICE, card.training):
                pass
        pile = (await opened.studio.projects.card(ALICE, PILE)).project.id
        taught = card.project.id
        read = opened.services.database.read
        there = [one for one in await read(partial(dataset.read_items, project_id=pile, limit=5000))]
        marks = await read(partial(dataset.marks_of, project_id=pile))
        every = await read(partial(versions.list_versions, project_id=taught))
        jobs = {job_id: await opened.services.queue.job(job_id) for job_id in promised.asked}
        files = opened.services.files
        known = {one.sha256 for one in there}
        words = {sha256: [mark.label for mark in some] for sha256, some in marks.items()}
        made = Counter(str(one.job_id) for one in every)
        return {
            "pictures promised": len(promised.added),
            "lost": sum(sha not in known or not files.exists(sha) for sha in promised.added.values()),
            "labels promised": len(promised.marked),
            "labels lost": sum(words.get(sha) != [label] for sha, label in promised.marked.items()),
            "doubled": len(there) - len(known) + sum(len(some) > 1 for some in words.values()),
            "more than was asked": max(0, len(known) - len(promised.added) - 1),
            "trainings": len(promised.asked),
            "trainings lost": sum(made[job_id] == 0 for job_id in promised.asked),
            "trainings doubled": sum(count > 1 for count in made.values()),
            "not rendered": sum(job is None or job.error is not None for job in jobs.values()),
            "with other bytes": sum(one.artefact != wanted for one in every),
        }


def of_kills(scale: float) -> Iterator[dict[str, object]]:
    """Kill 100 times (of scale 1), the studio and its worker in turn by lot."""
    rng, promised, count = random.Random(0), Promised(), max(1, round(100 * scale))
    done: Counter[str] = Counter()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wanted = asyncio.run(_begin(folder))
        victim = Victim(folder, 0, promised)
        assert victim.listen(PATIENCE, until="ready")
        while sum(done.values()) < count:
            if promised.training and promised.hits[promised.training] >= MOST_OF_ONE:
                assert victim.listen(PATIENCE, until="ended"), "a training doesn't end"
                continue
            if rng.random() < AT_WORK and not promised.at:
                assert victim.listen(PATIENCE, until="at"), "no training takes a step"
            victim.listen(rng.uniform(0.1, 2.0))
            hit = promised.training
            if promised.at and rng.random() < 0.6:
                done["worker"] += victim.kill_worker()
            elif promised.hits[hit] < MOST_OF_ONE:
                victim.kill()
                done["studio"] += 1
                victim = Victim(folder, max(promised.added, default=-1) + 1, promised)
                assert victim.listen(PATIENCE, until="ready")
            else:
                continue
            promised.hits[hit] += bool(hit)
            promised.at = False
        victim.kill()
        yield {
            "kills of the studio": done["studio"],
            "kills of its worker": done["worker"],
            **asyncio.run(_checked(folder, promised, wanted)),
            "wall s a kill": (time.monotonic() - began) / count,
        }


def main() -> None:
    """Be the studio that is killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("number", type=int)
    asked = parser.parse_args()
    asyncio.run(live(asked.folder, asked.number))


if __name__ == "__main__":
    main()
