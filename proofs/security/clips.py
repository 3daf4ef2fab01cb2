"""Strangers' videos made into clips: ``python -m proofs.security.clips [--count N] [--whole N] [--seed N]``.

``--count`` mutated videos go through the clip process's code in confined processes that take many each,
``--whole`` ones, and every attack that has a name, through the product's own path, one process for each.
``--canaries`` videos with something to hide in every place that one can hold it are made into clips, and what
is made of those looked at. ``--good`` videos of each kind that is taken, of many sizes and lengths, must be.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import random
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from PIL import Image

from core.errors import ImageError
from core.png import png_chunk
from proofs.security import videos
from proofs.security.clip_loop import LIMITS
from proofs.security.pictures import Loop, Tally, clean_png, tell
from proofs.security.videos import spent
from studio.library.clips import Clips
from studio.media import media_process, provenance, transcode
from studio.media.uploads import InMemory
from tests.security import hostile_videos
from tests.support.videos import ENCODED, animation, moving, video
from vision.video import codecs
from vision.video.reader import VideoReader

LIMIT = 800 * 2**20  # bytes: 600 MiB above what imports need
SECONDS = media_process.TRANSCODES["take"] + 0.05  # of processor time for one video
CANARY = b"canary-55b1"
ALLOWED = {b"ftyp", b"moov", b"mdat"}


def is_clean(video: bytes, poster: bytes) -> bool:
    """Whether a clip is what clips are: boxes of ours, H.264 in yuv420p, frames that can all be decoded."""
    file = io.BytesIO(video)
    if {box.kind for box in codecs.boxes(file)} != ALLOWED or not clean_png(poster):
        return False
    with VideoReader(file) as found:
        frames = list(found.decoded())
        even = found.width % 2 == found.height % 2 == 0 and found.width * found.height <= LIMITS["pixels"]
        small = all((one.width, one.height) == (found.width, found.height) for one in frames)
        right = {one.format.name for one in frames} == {"yuv420p"} and len(frames) == found.frames
        return even and small and right and 8 <= found.fps <= 30 and len(frames) <= 600


def fuzz(count: int, seed: int = 0, keep: Path | None = None) -> Tally:
    """Put mutated videos through the clip process's code; otherwise as ``videos.fuzz``."""
    return videos.fuzz(count, seed, keep, "proofs.security.clip_loop", _right)


def _right(header: dict, body: bytes) -> bool:
    try:
        return is_clean(body[: header["video"]], body[header["video"] :])
    except ValueError:
        return False


