"""The pictures and animations of README.md and docs/: ``make pictures`` starts the sandbox with the demo
models, does in a real browser what the pages tell, and writes ``docs/pictures``; ``ARGS="ask editor"``
redraws some. Look at what comes: the demo models draw other pictures each time. Needs a Chromium."""

from __future__ import annotations

import argparse
import io
import json
import re
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont, ImageOps

from core.settings import ROOT
from proofs.vision.lora_training import looks
from proofs.walk.asker import draw_chart
from proofs.walk.newcomer import DONE, finished
from proofs.walk.page import DRAWING, MESSAGES, Page
from proofs.walk.sandbox import Sandbox
from tests.vision.custom_models import parts, trays
from tests.web.browser.desk import script
from vision.video.reader import VideoReader

FOLDER = ROOT / "docs" / "pictures"
PLATES = ROOT / "docs" / "tutorials" / "plates"  # files that a tutorial uses
STILL, MOVING = 60_000, 1_500_000  # bytes, at most
WIDE, CHANNEL = {"width": 1100, "height": 720}, {"width": 1000, "height": 860}
LIST, HEAD = 256, 52  # px of the simulated Discord that no picture shows: its list of messages, its toolbar
PAPER, INK = "#faf9f7", "#1c1b19"
PATIENCE = 900_000  # ms for a training on a machine that does other things as well
TICK = 300  # ms between two frames while something is drawn
HOUSE = "a red house in the snow"
BOAT, BOATS = "a red boat at sea", "two red boats at sea"
MEADOW = "a pink flower beside a green tree on the grass"
SAID = ("make it blue", "add a yellow star", "what is beside the house?")
TURNS = (
    "n => document.querySelectorAll('.turn').length === n && !document.querySelector('.turn[aria-busy=true]')"
)
FOUND = script("return editor.mask.bounds !== null && !editor.picking.now;")
GOOD = 20  # pictures of good parts
TRAYS = 30  # pictures with boxes
STYLED = 12  # pictures of a style
LOOK = "woodcut"


def keep(name: str, picture: Image.Image, width: int = 900) -> None:
    """Write a still as WebP, as good as its size allows."""
    picture = picture.convert("RGB")
    if picture.width > width:
        picture = picture.resize(
            (width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS
        )
    for quality in range(90, 30, -6):
        held = io.BytesIO()
        picture.save(held, "WEBP", quality=quality, method=6)
        if held.tell() <= STILL:
            break
    (FOLDER / f"{name}.webp").write_bytes(held.getvalue())
    print(f"{name}.webp {picture.width}×{picture.height} {held.tell() / 1000:.0f} kB", flush=True)


def keep_moving(name: str, frames: list[Image.Image], times: int | list[int], quality: int = 62) -> None:
    """Write an animation as WebP. times: how long its frames are shown, ms."""
    path = FOLDER / f"{name}.webp"
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=times, loop=0, quality=quality, method=4
    )
    size = path.stat().st_size
    print(f"{name}.webp {len(frames)} frames {times} ms, {size / 1000:.0f} kB", flush=True)
    assert size <= MOVING, name


