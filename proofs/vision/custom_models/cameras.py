"""Watches that see 2,000 pictures by a folder, a camera and MQTT, through a real worker:
``python -m proofs.vision.custom_models.cameras [--pictures 2000 --defects 40]``.

The parts are drawn here, not by the tests: brass plates with holes, teeth and a label. Each defective part is
seen twice, as by a camera that looks again before it has moved on. Said are alarms that were right, doubled
and missed, and good parts that were stopped beside what the model promised, with exact intervals at 95 %.
"""

import argparse
import asyncio
import io
import json
import math
import os
import sys
import tempfile
import time
import traceback
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from threading import Thread, get_ident, get_native_id

import numpy as np
import psutil
import sqlalchemy as sa
from aiohttp import web
from PIL import Image, ImageDraw

from core.requests.custom_models import InspectRequest
from core.settings import ROOT, load_settings
from host import process
from host.app import SWITCH_INTERVAL
from host.services import services
from storage import watches as rows
from storage.projects import dataset
from storage.projects.dataset import Incoming
from storage.schema import watch_pictures
from studio.studio import Studio
from tests.studio.conftest import ALICE, KINDS, AllFit, Opened
from tests.studio.projects.conftest import people
from tests.studio.servers import Channel
from tests.support.broker import Broker
from tests.support.fresh import fresh_database
from web.handlers.project_views import interval

SIDE, GOOD = 256, 20
BEAT, LATE = 0.02, 0.025  # seconds
DEFECTS = ("scratch", "no hole", "burr", "stain", "crack")


