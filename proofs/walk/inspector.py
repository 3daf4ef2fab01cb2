"""What a newcomer does who has never trained anything: an inspection from twenty good pictures, by buttons
alone, until a part with a defect is found and shown where; then some more with it."""

from __future__ import annotations

import io
import time
from pathlib import Path

from proofs.walk.newcomer import DONE
from proofs.walk.page import DRAWING, Page
from proofs.walk.report import Report
from proofs.walk.sandbox import Sandbox
from tests.vision.custom_models.parts import picture

WHO = "inspector"
PART, GOOD, AT_ONCE = "plate", 20, 10  # pictures; of a window
SOON = 180.0  # seconds from an empty project to a verdict
STRANGE, USUAL = "Not like the good ones", "[Ll]ike the good ones"


def walk(page: Page, report: Report, sandbox: Sandbox) -> None:
    """Make an inspection, try it, teach it, and look at what it is worth."""
    walker = _Inspector(page, report, sandbox.data / "parts")
    walker.first_verdict()
    walker.gone_on()
    walker.labelled()


class _Inspector:
    """Somebody who inspects parts. folder: where their pictures lie."""

    def __init__(self, page: Page, report: Report, folder: Path) -> None:
        self._page, self._report, self._folder = page, report, folder
        folder.mkdir(exist_ok=True)

    def _files(self, seeds: range, defect: str | None = None) -> list[Path]:
        """Pictures of parts, each of another one."""
        paths = []
        for seed in seeds:
            path = self._folder / f"{defect or 'good'}-{seed}.png"
            held = io.BytesIO()
            picture(PART, seed, defect)[0].save(held, "PNG")
            path.write_bytes(held.getvalue())
            paths.append(path)
        return paths

    def first_verdict(self) -> None:
        """From nothing to a verdict, in ``SOON`` seconds."""
        page, good, bad = self._page, self._files(range(GOOD)), self._files(range(900, 901), "scratch")
        began = time.monotonic()
        with self._report.step(WHO, "/inspect new plates", "a card that says what is next") as step:
            since = page.run("inspect new", name="plates")
            step.saw(page.wait_text("Only you can see this.*Press Add pictures", since=since))
        for number in range(0, GOOD, AT_ONCE):
            with self._report.step(WHO, f"Add pictures, {AT_ONCE} at once", "how many there are") as step:
                since = page.press("plates", "Add pictures")
                page.send_window(good[number : number + AT_ONCE])
                count = number + AT_ONCE
                step.saw(page.wait_text(f"{AT_ONCE} taken.*{count} good.*Press Train", DRAWING, since=since))
        with self._report.step(WHO, "Train", "version 1 with its report, and what it promises") as step:
            since = page.press(f"{GOOD} good", "Train")
            step.saw(page.wait_text("version 1.*Press Try.*" + DONE, DRAWING, since=since))
            self._has_picture("version 1")
        with self._report.step(WHO, "Try, with a scratched part", "a verdict with its place") as step:
            since = page.press("version 1", "Try")
            page.send_window(bad)
            text = page.wait_text(f"{STRANGE}.*{DONE}", DRAWING, since=since)
            self._has_picture(STRANGE)
            took = time.monotonic() - began
            step.saw(f"{took:.0f} s from the first command; {text}")
            assert took <= SOON, f"{took:.0f} s"

    def gone_on(self) -> None:
        """Try several at once, contradict, look at the report, and be stricter."""
        page = self._page
        with self._report.step(WHO, "Try another, a good part", "that it is like the good ones") as step:
            since = page.press(STRANGE, "Try another")
            page.send_window(self._files(range(950, 951)))
            step.saw(page.wait_text(f"{USUAL}.*{DONE}", DRAWING, since=since))
            self._has_picture("Inspection by")
        with self._report.step(WHO, "Try another, six at once", "a sheet") as step:
            since = page.press("Inspection by", "Try another")
            page.send_window([*self._files(range(960, 963)), *self._files(range(970, 973), "missing")])
            step.saw(page.wait_text(rf"of 6 pictures.*{DONE}", DRAWING, since=since))
            self._has_picture("of 6 pictures")
        with self._report.step(WHO, "Details", "the table of all six") as step:
            since = page.press("of 6 pictures", "Details")
            step.saw(page.wait_text("Only you can see this.*verdicts-", since=since))
        with self._report.step(WHO, "Wrong?, for the first picture", "that it was saved") as step:
            since = page.press("of 6 pictures", "Wrong?")
            page.answer_window("1")
            step.saw(page.wait_text("Only you can see this.*Saved", since=since))
        with self._report.step(WHO, "/inspect report", "the report, with a button a chart") as step:
            since = page.run("inspect report", name="plates")
            step.saw(page.wait_text("Only you can see this.*version 1", since=since))
            self._has_picture("learned from")
        with self._report.step(WHO, "Stricter", "what would change, and that nothing has") as step:
            since = page.press("Training of an inspection", "Stricter")
            step.saw(page.wait_text("Nothing has changed yet", since=since))

    def labelled(self) -> None:
        """Go through a pile."""
        page = self._page
        with self._report.step(WHO, "Add pictures, to be labelled later", "that Label is there") as step:
            since = page.run("inspect show", name="plates")
            page.wait_text("Only you can see this.*plates", since=since)
            since = page.press("plates", "Add pictures")
            page.choose_in_window("Label them later")
            page.send_window(self._files(range(980, 982)))
            step.saw(page.wait_text("2 taken.*2 without a label.*Press Label", DRAWING, since=since))
        with self._report.step(WHO, "Label", "the first picture, with a button a label") as step:
            since = page.press("2 without a label", "Label")
            step.saw(page.wait_text("2 pictures to label", since=since))
            self._has_picture("to label")
        with self._report.step(WHO, "good", "the second picture in the same message") as step:
            page.press("to label", "good")
            step.saw(page.wait_text("1 picture to label", since=since))
        with self._report.step(WHO, "good", "that every picture has a label") as step:
            page.press("to label", "good")
            step.saw(page.wait_text("Every picture has a label", since=since))

    def _has_picture(self, text: str) -> None:
        """Wait until the newest message with ``text`` shows a picture, whole."""
        pictures = self._page.message(text).locator("img.gallery-image")
        whole = "all => all.length > 0 && all.every(one => one.complete && one.naturalWidth > 0)"
        self._page.until(lambda: pictures.evaluate_all(whole), what="a picture")
        pictures.last.scroll_into_view_if_needed()