def beside(pictures: list[tuple[str, Image.Image]], side: int = 300, columns: int = 4) -> Image.Image:
    """Return pictures in rows, each with its words below it."""
    gap, foot, font = 12, 34, ImageFont.load_default(17)
    rows = -(-len(pictures) // columns)
    columns = min(columns, len(pictures))
    sheet = Image.new("RGB", (columns * (side + gap) + gap, rows * (side + foot + gap) + gap), PAPER)
    pen = ImageDraw.Draw(sheet)
    for at, (words, picture) in enumerate(pictures):
        x, y = gap + at % columns * (side + gap), gap + at // columns * (side + foot + gap)
        fit = ImageOps.contain(picture.convert("RGB"), (side, side), Image.Resampling.LANCZOS)
        sheet.paste(fit, (x + (side - fit.width) // 2, y + (side - fit.height) // 2))
        pen.text((x + side / 2, y + side + 8), words, fill=INK, font=font, anchor="ma")
    return sheet


def as_image(png: bytes) -> Image.Image:
    """Return a screenshot as a picture."""
    with Image.open(io.BytesIO(png)) as taken:
        return taken.convert("RGB")


def job_of(text: str) -> str:
    """Return the id of the job that a message names last."""
    return re.findall(r"job (\w{12})\b", text)[-1]


class Animation:
    """What is on a page's screen, frame after frame. clip: the part that is shown, px."""

    def __init__(self, tab: Any, clip: dict[str, int]) -> None:
        self._tab, self._clip = tab, clip
        self._frames: list[tuple[Image.Image, int]] = []

    def snap(self, shown: int) -> None:
        """Take a frame that is shown for ``shown`` ms."""
        self._frames.append((as_image(self._tab.screenshot(clip=self._clip)), shown))

    def follow(self, over: Callable[[], Any], drawing: Any) -> None:
        """Take a frame of each change until something is over, once its first picture is there. drawing: what
        holds its pictures."""
        end, whole = time.monotonic() + DRAWING, "all => all.length && all.every(one => one.naturalWidth > 1)"
        self.snap(4 * TICK)
        while not over():
            assert time.monotonic() < end, "it wasn't over in time"
            if drawing.locator("img").evaluate_all(whole):
                self.snap(TICK)
                if self._frames[-1][0].tobytes() == self._frames[-2][0].tobytes():
                    self._frames.pop()
            self._tab.wait_for_timeout(TICK // 4)

    def type(self, words: str, each: int = 3) -> None:
        """Type words, some letters a frame."""
        for start in range(0, len(words), each):
            self._tab.keyboard.type(words[start : start + each])
            self.snap(90)

    def keep(self, name: str) -> None:
        """Write it as an animated WebP; the same frame twice is one that is shown longer."""
        frames, times = [self._frames[0][0]], [0]
        for image, shown in self._frames:
            if image.tobytes() != frames[-1].tobytes():
                frames.append(image)
                times.append(0)
            times[-1] += shown
        keep_moving(name, frames, times)


class Desk:
    """A studio with its two doors open: the simulated Discord and the web.

    bot: a page of the channel. web: a page of the studio. home: the studio's address. files: where pictures
    lie that are sent.
    """

    def __init__(self, browser: Any, sandbox: Sandbox) -> None:
        address = sandbox.start()
        entry = next(line for line in sandbox.log if "studio: http" in line).split("studio: ")[1].strip()
        self.home, self.files = entry.partition("/in#")[0], sandbox.data / "sent"
        self.files.mkdir()
        self.bot = Page(browser, address)
        self.bot.tab.set_viewport_size(CHANNEL)
        self.web = browser.new_page(viewport=WIDE, locale="en-GB", timezone_id="UTC", color_scheme="light")
        self.web.set_default_timeout(PATIENCE)
        self.web.goto(entry)
        self.web.locator("#bar-prompt").wait_for()
        self._jobs: dict[str, str] = {}
        self.drawn("a blue boat at sea")  # the word on the demo models comes with the first picture alone

    # Discord

    def drawn(self, prompt: str) -> str:
        """Return the id of the job that drew a prompt in the channel; it is drawn once."""
        if prompt not in self._jobs:
            since = self.bot.imagine(prompt)
            text = self.bot.wait_text(re.escape(finished(prompt)) + ".*" + DONE, DRAWING, since=since)
            self._jobs[prompt] = job_of(text)
        return self._jobs[prompt]

    def alone(self, prompt: str) -> str:
        """Post the first picture of a prompt by U1; return the text that its message holds."""
        job = self.drawn(prompt)
        since = self.bot.press(finished(prompt), "U1")
        self.bot.wait_text(f"Image #1.*{job} 1", DRAWING, since=since)
        return f"{job} 1"

    def message(self, text: str) -> Image.Image:
        """Return the newest message with ``text``, once all of its pictures are there."""
        self.bot.tab.mouse.move(0, 0)
        shown = self.bot.message(text)
        whole = "all => all.every(one => one.complete && one.naturalWidth > 0)"
        self.bot.until(lambda: shown.locator("img").evaluate_all(whole), what="its pictures")
        begun = "all => all.every(one => one.readyState >= 2)"
        self.bot.until(lambda: shown.locator("video").evaluate_all(begun), what="its video")
        self.bot.tab.wait_for_timeout(500)
        self.bot.tab.set_viewport_size({"width": CHANNEL["width"], "height": 1500})
        shown.scroll_into_view_if_needed()
        self.bot.tab.wait_for_timeout(300)
        picture = as_image(shown.screenshot())
        self.bot.tab.set_viewport_size(CHANNEL)
        return picture

    @contextmanager
    def cleared(self) -> Iterator[None]:
        """Show no message of before meanwhile."""
        self.bot.tab.evaluate(
            """list => { const sheet = new CSSStyleSheet();
            for (const one of document.querySelectorAll(list))
              sheet.insertRule(`[data-message-id="${one.dataset.messageId}"] { display: none !important }`);
            document.adoptedStyleSheets = [sheet]; }""",
            MESSAGES,
        )
        yield
        self.bot.tab.evaluate("() => { document.adoptedStyleSheets = []; }")

    # The web

    def open(self, path: str) -> None:
        """Open a page of the studio."""
        self.web.goto(self.home + path)
        self.web.wait_for_load_state("networkidle")

    def screen(self, height: int = WIDE["height"]) -> Image.Image:
        """Return what the studio's page shows in a window of that height, px."""
        self.web.set_viewport_size(WIDE | {"height": height})
        self.web.mouse.move(0, 0)
        self.web.wait_for_timeout(700)
        picture = as_image(self.web.screenshot())
        self.web.set_viewport_size(WIDE)
        return picture

    def press(self, name: str, **options: Any) -> None:
        """Press a button of the studio's page."""
        self.web.get_by_role("button", name=name, exact=True, **options).first.click()

    def picture(self, job: str, number: int = 1) -> Image.Image:
        """Return a picture of a job as it is stored."""
        self.open(f"/pictures/{job}/{number}")
        source = self.web.locator("#picture").evaluate("e => e.src")
        return as_image(self.web.request.get(source).body())

    def send(self, name: str, image: Image.Image) -> Path:
        """Return a file of a picture, to be sent."""
        path = self.files / name
        image.save(path)
        return path


def bot_imagine(desk: Desk) -> None:
    """`/imagine` in the channel: typed, previewed, four pictures, the second on its own."""
    with desk.cleared():
        page, tab = desk.bot, desk.bot.tab
        tab.set_viewport_size({"width": LIST + 930, "height": HEAD + 860})
        film = Animation(tab, {"x": LIST, "y": HEAD, "width": 930, "height": 860})
        since = page.newest()
        tab.locator("#channel-composer-input").click()
        tab.wait_for_timeout(1000)
        film.snap(500)
        film.type("/imagine")
        tab.locator('.command-entry[data-entry-key$=":imagine"]').click()
        tab.locator(".command-chip").wait_for()
        film.type(HOUSE)
        film.snap(500)
        tab.wait_for_timeout(900)
        tab.keyboard.press("Enter")
        over = re.compile(re.escape(finished(HOUSE)) + ".*" + DONE, re.S)
        page.wait_text(HOUSE, since=since)
        drawing = tab.locator(MESSAGES).last.locator(".component-gallery")
        film.follow(lambda: any(over.search(text) for text in page.texts(since)), drawing)
        grid = tab.locator(MESSAGES).last.locator("img.gallery-image").first
        page.until(lambda: grid.evaluate("e => e.naturalWidth") >= 512, what="the picture itself")
        tab.mouse.move(0, 0)
        tab.wait_for_timeout(1000)
        film.snap(1500)
        since = page.press(finished(HOUSE), "U2")
        page.wait_text("Image #2", DRAWING, since=since)
        tab.wait_for_timeout(700)
        tab.mouse.move(0, 0)
        film.snap(2500)
        film.keep("bot-imagine")
        tab.set_viewport_size(CHANNEL)


def web_imagine(desk: Desk) -> None:
    """The same in the studio, then one of the four with what can be done with it."""
    for prompt in ("a pink heart beside a blue fish", "a purple star at night", "a red mushroom in a meadow"):
        desk.drawn(prompt)
    desk.open("/")
    tab = desk.web
    film = Animation(tab, {"x": 0, "y": 0, **WIDE})
    tab.locator("#bar-prompt").click()
    film.snap(500)
    film.type("an orange cat on the grass")
    film.snap(300)
    tab.keyboard.press("Enter")
    first = tab.locator(".job").first
    first.get_by_text("an orange cat").wait_for()
    film.follow(lambda: first.locator(".cell a").count() == 4, first)
    tab.wait_for_timeout(900)
    film.snap(1500)
    first.locator(".cell a").nth(1).click()
    tab.locator("#tools button").first.wait_for()
    tab.wait_for_timeout(900)
    film.snap(2500)
    film.keep("web-imagine")


def prompts(desk: Desk) -> None:
    """Prompts with what they draw."""
    words = (
        "a red house in the snow",
        "a yellow star above a blue house",
        "two red boats at sea",
        "three pink flowers in a meadow",
        "a green tree in the snow, watercolor",
        "a yellow moon at night --ar 2:1",
    )
    keep("prompts", beside([(one, desk.picture(desk.drawn(one))) for one in words], columns=3))


def grid(desk: Desk) -> None:
    """Four pictures with their buttons, and one with its own."""
    desk.drawn(HOUSE)
    keep("grid", desk.message(finished(HOUSE)), 600)
    keep("one-picture", desk.message(desk.alone(HOUSE)), 600)


def vary(desk: Desk) -> None:
    """A picture beside what its buttons make of it."""
    one, found = desk.alone(HOUSE), []
    found.append(("the picture", desk.picture(desk.drawn(HOUSE))))
    for menu, name, title in (
        ("", "Strong", r"Variations \(Strong\) by"),
        ("Zoom and pan", "Zoom Out 2x", "Zoom out 2× by"),
        ("Zoom and pan", "Pan right", "Pan right by"),
    ):
        since = desk.bot.choose(one, menu, name) if menu else desk.bot.press(one, name)
        text = desk.bot.wait_text(f"{title}.*{DONE}", DRAWING, since=since)
        found.append((name, desk.picture(job_of(text))))
    keep("vary", beside(found, 260))


def edit_by_words(desk: Desk) -> None:
    """A picture before and after some words."""
    job = desk.drawn(BOAT)
    found = [("before", desk.picture(job))]
    for words in ("make the boat yellow", "add a yellow star", "at sunset"):
        since = desk.bot.run("edit", prompt=words, source=f"{job} 1")
        text = desk.bot.wait_text(re.escape(words) + ".*" + DONE, DRAWING, since=since)
        found.append((words, desk.picture(job_of(text))))
    keep("edit-by-words", beside(found, 260))


def talk(desk: Desk) -> None:
    """A message of a conversation with its buttons; a conversation in the studio."""
    for words in (HOUSE, SAID[0]):
        since = desk.bot.run("talk", words=words)
        job = job_of(desk.bot.wait_text(f"(?=.*Understood: )(?=.*{DONE})", DRAWING, since=since))
    keep("talk-message", desk.message(job), 600)
    tab = desk.web
    desk.open(f"/?talk={desk.drawn(HOUSE)}")
    for turns, words in enumerate(SAID, 1):
        tab.locator("#bar-prompt").fill(words)
        tab.keyboard.press("Enter")
        tab.wait_for_function(TURNS, arg=turns)
    keep("talk", desk.screen(1000))


def editor(desk: Desk) -> None:
    """A part that is painted, and what was drawn there beside what was."""
    tab = desk.web
    desk.open(f"/edit/{desk.drawn(MEADOW)}/1")
    stage = tab.locator("#stage")
    stage.press("s")
    tab.locator("[name=object]").fill("the green tree")
    tab.locator("[name=object]").press("Enter")
    desk.bot.until(lambda: tab.evaluate(FOUND), what="the tree")
    for _ in range(6):
        desk.press("Grow")
    tab.locator("#words").fill("a red mushroom on the grass")
    keep("editor", desk.screen())
    desk.press("Draw")
    tab.locator(".candidate img").first.wait_for()
    stage.press("1")
    keep("editor-result", desk.screen())


def video(desk: Desk) -> None:
    """A video's message with its buttons, and the video itself."""
    words = "a red boat sails to the left at sea"
    since = desk.bot.run("video", prompt=words)
    job = job_of(desk.bot.wait_text(f"{words}.*{DONE}", 2 * DRAWING, since=since))
    keep("video-buttons", desk.message(job), 600)
    desk.open(f"/pictures/{job}/1")
    source = desk.web.request.get(desk.web.locator("video#picture").evaluate("e => e.src"))
    with VideoReader(io.BytesIO(source.body())) as reader:
        frames = [Image.fromarray(frame) for chunk in reader.chunks() for frame in chunk][::3]
    frames = [ImageOps.contain(frame, (320, 320), Image.Resampling.LANCZOS) for frame in frames]
    keep_moving("video", frames, 190, quality=40)


def ask(desk: Desk) -> None:
    """An answer in words; a chart read into a table."""
    desk.open(f"/pictures/{desk.drawn(BOATS)}/1")
    desk.web.locator("#ask textarea").fill("How many boats are there?")
    desk.press("Ask")
    desk.web.locator("#answers .answer-text").wait_for()
    keep("ask", desk.screen())
    path, question = desk.files / "chart.png", "Give the values as a table."
    draw_chart(path)
    desk.bot.type_command("ask")
    desk.bot.fill("question", question)
    desk.bot.fill("answer", "table")
    desk.bot.attach("image", path)
    desk.bot.send()
    desk.bot.wait_text(f"Give the values.*{DONE}", DRAWING)
    keep("ask-table", desk.message(question), 600)


def read_text(desk: Desk) -> None:
    """A bill with a box around each line."""
    bill = Image.new("RGB", (560, 330), "white")
    pen = ImageDraw.Draw(bill)
    rows = ("CORNER CAFE", ""), ("2 Coffee", "5.60"), ("1 Apple cake", "3.90"), ("TOTAL", "9.50")
    for at, row in enumerate(rows):
        for x, words in zip((40, 440), row, strict=True):
            pen.text((x, 30 + 75 * at), words, fill="black", font=ImageFont.load_default(34))
    desk.bot.type_command("read")
    desk.bot.attach("image", desk.send("bill.png", bill))
    desk.bot.send()
    desk.bot.wait_text(f"TOTAL.*{DONE}", DRAWING)
    keep("read-text", desk.message("TOTAL"), 600)


def examples(desk: Desk) -> None:
    """A set of labelled pictures, tried on another picture."""
    cat, page = desk.drawn("a white cat on the grass"), desk.bot
    page.run("examples new", name="harbour")
    for label, job in (("ship", desk.drawn(BOATS)), ("animal", cat)):
        for number in (1, 2, 3):
            since = page.run("examples add", name="harbour", label=label, link=f"{job} {number}")
            page.wait_text(f"Only you can see this.*{label}", since=since)
    since = page.run("examples try", name="harbour", link=f"{cat} 4")
    job = job_of(page.wait_text(rf"animal.*\d.*{DONE}", DRAWING, since=since))
    keep("examples", desk.message(job), 600)


def inspect(desk: Desk) -> None:
    """A card, a report, and a defect with its place, from good parts alone."""
    page = desk.bot
    good = [desk.send(f"good-{one}.png", parts.picture("plate", one)[0]) for one in range(GOOD)]
    bad = desk.send("scratch.png", parts.picture("plate", 900, "scratch")[0])
    since = page.run("inspect new", name="plates")
    page.wait_text("Only you can see this", since=since)
    for number in range(0, GOOD, 10):
        since = page.press("plates", "Add pictures")
        page.send_window(good[number : number + 10])
        page.wait_text(f"{number + 10} good", DRAWING, since=since)
    keep("inspect-card", desk.message(f"{GOOD} good"), 600)
    since = page.press(f"{GOOD} good", "Train")
    job = job_of(page.wait_text(f"version 1.*{DONE}", DRAWING, since=since))
    keep("inspect-report", desk.message(job), 600)
    since = page.press(job, "Try")
    page.send_window([bad])
    keep("inspect", desk.message(job_of(page.wait_text(DONE, DRAWING, since=since))), 600)


def detect(desk: Desk) -> None:
    """A page where boxes are drawn, and objects that were found."""
    tab = desk.web
    told, marks, held = [], [], io.BytesIO()
    with zipfile.ZipFile(held, "w") as packed:
        for number in range(TRAYS):
            image, found = trays.picture(number)
            png = io.BytesIO()
            image.save(png, "PNG")
            packed.writestr(f"{number}.png", png.getvalue())
            told.append(
                {"id": number, "file_name": f"{number}.png", "width": image.width, "height": image.height}
            )
            for kind, (left, top, right, bottom) in found:
                box = [left * image.width, top * image.height]
                box += [(right - left) * image.width, (bottom - top) * image.height]
                marks.append(
                    {
                        "id": len(marks),
                        "image_id": number,
                        "category_id": trays.KINDS.index(kind),
                        "bbox": box,
                        "area": box[2] * box[3],
                        "iscrowd": 0,
                    }
                )
        kinds = [{"id": at, "name": kind} for at, kind in enumerate(trays.KINDS)]
        coco = {"images": told, "annotations": marks, "categories": kinds}
        packed.writestr("annotations.json", json.dumps(coco))
    (desk.files / "trays.zip").write_bytes(held.getvalue())
    desk.open("/projects")
    desk.press("New project")
    tab.get_by_label("Name", exact=True).fill("trays")
    tab.locator("[name=task][value=detect]").check()
    desk.press("Create")
    tab.locator("#add-own").wait_for()
    tab.locator("#add-file").set_input_files(desk.files / "trays.zip")
    tab.get_by_text(f"{TRAYS} pictures", exact=False).first.wait_for()
    project = tab.url.removeprefix(desk.home)
    desk.open(project)
    tab.locator(".item-draw").first.click()
    tab.locator(".desk-frame img").wait_for()
    keep("detect-label", desk.screen())
    desk.open(project)
    tab.locator("#train button").click()
    tab.locator("#training progress").wait_for()
    tab.get_by_role("heading", name="Version 1").wait_for()
    desk.open(project + "/try")
    tab.locator("#try-file").set_input_files(desk.send("tray.png", trays.picture(900)[0]))
    tab.locator(".map img").wait_for()
    source = tab.locator(".map img").evaluate("e => e.src")
    keep("detect", as_image(tab.request.get(source).body()), 600)


def style(desk: Desk) -> None:
    """What a style was learned from; a prompt without it and with it."""
    page = desk.bot
    learned = looks.pictures(LOOK, STYLED)
    files = [desk.send(f"{LOOK}-{at}.png", image) for at, (image, _) in enumerate(learned)]
    since = page.run("style new", name=LOOK)
    page.wait_text("Only you can see this", since=since)
    for number in range(0, STYLED, 10):
        since = page.press(LOOK, "Add pictures")
        page.send_window(files[number : number + 10])
        page.wait_text(f"{min(STYLED, number + 10)} ", DRAWING, since=since)
    since = page.press(LOOK, "Train")
    page.wait_text(f"version 1.*{DONE}", PATIENCE / 1000, since=since)
    found = [(f"learned from {STYLED} like this", learned[0][0]), ("and this", learned[1][0])]
    for prompt in (BOAT, f"{BOAT} --lora {LOOK}"):
        since = page.imagine(prompt)
        job = job_of(page.wait_text(f"{BOAT}.*{DONE}", DRAWING, since=since))
        found.append((prompt.replace(BOAT, "a red boat"), desk.picture(job)))
    keep("style", beside(found, 260))


def find(desk: Desk) -> None:
    """A search for what pictures show."""
    for prompt in (HOUSE, BOAT, MEADOW, "a purple star at night", "a pink heart beside a blue fish", BOATS):
        desk.drawn(prompt)
    tab = desk.web
    desk.open("/pictures?q=boat")
    tab.locator("h1").first.click()
    tab.keyboard.press("-")
    tab.wait_for_load_state("networkidle")
    there = "all => all.length && all.every(one => one.naturalWidth > 0)"
    desk.bot.until(lambda: tab.locator(".tile img").evaluate_all(there), what="the tiles")
    keep("find", desk.screen())


def share(desk: Desk) -> None:
    """The window that makes a link."""
    desk.open(f"/pictures/{desk.drawn(BOAT)}/1")
    desk.press("Share by link")
    keep("share", desk.screen())


def privacy(desk: Desk) -> None:
    """What is stored of somebody."""
    desk.open("/privacy")
    keep("privacy", desk.screen())


def commands(desk: Desk) -> None:
    """The commands as they are offered, and a server's rules."""
    tab, page = desk.bot.tab, desk.bot
    with desk.cleared():
        tab.locator("#channel-composer-input").click()
        tab.keyboard.type("/")
        tab.locator(".command-entry").first.wait_for()
        tab.wait_for_timeout(700)
        shown = {"x": LIST, "y": HEAD, "width": CHANNEL["width"] - LIST, "height": CHANNEL["height"] - HEAD}
        keep("commands", as_image(tab.screenshot(clip=shown)), 600)
    tab.keyboard.press("Backspace")
    since = page.run("studio rules")
    page.wait_text("Only you can see this", since=since)
    keep("server-rules", desk.message("Only you can see this"), 600)


def first_inspection(desk: Desk) -> None:
    """The files of the tutorial, and what it comes to on the web."""
    PLATES.mkdir(exist_ok=True)
    with zipfile.ZipFile(PLATES / "good.zip", "w") as packed:
        for number in range(GOOD):
            held = io.BytesIO()
            parts.picture("plate", number)[0].save(held, "JPEG", quality=85)
            packed.writestr(zipfile.ZipInfo(f"good/{number:02}.jpg"), held.getvalue())
    tried = []
    for name, seed, defect in (
        ("scratched", 900, "scratch"),
        ("incomplete", 970, "missing"),
        ("intact", 950, None),
    ):
        tried.append(PLATES / f"{name}.jpg")
        parts.picture("plate", seed, defect)[0].save(tried[-1], "JPEG", quality=85)
    tab = desk.web
    desk.open("/projects")
    desk.press("New project")
    tab.get_by_label("Name", exact=True).fill("plates")
    desk.press("Create")
    tab.locator("#add-own").wait_for()
    tab.locator("#add-file").set_input_files(PLATES / "good.zip")
    tab.get_by_text(f"good {GOOD}", exact=True).wait_for()
    keep("inspection-pictures", desk.screen(1000))
    tab.locator("#train button").click()
    tab.get_by_role("heading", name="Version 1").wait_for()
    keep("inspection-report-web", desk.screen())
    tab.get_by_role("link", name="Try it").click()
    tab.locator("#try-own").wait_for()
    tab.locator("#try-file").set_input_files(tried)
    tab.locator(".map img").wait_for()
    keep("inspection-verdicts", desk.screen(1000))


SCENES = {
    scene.__name__.replace("_", "-"): scene
    for scene in (
        *(
            bot_imagine,
            web_imagine,
            prompts,
            grid,
            vary,
            edit_by_words,
            talk,
            editor,
            video,
            ask,
            read_text,
            examples,
        ),
        *(inspect, detect, style, find, share, privacy, commands, first_inspection),
    )
}


def main() -> int:
    """Redraw what was named, or all of them. Return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m proofs.pictures", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(SCENES)}")
    chosen = parser.parse_args().names or list(SCENES)
    if unknown := set(chosen) - set(SCENES):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    from playwright.sync_api import sync_playwright

    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as data, sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        sandbox = Sandbox(sys.executable, Path(data))
        sandbox.environment["TRAINING_SECONDS"] = "3600"  # of a machine that does other things as well
        try:
            desk = Desk(browser, sandbox)
            for name in chosen:
                SCENES[name](desk)
        finally:
            sandbox.kill()
            browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