def part(seed: int, defect: str = "", shot: int = 0) -> Image.Image:
    """A plate as a camera takes it. shot: the same part once more."""
    rng, again = np.random.default_rng((seed, 31)), np.random.default_rng((seed, shot, 57))
    side = 2 * SIDE
    image = Image.new("RGB", (side, side), (70, 74, 80))
    pen, middle = ImageDraw.Draw(image), side / 2
    grain = rng.integers(-9, 9, 60)
    for tooth in range(24):
        angle = math.tau * tooth / 24
        x, y = middle + 218 * math.cos(angle), middle + 218 * math.sin(angle)
        pen.ellipse((x - 16, y - 16, x + 16, y + 16), fill=(181, 148, 72))
    pen.ellipse((middle - 210, middle - 210, middle + 210, middle + 210), fill=(190, 156, 78))
    for ring, tone in enumerate(grain):
        radius = 200 - 3 * ring
        colour = (190 + int(tone), 156 + int(tone), 78 + int(tone) // 2)
        pen.ellipse(
            (middle - radius, middle - radius, middle + radius, middle + radius), outline=colour, width=3
        )
    missing = int(rng.integers(6)) if defect == "no hole" else -1
    for hole in range(6):
        angle = math.tau * hole / 6 + 0.3
        x, y = middle + 120 * math.cos(angle), middle + 120 * math.sin(angle)
        if hole != missing:
            pen.ellipse((x - 26, y - 26, x + 26, y + 26), fill=(52, 55, 60))
    pen.rectangle((middle - 60, middle - 24, middle + 60, middle + 24), fill=(225, 222, 210))
    for bar in range(9):
        wide = 2 + bar * 5 % 7
        pen.rectangle(
            (middle - 50 + bar * 12, middle - 16, middle - 50 + bar * 12 + wide, middle + 16),
            fill=(30, 30, 34),
        )
    _spoil(pen, rng, defect, middle)
    turn, (right, down) = again.normal(0, 1.0), again.normal(0, 4, 2)
    image = image.rotate(turn, Image.Resampling.BICUBIC, translate=(right, down), fillcolor=(70, 74, 80))
    pixels = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX), np.float32)
    light = 1 + again.normal(0, 0.04) + again.normal(0, 0.03) * np.linspace(-1, 1, SIDE)[:, None, None]
    pixels = pixels * light + again.normal(0, 2.2, pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _spoil(pen: ImageDraw.ImageDraw, rng: np.random.Generator, defect: str, middle: float) -> None:
    angle, far = rng.uniform(0, math.tau), rng.uniform(75, 180)
    x, y = middle + far * math.cos(angle), middle + far * math.sin(angle)
    if defect == "scratch":
        along = rng.uniform(0, math.pi)
        ends = (x + 55 * math.cos(along), y + 55 * math.sin(along))
        pen.line((x, y, *ends), fill=(238, 226, 190), width=5)
    elif defect == "burr":
        x, y = middle + 222 * math.cos(angle), middle + 222 * math.sin(angle)
        pen.polygon(
            [(x + rng.uniform(-30, 30), y + rng.uniform(-30, 30)) for _ in range(6)], fill=(205, 170, 90)
        )
    elif defect == "stain":
        pen.ellipse((x - 22, y - 16, x + 22, y + 16), fill=(96, 74, 40))
    elif defect == "crack":
        points = [(x, y)]
        for _ in range(7):
            points.append((points[-1][0] + rng.normal(6, 9), points[-1][1] + rng.normal(6, 9)))
        pen.line(points, fill=(60, 48, 26), width=4)


def jpeg(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=100, subsampling=0)
    return out.getvalue()


def pixels_of(data: bytes) -> str:
    """What is the same of a picture however it is stored."""
    with Image.open(io.BytesIO(data)) as image:
        return sha256(image.convert("RGB").tobytes()).hexdigest()


@dataclass(frozen=True)
class Shot:
    """A picture that comes. part: which is on it, the same of two shots."""

    part: int
    defect: str
    data: bytes


def shots(first: int, count: int, defects: int) -> list[Shot]:
    """So many parts, of them some with a defect, which are seen twice."""
    rng = np.random.default_rng(first)
    bad = set(rng.choice(count, defects, replace=False).tolist())
    found = []
    for number in range(count):
        defect = DEFECTS[number % len(DEFECTS)] if number in bad else ""
        for shot in range(2 if defect else 1):
            found.append(Shot(first + number, defect, jpeg(part(first + number, defect, shot))))
    return found


@asynccontextmanager
async def camera(waiting: list[Shot], every: float) -> AsyncIterator[str]:
    """A stream of JPEGs, of which each viewer sees what comes after the last one that a viewer saw whole."""
    shown = 0

    async def look(request: web.Request) -> web.StreamResponse:
        nonlocal shown
        answer = web.StreamResponse(headers={"Content-Type": "multipart/x-mixed-replace; boundary=edge"})
        await answer.prepare(request)
        while request.transport is not None and not request.transport.is_closing():
            data = waiting[max(0, min(shown, len(waiting)) - 1)].data  # the first look adds the camera
            shown += 1
            head = b"--edge\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data)
            await answer.write(head + data + b"\r\n")
            await asyncio.sleep(every)
        return answer

    app = web.Application()
    app.router.add_get("/stream", look)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/stream"
    finally:
        await runner.cleanup()


def lots_of(pictures: int, defects: int) -> list[list[Shot]]:
    """What comes by the folder, the camera and MQTT, a third each."""
    each = pictures // 3
    counts = [(each + (n < pictures % 3), defects // 3 + (n < defects % 3)) for n in range(3)]
    return [shots(10_000 * (n + 1), *count) for n, count in enumerate(counts)]


async def line(folder: Path, pictures: int, defects: int) -> None:
    """What is outside of the bot, in a process of its own: whatever fills the folder, the camera and the
    broker. It says where they are, begins when it is told so, and says at its end what the broker heard."""
    lots, broker = lots_of(pictures, defects), Broker()

    async def fill() -> None:
        for number, one in enumerate(lots[0]):
            path = folder / f"{number:05}.part"
            path.write_bytes(one.data)
            path.rename(path.with_suffix(".jpg"))
            await asyncio.sleep(0.3)

    async def tell() -> None:
        for one in lots[2]:
            await broker.send("frigate/door/part/snapshot", one.data)
            await asyncio.sleep(1.0)

    asked = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(asked), sys.stdin)
    async with broker.open() as url, camera(lots[1], 30.0) as still:
        print(json.dumps([still, url]), flush=True)
        await asked.readline()
        tasks = [asyncio.create_task(one()) for one in (fill, tell)]
        await asked.readline()
        for task in tasks:
            task.cancel()
        print(sum(topic.startswith("atelier/") for topic, *_ in broker.said), flush=True)


@asynccontextmanager
async def outside(folder: Path, pictures: int, defects: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """The process that is ``line``."""
    given = ("--line", str(folder), "--pictures", str(pictures), "--defects", str(defects))
    outer = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __spec__.name, *given, stdin=PIPE, stdout=PIPE
    )
    try:
        yield outer
    finally:
        with suppress(ProcessLookupError):
            outer.kill()
        await outer.wait()


async def learn(opened: Opened) -> None:
    found = await opened.studio.projects.new(ALICE, "plates")
    put = []
    for seed in range(GOOD):
        stored = io.BytesIO()
        with Image.open(io.BytesIO(jpeg(part(seed)))) as taken:
            taken.save(stored, "PNG")
        put.append(Incoming(await opened.services.files.put(stored.getvalue(), "image/png"), "good"))
        await opened.services.queue.people.note_upload(ALICE.user_id, put[-1].sha256)
    given = {"user_id": ALICE.user_id, "coming": put, "most": 2000, "now": datetime.now(UTC)}
    await opened.services.database.write(lambda c: dataset.add_items(c, found.id, **given))
    job = (await opened.studio.submit(ALICE, await opened.studio.training.train(ALICE, "plates"))).job
    async for _ in await opened.studio.watch(ALICE, job.id):
        pass


async def measure(pictures: int, defects: int, *, photo: bool) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "line").mkdir()
        async with outside(folder / "line", pictures, defects) as outer:
            assert outer.stdout is not None
            still, url = json.loads(await outer.stdout.readline())
            places = f"line={folder / 'line'},gate={still},door=mqtt:frigate/door/part/snapshot"
            common = {"DATA_DIR": str(folder / "data"), "DISK_FLOOR_MB": "0"}
            common["PHOTO_READERS"] = "on" if photo else "off"
            if photo:  # as ``atelier fetch`` has left it
                (folder / "data").mkdir()
                (folder / "data" / "cache").symlink_to(ROOT / "data" / "cache")
            common |= {"WATCH_SOURCES": places, "MQTT_URL": url, "USER_WAITING": "50"}
            loaded = load_settings(common, folder / "none.env")
            fresh_database(loaded.database)
            known = people()
            known.servers[10].channels[100] = Channel({1, 2, 3}, {1, 2, 3})
            async with services(loaded) as built:
                built.moderator.check = AllFit()
                with built.directory.connected(known):
                    opened = Opened(Studio(built, KINDS), built)
                    await learn(opened)
                    process.configure_gc()  # as the bot does
                    collecting = asyncio.create_task(process.collect_garbage(lambda: True))
                    try:
                        return await _watched(opened, outer, pictures, defects)
                    finally:
                        collecting.cancel()


@dataclass
class Beat:
    """How long the event loop was held up, in seconds, and the memory of this process. waits: by the clock.
    held: without the time that its thread was ready and had no core. stacks: what ran meanwhile."""

    waits: list[float] = field(default_factory=list)
    held: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    stacks: Counter[str] = field(default_factory=Counter)
    _at: float = 0.0

    async def run(self) -> None:
        """Beat until cancelled; a thread looks on where one is late."""
        Thread(target=self._look, args=(get_ident(),), daemon=True).start()
        schedule = os.open(f"/proc/self/task/{get_native_id()}/schedstat", os.O_RDONLY)

        def coreless() -> float:
            return int(os.pread(schedule, 100, 0).split()[1]) / 1e9

        while True:
            self._at, before = time.monotonic(), coreless()
            await asyncio.sleep(BEAT)
            self.waits.append(time.monotonic() - self._at - BEAT)
            self.held.append(max(0.0, self.waits[-1] - (coreless() - before)))
            if len(self.waits) % 100 == 0:
                self.memory.append(psutil.Process().memory_info().rss)

    def _look(self, thread: int) -> None:
        while True:
            time.sleep(0.005)
            at = self._at
            if time.monotonic() - at > BEAT + LATE and (frame := sys._current_frames().get(thread)):
                self.stacks["".join(traceback.format_stack(frame, 12)[-7:])] += 1
                while self._at == at:
                    time.sleep(0.001)


async def _watched(
    opened: Opened, outer: asyncio.subprocess.Process, pictures: int, defects: int
) -> dict[str, object]:
    studio, database = opened.studio, opened.services.database
    for source in ("line", "gate", "door"):
        rules = {"most": 60}
        await studio.watches.add(ALICE, "plates", source, channel_id=100, every=1, rules=rules)
    assert outer.stdin is not None and outer.stdout is not None
    beat, began = Beat(), time.monotonic()
    total = pictures + defects
    async with studio.watches.running():
        beating = asyncio.create_task(beat.run())
        outer.stdin.write(b"begin\n")
        done = -1
        while done < total:
            await asyncio.sleep(5)
            counted = await database.read(states)
            done = sum(number for state, number in counted.items() if state != rows.WAITING)
            print(f"{time.monotonic() - began:6.0f} s: {counted} of {total}", flush=True)
            if time.monotonic() - began > 3600:
                break
        beating.cancel()
    seconds = time.monotonic() - began
    outer.stdin.write(b"end\n")
    heard = int(await outer.stdout.readline())
    for stack, number in beat.stacks.most_common(12):
        print(f"{number} times\n{stack}", flush=True)
    lots = lots_of(pictures, defects)
    by_pixels = {pixels_of(one.data): one for lot in lots for one in lot}
    board_of = {job_id: (state, why) for job_id, state, why in await database.read(noted)}
    posted, found, strange = Counter[int](), Counter[str](), set[int]()
    good_stopped = good = 0
    for job_id, (state, why) in board_of.items():
        job = await opened.services.queue.job(job_id)
        assert job is not None and isinstance(job.request, InspectRequest)
        shot = by_pixels[pixels_of(await opened.services.files.get(job.request.images[0]))]
        found[why or state] += 1
        if not shot.defect:
            good += 1
            good_stopped += state in (rows.ALARM, rows.QUIET)
        elif state in (rows.ALARM, rows.QUIET):
            strange.add(shot.part)
        if state == rows.ALARM:
            posted[shot.part] += 1
    bad = {one.part for lot in lots for one in lot if one.defect}
    right = len(bad & set(posted))
    version = (await studio.training.report(ALICE, "plates", None)).version
    share = {"stopped": good_stopped, "of": good, "share": good_stopped / max(good, 1)}
    return {
        "pictures": total,
        "states": dict(found),
        "alarms right": right,
        "of defective parts": len(bad),
        "interval": interval(right, len(bad)),
        "doubled": sum(number > 1 for number in posted.values()),
        "missed": dict(Counter(_defects(lots, bad - set(posted)))),
        "of these, swallowed as seen before": len(strange - set(posted)),
        "good parts": share | {"interval": interval(good_stopped, good), "promised": version.promise},
        "MQTT said": heard,
        "seconds": round(seconds),
        **{
            f"loop {how}: p50, p99, p99.9, most, ms; over 25 ms": [
                *(round(1000 * one, 1) for one in np.quantile(waits, (0.5, 0.99, 0.999, 1.0))),
                f"{sum(one > LATE for one in waits)} of {len(waits)}",
            ]
            for how, waits in {"late by the clock": beat.waits, "held up by itself": beat.held}.items()
        },
        "memory at the begin, after a tenth, at most and at the end, MiB": [
            round(one / 2**20, 1)
            for one in (
                beat.memory[0],
                beat.memory[len(beat.memory) // 10],
                max(beat.memory),
                beat.memory[-1],
            )
        ],
    }


def noted(connection: sa.Connection) -> list[tuple[str, str, str]]:
    """Return (job, state, why) of all pictures that came."""
    found = sa.select(watch_pictures.c.job_id, watch_pictures.c.state, watch_pictures.c.why)
    return [tuple(row) for row in connection.execute(found)]


def states(connection: sa.Connection) -> dict[str, int]:
    """Return how many pictures have come to what."""
    state = watch_pictures.c.state
    found = connection.execute(sa.select(state, sa.func.count()).group_by(state))
    return {name: number for name, number in found}


def _defects(lots: list[list[Shot]], parts: set[int]) -> list[str]:
    shown = {one.part: one.defect for lot in lots for one in lot}
    return [defect for number, defect in shown.items() if number in parts]


def main() -> None:
    """Print what was measured as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--defects", type=int, default=40)
    parser.add_argument("--photo", action="store_true", help="look with EfficientNet-Lite0")
    parser.add_argument("--line", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.line:
        asyncio.run(line(given.line, given.pictures, given.defects))
        return
    process.configure_heap()
    process.watch_children()
    sys.setswitchinterval(SWITCH_INTERVAL)
    print(json.dumps(asyncio.run(measure(given.pictures, given.defects, photo=given.photo)), indent=1))


if __name__ == "__main__":
    main()
