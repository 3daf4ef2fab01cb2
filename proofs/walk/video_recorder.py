"""What somebody does who makes videos: from words, from a picture, longer, changed, joined, cut, and from a
video of their own. Beside each screenshot lies a strip of the video's frames."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import Any

from PIL import Image

from proofs.walk.newcomer import DONE, finished
from proofs.walk.page import DRAWING, Page
from proofs.walk.report import Report, Step
from proofs.walk.sandbox import Sandbox
from tests.support.videos import moving, video
from vision.video.reader import VideoReader

WHO = "video_recorder"
BOAT, MOON = "a red boat sails to the left at sea", "a yellow moon at night"
RUNNING_VIDEOS = 2 * DRAWING  # seconds for a video, on a machine that does other things as well
STRIP = 8  # frames


def walk(page: Page, report: Report, sandbox: Sandbox) -> None:
    """Make videos, go on from them in every way there is, and send one."""
    walker = _VideoRecorder(page, report, sandbox.data)
    words = walker.words()
    animated = walker.animated()
    walker.gone_on(animated, words)
    walker.taken_from()
    walker.sent()


class _VideoRecorder:
    """Somebody who makes videos. data: the sandbox's folder, where the videos that were made lie."""

    def __init__(self, page: Page, report: Report, data: Path) -> None:
        self._page, self._report, self._data = page, report, data

    def words(self) -> str:
        """Make a video of words, and return the id of its job."""
        page = self._page
        job = ""
        with self._report.step(WHO, f"/video {BOAT}", "a video, with what can be done") as step:
            since = page.run("video", prompt=BOAT)
            job = self._video(step, rf"{BOAT}.* - Video by.*" + DONE, since, videos=1)
            self._buttons(BOAT, {"Extend (High)", "Loop", "Remix", "Blend…", "Cut", "GIF"})
        with self._report.step(WHO, "presses Play", "the video runs") as step:
            player = page.message(BOAT).locator("video")
            page.until(lambda: player.evaluate("e => e.readyState") >= 2, DRAWING, "the video's first frame")
            page.message(BOAT).get_by_role("button", name="Play").click()
            page.until(lambda: player.evaluate("e => e.currentTime") > 0.5, what="the video's motion")
            step.saw(f"{player.evaluate('e => e.currentTime'):.1f} s in")
        with self._report.step(WHO, "presses Three more", "three videos as one, with U1 to U3") as step:
            since = page.press(BOAT, "Three more")
            self._video(step, rf"{BOAT}.* - Video by.*" + DONE, since, videos=3)
            self._buttons(BOAT, {"U1", "U3", "🔄"})
        with self._report.step(WHO, "presses U2", "the second video alone, with what can be done") as step:
            since = page.press(BOAT, "U2")
            step.saw(page.wait_text("Video #2", RUNNING_VIDEOS, since=since))
            self._buttons("Video #2", {"Extend (High)", "Loop", "Remix", "Blend…", "Cut", "GIF"})
        return job

    def animated(self) -> str:
        """Draw a picture and animate it; return the id of the video's job."""
        page = self._page
        with self._report.step(WHO, f"draws {MOON}", "a picture of four") as step:
            since = page.imagine(MOON)
            step.saw(page.wait_text(re.escape(finished(MOON)) + ".*" + DONE, RUNNING_VIDEOS, since=since))
        with self._report.step(WHO, "presses U1", "the picture with Animate below it") as step:
            since = page.press(finished(MOON), "U1")
            step.saw(page.wait_text("Image #1", since=since))
            self._buttons("Image #1", {"Animate"})
        with self._report.step(WHO, "presses Animate", "videos that begin with the picture") as step:
            since = page.press("Image #1", "Animate")
            return self._video(step, rf"{MOON}.*Video by.*" + DONE, since)
        return ""

    def gone_on(self, animated: str, words: str) -> None:
        """Press what makes another video of one."""
        page = self._page
        for button, title in (
            ("Extend (High)", "Extended by"),
            ("Extend back", "Extended back by"),
            ("Loop", "Loop by"),
        ):
            with self._report.step(WHO, f"presses {button}", f"a video called {title}") as step:
                since = page.press(f"job {animated}", button)
                self._video(step, f"{title}.*{DONE}", since)
        with self._report.step(WHO, "presses Remix, and types other words", "the video drawn anew") as step:
            since = page.press(f"job {animated}", "Remix")
            page.answer_window("a white moon at night")
            self._video(step, f"Remix.*{DONE}", since)
        with self._report.step(WHO, "presses Blend…, and names the boat", "one video of both") as step:
            since = page.press(f"job {animated}", "Blend…")
            page.answer_window(f"{words} 1")
            self._video(step, f"Blend of 2.*{DONE}", since)

    def taken_from(self) -> None:
        """Cut the blend, take its last frame and draw it larger, and have a GIF of it."""
        page = self._page
        with self._report.step(WHO, "presses Cut", "from 0.5 s to the end") as step:
            since = page.press("Blend of 2", "Cut")
            page.answer_window("0.5")
            self._video(step, f"Cut by.*{DONE}", since)
        with self._report.step(WHO, "presses Last frame", "a picture with a picture's buttons") as step:
            since = page.press("Cut by", "Last frame")
            step.saw(page.wait_text(f"Last frame.*{DONE}", RUNNING_VIDEOS, since=since))
            self._buttons("Last frame", {"2x"})
        with self._report.step(WHO, "presses 2x under it", "a larger picture") as step:
            since = page.press("Last frame", "2x")
            step.saw(page.wait_text(f"Upscale 2×.*{DONE}", RUNNING_VIDEOS, since=since))
        with self._report.step(WHO, "presses GIF", "the video as a GIF") as step:
            since = page.press("Cut by", "GIF")
            step.saw(page.wait_text("GIF of video", RUNNING_VIDEOS, since=since))

    def sent(self) -> None:
        """Send a video, and have it go on; ask for what can't be."""
        page, file = self._page, self._data / "ball.mp4"
        file.write_bytes(video(moving(24, (320, 240)), fps=12))
        with self._report.step(WHO, "/video with a video of their own", "the video, longer") as step:
            before = page.newest()
            page.type_command("video")
            page.attach("clip", file)
            page.fill("number", "1")
            page.tab.keyboard.press("Tab")
            page.send()
            self._video(step, f"Extended by.*{DONE}", before, videos=1)
        with self._report.step(WHO, "/video do:cut without a video", "a private word that names it") as step:
            since = page.run("video", prompt=BOAT, do="cut")
            step.saw(page.wait_text("Only you can see this.*no video to cut", since=since))

    def _video(self, step: Step, pattern: str, since: int, videos: int | None = None) -> str:
        """Wait for a video; note what its message says, keep a strip of each, and return its job's id."""
        text = self._page.wait_text(pattern, RUNNING_VIDEOS, since=since)
        job = re.findall(r"job (\w{12})\b", text)[-1]
        found = self._files(job)
        step.saw(f"{len(found)} videos; {text}")
        assert found and videos in (None, len(found)), found
        strips = [_strip(path) for path in found]
        sheet = Image.new("RGB", (strips[0].width, sum(strip.height for strip in strips)))
        for number, strip in enumerate(strips):
            sheet.paste(strip, (0, number * strip.height))
        sheet.save(self._report.shots / f"{step.number:02}-strip.png")
        message = self._page.message(job)
        self._page.until(lambda: message.locator("video").count(), what="a player")
        return job

    def _files(self, job: str) -> list[Path]:
        """The files of a job's videos, in order."""
        database = self._data / "atelier.db"
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as rows:
            found = rows.execute("SELECT sha256 FROM films WHERE job_id = ? ORDER BY position", [job])
            return [next(self._data.rglob(f"{sha}.mp4")) for (sha,) in found]

    def _buttons(self, text: str, names: set[str]) -> None:
        """Hold the newest message with ``text`` to having these buttons."""
        shown = [button.inner_text() for button in self._page.message(text).get_by_role("button").all()]
        missing = {name for name in names if not any(one.endswith(name) for one in shown)}
        assert not missing, f"{missing} not among {shown}"


def _strip(path: Path) -> Image.Image:
    """A video's frames, evenly spread, side by side."""
    with path.open("rb") as file, VideoReader(file) as reader:
        frames: list[Any] = [frame for chunk in reader.chunks() for frame in chunk]
    chosen = [frames[round(k * (len(frames) - 1) / (STRIP - 1))] for k in range(STRIP)]
    height = 160
    width = round(height * chosen[0].shape[1] / chosen[0].shape[0])
    strip = Image.new("RGB", (STRIP * width, height))
    for number, frame in enumerate(chosen):
        strip.paste(Image.fromarray(frame).resize((width, height)), (number * width, 0))
    return strip
