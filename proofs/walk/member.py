"""What a member does with pictures, with their own jobs and settings; and what a guest may and may not."""

from __future__ import annotations

import re

from proofs.walk.newcomer import DONE, finished
from proofs.walk.page import DRAWING, Page
from proofs.walk.report import Report

PICTURE = "Image #1 @you"  # the title of a picture that was posted on its own
GRID = finished("a red house in the snow")


def walk(page: Page, report: Report) -> None:
    """Do what members and a guest do on an ordinary day."""
    _buttons(page, report)
    _words(page, report)
    _queue(page, report)
    _own(page, report)
    _guest(page, report)


def _buttons(page: Page, report: Report) -> None:
    for button, title in (
        ("Subtle", r"Variations \(Subtle\) by"),
        ("2x", r"Upscale 2× \(Subtle\) by"),
    ):
        with report.step("member", f"presses {button}", "the result, and what was done in its title") as step:
            since = page.press(PICTURE, button)
            step.saw(page.wait_text(title + ".*" + DONE, DRAWING, since=since))
    for entry, title in (("Zoom Out 2x", "Zoom out 2× by"), ("Pan right", "Pan right by")):
        with report.step("member", f"chooses {entry}", "the result, and what was done in its title") as step:
            since = page.choose(PICTURE, "Zoom and pan", entry)
            step.saw(page.wait_text(title + ".*" + DONE, DRAWING, since=since))
    for button, answer in (
        ("❤️", "favourites"),
        ("Region", "Choose the fields of picture 1"),
    ):
        with report.step("member", f"presses {button}", "an answer that says what it is") as step:
            since = page.press(PICTURE, button)
            step.saw(page.wait_text(answer, DRAWING, since=since))


def _words(page: Page, report: Report) -> None:
    who = "member"
    with report.step(who, "/region by words", "where it was found in words, or why it was refused") as step:
        since = page.run("region", prompt="a blue boat --draft", what="the red house")
        text = page.wait_text("seems to be, in the|may mean|Nothing in the picture", DRAWING, since=since)
        step.saw(text[max(0, text.find("Redrawn")) :])
    with report.step(who, "/edit by words", "the picture with what was asked changed") as step:
        since = page.run("edit", prompt="make the house blue")
        edited = page.wait_text("make the house blue.* Edit by words by .*" + DONE, DRAWING, since=since)
        step.saw(edited)
    link = re.findall(r"job (\w{12})", edited)[-1] + " 1"
    for command, answer in (("describe", "Describe by .*1️⃣.*" + DONE), ("classify", r"Classify by .*\d\.\d%")):
        with report.step(who, f"/{command} of one of them", "an answer that says what it is") as step:
            since = page.run(command, link=link)
            step.saw(page.wait_text(answer, DRAWING, since=since))
    with report.step(who, "/shorten a sentence", "shorter prompts that are English") as step:
        since = page.run("shorten", prompt="a fox standing in the white snow at night")
        text = page.wait_text("Shorten by .*1️⃣", DRAWING, since=since)
        step.saw(text[text.find("1️⃣") :])
        assert "standing the" not in text


def _queue(page: Page, report: Report) -> None:
    who = "member"
    with report.step(who, "asks for six pictures at once", "those behind say their place") as step:
        since = page.imagine("a {red, blue, green, pink, white, black} ball at sea --quality 2")
        page.wait_text("makes 6 jobs", since=since)
        page.press("This prompt makes 6 jobs", "Yes, 6 jobs")
        step.saw(page.wait_text(r"Waiting to start, [2-9]", since=since))
    with report.step(who, "/queue mine", "each job with its prompt") as step:
        since = page.run("queue mine")
        text = page.wait_text("Your jobs|ball at sea", since=since)
        step.saw(page.last())
        assert "ball at sea" in text
    with report.step(who, "cancels the last one", "its message says so") as step:
        page.press("Waiting to start", "Cancel")
        step.saw(page.wait_text(r"ball at sea.*\(Cancelled\)"))
    with report.step(who, "waits", "no message is left with an old place") as step:
        page.until(lambda: not any("Waiting to start" in text for text in page.texts()), 2 * DRAWING)
        page.until(lambda: not any("%) (fast)" in text for text in page.texts()), DRAWING, "their ends")
        step.saw(f"{sum('ball at sea - @you (fast)' in text for text in page.texts())} results")


def _own(page: Page, report: Report) -> None:
    who = "member"
    for does, command, options, answer in (
        (
            "/prefer option set",
            "prefer option set",
            {"option": "mine", "value": "--draft --ar 1:2"},
            "stands for",
        ),
        ("/info", "info", {}, "This month .* pictures?"),
        ("/favourites", "favourites", {}, "a red house in the snow"),
        ("/privacy show", "privacy show", {}, "Stored .* pictures"),
        ("/settings", "settings", {}, "Stylize|RAW"),
        ("/stealth", "stealth", {}, "Only you see your new jobs"),
    ):
        with report.step(who, does, "a private answer") as step:
            since = page.run(command, **options)
            step.saw(page.wait_text(f"Only you can see this.*({answer})", since=since))
    with report.step(who, "uses the own option in stealth", "a picture that only they see") as step:
        since = page.imagine("a purple star --mine")
        step.saw(
            page.wait_text("Only you can see this.*a purple star.*stealth.*" + DONE, DRAWING, since=since)
        )
    with report.step(who, "/public", "a private answer") as step:
        since = page.run("public")
        step.saw(page.wait_text("Only you can see this", since=since))


def _guest(page: Page, report: Report) -> None:
    who = "guest"
    with report.step(who, "opens the channel", "public pictures, nothing private") as step:
        page.view_as("guest")
        page.wait_text(GRID.replace("(", r"\(").replace(")", r"\)"))
        step.saw(f"{len(page.texts())} messages")
        assert not any("a purple star" in text or "Only you can see" in text for text in page.texts())
    with report.step(who, "presses V1 under a member's picture", "variations of their own") as step:
        since = page.press(GRID, "V1")
        step.saw(page.wait_text(r"Variations.*@guest.*" + DONE, DRAWING, since=since))
    with report.step(who, "presses Delete under it", "a refusal in a sentence") as step:
        since = page.choose(PICTURE, "More", "Delete")
        step.saw(page.wait_text("Only you can see this", since=since))
        assert page.message(PICTURE).count()
    for command in ("queue pause", "studio rules", "moderation show"):
        with report.step(who, f"/{command}", "a refusal in a sentence") as step:
            since = page.run(command)
            step.saw(page.wait_text("Only you can see this.*[Mm]anage", since=since))
