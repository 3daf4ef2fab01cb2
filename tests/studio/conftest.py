"""A studio without any door: services with an executor that draws at once, and people as actors."""

import io
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from unittest import mock

import pytest
from PIL import Image

from core.convert import Preferences
from core.requests import REQUESTS, GenerateRequest, from_json
from core.settings import load_settings
from host.services import services
from jobs.executors.base import Outcome, Report
from jobs.queue import Queue, Result
from storage.blobs.removal import Removal, utc_now
from storage.embeddings import VectorFiles
from storage.identity import Identity
from studio.authority import Action, Actor
from studio.inputs import Given
from studio.janitor import Janitor
from studio.janitor import Report as Told
from studio.new_job import NewJob
from studio.privacy import Deletions, Privacy, Retention
from studio.services import Services
from studio.studio import Studio
from tests.jobs.fake_worker import output_of, picture_of
from tests.jobs.hand_executor import HandExecutor
from tests.support import REAL
from tests.support.fresh import fresh_database
from vision.protocol import Done, Run, Step

SIDE = 64  # px of what the executor draws
KINDS = frozenset(cls.kind for cls in REQUESTS)
ALICE, BOB = Actor(1, 10, 100), Actor(2, 10, 100)  # members in the same channel
MIRA = Actor(3, 10, 100, manages=True)


class AllFit:
    """A classifier to which every picture is fit to be shown."""

    name = "all fit"

    def get_ready(self) -> None:
        """It always is."""

    async def score(self, data: bytes) -> float:
        return 0.0

    async def close(self) -> None:
        """Nothing is open."""


class AtOnce(HandExecutor):
    """An executor that takes two steps for each job and then has drawn it."""

    async def run(self, device: str, run: Run, report: Report) -> Outcome:
        self.started.append(run.job_id)
        for step in (1, 2):
            report(Step(run.job_id, step, 2))
        request = from_json(run.kind, run.request)
        output = output_of(request)
        if isinstance(request, GenerateRequest):
            seeds = (request.seed_of(number) for number in range(request.num_images))
            output = replace(output, pictures=tuple(picture_of(seed, SIDE) for seed in seeds))
        return Done(run.job_id, output)


@dataclass
class Opened:
    """An open studio and its services."""

    studio: Studio
    services: Services

    async def drawn(self, actor: Actor, text: str = "a red house") -> Result:
        """What an /imagine of the actor's made."""
        chosen = await self.studio.own.preferences(actor)
        [new] = await (await self.studio.requests.imagine(actor, text, chosen)).jobs()
        job = (await self.studio.submit(actor, new)).job
        async for _ in await self.studio.watch(actor, job.id):
            pass
        return await self.studio.rights.result(actor, job.id, Action.SHOW)

    async def ask(
        self,
        actor: Actor,
        question: str,
        given: Sequence[Given] = (),
        form=None,
        *,
        follows: str | None = None,
    ) -> NewJob:
        """A question, with no settings of the actor's."""
        return await self.studio.requests.ask(actor, question, given, Preferences(), form, follows=follows)


@asynccontextmanager
async def open_studio(
    folder: Path, executor: HandExecutor | None = None, **settings: str
) -> AsyncIterator[Opened]:
    """Open a studio in ``folder``. executor: what draws, None = AtOnce. Every picture is fit until a test
    gives the moderator another judge."""
    common = {"DATA_DIR": str(folder), "DISK_FLOOR_MB": "0"}
    loaded = load_settings({**common, **settings}, folder / "none.env")
    fresh_database(loaded.database)
    async with services(loaded, executor=executor or AtOnce()) as built:
        if not REAL:
            built.moderator.check = AllFit()
        yield Opened(Studio(built, KINDS), built)


def privacy_of(queue: Queue, folder: Path) -> Privacy:
    """What deletes people's data in a queue's database and files; its own things lie in ``folder``."""
    removal = Removal(queue.database, queue.files, Identity(queue.database, queue.files, folder))
    deletions, vectors = Deletions(folder / "deletions.json"), VectorFiles(folder)
    places = {"checkpoints": folder / "checkpoints"}
    return Privacy(queue, queue.database, queue.files, vectors, removal, deletions, Retention(), **places)


async def swept(janitor: Janitor) -> Told:
    """Sweep, look for files that no row names, and delete a day later what that has found."""
    report = await janitor.sweep()
    await janitor.removal.note_orphans()
    later = utc_now() + timedelta(days=1, minutes=1)
    with mock.patch.object(janitor.removal, "clock", lambda: later):
        await janitor.removal.remove()
    return report


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opened]:
    async with open_studio(tmp_path) as found:
        yield found


def png(
    width: int = 64, height: int = 48, colour: tuple[int, int, int] = (200, 40, 40), form: str = "PNG"
) -> bytes:
    """An encoded picture of one colour."""
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, form)
    return out.getvalue()


@dataclass(frozen=True)
class Sent:
    """A file that somebody gives."""

    data: bytes
    name: str = "photo.png"

    @property
    def size(self) -> int:
        return len(self.data)

    async def read(self) -> bytes:
        return self.data
