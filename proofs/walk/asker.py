"""What somebody does who asks about pictures: on and on, stopped in the middle, taught, with a chart and a
video."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from proofs.walk.newcomer import DONE, finished
from proofs.walk.page import DRAWING, Page
from proofs.walk.report import Report
from proofs.walk.sandbox import Sandbox

WHO = "asker"
BOATS, CAT = "two red boats at sea", "a white cat on the grass"
ASKED = DONE  # an answer's last line names its job, too
SLOW = 0.4  # s between two words of the slow model


def walk(page: Page, report: Report, sandbox: Sandbox) -> None:
    """Ask, go on, teach and try; ask about a chart and a video; stop a slow model."""
    boats, cat = _pictures(page, report)
    _questions(page, report, boats)
    _teaching(page, report, boats, cat)
    _files(page, report, sandbox.data)
    sandbox.interrupt()
    with _slow_model() as address:
        _stopping(page, report, sandbox, address)


def _pictures(page: Page, report: Report) -> list[str]:
    """Draw what is asked about, and return the ids of the jobs."""
    found = []
    for prompt in (BOATS, CAT):
        with report.step(WHO, f"draws {prompt}", "a picture of four") as step:
            since = page.imagine(prompt)
            text = page.wait_text(re.escape(finished(prompt)) + ".*" + DONE, DRAWING, since=since)
            step.saw(text)
            found.append(re.findall(r"job (\w{12})\b", text)[-1])
    return found


def _questions(page: Page, report: Report, boats: str) -> None:
    with report.step(WHO, "/ask about one of them", "the right number") as step:
        since = page.run("ask", question="How many boats are there?", link=f"{boats} 1")
        step.saw(page.wait_text(r"How many boats.*\btwo\b.*" + ASKED, DRAWING, since=since))
    with report.step(WHO, "presses Ask more", "an answer to the question behind it") as step:
        since = page.press("How many boats are there?", "Ask more")
        page.answer_window("What colour are the boats?")
        step.saw(page.wait_text(r"What colour.*\bred\b.*" + ASKED, DRAWING, since=since))
    with report.step(WHO, "asks on about something that isn't there", "that it isn't there") as step:
        since = page.press("What colour are the boats?", "Ask more")
        page.answer_window("Is there a cat?")
        step.saw(page.wait_text(r"Is there a cat.*\bno\b.*" + ASKED, DRAWING, since=since))
    with report.step(WHO, "presses Details", "what the model saw, and tokens") as step:
        since = page.press("Is there a cat?", "Details")
        step.saw(page.wait_text(r"Only you can see this.*[Tt]oken", since=since))
    with report.step(WHO, "asks for boxes", "a picture with boxes, or that there are none") as step:
        since = page.run("ask", question="Locate the boats.", link=f"{boats} 1", answer="boxes")
        step.saw(page.wait_text("Locate the boats.*" + ASKED, DRAWING, since=since))


def _teaching(page: Page, report: Report, boats: str, cat: str) -> None:
    with report.step(WHO, "presses Teach under an answer", "that it was taken up") as step:
        since = page.press("Is there a cat?", "Teach")
        page.answer_window("no, only boats")
        step.saw(page.wait_text("Only you can see this", since=since))
    with report.step(WHO, "/examples new", "a set") as step:
        since = page.run("examples new", name="harbour")
        step.saw(page.wait_text("Only you can see this.*harbour", since=since))
    for label, job in (("ship", boats), ("beast", cat)):
        for number in (1, 2, 3):
            with report.step(WHO, f"/examples add {label}", "how many there are now") as step:
                since = page.run("examples add", name="harbour", label=label, link=f"{job} {number}")
                step.saw(page.wait_text(f"Only you can see this.*{label}", since=since))
    with report.step(WHO, "/examples try on the fourth cat", "beast, with both ways side by side") as step:
        since = page.run("examples try", name="harbour", link=f"{cat} 4")
        step.saw(page.wait_text(r"beast.*\d.*" + ASKED, DRAWING, since=since))


def _files(page: Page, report: Report, folder: Path) -> None:
    chart, clip = folder / "chart.png", folder / "clip.gif"
    draw_chart(chart)
    _draw_clip(clip)
    with report.step(WHO, "/ask with a chart, for a table", "its numbers, and the chart drawn again") as step:
        since = _ask_about(page, "Give the values as a table.", chart, answer="table")
        text = page.wait_text("Give the values.*" + ASKED, DRAWING, since=since)
        step.saw(text)
        assert all(value in text for value in ("20", "45", "30")), text
    with report.step(WHO, "/ask with a GIF", "the strip of frames, and an answer") as step:
        since = _ask_about(page, "Which way does the ball move?", clip)
        step.saw(page.wait_text("Which way.*" + ASKED, DRAWING, since=since))
        page.until(lambda: page.message("Which way").locator("img.gallery-image").count(), 20)


def _ask_about(page: Page, question: str, file: Path, **options: str) -> int:
    """Send ``/ask`` with a file; return what was the newest message before."""
    before = page.newest()
    page.type_command("ask")
    page.fill("question", question)
    for option, value in options.items():
        page.fill(option, value)
    page.attach("image", file)
    page.send()
    return before


def _stopping(page: Page, report: Report, sandbox: Sandbox, address: str) -> None:
    sandbox.environment |= {"VLM_URL": address}
    with report.step(WHO, "sets VLM_URL and starts again", "an address to open") as step:
        page.open(sandbox.start())
        step.saw(page.tab.title())
    with report.step(WHO, "draws a picture there", "a picture") as step:
        since = page.imagine(BOATS)
        text = page.wait_text(re.escape(finished(BOATS)) + ".*" + DONE, DRAWING, since=since)
        step.saw(text)
        job = re.findall(r"job (\w{12})\b", text)[-1]
    with report.step(WHO, "asks a model that talks slowly", "words that grow") as step:
        since = page.run("ask", question="Tell me all about it.", link=f"{job} 1")
        step.saw(page.wait_text("word 3 ", DRAWING, since=since))
    with report.step(WHO, "presses Stop", "what there was, said to be stopped") as step:
        page.press("Tell me all about it.", "Stop")
        step.saw(page.wait_text("[Ss]topped", since=since))
        assert "word 3 " in step.seen or "word 3 " in page.message("Tell me all about it.").inner_text()


def draw_chart(path: Path) -> None:
    """A bar chart with an axis, as spreadsheets draw them."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (640, 480), "white")
    canvas, font = ImageDraw.Draw(image), ImageFont.load_default(20)
    for value in range(0, 51, 10):
        y = 420 - value * 7
        canvas.line([70, y, 610, y], fill=(200, 200, 200), width=2)
        canvas.text((60, y), str(value), font=font, fill="black", anchor="rm")
    bars = (("Mon", 20, "#c03030"), ("Tue", 45, "#3050c0"), ("Wed", 30, "#30a040"))
    for place, (name, value, colour) in enumerate(bars):
        x = 120 + 170 * place
        canvas.rectangle([x, 420 - value * 7, x + 90, 420], fill=colour)
        canvas.text((x + 45, 440), name, font=font, fill="black", anchor="mm")
    image.save(path)


def _draw_clip(path: Path) -> None:
    """A red ball that crosses a blue picture from left to right in two seconds."""
    from PIL import Image, ImageDraw

    frames = []
    for number in range(12):
        frame = Image.new("RGB", (256, 256), (90, 160, 230))
        x = 50 + number * 14
        ImageDraw.Draw(frame).ellipse([x - 40, 88, x + 40, 168], fill=(200, 40, 40))
        frames.append(frame)
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=170, loop=0)


class _Slow(BaseHTTPRequestHandler):
    """A chat server that says a word every ``SLOW`` seconds, for as long as somebody listens."""

    def do_GET(self) -> None:
        self._send({"data": [{"id": "slow"}]})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        try:
            for number in range(200):
                delta = {"choices": [{"index": 0, "delta": {"content": f"word {number} "}}]}
                self.wfile.write(f"data: {json.dumps(delta)}\n\n".encode())
                self.wfile.flush()
                time.sleep(SLOW)
        except OSError:  # nobody listens any more
            return

    def _send(self, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def _slow_model() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
