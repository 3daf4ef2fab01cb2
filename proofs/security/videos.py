"""Strangers' videos through the gate: ``python -m proofs.security.videos [--count N] [--whole N] [--seed
N]``.

``--count`` mutated videos go through the gate's code in confined processes that take many each, ``--whole``
ones, and every attack that has a name, through the product's own path, one process for each video.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from core.errors import ImageError
from proofs.security.pictures import Loop, Sent, Tally, clean_png, tell, unnoted
from storage.blobs.local import Folder
from studio.media.uploads import Video, Videos
from tests.security import hostile_videos

LIMIT = 700 * 2**20  # bytes: 600 MiB above what imports need
SECONDS = 5.05  # of processor time for one video
PIXELS = 100_000


def fuzz(
    count: int,
    seed: int = 0,
    keep: Path | None = None,
    loop_module: str = "proofs.security.video_loop",
    right: Callable[[dict, bytes], bool] | None = None,
) -> Tally:
    """Put mutated videos through code that runs in confined processes, many in each. keep: a folder for those
    that end it or come out wrong. loop_module: what the processes run, the gate's code unless said.
    right: whether what came out is as it must be."""
    tally, loop = Tally(), Loop(loop_module)
    try:
        for number, data in enumerate(hostile_videos.mutated(count, seed)):
            began, found = time.monotonic(), loop.ask(data)
            tally.longest = max(tally.longest, time.monotonic() - began)
            bad = tally.ended + len(tally.wrong)
            _note(tally, f"{seed}:{number}", found, right or _right)
            if keep is not None and tally.ended + len(tally.wrong) > bad:
                (keep / f"{seed}-{number}").write_bytes(data)
    finally:
        loop.close()
    return tally


def _note(
    tally: Tally, name: str, found: tuple[dict, bytes] | None, right: Callable[[dict, bytes], bool]
) -> None:
    if found is None:
        tally.ended += 1
        tally.why[f"ended its process: {name}"] += 1
        return
    header, body = found
    tally.slowest, tally.peak = max(tally.slowest, header["seconds"]), max(tally.peak, header["peak"])
    if not header["shut"]:
        tally.wrong.append(f"{name}: not shut in")
    if "error" in header:
        tally.refused += 1
        tally.why[header["error"].split(";")[0][:30]] += 1
    else:
        tally.taken += 1
        if not right(header, body):
            tally.wrong.append(name)


def _right(header: dict, body: bytes) -> bool:
    """Whether all that comes out are clean pictures, in order and within the limits."""
    times, start = [seconds for seconds, _ in header["frames"]], 0
    for _, length in header["frames"]:
        one = body[start : start + length]
        start += length
        if not clean_png(one) or (size := Image.open(io.BytesIO(one)).size)[0] * size[1] > 1.05 * PIXELS:
            return False
    return (
        start == len(body) and 0 < len(times) <= 16 and times == sorted(set(times)) and 0 <= times[-1] <= 60
    )


async def through_the_product(videos: list[tuple[str, bytes]]) -> Tally:
    """One process for each video, as the bot does it."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        files, most = Folder(Path(folder)), 100 * 2**20
        intake = Videos(files, unnoted, frames=16, pixels=PIXELS, max_bytes=most, max_picture_bytes=most)
        for name, data in videos:
            began, before = time.monotonic(), spent()
            try:
                found = await intake.take(Sent(data, "video.mp4"), 1)
                tally.taken += isinstance(found, Video)
                tally.refused += not isinstance(found, Video)  # a still picture, which another gate reads
                if isinstance(found, Video):
                    kept = [await files.get(sha256) for _, sha256 in found.frames]
                    if not kept or not all(map(clean_png, kept)):
                        tally.wrong.append(name)
            except ImageError as error:
                tally.refused += 1
                tally.why[str(error).split("` ")[-1][:30]] += 1
            except Exception as error:  # what the bot would have to catch
                tally.wrong.append(f"{name}: {type(error).__name__}")
            tally.longest = max(tally.longest, time.monotonic() - began)
            tally.slowest = max(tally.slowest, spent() - before)
    return tally


def spent() -> float:
    """Seconds of processor time that children have used."""
    spent = os.times()
    return spent.children_user + spent.children_system


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--whole", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder for those that end a process or come out wrong")
    arguments = parser.parse_args(argv)
    damaged = hostile_videos.mutated(arguments.whole, arguments.seed + 1)
    whole = [*hostile_videos.known(), *hostile_videos.taken()]
    whole += [(f"mutated {i}", data) for i, data in enumerate(damaged)]
    product = asyncio.run(through_the_product(whole))
    tell("one process each", product, "videos")
    many = fuzz(arguments.count, arguments.seed, arguments.keep)
    tell("many a process", many, "videos")
    print(f"  peak of a video process {many.peak / 2**20:.0f} MiB (limit {LIMIT / 2**20:.0f})")
    print(*product.wrong[:5], *many.wrong[:5], *(why for why in many.why if "ended" in why), sep="\n")
    slow = max(product.slowest, many.slowest) > SECONDS
    return 1 if product.wrong or many.wrong or many.peak >= LIMIT or slow else 0


if __name__ == "__main__":
    sys.exit(main())
