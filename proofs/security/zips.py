"""Hostile zip files: ``python -m proofs.security.zips [--count 200]`` sends each through a project's door,
and looks at what it took: time, memory, files outside, and whether the studio still works.
``--pictures 500`` sends one honest zip file of so many photographs of 640×480 px instead.

Kinds: bombs by ratio, by many files, by overlapping entries and by claims that aren't true; names that lead
elsewhere; links; archives in archives; encrypted entries; damaged heads and bodies; pictures that are none;
label files that aren't any.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import random
import resource
import stat
import struct
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from core.errors import UserError
from tests.studio.conftest import ALICE, Sent, open_studio
from tests.studio.projects.conftest import noise

MOST_MEMORY = 900 * 2**20  # bytes of a child: what the interpreter needs, and the limits of unzip and gate
MOST_SECONDS = 60.0  # of a file, on a busy machine
Make = Callable[[random.Random], bytes]


def _zip(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def _bomb(rng: random.Random) -> bytes:
    return _zip({f"good/{n}.png": b"\0" * rng.randrange(10**7, 5 * 10**7) for n in range(2)})


def _bombed_labels(rng: random.Random) -> bytes:
    return _zip({"labels.csv": b"file,label\n" + b"a,b\n" * 10**6, "good/1.png": noise(rng.randrange(9))})


def _crowd(rng: random.Random) -> bytes:
    return _zip({f"good/{n}.png": b"x" for n in range(rng.randrange(2001, 6000))}, zipfile.ZIP_STORED)


def _elsewhere(rng: random.Random) -> bytes:
    names = ["../../../../tmp/escape.png", "/etc/cron.d/escape.png", "C:\\escape.png", "..\\..\\escape.png"]
    names += ["good/..", "good/\0/escape.png", "‮gnp.escape.png", "a" * 5000 + ".png", "CON.png"]
    return _zip({name: noise(n) for n, name in enumerate(rng.sample(names, 4))})


def _linked(rng: random.Random) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("good/link.png")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, rng.choice(["/etc/passwd", "../../secret", "/proc/self/environ"]))
    return out.getvalue()


def _nested(rng: random.Random) -> bytes:
    data = _zip({"good/1.png": noise(1)})
    for depth in range(rng.randrange(1, 12)):
        data = _zip({f"{depth}.zip": data})
    return data


def _encrypted(rng: random.Random) -> bytes:
    data = bytearray(_zip({"good/1.png": noise(rng.randrange(9))}))
    for sign in (b"PK\x03\x04", b"PK\x01\x02"):
        at = data.find(sign) + (6 if sign[2] == 3 else 8)
        data[at] |= 1
    return bytes(data)


def _lying(rng: random.Random) -> bytes:
    """Sizes in the directory that aren't those of the entries."""
    data = bytearray(_zip({"good/1.png": b"\0" * 30_000_000}))
    at = data.find(b"PK\x01\x02")
    struct.pack_into("<II", data, at + 20, rng.choice([10, 10**6]), rng.choice([20, 10**8, 2**32 - 1]))
    return bytes(data)


def _overlapping(rng: random.Random) -> bytes:
    """Many entries of the directory that name the same bytes, as in David Fifield's bomb."""
    whole = _zip({"good/1.png": b"\0" * 20_000_000})
    at, end = whole.find(b"PK\x01\x02"), whole.find(b"PK\x05\x06")
    entry, body = whole[at:end], whole[:at]
    count = rng.randrange(100, 3000)
    tail = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, len(entry) * count, len(body), 0)
    return body + entry * count + tail


def _damaged(rng: random.Random) -> bytes:
    data = bytearray(_zip({f"good/{n}.png": noise(n) for n in range(3)}))
    for _ in range(rng.randrange(1, 40)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data[: rng.randrange(20, len(data) + 1)])


def _no_pictures(rng: random.Random) -> bytes:
    bad = [
        b"",
        b"GIF89a",
        b"<svg/>",
        noise(1)[: rng.randrange(8, 100)],
        rng.randbytes(5000),
        b"\x89PNG\r\n\x1a\n",
    ]
    huge = bytearray(noise(2))
    huge[16:24] = struct.pack(">II", 60_000, 60_000)
    huge[29:33] = struct.pack(">I", zlib.crc32(huge[12:29]))
    return _zip({f"good/{n}.png": data for n, data in enumerate([*bad, bytes(huge)])})


def _bad_labels(rng: random.Random) -> bytes:
    texts = {
        "annotations.json": rng.choice([b"[" * 200_000, b"{}", b'{"images": [{}]}', b"\xff\xfe", b"1e999"]),
        "labels/1.txt": rng.choice([b"9 1 1 1 1", b"0 nan 0 0 0", b"0 inf 1 1 1", b"a" * 10**6]),
        "data.yaml": rng.choice([b"names: [a]", b"names:", b"!!python/object/apply:os.system [ls]"]),
        "labels.csv": rng.choice([b'file,label\n"', b"=cmd|' /C calc'!A0", b"file,label\n" + b"a" * 200_000]),
    }
    chosen = rng.sample(sorted(texts), rng.randrange(1, 4))
    return _zip({name: texts[name] for name in chosen} | {"good/1.png": noise(3)})