def good(each: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield (kind, video), ``each`` of every container and codec that is taken: 4 to 24 frames of 64 to 200
    px a side, 1 to 60 a second, with key frames near and far, square pixels and wide ones."""
    rng = random.Random(seed)  # x265, which makes some of them, fails with smaller or shorter ones
    for kind in ENCODED:
        for _ in range(each):
            size = (2 * rng.randrange(32, 101), 2 * rng.randrange(32, 101))
            how = {"fps": rng.choice((1, 8, 24, 25, 30, 60)), "key_every": rng.choice((1, 4, 50))}
            wider = rng.choice((1, 1, 2)) if kind not in ("gif", "vp8") else 1
            yield kind, video(moving(rng.randrange(4, 25), size), kind, **how, wider=wider)
    for kind in ("WEBP", "PNG"):
        for _ in range(each):
            size = (2 * rng.randrange(32, 101), 2 * rng.randrange(32, 101))
            yield kind, animation(moving(rng.randrange(4, 25), size), kind, rng.choice((0.04, 0.1, 0.5)))


def taken(each: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Return how many good videos of each kind were taken, and what the others were told."""
    counts, refused, loop = Counter[str](), list[str](), Loop("proofs.security.clip_loop")
    try:
        for kind, data in good(each, seed):
            found = loop.ask(data)
            right = found is not None and "error" not in found[0] and _right(*found)
            counts[kind] += right
            if not right:
                refused.append(f"{kind}: {found[0].get('error', 'wrong') if found else 'ended its process'}")
    finally:
        loop.close()
    return counts, refused


async def through_the_product(videos: list[tuple[str, bytes]]) -> Tally:
    """One process for each video, as the bot does it."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        clips = Clips(Path(folder), "auto", max_bytes=100 * 2**20, max_seconds=60, max_pixels=1920 * 1088)
        for name, data in videos:
            began, before = time.monotonic(), spent()
            try:
                found = await clips.take(InMemory("video.mp4", data))
                tally.taken += 1
                if not is_clean(found.path.read_bytes(), found.poster):
                    tally.wrong.append(name)
                found.path.unlink()
            except ImageError as error:
                tally.refused += 1
                tally.why[str(error).split("` ")[-1][:30]] += 1
            except Exception as error:  # what the bot would have to catch
                tally.wrong.append(f"{name}: {type(error).__name__}")
            tally.longest = max(tally.longest, time.monotonic() - began)
            tally.slowest = max(tally.slowest, spent() - before)
        if left := await asyncio.to_thread(os.listdir, folder):
            tally.wrong.append(f"{len(left)} files are left")
    return tally


def talkative() -> Iterator[tuple[str, bytes]]:
    """(kind, video): with a canary in each place that a container, or an encoder, has for words."""
    text, number = CANARY.decode(), 0
    said = {name: text for name in ("title", "artist", "comment", "location", "make", "encoder", "copyright")}
    while True:
        frames = moving(6 + number % 5, (64 + 2 * (number % 20), 48))
        kind = ("mp4", "mov", "matroska", "webm", "gif", "webp", "png")[number % 7]
        if kind in ("gif", "webp", "png"):
            data = animation(frames, kind.upper(), 0.1)
            if kind == "gif":
                words = bytes((len(CANARY),)) + CANARY + b"\0"
                data = data[:-1] + b"!\xfe" + words + b"!\xff\x0bXMP DataXMP" + words + data[-1:]
            elif kind == "png":
                data = data[:33] + png_chunk(b"tEXt", b"Comment\0" + CANARY) + data[33:]
            elif kind == "webp":
                body = data[12:] + b"XMP " + struct.pack("<I", 12) + CANARY + b"\0"
                data = b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body
        else:
            data = _written(frames, kind, said)
        if kind in ("mp4", "mov"):
            data += codecs.box_of(b"uuid", codecs.XMP + CANARY) + codecs.box_of(b"free", CANARY)
        yield kind, data + CANARY
        number += 1


def _written(frames: list[Image.Image], kind: str, said: dict[str, str]) -> bytes:
    out = io.BytesIO()
    options = {"movflags": "use_metadata_tags"} if kind in ("mp4", "mov") else {}
    with av.open(out, "w", format=kind, options=options) as writer:
        writer.metadata.update(said)
        stream = writer.add_stream("libvpx" if kind == "webm" else "libx264", rate=8)
        stream.metadata.update({"title": said["title"], "handler_name": said["title"]})
        stream.width, stream.height, stream.pix_fmt = *frames[0].size, "yuv420p"
        stream.thread_count = 1
        for number, frame in enumerate(frames):
            shown = av.VideoFrame.from_image(frame)
            shown.pts, shown.time_base = number, Fraction(1, 8)
            writer.mux(stream.encode(shown))
        writer.mux(stream.encode(None))
    return out.getvalue()


def canaries(count: int) -> tuple[int, int, int]:
    """(outputs with a canary, outputs without the mark, inputs that had one): clips, their posters, and what
    is made of clips."""
    left = unmarked = had = outputs = 0
    for kind, data in talkative():
        had += CANARY in data[: -len(CANARY)]
        clip = io.BytesIO()
        header, poster = transcode.make_video("take", [io.BytesIO(data)], clip, **LIMITS)
        assert "error" not in header, (kind, header)
        gif = io.BytesIO()
        transcode.make_video("gif", [clip], gif, limit=10**6)
        told = codecs.box_of(b"free", CANARY) + codecs.box_of(b"udta", CANARY)  # as if it had come in since
        for made, media_type in ((clip.getvalue() + told, "video/mp4"), (gif.getvalue(), "image/gif")):
            sent = provenance.outgoing(made, media_type, source=provenance.EXTENDED, parameters=False)
            unmarked += provenance.EXTENDED.encode() not in sent
            left += CANARY in sent or CANARY in poster or CANARY in clip.getvalue()
            outputs += 1
        if outputs >= count:
            return left, unmarked, had
    raise AssertionError


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--whole", type=int, default=100)
    parser.add_argument("--canaries", type=int, default=500, help="outputs that are looked at")
    parser.add_argument("--good", type=int, default=20, help="videos of each kind that have to be taken")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder for those that end a process or come out wrong")
    arguments = parser.parse_args(argv)
    left, unmarked, had = canaries(arguments.canaries)
    print(
        f"clips: {arguments.canaries} outputs of {had} videos with canaries: {left} left, {unmarked} unmarked"
    )
    counts, refused = taken(arguments.good, arguments.seed)
    told = ", ".join(f"{kind} {count}" for kind, count in counts.items())
    print(f"clips: of {arguments.good} good videos of each kind were taken: {told}", *refused[:5], sep="\n")
    damaged = hostile_videos.mutated(arguments.whole, arguments.seed + 1)
    whole = [*hostile_videos.known(), *hostile_videos.taken()] if arguments.whole else []
    whole += [(f"mutated {i}", data) for i, data in enumerate(damaged)]
    product = asyncio.run(through_the_product(whole))
    tell("one process each", product, "clips")
    many = fuzz(arguments.count, arguments.seed, arguments.keep)
    tell("many a process", many, "clips")
    print(f"  peak of a clip process {many.peak / 2**20:.0f} MiB (limit {LIMIT / 2**20:.0f})")
    print(*product.wrong[:5], *many.wrong[:5], *(why for why in many.why if "ended" in why), sep="\n")
    bad = left or unmarked or refused or product.wrong or many.wrong or many.peak >= LIMIT
    return 1 if bad or max(product.slowest, many.slowest) > SECONDS or many.ended else 0


if __name__ == "__main__":
    sys.exit(main())
