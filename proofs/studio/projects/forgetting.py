"""What ``/privacy delete`` does to a model that had learned from somebody, with real workers: ``python -m
proofs.studio.projects.forgetting [--each 4]``.

Five people bring pictures of a part, an inspection learns from them, and one of the five is deleted.
Measured: the seconds until a model without their pictures is in use; what is left of them below DATA_DIR;
and whether the model has the bytes of one that is trained in a studio that never saw that person.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from core.results import LearnedFrom
from core.settings import load_settings
from host.services import services
from storage.projects import dataset, versions
from storage.projects.dataset import Incoming
from storage.projects.projects import Project
from storage.schema import projects, version_items
from storage.schema import versions as version_rows
from studio.authority import Actor
from studio.services import Services
from studio.studio import Studio
from tests.studio.conftest import Opened
from tests.studio.servers import Server, Servers
from tests.vision.custom_models import parts

SERVERS = {10: Server(members={100 + n: n == 0 for n in range(5)})}
PEOPLE = tuple(Actor(100 + n, 10, 100, manages=n == 0) for n in range(5))
LONGEST = 600.0  # seconds for a training


def pictures(person: int, each: int) -> list[bytes]:
    """Good parts that one person brings."""
    found = []
    for number in range(each):
        out = io.BytesIO()
        parts.picture("plate", seed=1000 * person + number)[0].save(out, "PNG")
        found.append(out.getvalue())
    return found


async def put(
    opened: Opened, project: Project, actor: Actor, data: Sequence[bytes], group: str = ""
) -> list[str]:
    """Let somebody bring good parts."""
    names = []
    for one in data:
        names.append(await opened.services.files.put(one, "image/png"))
        await opened.services.queue.people.note_upload(actor.user_id, names[-1])
    coming = [Incoming(name, "good", group) for name in names]
    work = partial(dataset.add_items, user_id=actor.user_id, coming=coming, most=2000, now=datetime.now(UTC))
    await opened.services.database.write(partial(work, project_id=project.id))
    return names


async def model_in_use(opened: Opened, project: Project) -> versions.Version:
    """Wait for a model, and return it."""
    work = partial(versions.read_version, project_id=project.id)
    async with asyncio.timeout(LONGEST):
        while (found := await opened.services.database.read(work)) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return found


def left(folder: Path, names: Sequence[str]) -> list[str]:
    """Files that hold a name, or are called by it."""
    found = []
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "deletions.json":
            data = path.read_bytes()
            found += [f"{path}: {name[:12]}" for name in names if name in path.name or name.encode() in data]
    return found


@asynccontextmanager
async def _connected(built: Services) -> AsyncIterator[None]:
    """Let a chat service say who is in the server."""
    with built.directory.connected(Servers(SERVERS)):
        yield


async def forgotten(folder: Path, each: int) -> tuple[float, list[str], bytes, tuple[LearnedFrom, ...]]:
    """Return the seconds until a model without the fifth person is in use, what is left of them, its bytes,
    and what it learned from."""
    loaded = load_settings({"DATA_DIR": str(folder), "DISK_FLOOR_MB": "0"}, folder / "none.env")
    async with services(loaded) as built, _connected(built):
        opened = Opened(Studio(built), built)
        project = await opened.studio.projects.new(PEOPLE[0], "plates")
        brought = [await put(opened, project, actor, pictures(n, each)) for n, actor in enumerate(PEOPLE)]
        new = await opened.studio.training.train(PEOPLE[0], "plates")
        await opened.studio.submit(PEOPLE[0], new)
        first = await model_in_use(opened, project)
        began = time.monotonic()
        await built.privacy.delete(PEOPLE[4].user_id)
        second = await model_in_use(opened, project)
        took = time.monotonic() - began
        assert (first.number, second.number) == (1, 2), (first.number, second.number)
        artefact = await built.files.get(str(second.artefact))
        work = partial(versions.learned_from, project_id=project.id, number=2)
        learned = await built.database.read(work)
        await built.database.scrub()
    return took, await asyncio.to_thread(left, folder, brought[4]), artefact, learned


async def never_seen(folder: Path, each: int, learned: Sequence[LearnedFrom]) -> bytes:
    """Return the bytes of a model that is trained on the same list, in a studio that never saw the fifth."""
    loaded = load_settings({"DATA_DIR": str(folder), "DISK_FLOOR_MB": "0"}, folder / "none.env")
    async with services(loaded) as built, _connected(built):
        opened = Opened(Studio(built), built)
        project = await opened.studio.projects.new(PEOPLE[0], "plates")
        for n, actor in enumerate(PEOPLE[:4]):
            await put(opened, project, actor, pictures(n, each))
        new = await opened.studio.training.train(PEOPLE[0], "plates")
        await built.database.write(partial(_as_if_due, project, new.request.seed, learned))  # type: ignore[attr-defined]
        built.privacy.cleared.set()
        found = await model_in_use(opened, project)
        return await built.files.get(str(found.artefact))


def _as_if_due(
    project: Project, seed: int, learned: Sequence[LearnedFrom], connection: sa.Connection
) -> None:
    """Write a version that was never trained and has to be, of a list with its groups and parts."""
    key = {"project_id": project.id, "number": 1}
    settings = f'{{"project": "{project.id}", "task": "anomaly", "seed": {seed}}}'
    now = datetime.now(UTC)
    row = {"user_id": 100, "state": "tainted", "size": 0, "settings": settings, "metrics": "{}"}
    connection.execute(sa.insert(version_rows).values(**key, **row, asked_at=now, at=now))
    rows = [
        {**key, "sha256": one.sha256, "label": one.label, "group_key": one.group, "part": one.part}
        for one in learned
    ]
    connection.execute(sa.insert(version_items), rows)
    connection.execute(sa.update(projects).where(projects.c.id == project.id).values(due=1))


def main() -> int:
    """Print what was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--each", type=int, default=4)
    each = parser.parse_args().each
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        took, found, artefact, learned = asyncio.run(forgotten(Path(one), each))
        same = artefact == asyncio.run(never_seen(Path(other), each, learned))
    print(f"{5 * each} pictures of 5 people: {took:.1f} s from the deletion of one to a model without them")
    print(f"{len(found)} of their hashes left below DATA_DIR" + "".join(f"\n  {line}" for line in found))
    print(f"the model's {len(artefact):,} bytes are {'' if same else 'NOT '}those of one that never saw them")
    return int(bool(found) or not same or took > 60)


if __name__ == "__main__":
    raise SystemExit(main())
