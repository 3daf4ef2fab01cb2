"""Videos that have to fit: ``python -m proofs.studio.media.sizes [--videos 50] [--limits 10 8 4 1]`` makes
videos
of many sizes, lengths and grains, and fits each into every limit (MiB) that it is larger than.
``--shrink 2``: with half of the sides, so that a thousand can be tried. Ctrl+C ends it with figures so far.
"""

from __future__ import annotations

import argparse
import io
import random
import signal
import statistics
import sys
import time
from collections.abc import Iterator

import numpy as np

from studio.media import provenance, transcode
from studio.media.provenance import MARK_BYTES
from vision.video import codecs
from vision.video.codecs import encoder_of
from vision.video.reader import VideoReader
from vision.video.writer import VideoWriter

SIZES = ((320, 180), (180, 320), (256, 256), (426, 240))
FILLED = 0.85
LEAST, MOST = 1.1 * 2**20, 14 * 2**20  # bytes of a video before it is fitted


def masters(count: int, seed: int, encoder: str, shrink: int = 1) -> Iterator[tuple[str, bytes]]:
    """Yield ``count`` videos as they are kept, between 1.1 and 14 MiB, or as much smaller as their area is.
    shrink: what sides are divided by."""
    rng = random.Random(seed)
    found = 0
    while found < count:
        (width, height), fps = rng.choice(SIZES), rng.choice((12, 24, 30))
        size = (width // shrink // 2 * 2, height // shrink // 2 * 2)
        grain, aim = rng.choice((8, 20, 60, 120)), 2 ** rng.uniform(0.2, 3.7) * 2**20 / shrink
        file = io.BytesIO()
        video = VideoWriter(file, size, fps, encoder_of(encoder))
        for chunk in _chunks(rng.randrange(10**6), size, grain):
            video.write(chunk)
            if file.tell() > aim or video.seconds >= 20:
                break
        video.finish()
        data = file.getvalue()
        if LEAST <= len(data) * shrink**2 and len(data) <= MOST:
            found += 1
            name = f"{size[0]}×{size[1]}, {video.seconds:.1f} s, {fps} a second, grain {grain}"
            yield f"{name}, {len(data) / 2**20:.1f} MiB", data


def _chunks(seed: int, size: tuple[int, int], grain: int) -> Iterator[np.ndarray]:
    """Soft colours and a shape that move, under grain; a cut now and then."""
    rng = np.random.default_rng(seed)
    field = rng.integers(-grain, grain + 1, (2 * size[1], 2 * size[0], 1), dtype=np.int16)
    y, x = np.mgrid[0 : size[1], 0 : size[0]] / 60
    speed = rng.uniform(0.02, 0.3, 3)
    number = 0
    while True:
        chunk = []
        for _ in range(8):
            at = number * speed + 9 * (number // 70)
            soft = [np.sin(x * 2 + at[0]), np.cos(y * 2 - at[1]), np.sin(x + y + at[2])]
            shown = 127 + 90 * np.stack(soft, -1)
            left = int(number * 3 % (size[0] - 40))
            shown[40:90, left : left + 40] = (230, 60, 40)
            down, right = rng.integers(0, size[1]), rng.integers(0, size[0])
            shown = shown + field[down : down + size[1], right : right + size[0]]
            chunk.append(shown.clip(0, 255).astype(np.uint8))
            number += 1
        yield np.stack(chunk)


def _until_ended(videos: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Yield the videos until somebody presses Ctrl+C."""
    ended = False

    def end(*_: object) -> None:
        nonlocal ended
        ended = True

    signal.signal(signal.SIGINT, end)
    for video in videos:
        if ended:
            return
        yield video


def right(data: bytes, limit: int) -> bool:
    """Whether a fitted video is one that plays: within its limit with its mark, boxes in order, every frame
    there."""
    sent = provenance.outgoing(data, "video/mp4", source=provenance.EXTENDED, parameters=False)
    file = io.BytesIO(sent)
    if len(sent) > limit or [box.kind for box in codecs.boxes(file)] != [b"ftyp", b"uuid", b"moov", b"mdat"]:
        return False
    with VideoReader(file) as video:
        return sum(one.format.name == "yuv420p" for one in video.decoded()) == video.frames > 0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--videos", type=int, default=50)
    parser.add_argument("--limits", type=float, nargs="+", default=[10, 8, 4, 1], help="MiB")
    parser.add_argument("--encoder", default="auto")
    parser.add_argument("--shrink", type=int, default=1, help="what the sides are divided by")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    filled: dict[float, list[float]] = {limit: [] for limit in arguments.limits}
    wrong, whole, tries, smaller, took = list[str](), 0, list[int](), 0, list[float]()
    number = 0
    made = masters(arguments.videos, arguments.seed, arguments.encoder, arguments.shrink)
    for number, (name, data) in enumerate(_until_ended(made), 1):
        for limit in arguments.limits:
            most = round(limit * 2**20)
            if len(data) <= most:
                whole += 1  # sent as it is
                continue
            began, target = time.process_time(), io.BytesIO()
            room = most - MARK_BYTES  # as ``studio.library.clips`` has it
            header, _ = transcode.make_video(
                "fit", [io.BytesIO(data)], target, limit=room, encoder=arguments.encoder
            )
            took.append(time.process_time() - began)
            if "error" in header or not right(target.getvalue(), most):
                wrong.append(f"{name} into {limit:g}: {header.get('error')}")
                continue
            filled[limit].append(len(target.getvalue()) / most)
            tries.append(header["tries"])
            with VideoReader(io.BytesIO(data)) as video:
                smaller += (header["width"], header["fps"]) != (video.width, [*video.fps.as_integer_ratio()])
            print(f"{number}. {name} into {limit:g} MiB: {filled[limit][-1]:.2f}, {header}", flush=True)
    every = [share for shares in filled.values() for share in shares]
    for limit, shares in filled.items():
        if shares:
            low = sum(share < FILLED for share in shares)
            print(
                f"{limit:g} MiB: {len(shares)} fitted, filled {min(shares):.2f} to {max(shares):.2f}, mean"
                f" {statistics.mean(shares):.3f}, {low} below {FILLED}"
            )
    print(
        f"{number} videos: {len(every)} fitted, {whole} sent as they are, {len(wrong)} wrong; tries: mean"
        f" {statistics.mean(tries):.1f}, most {max(tries)}; {smaller} made smaller or slower; processor time:"
        f" median {statistics.median(took):.0f} s, most {max(took):.0f} s",
        *wrong,
        sep="\n",
    )
    return int(bool(wrong) or any(share < FILLED for share in every))


if __name__ == "__main__":
    sys.exit(main())
