"""What cameras show now: a picture by HTTP, the first one of an MJPEG stream, or a key frame of an RTSP
stream, put together here and decoded elsewhere. Their addresses are the operator's, who has named each.

RTSP over its own connection: https://www.rfc-editor.org/rfc/rfc2326, H.264: rfc6184, H.265: rfc7798.
"""

import asyncio
import re
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import md5
from urllib.parse import unquote, urlsplit

import aiohttp

from core import outside
from core.errors import UserError
from core.language import _
from core.outside import Still

PATIENCE = 20.0  # seconds for one look, a stream's next key frame included
MOST = 8 * 2**20  # bytes of a picture
HEAD = 2**16  # bytes of headers or of a description
BLOCK = 2**15
AGENT = "Atelier"
START = b"\0\0\0\1"  # of each unit in a raw stream
SETS = {"h264": (7, 8), "hevc": (32, 33, 34)}  # types of units that decoders need first
KEYS = {"h264": (5,), "hevc": tuple(range(16, 22))}  # … and of key frames
TOGETHER, PART = {"h264": 24, "hevc": 48}, {"h264": 28, "hevc": 49}  # several units, and a part of one
LEAD = {"h264": 1, "hevc": 2}  # bytes of a unit's header
MOST_SETS = 16
NAMES = {"H264": "h264", "H265": "hevc"}


class CameraClient:
    """Looks once at a time, and keeps no connection. most_bytes: of a picture or key frame."""

    def __init__(self, most_bytes: int = MOST, patience: float = PATIENCE) -> None:
        self._most, self._patience = most_bytes, patience

    async def still(self, url: str) -> Still:
        """Return what a camera shows now. Raises UserError, which says why that can't be had."""
        playing = False
        try:
            async with asyncio.timeout(self._patience):
                if not url.startswith("rtsp:"):
                    return Still(await self._picture(url))
                async with _Rtsp.opened(url) as camera:
                    frames = _KeyFrame(await camera.play(), self._most)
                    playing = True
                    async for packet in camera.packets():
                        if (data := frames.add(packet)) is not None:
                            return Still(data, frames.codec)
        except TimeoutError:
            raise UserError(
                _(outside.NO_KEY, seconds=self._patience) if playing else _(outside.LATE)
            ) from None
        except (OSError, aiohttp.ClientConnectionError, asyncio.IncompleteReadError) as error:
            raise UserError(_(outside.LATE)) from error
        except (aiohttp.ClientError, ValueError, IndexError) as error:
            raise UserError(_(outside.BROKEN)) from error
        raise UserError(_(outside.BROKEN))

    async def _picture(self, url: str) -> bytes:
        login, plain = _login_of(url)
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(cookie_jar=jar, headers={"User-Agent": AGENT}) as session:
            answer = await session.get(plain, allow_redirects=False)
            if answer.status == 401 and login:
                path = urlsplit(plain)
                target = (path.path or "/") + (f"?{path.query}" if path.query else "")
                given = login.answer(answer.headers.get("WWW-Authenticate", ""), "GET", target)
                answer.close()
                answer = await session.get(plain, allow_redirects=False, headers={"Authorization": given})
            async with answer:
                _check_status(answer.status)
                if answer.content_type.startswith("multipart/"):
                    return await self._first_part(answer)
                return await self._until(answer, None)

    async def _first_part(self, answer: aiohttp.ClientResponse) -> bytes:
        """Return the first picture of a stream whose parts are pictures."""
        boundary = re.search(r'boundary="?([^";]+)', answer.headers.get("Content-Type", ""), re.I)
        if boundary is None:
            raise ValueError("no boundary")
        edge = b"--" + boundary[1].strip().lstrip("-").encode()
        head = bytearray()
        while b"\r\n\r\n" not in head[head.find(edge) + 1 :] or edge not in head:
            if len(head) > HEAD or not (some := await answer.content.read(BLOCK)):
                raise ValueError("no part")
            head += some
        lines, _, begun = bytes(head[head.index(edge) :]).partition(b"\r\n\r\n")
        length = re.search(rb"content-length:\s*(\d{1,9})", lines, re.I)
        return await self._until(answer, edge, begun, int(length[1]) if length else None)

    async def _until(
        self,
        answer: aiohttp.ClientResponse,
        edge: bytes | None,
        begun: bytes = b"",
        length: int | None = None,
    ) -> bytes:
        """Return a body up to ``length``, what comes before ``edge``, or all of it."""
        data = bytearray(begun)
        while length is None or len(data) < length:
            if length is None and edge and (end := data.find(edge)) >= 0:
                return bytes(data[:end]).removesuffix(b"\r\n")
            if len(data) > self._most:
                raise UserError(_(outside.LARGE, most=self._most / 2**20))
            some = await answer.content.read(BLOCK)
            if not some:
                break
            data += some
        if length is not None and len(data) < length:
            raise ValueError("cut off")
        return bytes(data[:length])


