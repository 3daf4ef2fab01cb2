"""Canaries in pictures: ``python -m proofs.security.metadata [--count N]`` puts them wherever a picture can
hide a text and looks what comes out."""

from __future__ import annotations

import argparse
import io
import random
import zlib
from collections.abc import Iterator

from PIL import Image, PngImagePlugin

from studio.media import media_process, provenance
from tests.security import hostile
from vision.images import encode

CANARY = b"canary-55b1"


def hidden() -> Iterator[tuple[str, bytes]]:
    """(where, picture): a canary in each place that one of the three formats has."""
    rng = random.Random(3)
    for index in range(10**9):
        side = 48 + index % 40
        image = Image.frombytes("RGB", (side, 48), rng.randbytes(side * 48 * 3))
        text = CANARY.decode()
        exif = Image.Exif()
        exif[0x010E], exif[0x013B], exif[0x0112], exif[0x9286] = text, text, 1 + index % 8, text
        exif.get_ifd(0x8825)[0x1D] = text
        info = PngImagePlugin.PngInfo()
        info.add_text("Comment", text, zip=index % 2 == 0)
        info.add_itxt("XML:com.adobe.xmp", f"<x>{text}</x>", zip=index % 3 == 0)
        info.add(b"prIv", CANARY)
        form = ("PNG", "JPEG", "WEBP")[index % 3]
        profile = {"icc_profile": CANARY * 30, "exif": exif}
        if form == "PNG":
            data = hostile.encode(image, form, pnginfo=info, **profile)
        elif form == "JPEG":
            data = hostile.encode(image, form, comment=CANARY, xmp=CANARY, **profile)
            data = (
                data[:2]
                + b"\xff\xed"
                + (len(CANARY) + 16).to_bytes(2, "big")
                + b"Photoshop 3.0\0"
                + CANARY
                + data[2:]
            )
        else:
            data = hostile.encode(image, form, xmp=CANARY, lossless=index % 2 == 0, **profile)
        yield form, data + CANARY


def found_in(data: bytes) -> bool:
    """The canary, as it stands or packed in a chunk of a PNG."""
    if CANARY in data:
        return True
    if not data.startswith(hostile.PNG):
        return False
    for kind, body in provenance.png_chunks(data):
        if kind in (b"zTXt", b"iTXt", b"iCCP", b"eXIf"):
            for start in range(len(body)):
                if body[start : start + 1] == b"\x78":
                    try:
                        if CANARY in zlib.decompressobj().decompress(body[start:]):
                            return True
                    except zlib.error:
                        continue
    return False


def spoken(data: bytes, media_type: str) -> set[bytes]:
    """What a picture says of itself: texts, marks, whatever isn't pixels."""
    if media_type == "image/png":
        return {
            body.partition(b"\0")[0] if kind in (b"tEXt", b"iTXt", b"zTXt") else kind
            for kind, body in provenance.png_chunks(data)
        }
    if media_type == "image/webp":
        return {kind for kind, _ in provenance.webp_chunks(data)}
    return {
        body[:28] if 0xE0 <= marker <= 0xEF or marker == 0xFE else b""
        for marker, body in provenance.jpeg_segments(data)
    }


ALLOWED = {
    "image/png": {b"IHDR", b"IDAT", b"IEND", b"parameters", b"atelier", b"XML:com.adobe.xmp"},
    "image/webp": {b"VP8 ", b"VP8L", b"VP8X", b"XMP "},
    "image/jpeg": {b"", b"http://ns.adobe.com/xap/1.0/"},
}


def inputs(count: int) -> tuple[int, int]:
    """(canaries left in re-encoded inputs, canaries left by a plain re-save, the negative control)."""
    left = plain = 0
    for (form, data), _ in zip(hidden(), range(count), strict=False):
        header, body = media_process.answer_request(data, "clean")
        assert "error" not in header, header
        left += found_in(body) or set(kind for kind, _ in provenance.png_chunks(body)) != {
            b"IHDR",
            b"IDAT",
            b"IEND",
        }
        opened = Image.open(io.BytesIO(data))
        plain += found_in(
            hostile.encode(
                opened,
                form,
                **{k: v for k, v in opened.info.items() if k in ("exif", "icc_profile", "comment")},
            )
        )
    return left, plain


def outputs(count: int) -> tuple[int, int, int]:
    """(outputs that say anything but what is ours, outputs without the mark, canaries left when nothing is
    taken out). The pictures they are made from are full of canaries, and so are the files before they
    leave."""
    wrong = unmarked = control = 0
    for (_, data), index in zip(hidden(), range(count), strict=False):
        image = Image.open(io.BytesIO(data)).convert("RGB")
        made = [encode.png(image, {"prompt": "a boat"}, 5), encode.drawing(image)][index % 2]
        kind, body = made.media_type, made.data
        if index % 4 == 2:
            header, body = media_process.answer_request(body, "shrink", limit=4000)
            kind = str(header["media_type"])
        dirty = _with_canary(body, kind)
        control += found_in(dirty)
        sent = provenance.outgoing(dirty, kind, source=provenance.MADE, parameters=True)
        wrong += found_in(sent) or not spoken(sent, kind) <= ALLOWED[kind]
        unmarked += provenance.MADE.encode() not in sent or b"DigitalSourceType" not in sent
        Image.open(io.BytesIO(sent)).load()
    return wrong, unmarked, control


def _with_canary(data: bytes, kind: str) -> bytes:
    if kind == "image/png":
        return (
            data[:33]
            + hostile.chunk(b"tEXt", b"Comment\0" + CANARY)
            + hostile.chunk(b"eXIf", CANARY)
            + data[33:]
            + CANARY
        )
    if kind == "image/webp":
        body = data[12:] + b"EXIF" + (12).to_bytes(4, "little") + CANARY + b"\0"
        return b"RIFF" + (4 + len(body)).to_bytes(4, "little") + b"WEBP" + body
    return data[:2] + b"\xff\xfe" + (len(CANARY) + 2).to_bytes(2, "big") + CANARY + data[2:] + CANARY


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=1000, help="inputs, and as many outputs")
    count = parser.parse_args(argv).count
    left, plain = inputs(count)
    wrong, unmarked, control = outputs(count)
    print(
        f"metadata: {count:,} re-encoded inputs and {count:,} outputs: {left + wrong} canaries left,"
        f" {unmarked} outputs without the mark"
    )
    print(
        f"  negative control: a plain re-save keeps {plain:,} of {count:,}, pictures as they were had"
        f" {control:,} of {count:,}"
    )
    return 1 if left or wrong or unmarked or plain < count / 3 or control < count else 0


if __name__ == "__main__":
    raise SystemExit(main())
