"""A person with very many pictures: rows that are written by hand, files that they share."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from core.requests import ImagineRequest, to_json
from storage import moderation
from storage.schema import jobs, pictures
from tests.web.conftest import YOU, Site
from tests.web.world import encoded

FILES, EACH, MONTHS, BATCH = 48, 4, 36, 2500
SIDES = (64, 64), (96, 64), (64, 64), (64, 96), (112, 64)  # px of the pictures of a job, as the rows say
WORDS = ("red", "blue", "old", "small", "quiet"), ("house", "boat", "robot", "garden", "lighthouse", "fox")


async def fill(site: Site, count: int) -> None:
    """Give YOU ``count`` pictures, evenly over three years."""
    files = site.opened.services.files
    names = []
    for number in range(FILES):
        name = await files.put(encoded(64 + number, "PNG"), "image/png")
        for side in (256, 512):
            await files.put_derived(name, f"{side}.webp", encoded(side - number, "WEBP"))
        names.append(name)

    def judged(connection: sa.Connection) -> None:
        for name in names:
            moderation.set_score(connection, name, "all fit", 0.0)

    await site.opened.services.database.write(judged)
    now, made = datetime.now(UTC), count // EACH
    apart = timedelta(days=30.4) * MONTHS / made
    for start in range(0, made, BATCH):
        numbers = range(start, min(start + BATCH, made))
        rows = [_job(number, now - apart * (made - number)) for number in numbers]
        shown = [_picture(number, position, names) for number in numbers for position in range(EACH)]

        def work(connection: sa.Connection, rows=rows, shown=shown) -> None:
            connection.execute(sa.insert(jobs), rows)
            connection.execute(sa.insert(pictures), shown)

        await site.opened.services.database.write(work)


def job_id(number: int) -> str:
    """The id of the job of this number."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    found = ""
    for _ in range(12):
        number, digit = divmod(number, len(letters))
        found += letters[digit]
    return found


def _job(number: int, asked: datetime) -> dict[str, object]:
    kinds, objects = WORDS
    request = ImagineRequest(prompt=f"a {kinds[number % 5]} {objects[number % 6]} number {number}")
    return {
        "id": job_id(number),
        "kind": request.kind,
        "request": to_json(request),
        "prompt": request.prompt,
        "cost_key": "imagine||image",
        "status": "delivered",
        "lane": "fast",
        "max_running": 1,
        "user_id": YOU,
        "channel_id": 0,
        "surface": "web",
        "file_limit": 0,
        "private": 0,
        "roles": "[]",
        "attempts": 1,
        "parameters": json.dumps({"model": "demo"}),
        "captions": "[]",
        "scores": "[]",
        "created_at": asked,
        "started_at": asked,
        "rendered_at": asked,
        "finished_at": asked,
        "delivered_at": asked,
    }


def _picture(number: int, position: int, names: list[str]) -> dict[str, object]:
    return {
        "job_id": job_id(number),
        "position": position,
        "sha256": names[(number * EACH + position) % FILES],
        "media_type": "image/png",
        "width": SIDES[number % 5][0],
        "height": SIDES[number % 5][1],
        "seed": number,
        "size": 1000,
    }
