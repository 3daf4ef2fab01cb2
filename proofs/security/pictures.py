"""Strangers' pictures through the gate: ``python -m proofs.security.pictures [--count N] [--whole N]``.

``--count`` mutated pictures go through the gate's code in confined processes that take many each, ``--whole``
ones, and every attack that has a name, through the product's own path, one process for each picture.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import select
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import ImageError
from core.settings import ROOT
from storage.blobs.local import Folder
from studio.media.child import child_environment
from studio.media.uploads import Intake
from tests.security import hostile

LIMIT = 512 * 2**20  # bytes
PATIENCE = 30.0  # seconds of silence until a process counts as hung


@dataclass
class Tally:
    """What became of the pictures. slowest: processor seconds of one; peak: bytes of one process."""

    taken: int = 0
    refused: int = 0
    ended: int = 0  # processes that died
    wrong: list[str] = field(default_factory=list)
    slowest: float = 0.0
    longest: float = 0.0  # seconds on the clock
    peak: int = 0
    why: Counter[str] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        return self.taken + self.refused + self.ended


class Loop:
    """A gate process that is started anew when a picture ends it."""

    def __init__(self, module: str = "proofs.security.gate_loop") -> None:
        self._module = module
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, data: bytes) -> tuple[dict, bytes] | None:
        """None when the process died of it."""
        process = self._process = self._process or self._start()
        try:
            process.stdin.write(struct.pack(">I", len(data)) + data)
            process.stdin.flush()
            if not select.select([process.stdout], [], [], PATIENCE)[0]:
                raise BrokenPipeError
            head = process.stdout.read(8)
            if len(head) < 8:
                raise BrokenPipeError
            line, body = struct.unpack(">II", head)
            return json.loads(process.stdout.read(line)), process.stdout.read(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close()
            return None

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", self._module]
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=child_environment()
        )

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def chunks_of(png: bytes) -> list[bytes]:
    kinds, at = [], 8
    while at + 8 <= len(png):
        kinds.append(png[at + 4 : at + 8])
        at += 12 + struct.unpack_from(">I", png, at)[0]
    return kinds


def clean_png(data: bytes) -> bool:
    """A PNG in RGB with pixels and nothing else."""
    return (
        data.startswith(hostile.PNG) and data[25] == 2 and set(chunks_of(data)) == {b"IHDR", b"IDAT", b"IEND"}
    )


def fuzz(count: int, seed: int = 0) -> Tally:
    tally, loop = Tally(), Loop()
    try:
        for data in hostile.mutated(count, seed):
            began, found = time.monotonic(), loop.ask(data)
            tally.longest = max(tally.longest, time.monotonic() - began)
            _note(tally, data, found)
    finally:
        loop.close()
    return tally


def _note(tally: Tally, data: bytes, found: tuple[dict, bytes] | None) -> None:
    if found is None:
        tally.ended += 1
        return
    header, body = found
    tally.slowest, tally.peak = max(tally.slowest, header["seconds"]), max(tally.peak, header["peak"])
    if "error" in header:
        tally.refused += 1
        tally.why[header["error"].split(";")[0][:30]] += 1
    else:
        tally.taken += 1
        if not clean_png(body):
            tally.wrong.append(data[:16].hex())


class Sent:
    """A file that somebody sends."""

    def __init__(self, data: bytes, name: str = "picture.png") -> None:
        self.name, self.size, self._data = name, len(data), data

    async def read(self) -> bytes:
        return self._data


async def unnoted(user_id: int, sha256: str) -> None:
    pass


async def through_the_product(pictures: list[tuple[str, bytes]]) -> Tally:
    """One process for each picture, as the bot does it. The peak is the largest process of all."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        files = Folder(Path(folder))
        intake = Intake(files, 100 * 2**20, unnoted)
        for name, data in pictures:
            began, before = time.monotonic(), os.times().children_user + os.times().children_system
            try:
                taken = await intake.take(Sent(data, name), 1)
                tally.taken += 1
                if not clean_png(await files.get(taken.sha256)):
                    tally.wrong.append(name)
            except ImageError as error:
                tally.refused += 1
                tally.why[str(error).split("` ")[-1][:30]] += 1
            except Exception as error:  # what the bot would have to catch
                tally.wrong.append(f"{name}: {type(error).__name__}")
            tally.longest = max(tally.longest, time.monotonic() - began)
            tally.slowest = max(tally.slowest, os.times().children_user + os.times().children_system - before)
    return tally


def slow_ones() -> list[tuple[str, bytes]]:
    """What only a limit on time stops, and the largest that is taken."""
    from PIL import Image

    return [
        ("scans", hostile.scan_bomb(4000)),
        ("largest", hostile.encode(Image.effect_noise((4096, 4096), 50).convert("RGB"), "JPEG", quality=80)),
    ]


def peak_of(data: bytes, *, confined: bool = True) -> int:
    """Bytes of memory that one gate process took at most; ``confined`` False: without its limits and caps
    (the negative control)."""
    code = "import sys; from studio.media import confinement, media_process as g; g.prepare();"
    code += (
        "confinement.limit(g.MAX_MEMORY, g.COMMANDS['clean'][1]); confinement.shut_in();"
        if confined
        else "g.MAX_PIXELS = 10**12;"
    )
    code += "g.answer_request(sys.stdin.buffer.read(), 'clean')"
    # a small parent: a child begins with the peak of the process that it was forked from
    starter = "import resource, subprocess, sys\n"
    starter += (
        "subprocess.run([sys.executable, '-c',"
        f" {code!r}])\nprint(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)"
    )
    command = [sys.executable, "-c", starter]
    run = subprocess.run(
        command, input=data, capture_output=True, cwd=ROOT, env=child_environment(), timeout=300, check=False
    )
    assert b"Error" not in run.stderr, run.stderr.decode()[-500:]  # else a gate that never ran has no peak
    return int(run.stdout or 0)


def tell(name: str, tally: Tally, what: str = "pictures") -> None:
    print(
        f"{what}, {name}: {tally.count:,}: {tally.taken:,} taken clean, {tally.refused:,} refused,"
        f" {tally.ended} ended their process; bot crashes or wrong answers {len(tally.wrong)}; slowest"
        f" {tally.slowest:.2f} s of processor time ({tally.longest:.2f} s on the clock)",
        flush=True,
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--whole", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    whole = [
        *hostile.known(),
        *slow_ones(),
        *((f"mutated {i}", d) for i, d in enumerate(hostile.mutated(arguments.whole, arguments.seed + 1))),
    ]
    product = asyncio.run(through_the_product(whole))
    tell("one process each", product)
    many = fuzz(arguments.count, arguments.seed)
    tell("many a process", many)
    peak = max(
        peak_of(data)
        for name, data in [
            *slow_ones(),
            ("", hostile.png_bomb(4096, 4096)),
            ("", hostile.text_bomb(b"zTXt", 200 * 2**20)),
        ]
    )
    loose = peak_of(hostile.png_bomb(13_300, 13_300), confined=False)
    print(f"  peak of a picture process {max(peak, many.peak) / 2**20:.0f} MiB (limit {LIMIT / 2**20:.0f})")
    print(
        f"  negative control: without caps and limits a bomb of 13,300 × 13,300 takes {loose / 2**20:.0f} MiB"
    )
    bad = (
        product.wrong
        or many.wrong
        or max(peak, many.peak) >= LIMIT
        or max(product.slowest, many.slowest) > 2.05
        or loose < LIMIT
    )
    print(*product.wrong[:5], *many.wrong[:5], sep="\n", end="")
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
