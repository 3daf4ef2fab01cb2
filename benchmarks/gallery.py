"""A gallery of many pictures that were never drawn: rows, vectors and their file, as a studio of years has
them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from core.job import Job, Lane, Origin, Status, Surface, new_job_id
from core.requests import ImagineRequest
from demo.world import COLOURS, OBJECTS, PLACES
from storage import embeddings
from storage import jobs as rows
from storage.database import Database, open_database
from storage.embeddings import VectorFiles
from storage.job_queries import StoredOutput, StoredPicture
from storage.people import pages
from storage.schema import jobs, picture_scores, picture_vectors, pictures

PER_JOB, BATCH = 4, 1000
CLASSIFIER = "open_nsfw"  # that Atelier comes with; each picture is judged once, when it is made
BEGAN = datetime(2024, 1, 1, tzinfo=UTC)


def words(random_: random.Random) -> str:
    """A prompt such as "a red boat at night"."""
    colour, thing, place = random_.choice(COLOURS), random_.choice(OBJECTS), random_.choice(PLACES)
    return f"a {colour} {thing} at {place}, {random_.choice(('flat', 'in oil', 'from afar', 'in detail'))}"


async def fill(folder: Path, user_ids: tuple[int, ...], count: int, model: str, width: int) -> None:
    """Give each of these people ``count`` pictures, in turns, with vectors of ``width`` numbers."""
    async with open_database(folder / "atelier.db", None) as database:
        await _fill(database, VectorFiles(folder / "cache" / "vectors"), user_ids, count, model, width)


async def _fill(
    database: Database, copies: VectorFiles, user_ids: tuple[int, ...], count: int, model: str, width: int
) -> None:
    first = await _one(database, user_ids[0])
    numbers, random_ = np.random.default_rng(0), random.Random(0)
    total = count * len(user_ids)
    for start in range(0, total, BATCH):
        drawn = numbers.standard_normal((min(BATCH, total - start), width), np.float32)
        unit = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
        packed = [one.tobytes() for one in unit.astype("<f2")]
        made = list(_jobs(first, user_ids, start, len(packed), random_))
        await database.write(lambda c, s=start, m=made, p=packed: _insert(c, s, m, p, model))
        await copies.put(model, {start + place: vector for place, vector in enumerate(packed)})
        await asyncio.sleep(0)


async def _one(database: Database, user_id: int) -> dict[str, Any]:
    """A finished job's row, as the program writes it; it is taken out again."""
    request = ImagineRequest(prompt="a red house")
    origin = Origin(user_id, 0, surface=Surface.WEB)
    job = Job(new_job_id(), request, origin, Status.QUEUED, Lane.FAST, BEGAN)
    picture = StoredPicture("0" * 64, "image/png", 512, 512, 1, 0, 400_000)

    def work(connection: sa.Connection) -> dict[str, Any]:
        rows.add_job(connection, job, cost_key="imagine||image", max_running=3)
        rows.claim(connection, job.id, token="t", device="cpu", now=BEGAN)
        output = StoredOutput((picture,), parameters={"model": "stable-diffusion", "seed": 1})
        rows.finish(connection, job.id, output, token="t", now=BEGAN, run_seconds=1.0)
        row = dict(connection.execute(sa.select(jobs).where(jobs.c.id == job.id)).one()._mapping)
        connection.execute(sa.delete(jobs).where(jobs.c.id == job.id))
        return row

    return await database.write(work)


def _jobs(
    first: dict[str, Any], user_ids: tuple[int, ...], start: int, count: int, random_: random.Random
) -> Iterator[dict[str, Any]]:
    for place in range(start, start + count, PER_JOB):
        number, text = place // PER_JOB, words(random_)
        at = BEGAN + timedelta(minutes=number)
        times = dict.fromkeys(("created_at", "rendered_at", "finished_at", "delivered_at"), at)
        yield {
            **{name: value for name, value in first.items() if name != "seq"},
            "id": new_job_id(),
            "user_id": user_ids[number % len(user_ids)],
            "prompt": text,
            "request": first["request"].replace("a red house", text),
            **times,
        }


def _insert(
    connection: sa.Connection, start: int, made: list[dict[str, Any]], packed: list[bytes], model: str
) -> None:
    connection.execute(sa.insert(jobs), made)
    drawn, seen = [], []
    for place, vector in enumerate(packed, start):
        job, position = made[(place - start) // PER_JOB], place % PER_JOB
        sha256 = f"{random.Random(place).getrandbits(256):064x}"
        common = {"sha256": sha256, "media_type": "image/png", "width": 512, "height": 512, "size": 400_000}
        drawn.append({"job_id": job["id"], "position": position, "seed": place, **common})
        seen.append({"place": place, "sha256": sha256, "model": model, "vector": vector})
    connection.execute(sa.insert(pictures), drawn)
    judged = [{"sha256": one["sha256"], "classifier": CLASSIFIER, "nsfw": 0.0} for one in drawn]
    connection.execute(sa.insert(picture_scores), judged)
    connection.execute(sa.insert(picture_vectors), seen)
    for page in pages(one["sha256"] for one in seen):
        embeddings.note_places(connection, model, page)
