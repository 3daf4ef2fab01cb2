"""Cameras to look at: servers that speak HTTP and RTSP as real ones do; their pictures are encoded here."""

import asyncio
import io
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from hashlib import md5

import av
from PIL import Image

START = b"\0\0\0\1"
MTU = 1200  # bytes of a packet
USER, PASSWORD = "look", "p@ss"


def still(colour: tuple[int, int, int], side: int = 64) -> Image.Image:
    return Image.new("RGB", (side, side), colour)


def jpeg(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=92)
    return out.getvalue()


def units(codec: str, pictures: list[Image.Image], group: int) -> list[list[bytes]]:
    """What an encoder makes of pictures: the units of each access unit, a key frame every ``group``."""
    context = av.CodecContext.create({"h264": "libx264", "hevc": "libx265"}[codec], "w")
    context.width, context.height, context.pix_fmt = *pictures[0].size, "yuv420p"
    context.framerate, context.time_base = Fraction(25), Fraction(1, 25)
    fixed = f"keyint={group}:min-keyint={group}:scenecut=0:bframes=0"
    context.options = {
        "tune": "zerolatency",
        f"x26{'4' if codec == 'h264' else '5'}-params": f"{fixed}:log-level=0",
    }
    found = []
    for one in (*pictures, None):
        for packet in context.encode(av.VideoFrame.from_image(one) if one else None):
            found.append([unit for unit in re.split(rb"\x00\x00\x00?\x01", bytes(packet)) if unit])
    return found


def payloads(codec: str, unit: bytes) -> Iterator[bytes]:
    """The payloads of packets that carry a unit: https://www.rfc-editor.org/rfc/rfc6184 and rfc7798."""
    if len(unit) <= MTU:
        yield unit
        return
    lead = 1 if codec == "h264" else 2
    kind = unit[0] & 31 if codec == "h264" else unit[0] >> 1 & 63
    head = bytes([unit[0] & 0xE0 | 28]) if codec == "h264" else bytes([unit[0] & 0x81 | 49 << 1, unit[1]])
    parts = [unit[at : at + MTU] for at in range(lead, len(unit), MTU)]
    for number, part in enumerate(parts):
        flags = (128 if number == 0 else 0) | (64 if number == len(parts) - 1 else 0)
        yield head + bytes([flags | kind]) + part


