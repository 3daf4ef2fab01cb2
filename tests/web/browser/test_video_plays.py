"""A video as it is written here, in Chromium's ``<video>``: seen before it is all there, then played to its
end."""

import asyncio
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import numpy as np
import pytest
import pytest_asyncio
from aiohttp import web

from studio.media import provenance
from tests.vision.video.test_writer import tone
from tests.web.browser.conftest import served
from vision.video.codecs import encoder_of
from vision.video.writer import VideoWriter

pytestmark = pytest.mark.asyncio(loop_scope="session")
PAGE = (
    '<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>video</title><video muted></video>'
)
SEEN = """() => {
  const video = document.querySelector("video"), canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const pen = canvas.getContext("2d");
  pen.drawImage(video, 0, 0);
  return [video.videoWidth, video.videoHeight, video.currentTime, ...pen.getImageData(40, 40, 1, 1).data];
}"""


def made(colours: list[tuple[int, int, int]], encoder: str) -> bytes:
    """A video of 320 × 180 px with sound, half a second in each colour, marked."""
    rng, file = np.random.default_rng(0), io.BytesIO()
    video = VideoWriter(file, (320, 180), 24, encoder_of(encoder), sound=tone(len(colours) / 2))
    for colour in colours:
        grain = rng.integers(0, 40, (12, 180, 320, 3))
        grain[:, 30:50, 30:50] = 0
        video.write((np.array(colour) + grain).clip(0, 255).astype(np.uint8))
    video.finish()
    return provenance.outgoing(file.getvalue(), "video/mp4", source=provenance.MADE, parameters=False)


@dataclass
class Slow:
    """Sends ``first`` bytes of a video at once, and the rest when it may."""

    video: bytes = b""
    first: int = 0
    rest: asyncio.Event = field(default_factory=asyncio.Event)
    sent: int = 0
    url: str = ""

    async def send(self, request: web.Request) -> web.StreamResponse:
        head = {"Content-Type": "video/mp4", "Content-Length": str(len(self.video))}
        response = web.StreamResponse(headers=head)
        await response.prepare(request)
        await response.write(self.video[: self.first])
        self.sent = self.first
        await self.rest.wait()
        await response.write(self.video[self.first :])
        self.sent = len(self.video)
        return response


@pytest_asyncio.fixture(loop_scope="session")
async def slow() -> AsyncIterator[Slow]:
    source = Slow()

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async with served(web.get("/", page), web.get("/video.mp4", source.send)) as source.url:
        yield source
        source.rest.set()


@pytest.mark.parametrize("encoder", ["auto", "openh264"])
async def test_its_first_frame_is_seen_before_the_rest_is_there_and_it_plays_to_its_end(
    slow: Slow, page, encoder: str
) -> None:
    colours = [(200, 30, 30), (30, 160, 60), (30, 60, 200), (200, 190, 40)]
    slow.video = made(colours, encoder)
    slow.first = len(slow.video) // 2
    await page.goto(slow.url)
    await page.evaluate("() => { document.querySelector('video').src = '/video.mp4'; }")
    await page.wait_for_function("() => document.querySelector('video').readyState >= 2")
    assert slow.sent == slow.first < len(slow.video)
    width, height, at, *colour = await page.evaluate(SEEN)
    assert (width, height, at) == (320, 180, 0)
    assert all(abs(a - b) < 12 for a, b in zip(colour[:3], colours[0], strict=True)), colour
    slow.rest.set()
    await page.evaluate("() => document.querySelector('video').play()")
    await page.wait_for_function("() => document.querySelector('video').ended")
    *_, at, red, green, blue, _ = await page.evaluate(SEEN)
    assert at == pytest.approx(2, abs=0.1)
    assert all(abs(a - b) < 12 for a, b in zip((red, green, blue), colours[-1], strict=True))
    assert await page.evaluate("() => document.querySelector('video').error") is None
