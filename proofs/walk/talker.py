"""What somebody does who talks to the studio: a picture, changes, back, a video and a question, each by a
sentence; then the buttons of a turn."""

from __future__ import annotations

import re

from proofs.walk.newcomer import DONE
from proofs.walk.page import DRAWING, Page
from proofs.walk.report import Report
from proofs.walk.sandbox import Sandbox

WHO = "talker"
SENTENCES = (  # what is said, what is understood, and what is seen
    ("A red house in the snow", "a new picture", "four pictures"),
    ("make it blue", r"changing 1 \(A red house in the snow\)", "one picture"),
    ("now at night, and add a boat", r"changing 2 \(make it blue\)", "one picture"),
    ("go back to the first one", r"back to 1 \(A red house in the snow\)", "the four pictures"),
    ("make it move", r"a video of 1 \(A red house in the snow\)", "a video"),
    ("what is left of the house?", "a question about", "an answer"),
)


def walk(page: Page, report: Report, sandbox: Sandbox) -> None:
    """Talk, and press what stands under the turns."""
    for words, understood, seen in SENTENCES:
        with report.step(WHO, f"says “{words}”", seen) as step:
            since = page.run("talk", words=words)
            pattern = f"(?=.*Understood: .*{understood})(?=.*{DONE})"
            step.saw(page.wait_text(pattern, 2 * DRAWING, since=since))
            page.tab.wait_for_timeout(1500)  # for the picture
    with report.step(WHO, "presses Changes", "the list behind the picture") as step:
        since = page.press("changing 2", "Changes")
        text = page.wait_text("Only you can see this.*Changes", since=since)
        step.saw(text)
        assert re.search("red house.*make it blue.*at night", text, re.S), text
    with report.step(WHO, "presses Undo", "the picture before, at once") as step:
        since = page.press("changing 2", "Undo")
        step.saw(page.wait_text("undo: back to 2", since=since))
