"""Videos as an attacker would send them: damaged ones of every kind that is read, and attacks with a name.
Seeded; the seeds are made here, so that no stranger's file is kept."""

import io
import random
import struct
from collections.abc import Iterator
from functools import cache

import av
from PIL import Image

from tests.security.hostile import encode
from tests.support.videos import ENCODED, animation, moving, plain, video

HUGE = (b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\0\0\xff\xff", b"\x80\0\0\0", b"\0\0\0\x08")
BOXES = tuple(b"moov trak mdia stbl stsz stts stco stsc ctts avcC tkhd elst".split())


@cache
def seeds() -> tuple[bytes, ...]:
    """Good videos of all kinds, small so that many can be tried."""
    made = [video(moving(10, cut_at=5), kind, key_every=4) for kind in ENCODED]
    made += [video(moving(10), "h264", movflags="frag_keyframe+empty_moov"), _with_sound()]
    made += [video(moving(6, (66, 34)), "h264", more={"bf": "0"}), video(moving(4, (128, 16)), "vp9")]
    made += [animation(moving(4), form, 0.2) for form in ("GIF", "WEBP", "PNG")]
    clear = [Image.new("RGBA", (32, 32), (200, 0, 0, 40 * i)) for i in range(4)]
    return (*made, animation(clear, "PNG"), animation(clear, "WEBP"), animation(clear, "GIF"))


def _with_sound() -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as writer:
        pictures, sound = writer.add_stream("libx264", rate=8), writer.add_stream("aac", rate=16_000)
        pictures.width, pictures.height, pictures.pix_fmt, pictures.thread_count = 64, 48, "yuv420p", 1
        for frame in moving(6):
            for packet in pictures.encode(av.VideoFrame.from_image(frame)):
                writer.mux(packet)
        for packet in [*_silence(sound), *pictures.encode(None)]:
            writer.mux(packet)
    return out.getvalue()


def _silence(sound: av.AudioStream) -> list[av.Packet]:
    """A stream's packets of a moment in which nothing is heard."""
    silence = av.AudioFrame(format="fltp", layout="stereo", samples=1024)
    silence.rate = 16_000
    for plane in silence.planes:
        plane.update(bytes(plane.buffer_size))
    return [*sound.encode(silence), *sound.encode(None)]


def known() -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of attacks with a name; none of them is taken."""
    good = video(moving(8))
    yield from (("empty", b""), ("head only", good[:16]), ("half", good[: len(good) // 2]))
    yield from (("mp4 head, nothing", good[:40] + bytes(4000)), ("webm head only", b"\x1a\x45\xdf\xa3" * 50))
    yield "playlist", b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
    yield "concat list", b"ffconcat version 1.0\nfile /etc/passwd\n"
    yield "page", b"<html><video src='file:///etc/passwd'></video></html>"
    yield "svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    yield "gif head, png", b"GIF89a" + encode(plain((1, 2, 3)), "PNG")
    yield "4K", video([plain((9, 9, 9), (3840, 2160))])
    yield "other codec", video(moving(3), "mpeg4")
    yield "sound only", _sound()
    yield "gif canvas of 65535 px", b"GIF89a" + struct.pack("<HH", 65535, 65535) + animation(moving(3))[10:]
    yield "claims 2 billion samples", _many_samples(good)


def _sound() -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as writer:
        for packet in _silence(writer.add_stream("aac", rate=16_000)):
            writer.mux(packet)
    return out.getvalue()


def _patched(mp4: bytes, width: int, height: int, to_width: int, to_height: int) -> bytes:
    """Another size in the sample's description (avc1), where the demuxer looks."""
    place = mp4.index(struct.pack(">HH", width, height), mp4.index(b"avc1"))
    return mp4[:place] + struct.pack(">HH", to_width, to_height) + mp4[place + 4 :]


def _many_samples(mp4: bytes) -> bytes:
    place = mp4.index(b"stsz") + 8  # version and flags, then the size of all samples, then their number
    return mp4[:place] + struct.pack(">II", 1, 2_000_000_000) + mp4[place + 8 :]


def taken() -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of heavy or odd videos that are taken, within the limits."""
    yield "20,000 frames", video([plain((i % 250, 0, 0), (16, 16)) for i in range(20_000)], fps=500)
    yield "header says larger", _patched(video(moving(8)), 64, 48, 60_000, 60_000)  # than the frames are
    yield "an hour in two frames", video(moving(2), fps=1, times=(0, 3600))
    grown = [Image.effect_noise((1408, 1408), 90).convert("P") for _ in range(3)]
    yield "noise of 2 MP", animation(grown * 4, "GIF", 0.1)


def mutated(count: int, seed: int) -> Iterator[bytes]:
    """``count`` damaged videos: bits turned, pieces cut, doubled, moved or put in, numbers made huge, boxes
    renamed, two videos joined."""
    rng, good = random.Random(seed), seeds()
    for _ in range(count):
        data = bytearray(rng.choice(good))
        for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
            _spoil(data, rng, good)
        yield bytes(data)


def _spoil(data: bytearray, rng: random.Random, good: tuple[bytes, ...]) -> None:
    at, length = rng.randrange(len(data) + 1), rng.choice((1, 2, 4, 16, 64, 512))
    if rng.random() < 0.3:
        at = min(at, rng.randrange(1, 600))  # where the headers are
    match rng.randrange(10):
        case 0 if data:
            data[at % len(data)] ^= 1 << rng.randrange(8)
        case 1:
            data[at : at + length] = rng.randbytes(len(data[at : at + length]))
        case 2:
            del data[at : at + length]
        case 3:
            data[at:at] = data[at : at + length] * rng.choice((1, 2, 8))
        case 4 | 5:
            data[at : at + 4] = rng.choice(HUGE)
        case 6:
            del data[at:]
        case 7:
            data[at:] = rng.choice(good)[at:]
        case 8:
            _box(data, rng)
        case _:
            data[at:at] = rng.randbytes(length)


def _box(data: bytearray, rng: random.Random) -> None:
    """Spoil the size, the name or a number of a box of an MP4."""
    place = data.find(rng.choice(BOXES))
    if place < 4:
        return
    match rng.randrange(3):
        case 0:
            data[place - 4 : place] = rng.choice(HUGE)
        case 1:
            data[place : place + 4] = rng.choice(BOXES)
        case _:
            at = place + 4 + 4 * rng.randrange(6)
            data[at : at + 4] = rng.choice(HUGE)
