"""What is left of a person after ``/privacy delete``: ``python -m proofs.security.deletion [--jobs N]``."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from unittest import mock

from storage.blobs.removal import Removal
from storage.database import Database
from studio.authority import Actor
from studio.privacy import Privacy
from tests.support.messages import text_of

CANARY = "canary-7f3a"  # in every text and file of the person


async def lived(studio, person, jobs: int) -> None:
    """The person has asked for pictures, sent some, been told captions, and left half-drawn work in a
    cache."""
    from tests.bot.conftest import png

    for index in range(jobs):
        await person.slash(
            studio.channel, "imagine", prompt=f"a {CANARY} boat {index} --no {CANARY} --seed {50 + 4 * index}"
        )
        await person.slash(
            studio.channel, "classify", image=(f"{CANARY}.png", png(64 + index, 48)), labels=f"boat, {CANARY}"
        )
    (
        await studio.send_dm(person, f"{CANARY} castle", ("a.png", png(80, 48)))
        if hasattr(person, "dm_channel")
        else None
    )
    [_] = [part async for part in studio.bot.studio.own.export(Actor(person.id, None), 10**9)]
    job, _ = await studio.built.queue.last_picture(person.id)
    cache = studio.built.settings.data_dir / "cache" / "checkpoints"
    cache.mkdir(parents=True, exist_ok=True)
    for name in (f"{job.id}.safetensors", f"{job.id}.tmp"):
        (cache / name).write_text(CANARY)
    pictures = (await studio.built.queue.result(job.id)).pictures
    _mark([studio.built.files.path(picture.sha256) for picture in pictures])


def _mark(paths: list[Path]) -> None:
    """A canary in the files themselves, behind the picture."""
    for path in paths:
        path.write_bytes(path.read_bytes() + CANARY.encode())


def canaries_in(folder: Path, user_id: int) -> list[str]:
    """Files below ``folder`` that hold the canary, or the person's id in a database; backups, and the note
    that a restored one needs, apart."""
    found = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or "backups" in path.parts or path.name == "deletions.json":
            continue
        data = path.read_bytes()
        database = path.name.startswith("atelier.db")
        if CANARY.encode() in data or (database and user_id.to_bytes(8, "big") in data):
            found.append(str(path.relative_to(folder)))
    return found


async def _measure(jobs: int, folder: Path) -> tuple[list[str], list[str], list[str], float]:
    from tests.bot.conftest import open_studio

    async with open_studio(folder) as studio:
        with studio.env.time_context():
            await studio.bob.slash(studio.channel, "imagine", prompt="somebody else's boat --seed 1")
            await lived(studio, studio.alice, jobs)
            before = await asyncio.to_thread(canaries_in, folder, studio.alice.id)
            began = time.monotonic()
            await studio.built.privacy.delete(studio.alice.id)
            await studio.bot.unpost(40)
            took = time.monotonic() - began
            after = await asyncio.to_thread(canaries_in, folder, studio.alice.id)
            assert not [m for m in studio.channel.history() if CANARY in text_of(m)]
            control = await _without_scrub(studio, folder)
    return before, after, control, took


async def _without_scrub(studio, folder: Path) -> list[str]:
    """The negative control: rows deleted, the write-ahead log left alone, files forgotten."""
    await lived(studio, studio.alice, 1)
    with (
        mock.patch.object(Removal, "remove", mock.AsyncMock(return_value=0)),
        mock.patch.object(Privacy, "_remove_checkpoints"),
        mock.patch.object(Database, "scrub", mock.AsyncMock()),
    ):
        await studio.built.privacy.delete(studio.alice.id)
    return await asyncio.to_thread(canaries_in, folder, studio.alice.id)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=40)
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        before, after, control, took = asyncio.run(_measure(arguments.jobs, Path(folder)))
    print(
        f"deletion of {2 * arguments.jobs} jobs: canaries in {len(before)} files before, in {len(after)}"
        f" after, in {took:.1f} s {after or ''}"
    )
    print(f"  negative control: without scrubbing and file removal they stay in {len(control)} files")
    return 1 if after or not before or not control or took > 60 else 0


if __name__ == "__main__":
    raise SystemExit(main())
