"""A studio whose executor trains, judges and bundles at once: its models are the texts of what they learned
from, so that a test can read in them whom they know."""

import hashlib
import io
import random
import zipfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from core.events import File, Output
from core.job import Job, Status
from core.requests import from_json
from core.requests.custom_models import BundleRequest, InspectRequest, TrainRequest
from core.results import TEST, Learned, LearnedFrom, Verdict
from jobs.executors.base import Outcome, Report
from storage.projects import dataset, versions
from storage.projects.dataset import Incoming
from storage.projects.projects import Project
from studio.authority import Actor
from studio.media.masks import Bits, stride, write_mask
from studio.new_job import NewJob
from tests.jobs.conftest import eventually
from tests.jobs.fake_worker import picture_of
from tests.studio.conftest import ALICE, SIDE, AtOnce, Opened, Sent, open_studio
from tests.studio.servers import Server, Servers
from vision.custom_models.snapshot import Snapshot
from vision.protocol import Done, Run

ALONE = Actor(ALICE.user_id, None, 50)  # she, in a direct message
LIMIT = 1.5
GOOD_SCORES, BAD_SCORES = [1.0, 1.2, 0.8, 1.5], [2.0, 1.4, 3.0, 2.5, 1.9]


class Learner(AtOnce):
    """score: of every picture that it is asked about, unless ``scores`` has another. tested: how many of the
    settled items it keeps for testing. snapshots: what each training was told. settled: what it learned
    from."""

    def __init__(self) -> None:
        super().__init__()
        self.score, self.tested = 2.0, 0
        self.snapshots: list[Snapshot] = []
        self.settled: list[Snapshot] = []
        self.said: dict[str, float] = {}
        self.scores: dict[str, float] = {}
        self.groups = [0, 1, 2, 3]
        self.doubtful: list[dict[str, Any]] = []

    async def run(self, device: str, run: Run, report: Report) -> Outcome:
        request = from_json(run.kind, run.request)
        if isinstance(request, TrainRequest):
            return Done(run.job_id, self.learned(request, run))
        if isinstance(request, InspectRequest):
            return Done(run.job_id, self._judged(request, Path(run.paths[request.artefact])))
        if isinstance(request, BundleRequest):
            made = _bundled(Path(run.paths[request.artefact]), Path(run.folder))
            file = File(f"{request.name}-v{request.version}.zip", str(made), "application/zip")
            return Done(run.job_id, Output(files=(file,)))
        return await super().run(device, run, report)

    def learned(self, request: TrainRequest, run: Run) -> Output:
        folder = Path(run.folder)
        snapshot = Snapshot.read((folder / "snapshot.json").read_text())
        masks = {item.mask for item in snapshot.items if item.mask}
        assert set(run.paths) == masks | {item.sha256 for item in snapshot.items}
        self.snapshots.append(snapshot)
        settled = snapshot
        if not request.settled:
            names = [item.sha256 for item in snapshot.items[: self.tested]]
            settled = Snapshot.of(
                replace(item, part=TEST if item.sha256 in names else item.part) for item in snapshot.items
            )
        self.settled.append(settled)
        path = folder / "model"
        path.write_bytes(f"model of {settled.text()}".encode())
        tested = [item for item in settled.items if item.part == TEST]
        said = [
            {"said": item.label, "score": self.said.get(item.sha256, self.score), "strange": False}
            for item in tested
        ]
        metrics = {
            "good_scores": GOOD_SCORES,
            "good_groups": self.groups,
            "bad_scores": BAD_SCORES,
            "test": said,
            "weak": True,
            "doubtful": self.doubtful,
        }
        found = tuple(LearnedFrom(one.sha256, one.label, one.group, one.part) for one in settled.items)
        model = Learned(str(path), found, LIMIT, 0.2, metrics, ("scores",), "It has learned.")
        seed = len(self.snapshots) * 10
        return Output(grid=picture_of(seed, SIDE), pictures=(picture_of(seed + 1, SIDE),), learned=model)

    def _judged(self, request: InspectRequest, model: Path) -> Output:
        assert model.read_bytes().startswith(b"model of ")
        said = []
        for sha256 in request.images:
            score = self.scores.get(sha256, self.score)
            strange = score > request.limit
            said.append(Verdict(sha256, score, strange, "Strange." if strange else "Like the good ones."))
        return Output(verdicts=tuple(said))


