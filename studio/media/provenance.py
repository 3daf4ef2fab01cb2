"""What a picture or video says of itself when it leaves, as the host chooses: that a model made it, in the
field's standard form, what was asked for, and content credentials. Nothing else.

Works on the containers' bytes; no pixel is touched. The mark is IPTC's "digital source type" in XMP
(https://iptc.org/std/photometadata/specification/, https://cv.iptc.org/newscodes/digitalsourcetype/), which
XMP's part 3 puts into a PNG's iTXt, a WebP's "XMP " chunk, a JPEG's APP1, a GIF's application extension and
an MP4's uuid box. Content credentials (C2PA, https://spec.c2pa.org/) are a signed statement of how it came
to be, by a certificate of the host's; they need the extra ``c2pa``, and nothing is asked of other machines.
"""

import asyncio
import hashlib
import io
import json
import logging
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.errors import AtelierError
from core.png import PNG_SIGNATURE, png_chunk
from vision.video import codecs

MADE = "trainedAlgorithmicMedia"  # by a model
EXTENDED = "compositeWithTrainedAlgorithmicMedia"  # somebody's picture, with parts by a model
OURS = (b"parameters", b"atelier")  # keys of the texts that the worker writes
_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_XMP_PNG, _XMP_JPEG = b"XML:com.adobe.xmp", b"http://ns.adobe.com/xap/1.0/\0"
_XMP_GIF = b"\x21\xff\x0bXMP DataXMP"
# A reader that takes XMP for blocks with lengths finds its end by these, wherever it is in them
_GIF_END = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
_LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")


def packet(source: str) -> bytes:
    """Return XMP with one statement: how the picture came to be."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta'
        ' xmlns:x="adobe:ns:meta/"><rdf:RDF'
        ' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
        ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        ' xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
        f' Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/{source}"'
        ' xmp:CreatorTool="Atelier"/></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    ).encode()


def outgoing(data: bytes, media_type: str, *, source: str | None, parameters: bool) -> bytes:
    """Return ``data`` with its pixels, our texts if ``parameters``, and the mark ``source`` unless None.
    Raises ValueError when it isn't a picture, or one of our videos, of type ``media_type``."""
    xmp = packet(source) if source else None
    if media_type == "image/png":
        return _png(data, xmp, parameters)
    if media_type == "image/webp":
        return _webp(data, xmp)
    if media_type == "image/jpeg":
        return _jpeg(data, xmp)
    if media_type == "image/gif":
        return _gif(data, xmp)
    if media_type == "video/mp4":
        file = io.BytesIO(data)
        codecs.put_in_order(file, xmp)
        return file.getvalue()
    raise ValueError(f"pictures of type {media_type!r} aren't sent")


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (type, body) of each chunk. Raises ValueError. https://www.w3.org/TR/png-3/#5DataRep"""
    if not data.startswith(PNG_SIGNATURE):
        raise ValueError("no PNG")
    at = 8
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        yield kind, data[at + 8 : at + 8 + length]
        at += 12 + length
        if kind == b"IEND":
            return
    raise ValueError("a PNG that is cut off")


def _png(data: bytes, xmp: bytes | None, parameters: bool) -> bytes:
    out, marked = [data[:8]], False
    for kind, body in png_chunks(data):
        ours = kind in (b"tEXt", b"iTXt", b"zTXt") and body.partition(b"\0")[0] in OURS
        if kind == b"IDAT" and xmp is not None and not marked:
            out.append(png_chunk(b"iTXt", _XMP_PNG + b"\0\0\0\0\0" + xmp))
            marked = True
        if kind in _PIXELS or (ours and parameters):
            out.append(png_chunk(kind, body))
    return b"".join(out)


def webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (type, body) of each chunk. Raises ValueError.

    https://developers.google.com/speed/webp/docs/riff_container
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        raise ValueError("no WebP")
    at, end = 12, min(len(data), 8 + struct.unpack_from("<I", data, 4)[0])
    while at + 8 <= end:
        kind, length = struct.unpack_from("<4sI", data, at)
        yield kind, data[at + 8 : at + 8 + length]
        at += 8 + length + (length & 1)


