"""Pictures as an attacker would send them: every format Pillow writes, bombs, cut and mutated files,
polyglots. Seeded."""

import io
import random
import struct
import zlib
from collections.abc import Iterator
from functools import cache

from PIL import Image

from core.png import PNG_SIGNATURE as PNG
from core.png import png_chunk as chunk


def png_bomb(width: int, height: int, colour: int = 6, rows: int | None = None) -> bytes:
    """A flat PNG of width × height px (colour 6 = RGBA, 0 = grey) in a few kB; ``rows``: fewer than it
    says."""
    row = b"\0" * (1 + width * {6: 4, 2: 3, 0: 1}[colour])
    packer = zlib.compressobj(9)
    body = b"".join(packer.compress(row) for _ in range(height if rows is None else rows)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return PNG + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def text_bomb(kind: bytes, size: int) -> bytes:
    """A small PNG whose compressed text or profile unpacks to ``size`` bytes."""
    packed = zlib.compress(b"\0" * size, 9)
    before = {b"zTXt": b"key\0\0", b"iCCP": b"name\0\0", b"iTXt": b"key\0\1\0\0\0"}[kind]
    plain = encode(Image.new("RGB", (64, 64)), "PNG")
    return plain[:33] + chunk(kind, before + packed) + plain[33:]


def scan_bomb(scans: int, side: int = 4096) -> bytes:
    """A progressive JPEG that paints itself ``scans`` times over."""
    data = encode(Image.new("L", (side, side), 128), "JPEG", progressive=True, quality=10)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + data[-2:]


def encode(image: Image.Image, form: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


@cache
def every_format() -> dict[str, bytes]:
    """One picture in each format that Pillow can write here."""
    Image.init()
    found, noise = {}, Image.effect_noise((48, 32), 90)
    for form in sorted(Image.SAVE):
        for mode in ("RGB", "L", "1", "P", "F", "CMYK", "RGBA"):
            try:
                found[form] = encode(noise.convert(mode), form)
                break
            except Exception:  # not this format's mode, or a library that isn't there
                continue
    return found


@cache
def seeds() -> tuple[bytes, ...]:
    """Good pictures of the three formats in all their kinds, small so that many can be tried."""
    rng = random.Random(1)
    noise = Image.frombytes("RGB", (57, 41), rng.randbytes(57 * 41 * 3))
    soft = noise.resize((120, 90))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "x" * 40
    made = [encode(soft, "PNG"), encode(noise.convert("P"), "PNG", transparency=3)]
    made += [encode(noise.convert(mode), "PNG") for mode in ("RGBA", "LA", "1", "I;16")]
    made += [encode(noise, "PNG", exif=exif, icc_profile=b"p" * 300)]
    made += [encode(noise, "JPEG"), encode(soft, "JPEG", progressive=True)]
    made += [encode(noise.convert(mode), "JPEG") for mode in ("CMYK", "L")]
    made += [encode(soft, "JPEG", exif=exif, comment=b"hello", icc_profile=b"p" * 300, subsampling=0)]
    made += [encode(noise, "JPEG", restart_marker_blocks=1)]
    made += [encode(soft, "WEBP"), encode(noise, "WEBP", lossless=True)]
    made += [encode(noise.convert("RGBA"), "WEBP"), encode(soft, "WEBP", exif=exif)]
    turned = [soft.rotate(90, expand=False)]
    made += [encode(soft, form, save_all=True, append_images=turned) for form in ("WEBP", "PNG", "MPO")]
    return tuple(made)


def known() -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of attacks with a name."""
    yield from every_format().items()
    for side in (4097, 9459, 13_300, 20_000):
        yield f"bomb {side}", png_bomb(side, side, colour=0)
    yield "bomb 4096 RGBA", png_bomb(4096, 4096)
    yield "claims much, has nothing", png_bomb(4000, 4000, rows=1)
    yield "one line", png_bomb(2_000_000, 1)
    for kind in (b"zTXt", b"iCCP", b"iTXt"):
        yield f"{kind.decode()} bomb", text_bomb(kind, 200 * 2**20)
    picture, jpeg = (encode(Image.effect_noise((64, 64), 60), form) for form in ("PNG", "JPEG"))
    archive = b"PK\x03\x04" + b"\0" * 26 + b"a.txt" + b"PK\x05\x06" + b"\0" * 18
    page = b"<html><script>alert(1)</script></html>"
    yield from (("png and zip", picture + archive), ("png and page", picture + page))
    yield from (("page and png", page + picture), ("jpeg and zip", jpeg + archive))
    yield from (("gif head, png", b"GIF89a" + picture), ("pdf head, jpeg", b"%PDF-1.7\n" + jpeg))
    yield from (("empty", b""), ("one byte", b"\x89"), ("head only", PNG))
    yield "svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    yield "eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n"


def mutated(count: int, seed: int) -> Iterator[bytes]:
    """``count`` damaged pictures: bits turned, pieces cut, doubled, moved or put in, numbers made huge,
    checksums mended, two files joined."""
    rng, good = random.Random(seed), [*seeds(), *every_format().values()]
    for _ in range(count):
        data = bytearray(rng.choice(good))
        for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
            _spoil(data, rng, good)
        yield bytes(_mended(data) if data.startswith(PNG) and rng.random() < 0.7 else data)


def _spoil(data: bytearray, rng: random.Random, good: list[bytes]) -> None:
    at, length = rng.randrange(len(data) + 1), rng.choice((1, 2, 4, 16, 64, 512))
    match rng.randrange(8):
        case 0 if data:
            data[at % len(data)] ^= 1 << rng.randrange(8)
        case 1:
            data[at : at + length] = rng.randbytes(len(data[at : at + length]))
        case 2:
            del data[at : at + length]
        case 3:
            data[at:at] = data[at : at + length] * rng.choice((1, 2, 8))
        case 4:
            data[at : at + 4] = rng.choice(
                (b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\0\0\xff\xff", b"\xff\xda\xff\xd8")
            )
        case 5:
            del data[at:]
        case 6:
            data[at:] = rng.choice(good)[at:]
        case _:
            data[at:at] = rng.randbytes(length)


def _mended(data: bytearray) -> bytes:
    """A PNG with right lengths and checksums, so that what is inside gets read."""
    out, at = bytearray(PNG), len(PNG)
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I", data, at)[0], bytes(data[at + 4 : at + 8])
        body = bytes(data[at + 8 : at + 8 + min(length, len(data))])
        out += chunk(kind, body)
        at += 12 + len(body)
    return bytes(out)