def _methods(rng: random.Random) -> bytes:
    method = rng.choice([zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    return _zip({"good/1.png": b"\0" * rng.randrange(10**6, 3 * 10**7)}, method)


def _random(rng: random.Random) -> bytes:
    return b"PK\x03\x04" + rng.randbytes(rng.randrange(0, 50_000))


KINDS: tuple[Make, ...] = (
    _bomb,
    _bombed_labels,
    _crowd,
    _elsewhere,
    _linked,
    _nested,
    _encrypted,
    _lying,
    _overlapping,
    _damaged,
    _no_pictures,
    _bad_labels,
    _methods,
    _random,
)


def make(number: int) -> tuple[str, bytes]:
    """Return the name of a kind and a hostile file of it."""
    kind = KINDS[number % len(KINDS)]
    return kind.__name__.strip("_"), kind(random.Random(number))


def _outside(folder: Path) -> list[str]:
    """What was written where nothing should be."""
    found = [*folder.rglob("*escape*"), *(path for path in folder.iterdir() if path.name != "inside")]
    return [f"written outside: {path}" for path in found]


def _peak(who: int = resource.RUSAGE_CHILDREN) -> int:
    """Return the most bytes that any child of this process, or it itself, has held so far."""
    return resource.getrusage(who).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


async def walk(count: int, folder: Path) -> list[str]:
    """Send ``count`` files through a project's door, and return what went wrong."""
    wrong: list[str] = []
    inside, slowest, taken = folder / "inside" / "data", 0.0, 0
    before = _peak()
    inside.mkdir(parents=True)
    async with open_studio(inside, PROJECTS_PER_SERVER="1000") as opened:
        projects = opened.studio.projects
        await projects.new(ALICE, "boards")
        for number in range(count):
            kind, data = make(number)
            began = time.monotonic()
            try:
                brought = await opened.studio.dataset.add_zip(ALICE, "boards", Sent(data, f"{kind}.zip"))
                taken += len(brought.new)
            except UserError:
                pass
            except Exception as error:
                wrong.append(f"{kind} {number}: {type(error).__name__}: {error}")
            slowest = max(slowest, time.monotonic() - began)
            if slowest > MOST_SECONDS:
                wrong.append(f"{kind} {number} took {slowest:.0f} s")
                break
        card = await projects.card(ALICE, "boards")
        if card.counts.total != taken:
            wrong.append(f"{card.counts.total} pictures in the rows, {taken} were taken")
    wrong += await asyncio.to_thread(_outside, folder)
    peak = _peak()
    # a child is as large as its parent until it becomes another program
    if peak > max(before, _peak(resource.RUSAGE_SELF), MOST_MEMORY):
        wrong.append(f"a child held {peak / 2**20:.0f} MiB")
    told = f"{taken} pictures taken, slowest {slowest:.1f} s, peak {peak / 2**20:.0f} MiB"
    print(f"{count} hostile ZIP files: {told}")
    return wrong


async def honest(count: int, folder: Path) -> list[str]:
    """Send ``count`` photographs in one zip file, print what that took, and return what went wrong."""
    rng = random.Random(0)
    data = _zip({f"good/{n}.jpg": _photograph(rng) for n in range(count)}, zipfile.ZIP_STORED)
    async with open_studio(folder) as opened:
        await opened.studio.projects.new(ALICE, "boards")
        began, used = time.monotonic(), _child_seconds()
        brought = await opened.studio.dataset.add_zip(ALICE, "boards", Sent(data, "boards.zip"))
        took, used = time.monotonic() - began, _child_seconds() - used
    size = f"{len(data) / 2**20:.1f} MiB"
    told = f"{took:.1f} s, {used:.1f} s of processor time of the children, peak {_peak() / 2**20:.0f} MiB"
    print(f"{len(brought.new)} of {count} JPEGs of 640×480 px in one ZIP file ({size}): {told}")
    return [] if len(brought.new) == count else [brought.sentence]


def _photograph(rng: random.Random) -> bytes:
    """A JPEG with as much in it as a photograph has: smooth light, edges, and grain."""
    small = Image.frombytes("RGB", (32, 24), rng.randbytes(32 * 24 * 3))
    picture = small.resize((640, 480), Image.Resampling.BICUBIC)
    grain = Image.frombytes("L", (640, 480), rng.randbytes(640 * 480)).convert("RGB")
    out = io.BytesIO()
    Image.blend(picture, grain, 0.04).save(out, "JPEG", quality=75)
    return out.getvalue()


def _child_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    """Print what was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--pictures", type=int, default=0)
    asked = parser.parse_args()
    count = asked.count
    if asked.pictures:
        with tempfile.TemporaryDirectory() as folder:
            return len(asyncio.run(honest(asked.pictures, Path(folder))))
    with tempfile.TemporaryDirectory() as folder:
        wrong = asyncio.run(walk(count, Path(folder)))
    print(*(wrong or [f"{len(KINDS)} kinds: 0 crashes, 0 files outside"]), sep="\n")
    return int(bool(wrong))


if __name__ == "__main__":
    raise SystemExit(main())