def _bundled(model: Path, folder: Path) -> Path:
    made = folder / "bundle"
    made.write_bytes(b"bundle of " + model.read_bytes())
    return made


@dataclass
class World(Opened):
    """An open studio that learns, and its own models. servers: what a chat service knows of its people."""

    servers: Servers = field(default_factory=Servers)

    def __post_init__(self) -> None:
        self.projects, self.dataset, self.labelling = (
            self.studio.projects,
            self.studio.dataset,
            self.studio.labelling,
        )
        self.training, self.inference = self.studio.training, self.studio.inference

    @property
    def learner(self) -> Learner:
        found = self.services.queue.executor
        assert isinstance(found, Learner)
        return found

    async def ended(self, actor: Actor, new: NewJob) -> Job:
        """Submit a job and return it when it is over, however that came."""
        job = (await self.studio.submit(actor, new)).job
        async for _ in await self.studio.watch(actor, job.id):
            pass
        found = await self.services.queue.job(job.id)
        assert found is not None and found.status in (Status.RENDERED, Status.DELIVERED), found
        return found

    async def put(
        self, project: Project, actor: Actor, labels: Sequence[str], first: int = 0, **more: str
    ) -> list[str]:
        """Put pictures of somebody's into a project without any door, one for each label."""
        names = [await self.services.files.put(noise(first + n), "image/png") for n in range(len(labels))]
        coming = [Incoming(name, label, **more) for name, label in zip(names, labels, strict=True)]
        for name in names:
            await self.services.queue.people.note_upload(actor.user_id, name)
        given = {"user_id": actor.user_id, "coming": coming, "most": 2000, "now": datetime.now(UTC)}
        await self.services.database.write(lambda c: dataset.add_items(c, project.id, **given))
        return names

    async def trained(self, actor: Actor, name: str, **more: int) -> Job:
        return await self.ended(actor, await self.training.train(actor, name, **more))

    async def trained_again(self, project: Project) -> versions.Version:
        """Wait until a project has another version that is used than its first, and return it."""
        found: list[versions.Version] = []

        async def used() -> bool:
            version = await self.services.database.read(lambda c: versions.read_version(c, project.id))
            found.extend([version] if version is not None and version.number > 1 else [])
            return bool(found)

        await eventually(used)
        return found[0]


def noise(seed: int, side: int = 32) -> bytes:
    """A picture that no other seed gives."""
    rng = random.Random(seed)
    out = io.BytesIO()
    Image.frombytes("RGB", (side, side), rng.randbytes(side * side * 3)).save(out, "PNG")
    return out.getvalue()


def sent(seed: int, side: int = 32) -> Sent:
    """The same as a file that somebody gives."""
    return Sent(noise(seed, side), f"{seed}.png")


def zipped(files: dict[str, bytes]) -> Sent:
    """A zip file with these files in it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return Sent(out.getvalue(), "set.zip")


def painted(width: int = 32, height: int = 32) -> bytes:
    """A mask whose left half is painted."""
    row = b"\xff" * (width // 16) + b"\0" * (stride(width) - width // 16)
    return write_mask(Bits(width, height, row * height))


async def sent_mask(world: World, actor: Actor, data: bytes) -> str:
    """Send a mask as its painter does; return its SHA-256."""
    await world.studio.editor.keep_mask(actor, data)
    return hashlib.sha256(data).hexdigest()


def people() -> Servers:
    """The server that everybody in these tests is in, as a chat service knows it."""
    return Servers({10: Server(members={1: False, 2: False, 3: True})})


@asynccontextmanager
async def open_world(folder: Path, learner: Learner | None = None, **settings: str) -> AsyncIterator[World]:
    """Open a studio that learns in ``folder``, connected to a chat service."""
    async with open_studio(folder, learner or Learner(), **settings) as found:
        servers = people()
        with found.services.directory.connected(servers):
            yield World(found.studio, found.services, servers)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as found:
        yield found


@pytest.fixture
async def boards(world: World) -> Project:
    """Alice's project in her server, with five good pictures of hers and two with scratches."""
    made = await world.projects.new(ALICE, "boards")
    await world.projects.put_label(ALICE, "boards", "scratch", "a line that goes across")
    await world.put(made, ALICE, ["good"] * 5 + ["scratch"] * 2)
    return made