def _webp(data: bytes, xmp: bytes | None) -> bytes:
    chunks = [(kind, body) for kind, body in webp_chunks(data) if kind in (b"VP8 ", b"VP8L", b"ALPH")]
    if not chunks:
        raise ValueError("a WebP without a picture")
    if xmp is not None or len(chunks) > 1:
        width, height, alpha = _webp_size(chunks)
        flags = (0x10 if alpha else 0) | (0x04 if xmp is not None else 0)
        head = (
            struct.pack("<I", flags) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        )
        chunks = [(b"VP8X", head), *chunks, *([(b"XMP ", xmp)] if xmp is not None else [])]
    body = b"".join(
        kind + struct.pack("<I", len(part)) + part + b"\0" * (len(part) & 1) for kind, part in chunks
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def _webp_size(chunks: list[tuple[bytes, bytes]]) -> tuple[int, int, bool]:
    """(width, height, whether some of it is transparent) of the bitstream (RFC 9649 §2, RFC 6386 §9.1)."""
    kinds = dict(chunks)
    if (body := kinds.get(b"VP8L")) is not None:
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)
    width, height = struct.unpack_from("<HH", kinds[b"VP8 "], 6)
    return width & 0x3FFF, height & 0x3FFF, b"ALPH" in kinds


def jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (marker, body) up to the first scan, whose body is all the rest. Raises ValueError.

    ITU T.81, annex B.
    """
    if data[:2] != b"\xff\xd8":
        raise ValueError("no JPEG")
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], struct.unpack_from(">H", data, at + 2)[0]
        if marker == 0xDA:
            yield marker, data[at:]
            return
        yield marker, data[at + 4 : at + 2 + length]
        at += 2 + length
    raise ValueError("a JPEG that is cut off")


def _jpeg(data: bytes, xmp: bytes | None) -> bytes:
    out = [b"\xff\xd8"]
    segments = list(jpeg_segments(data))
    if xmp is not None:
        out.append(_segment(0xE1, _XMP_JPEG + xmp))
    for marker, body in segments:
        if marker == 0xDA:
            out.append(body[: body.rindex(b"\xff\xd9") + 2] if b"\xff\xd9" in body else body)
        elif not (0xE0 <= marker <= 0xEF or marker == 0xFE) or (
            marker == 0xEE and body.startswith(b"Adobe")
        ):  # APP14 says how colours are kept
            out.append(_segment(marker, body))
    return b"".join(out)


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def gif_blocks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (kind, bytes) of each block as it stands: the head with its colours (b"GIF"), extensions by their
    label, pictures (b","), the end (b";"). Raises ValueError. https://www.w3.org/Graphics/GIF/spec-gif89a.txt
    """
    if data[:4] != b"GIF8" or len(data) < 13:
        raise ValueError("no GIF")
    at = 13 + _colours(data[10])
    yield b"GIF", data[:at]
    while at < len(data):
        start, kind = at, data[at : at + 1]
        if kind == b";":
            yield kind, kind
            return
        if kind == b"!":
            kind, at = data[at + 1 : at + 2], at + 2
        elif kind == b"," and at + 10 <= len(data):
            at += 11 + _colours(data[at + 9])
        else:
            break
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
        yield kind, data[start:at]
    raise ValueError("a GIF that is cut off")