@dataclass(frozen=True)
class _Login:
    user: str
    password: str = field(repr=False)

    def answer(self, asked: str, method: str, target: str) -> str:
        """Return what answers a WWW-Authenticate: https://www.rfc-editor.org/rfc/rfc7616 with MD5."""
        told = dict(re.findall(r'(\w+)="?([^",]*)"?', asked))
        if not asked.lower().startswith("digest"):
            return "Basic " + b64encode(f"{self.user}:{self.password}".encode()).decode()
        realm, nonce, count, own = told.get("realm", ""), told.get("nonce", ""), "00000001", "a7e11e4"
        first, second = _hashed(self.user, realm, self.password), _hashed(method, target)
        more, between = "", [nonce]
        if "qop" in told:
            more, between = f', qop=auth, nc={count}, cnonce="{own}"', [nonce, count, own, "auth"]
        proof = _hashed(first, *between, second)
        more += f', opaque="{told["opaque"]}"' if "opaque" in told else ""
        said = f'username="{self.user}", realm="{realm}", nonce="{nonce}", uri="{target}"'
        return f'Digest {said}, response="{proof}"{more}'


def _hashed(*parts: str) -> str:
    return md5(":".join(parts).encode(), usedforsecurity=False).hexdigest()


def _login_of(url: str) -> tuple[_Login | None, str]:
    """Return who is named in an address, and the address without."""
    parts = urlsplit(url)
    plain = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    name = unquote(parts.username or "")
    return (_Login(name, unquote(parts.password or "")) if name else None), plain


def _check_status(status: int) -> None:
    if status in (401, 403):
        raise UserError(_(outside.LOGIN))
    if status != 200:
        raise UserError(_(outside.REFUSED, status=status))


@dataclass(frozen=True)
class _Track:
    """The video of a stream. sets: units that its decoder needs, as far as they were told."""

    codec: str
    address: str
    sets: tuple[bytes, ...]

    @classmethod
    def of(cls, description: str, base: str) -> "_Track":
        """Read a description: https://www.rfc-editor.org/rfc/rfc8866. Raises UserError for other codecs."""
        _session, begins, video = description.partition("m=video")
        if not begins:
            raise UserError(_(outside.OTHER, what=_(outside.NO_VIDEO)))
        video = video.partition("\nm=")[0]
        named = re.search(r"a=rtpmap:\d+ ([\w-]+)/", video)
        name = named[1].upper() if named else "MJPEG"  # a type that needs no name, such as 26
        if name not in NAMES:
            raise UserError(_(outside.OTHER, what=name))
        control = re.search(r"a=control:(\S+)", video)
        path = control[1] if control else "*"
        address = path if path.startswith("rtsp:") else base.rstrip("/") + "/" + path
        told = re.findall(r"sprop-(?:parameter-sets|vps|sps|pps)=([^;\s]+)", video)
        sets = tuple(b64decode(one) for text in told for one in text.split(",") if one)
        return cls(NAMES[name], base if path == "*" else address, sets)