@dataclass
class RtspCamera:
    """Shows pictures again and again. digest: asks for a login. named: what it calls its codec. told: its
    description has the parameter sets, not the stream. lost: every so many packets, one is left out."""

    codec: str
    pictures: list[Image.Image]
    group: int = 5
    digest: bool = False
    named: str = ""
    told: bool = False
    lost: int = 0
    silent: bool = False
    asked: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        self._found = units(self.codec, self.pictures, self.group)
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            yield f"rtsp://{USER}:p%40ss@127.0.0.1:{port}/main?x=1"
        finally:
            server.close()

    def _sets(self) -> list[bytes]:
        wanted = (7, 8) if self.codec == "h264" else (32, 33, 34)
        kind = (lambda u: u[0] & 31) if self.codec == "h264" else (lambda u: u[0] >> 1 & 63)
        return [unit for unit in self._found[0] if kind(unit) in wanted]

    def _description(self) -> str:
        name = self.named or {"h264": "H264", "hevc": "H265"}[self.codec]
        sets = [b64encode(one).decode() for one in self._sets()] if self.told else []
        if self.codec == "h264":
            sprop = f";sprop-parameter-sets={','.join(sets)}" if sets else ""
        else:
            sprop = "".join(f";sprop-{n}={s}" for n, s in zip(("vps", "sps", "pps"), sets, strict=False))
        return "\r\n".join(
            ("v=0", "s=a camera", "t=0 0", "m=audio 0 RTP/AVP 8", "a=control:track2", "m=video 0 RTP/AVP 96")
            + (f"a=rtpmap:96 {name}/90000", f"a=fmtp:96 packetization-mode=1{sprop}", "a=control:track1", "")
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                text = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.asked.append(text.split()[0])
                number = re.search(r"CSeq: (\d+)", text)[1]
                method, target = text.split()[:2]
                if self.silent and method == "PLAY":
                    await asyncio.sleep(60)
                if self.digest and not self._is_known(text, method, target):
                    asks = ('Basic realm="cam"', 'Digest realm="cam", nonce="n1"')
                    more = "\r\n".join(f"WWW-Authenticate: {one}" for one in asks)
                    writer.write(f"RTSP/1.0 401 Unauthorized\r\nCSeq: {number}\r\n{more}\r\n\r\n".encode())
                    continue
                body, more = "", "Session: 77;timeout=60\r\n"
                if method == "DESCRIBE":
                    body = self._description()
                    more = f"Content-Base: {target}/\r\nContent-Length: {len(body)}\r\n"
                writer.write(f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\n{more}\r\n{body}".encode())
                if method == "PLAY":
                    await self._play(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _is_known(self, text: str, method: str, target: str) -> bool:
        def hashed(words: str) -> str:
            return md5(words.encode(), usedforsecurity=False).hexdigest()

        proof = hashed(f"{hashed(f'{USER}:cam:{PASSWORD}')}:n1:{hashed(f'{method}:{target}')}")
        return f'response="{proof}"' in text

    async def _play(self, writer: asyncio.StreamWriter) -> None:
        """From the middle of a group on, as a camera that runs already."""
        number, left = 65_500, 0
        order = [*range(2, len(self._found)), *range(len(self._found))]
        for round_, place in enumerate(order * 20):
            group = [u for u in self._found[place] if not (self.told and u in self._sets())]
            parts = [part for unit in group for part in payloads(self.codec, unit)]
            for at, part in enumerate(parts):
                number, left = (number + 1) % 2**16, left + 1
                if self.lost and left % self.lost == 0:
                    continue
                last = 128 if at == len(parts) - 1 else 0
                packet = bytes([0x80, last | 96]) + number.to_bytes(2, "big")
                packet += (round_ * 3600).to_bytes(4, "big") + b"\0\0\0\1" + part
                writer.write(b"$\0" + len(packet).to_bytes(2, "big") + packet)
                writer.write(b"$\1\0\4rtcp")  # what belongs to the other channel
            await writer.drain()
            await asyncio.sleep(0.002)


@asynccontextmanager
async def http_camera(picture: bytes, now: list[bytes] | None = None) -> AsyncIterator[str]:
    """A camera with the addresses /still, /digest, /mjpeg, /plain (parts without a length), /huge and
    /cut. now: what /still shows from then on, the last one."""
    from aiohttp import web  # tests of the studio alone are read where there is none

    async def still_(request: web.Request) -> web.Response:
        return web.Response(body=now[-1] if now else picture, content_type="image/jpeg")

    async def digest(request: web.Request) -> web.Response:
        if 'username="look"' not in request.headers.get("Authorization", ""):
            asks = {"WWW-Authenticate": 'Digest realm="cam", nonce="n1", qop="auth", opaque="o"'}
            return web.Response(status=401, headers=asks)
        return web.Response(body=picture, content_type="image/jpeg")

    async def parts(request: web.Request) -> web.StreamResponse:
        named = "multipart/x-mixed-replace; boundary=" + ("--edge" if "plain" in request.path else '"edge"')
        answer = web.StreamResponse(headers={"Content-Type": named})
        await answer.prepare(request)
        length = b"" if "plain" in request.path else b"Content-Length: %d\r\n" % len(picture)
        for _ in range(3):
            head = b"\r\n--edge\r\nContent-Type: image/jpeg\r\n" + length + b"\r\n"
            whole = head + (picture[:100] if "cut" in request.path else picture)
            for at in range(0, len(whole), 700):
                await answer.write(whole[at : at + 700])
            if "cut" in request.path:
                break
        return answer

    async def huge(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(1000):
            await answer.write(bytes(2**20))
        return answer

    app = web.Application()
    for path, act in {
        "still": still_,
        "digest": digest,
        "mjpeg": parts,
        "plain": parts,
        "cut": parts,
    }.items():
        app.router.add_get(f"/{path}", act)
    app.router.add_get("/huge", huge)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