def _colours(flags: int) -> int:
    """Return the bytes of a table of colours."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _gif(data: bytes, xmp: bytes | None) -> bytes:
    out: list[bytes] = []
    for kind, block in gif_blocks(data):
        is_loop = kind == b"\xff" and block[3:14] in _LOOPS
        if kind in (b"GIF", b"\xf9", b",", b";") or is_loop:
            out.append(block)
        if kind == b"GIF" and xmp is not None:
            out.append(_XMP_GIF + xmp + _GIF_END)
    head = out[0]
    return b"GIF89a" + head[6:] + b"".join(out[1:])


MISSING = "C2PA_CERTIFICATE: needs the extra c2pa, make setup EXTRAS=c2pa."
SOURCES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
ROOM = 20_000  # bytes that a statement and a chain of certificates take, at most
SETTINGS = {
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
}


class Credentials:
    """Signs what leaves. name: of this certificate, for what is kept signed."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """certificate: PEM, the host's own first, then those that vouch for it. key: PEM, without a password.
        Raises AtelierError for files that can't be read or don't go together, and where the extra is
        missing."""
        try:
            import c2pa
            from cryptography.hazmat.primitives.serialization import load_pem_private_key
        except ImportError as error:
            raise AtelierError(MISSING) from error
        try:
            chain, private = certificate.read_bytes(), key.read_bytes()
            algorithm = _algorithm(load_pem_private_key(private, None))
            info = c2pa.C2paSignerInfo(
                alg=algorithm.encode(), sign_cert=chain, private_key=private, ta_url=None
            )
            self._signer = c2pa.Signer.from_info(info)
        except (OSError, ValueError, TypeError, c2pa.C2paError) as error:
            raise AtelierError(f"C2PA_CERTIFICATE and C2PA_KEY can't be used: {error}") from error
        self._c2pa = c2pa
        self._context = c2pa.Context(settings=c2pa.Settings.from_json(json.dumps(SETTINGS)))
        self.name = hashlib.sha256(chain).hexdigest()[:8]
        try:
            self.sign(_SMALLEST, "image/gif", "trainedAlgorithmicMedia")
        except ValueError as error:
            raise AtelierError(f"C2PA_CERTIFICATE and C2PA_KEY can't be used: {error}") from error

    def sign(self, data: bytes, media_type: str, source: str) -> bytes:
        """Return a picture or video with the statement that it is ``source``, IPTC's word for how it came to
        be. Raises ValueError when it can't be signed."""
        created = {"action": "c2pa.created", "digitalSourceType": SOURCES + source}
        statement = {
            "claim_generator_info": [{"name": "Atelier"}],
            "assertions": [{"label": "c2pa.actions", "data": {"actions": [created]}}],
        }
        out = io.BytesIO()
        try:
            builder = self._c2pa.Builder(json.dumps(statement), context=self._context)
            builder.sign(self._signer, media_type, io.BytesIO(data), out)
        except self._c2pa.C2paError as error:
            raise ValueError(f"a {media_type} can't be signed: {error}") from error
        return out.getvalue()


def _algorithm(key: Any) -> str:
    """Return C2PA's name for the signatures that a private key makes. Raises ValueError for other keys."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    match key:
        case ed25519.Ed25519PrivateKey():
            return "ed25519"
        case rsa.RSAPrivateKey():
            return "ps256"
        case ec.EllipticCurvePrivateKey() if (bits := key.curve.key_size) in (256, 384, 521):
            return {256: "es256", 384: "es384", 521: "es512"}[bits]
    raise ValueError("the key is neither RSA, Ed25519 nor of the curves P-256, P-384 and P-521")


_SMALLEST = bytes.fromhex("47494638396101000100800000000000ffffff2c00000000010001000002024401003b")  # a GIF


MARK_BYTES = 2000  # the most that the mark adds
log = logging.getLogger(__name__)


SMALL = 64 * 1024  # bytes that are marked sooner than a thread begins


class Marker:
    """Marks what leaves. ai_mark: whether at all. credentials: by which it is signed, None = not."""

    def __init__(self, *, ai_mark: bool, credentials: Credentials | None = None) -> None:
        self.ai_mark, self._credentials = ai_mark, credentials if ai_mark else None

    @property
    def room(self) -> int:
        """The most bytes that marking adds."""
        return MARK_BYTES + (ROOM if self._credentials else 0)

    def name(self, source: str) -> str:
        """Return what a file that was marked with ``source`` is called where it is kept."""
        return f"{source}-{self._credentials.name}" if self._credentials else source

    async def mark(
        self, data: bytes, media_type: str, *, source: str | None, parameters: bool = False, sign: bool = True
    ) -> bytes:
        """Return a picture or video as it leaves, in a thread unless it is small: the checksums of a large
        one take tens of milliseconds. source: IPTC's word for how it came to be, None = no mark. parameters:
        whether our own texts stay in it. sign: whether it is worth credentials. Raises ValueError as
        ``outgoing``."""

        def marked() -> bytes:
            found = outgoing(data, media_type, source=source, parameters=parameters)
            if source is None or self._credentials is None or not sign:
                return found
            try:
                return self._credentials.sign(found, media_type, source)
            except ValueError as error:  # the mark alone is better than no picture
                log.warning("a picture or video leaves without credentials: %s", error)
                return found

        small = len(data) <= SMALL and not sign
        return marked() if small else await asyncio.to_thread(marked)