class _Rtsp:
    """A connection to a camera that speaks RTSP, with the pictures in it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, url: str) -> None:
        self._reader, self._writer = reader, writer
        self._login, self._url = _login_of(url)
        self._asked, self._session, self._wants = 0, "", ""

    @classmethod
    @asynccontextmanager
    async def opened(cls, url: str) -> AsyncIterator["_Rtsp"]:
        """Connect while the block runs."""
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 554, limit=HEAD)
        try:
            yield cls(reader, writer, url)
        finally:
            writer.transport.abort()

    async def play(self) -> _Track:
        """Let the video come. Raises UserError where that isn't one that can be read."""
        told, body = await self._ask("DESCRIBE", self._url, Accept="application/sdp")
        base = told.get("content-base") or told.get("content-location") or self._url
        track = _Track.of(body.decode(errors="replace").replace("\r\n", "\n"), base)
        way = "RTP/AVP/TCP;unicast;interleaved=0-1"
        told, _body = await self._ask("SETUP", track.address, Transport=way)
        self._session = told.get("session", "").partition(";")[0]
        await self._ask("PLAY", base, Range="npt=0.000-")
        return track

    async def _ask(self, method: str, target: str, **headers: str) -> tuple[dict[str, str], bytes]:
        for _again in range(2):
            self._asked += 1
            lines = [f"{method} {target} RTSP/1.0", f"CSeq: {self._asked}", f"User-Agent: {AGENT}"]
            if self._wants and self._login:
                lines.append(f"Authorization: {self._login.answer(self._wants, method, target)}")
            lines += [f"Session: {self._session}"] if self._session else []
            lines += [f"{name}: {value}" for name, value in headers.items()]
            self._writer.write("\r\n".join([*lines, "", ""]).encode())
            status, told, body = await self._answer()
            if status == 401 and self._login and not _again:
                self._wants = told.get("www-authenticate", "")
                continue
            _check_status(status)
            return told, body
        raise UserError(_(outside.LOGIN))

    async def _answer(self) -> tuple[int, dict[str, str], bytes]:
        while (first := await self._reader.readexactly(1)) == b"$":  # pictures that come already
            await self._frame()
        lines = (first + await self._reader.readuntil(b"\r\n\r\n")).decode(errors="replace").split("\r\n")
        told: dict[str, str] = {}
        for line in lines[1:]:
            name, _colon, value = line.partition(":")
            if name.lower() != "www-authenticate" or value.strip().lower().startswith("digest"):
                told[name.strip().lower()] = value.strip()
            else:
                told.setdefault("www-authenticate", value.strip())
        length = int(told.get("content-length", "0"))
        if length > HEAD:
            raise ValueError("a long description")
        return int(lines[0].split()[1]), told, await self._reader.readexactly(length)

    async def _frame(self) -> tuple[int, bytes]:
        head = await self._reader.readexactly(3)
        return head[0], await self._reader.readexactly(int.from_bytes(head[1:], "big"))

    async def packets(self) -> AsyncIterator[bytes]:
        """Yield packets of the video."""
        while True:
            if await self._reader.readexactly(1) != b"$":
                await self._reader.readuntil(b"\r\n\r\n")
                continue
            channel, packet = await self._frame()
            if channel == 0:
                yield packet


class _KeyFrame:
    """Puts the next key frame together out of packets."""

    def __init__(self, track: _Track, most: int) -> None:
        self.codec, self._most = track.codec, most
        self._sets = dict.fromkeys(track.sets)
        self._units: list[bytes] = []
        self._part = bytearray()
        self._time, self._number = -1, -1

    def add(self, packet: bytes) -> bytes | None:
        """Take a packet; return a key frame that is whole."""
        is_last, number = packet[1] >> 7, int.from_bytes(packet[2:4], "big")
        time, start = int.from_bytes(packet[4:8], "big"), 12 + 4 * (packet[0] & 15)
        if packet[0] & 16:  # an extension
            start += 4 + 4 * int.from_bytes(packet[start + 2 : start + 4], "big")
        payload = packet[start : len(packet) - (packet[-1] if packet[0] & 32 else 0)]
        whole = self._whole() if time != self._time and self._units and not self._part else None
        if whole is not None:
            return whole
        if time != self._time or number != (self._number + 1) % 2**16:  # another picture, or one is lost
            self._units, self._part = [], bytearray()
        self._time, self._number = time, number
        for unit in self._units_of(payload):
            kind = self._kind(unit)
            if kind in SETS[self.codec] and len(self._sets) < MOST_SETS:
                self._sets[unit] = None
            elif kind in KEYS[self.codec]:
                self._units.append(unit)
        if sum(map(len, self._units)) + len(self._part) > self._most:
            raise UserError(_(outside.LARGE, most=self._most / 2**20))
        return self._whole() if is_last and self._units else None

    def _whole(self) -> bytes:
        return b"".join(START + unit for unit in (*self._sets, *self._units))

    def _kind(self, unit: bytes) -> int:
        return unit[0] & 31 if self.codec == "h264" else unit[0] >> 1 & 63

    def _units_of(self, payload: bytes) -> Iterator[bytes]:
        """Yield the units that a packet ends."""
        lead = LEAD[self.codec]
        if len(payload) <= lead:
            return
        kind = self._kind(payload)
        if kind == TOGETHER[self.codec]:
            at = lead
            while at + 2 < len(payload):
                end = at + 2 + int.from_bytes(payload[at : at + 2], "big")
                if end > at + 2:
                    yield payload[at + 2 : end]
                at = end
        elif kind == PART[self.codec]:
            about = payload[lead]
            if about & 128:  # it begins
                if self.codec == "h264":
                    head = bytes([payload[0] & 0xE0 | about & 31])
                else:
                    head = bytes([payload[0] & 0x81 | (about & 63) << 1, payload[1]])
                self._part = bytearray(head)
            elif not self._part:
                return  # its beginning is lost
            self._part += payload[lead + 1 :]
            if about & 64:
                whole, self._part = bytes(self._part), bytearray()
                yield whole
        else:
            yield payload
