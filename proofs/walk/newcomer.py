"""The first quarter of an hour: the page, the first picture, and what surprises."""

from __future__ import annotations

from proofs.walk.page import DRAWING, Page
from proofs.walk.report import Report

DONE = r"job \w{12}\b"  # under every result


def walk(page: Page, report: Report) -> None:
    """Do what somebody does who has just started Atelier."""
    _arrive(page, report)
    _first_picture(page, report)
    _words(page, report)


def _arrive(page: Page, report: Report) -> None:
    who = "newcomer"
    with report.step(who, "opens the page", "it says that it is Atelier") as step:
        step.saw(page.tab.title())
        assert page.tab.title() == "Atelier" and "SimCord" not in page.tab.inner_text("#toolbar")
    with report.step(who, "looks at the empty channel", "a welcome with prompts to try") as step:
        step.saw(page.wait_text("Welcome to Atelier"))
        assert "/imagine a red house in the snow" in page.last()
    with report.step(who, "types /", "the commands") as step:
        page.tab.locator("#channel-composer-input").click()
        page.tab.keyboard.type("/")
        entries = page.tab.locator(".command-entry")
        entries.first.wait_for()
        step.saw(f"{entries.count()} commands")
        assert entries.count() >= 20
        page.tab.keyboard.press("Backspace")
    with report.step(who, "chooses /imagine", "a field for the prompt") as step:
        page.type_command("imagine")
        step.saw(page.tab.inner_text(".command-context"))
        assert "prompt" in page.tab.inner_text(".command-context")
    with report.step(who, "types the README's prompt", "nothing is offered, so that Enter sends it") as step:
        page.tab.keyboard.type("a red house in the snow", delay=8)
        page.tab.wait_for_timeout(1200)
        offered = page.tab.locator(".command-suggestion")
        step.saw(f"{offered.count()} suggestions")
        assert not offered.count()


def _first_picture(page: Page, report: Report) -> None:
    who, prompt = "newcomer", "a red house in the snow"
    with report.step(who, "presses Enter", "a message within a second or two") as step:
        page.tab.keyboard.press("Enter")
        step.saw(page.wait_text(prompt + r" - @you \(", 30))
    with report.step(who, "waits", "the percentage grows") as step:
        step.saw(page.wait_text(r"\(\d+%\) \(fast\)|" + DONE, DRAWING))
    with report.step(who, "waits on", "a picture of four, with its buttons") as step:
        step.saw(page.wait_text(prompt + r" - @you \(fast\).*" + DONE, DRAWING))
        message = page.message(finished(prompt))
        page.until(lambda: message.locator("img.gallery-image").first.evaluate("e => e.naturalWidth") >= 512)
        names = [button.inner_text() for button in message.get_by_role("button").all()]
        assert {"U1", "U4", "V1", "V4", "🔄"} <= set(names), names
    with report.step(who, "looks where the buttons are", "below the picture, as on Discord") as step:
        message = page.message(finished(prompt))
        picture = message.locator("img.gallery-image").last.bounding_box()
        button = message.get_by_role("button", name="U1").bounding_box()
        step.saw(f"picture ends at {picture['y'] + picture['height']:.0f}, buttons at {button['y']:.0f}")
        assert button["y"] >= picture["y"] + picture["height"]
    with report.step(who, "looks for broken pictures", "none") as step:
        step.saw(f"{page.tab.locator('.media-unavailable').count()} of them")
        assert not page.tab.locator(".media-unavailable").count()
    with report.step(who, "reads on", "a private word about what the demo models know") as step:
        step.saw(page.wait_text("Only you can see this.*demo models"))
    with report.step(who, "presses U1", "the first picture alone") as step:
        since = page.press(finished(prompt), "U1")
        step.saw(page.wait_text("Image #1 @you", since=since))
    with report.step(who, "presses V2", "four variations, with the same prompt in the title") as step:
        since = page.press(finished(prompt), "V2")
        step.saw(page.wait_text(prompt + r" - Variations.*" + DONE, DRAWING, since=since))
    with report.step(who, "presses 🔄", "four other houses") as step:
        since = page.press(finished(prompt), "🔄")
        step.saw(page.wait_text(prompt + " - @you.*" + DONE, DRAWING, since=since))


def finished(prompt: str) -> str:
    """The text that a finished message of ``prompt`` holds."""
    return f"{prompt} - @you (fast)"


def _words(page: Page, report: Report) -> None:
    who = "newcomer"
    with report.step(who, "asks for a dog", "a word that the model doesn't know dogs") as step:
        since = page.imagine("a dog --draft")
        text = page.wait_text("dog.*" + DONE, DRAWING, since=since)
        step.saw(text.partition(" · job ")[2])
        assert "know" in text
    with report.step(who, "mistypes a flag", "a private answer that names the right one") as step:
        since = page.imagine("a boat --stylise 200")
        step.saw(page.wait_text("Did you mean --stylize", since=since))
        assert "a boat --stylise 200" in page.last()
    with report.step(who, "types a phone's dash", "it is read as the flag") as step:
        since = page.imagine("a blue fish—tile --draft")
        step.saw(page.wait_text("a blue fish.*--tile.*" + DONE, DRAWING, since=since))
    with report.step(who, "asks for 3:2", "a picture of exactly that shape") as step:
        since = page.imagine("a yellow moon --ar 3:2 --draft")
        page.wait_text("a yellow moon --ar 3:2.*" + DONE, DRAWING, since=since)
        picture = page.message("a yellow moon --ar 3:2").locator("img.gallery-image").first
        page.until(lambda: picture.evaluate("e => e.naturalWidth") > 0)
        width, height = picture.evaluate("e => [e.naturalWidth, e.naturalHeight]")
        step.saw(f"{width}×{height}")
        assert width * 2 == height * 3
    with report.step(who, "ends a prompt in a flag's name and presses Enter", "it is sent") as step:
        since = page.imagine("a green tree --draft")
        step.saw(page.wait_text("a green tree --draft.*" + DONE, DRAWING, since=since))
    with report.step(who, "asks for what it never learned and presses Enter", "it is sent, and told") as step:
        since = page.imagine("a dragon in the snow --draft")
        step.saw(page.wait_text("never learned: dragon", DRAWING, since=since))
    with report.step(who, "uses a set in braces", "a question first, then two jobs") as step:
        since = page.imagine("a {red, blue} heart --draft")
        step.saw(page.wait_text("makes 2 jobs", since=since))
        page.press("This prompt makes 2 jobs", "Yes, 2 jobs")
        for colour in ("red", "blue"):
            page.wait_text(f"a {colour} heart.*" + DONE, DRAWING, since=since)
    with report.step(who, "opens /help flags", "every flag in a line") as step:
        since = page.run("help", topic="flags")
        step.saw(page.wait_text("Flags go at the end", since=since))
