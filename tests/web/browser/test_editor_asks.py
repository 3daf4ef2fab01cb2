"""In the editor, in Chromium: questions about what is painted and about all of it, and their answers."""

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image

from core.events import ChatAnswer, Output
from jobs.executors.base import Outcome, Report
from tests.studio.talker import Talker
from tests.web.browser.desk import drag, editing
from tests.web.browser.test_editor_axe import LOOKS, of, sound
from tests.web.conftest import Site, open_site
from tests.web.editor.scenery import Scenes, scene
from vision.protocol import Done, Run, Step

pytestmark = pytest.mark.asyncio(loop_scope="session")
MODEL = {"VLM_URL": "http://chat.example:9/v1"}  # never called: the executor is the test's
PIXEL = 4  # of 255: what two ways to scale a picture may differ by


def _pictures(run: Run) -> list[bytes]:
    """Return the files of a question's own pictures."""
    assert run.talk is not None
    return [Path(run.paths[name]).read_bytes() for name in run.talk.turns[-1].pictures]


class Answering(Scenes):
    """Draws scenes and answers questions. ``go``: set to let an answer to a slow question end."""

    def __init__(self) -> None:
        super().__init__()
        self.talker, self.go = Talker(), asyncio.Event()
        self.seen: list[list[bytes]] = []  # the pictures of each last question

    async def run(self, device: str, run: Run, report: Report) -> Outcome:
        if run.talk is None:
            return await super().run(device, run, report)
        turn = run.talk.turns[-1]
        self.seen.append(await asyncio.to_thread(_pictures, run))
        if "slowly" not in turn.text:
            return await self.talker.run(device, run, report)
        report(Step(run.job_id, 5, 100, text="A house, and on its roof" + " a long red ribbon" * 8))
        await self.go.wait()
        return Done(run.job_id, Output(answer=ChatAnswer("A house with a ribbon.", "end", 10, 0, 20)))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def answering(tmp_path_factory) -> AsyncIterator[tuple[Site, Any, str]]:
    executor = Answering()
    async with open_site(tmp_path_factory.mktemp("asks"), executor, **MODEL) as site:
        job = await site.drawn(site.you, "a red house on a hill --ar 3:2")
        yield site, executor, f"{site.web.url}/edit/{job['id']}/1"


async def _ask(page, question: str) -> None:
    await page.get_by_role("textbox", name="Question").fill(question)
    await page.locator(".asking button:not([disabled])").wait_for()
    await page.keyboard.press("Enter")


def _differs(one: Image.Image, other: Image.Image) -> int:
    pairs = zip(one.convert("RGB").tobytes(), other.convert("RGB").tobytes(), strict=True)
    return max(abs(a - b) for a, b in pairs)


async def test_what_is_painted_is_asked_about_and_gone_on_with(browser, answering) -> None:
    site, executor, _ = answering
    executor.seen.clear()
    async with editing(browser, answering) as page:
        await page.get_by_text("about all of it").wait_for()
        await page.locator("#stage").press("r")
        await drag(page, (300, 200), (428, 264))
        await page.get_by_text("about what is painted").wait_for()
        await _ask(page, "What is this?")
        await page.locator("#asking .said", has_text="1 turns").wait_for()
        await page.get_by_text("continues").wait_for()
        await _ask(page, "And its colour?")
        await page.locator("#asking .said", has_text="3 turns").wait_for()
        assert await page.locator("#asking .turn").count() == 2
        href = await page.get_by_role("link", name="Open the conversation").get_attribute("href")
    [[part], more] = executor.seen
    assert more == [], "the picture of the first question is known"
    whole = Image.open(io.BytesIO(scene(executor.width, executor.height, await _seed(site, answering))))
    box = (284, 184, 444, 280)  # an eighth of 128 px around it
    found = Image.open(io.BytesIO(part))
    assert found.size == (160, 96) and _differs(found, whole.crop(box)) <= PIXEL
    assert (await site.you.get(href)).status == 200


async def _seed(site: Site, answering) -> int:
    job = answering[2].split("/")[-2]
    return (await site.you.get(f"/api/jobs/{job}")).data["pictures"][0]["seed"]


async def test_an_untouched_picture_is_asked_about_as_it_is_kept(browser, answering) -> None:
    site, executor, _ = answering
    executor.seen.clear()
    async with editing(browser, answering) as page:
        await page.locator("#stage").press("Delete")
        await _ask(page, "What is all this?")
        await page.locator("#asking .said", has_text="1 turns").wait_for()
    assert executor.seen == [[scene(executor.width, executor.height, await _seed(site, answering))]]


async def test_an_answer_grows_and_is_stopped(browser, answering) -> None:
    _, executor, _ = answering
    executor.go.clear()
    async with editing(browser, answering) as page:
        await page.locator("#stage").press("Delete")
        await _ask(page, "What is it, slowly?")
        await page.locator("#asking .said", has_text="A house, and").wait_for()
        assert await page.get_by_role("button", name="Ask", exact=True).is_disabled()
        await page.get_by_role("button", name="Stop").click()
        executor.go.set()
        await page.get_by_role("button", name="Stop").wait_for(state="detached")
        assert not await page.get_by_role("button", name="Ask", exact=True).is_disabled()


async def test_another_selection_begins_another_conversation(browser, answering) -> None:
    _, executor, _ = answering
    executor.seen.clear()
    async with editing(browser, answering) as page:
        await page.locator("#stage").press("Delete")
        await drag(page, (100, 100), (150, 150))
        await _ask(page, "One?")
        await page.locator("#asking .said", has_text="1 turns").wait_for()
        await drag(page, (600, 100), (650, 150))
        await page.get_by_text("about what is painted").wait_for()
        assert await page.locator("#asking .turn").count() == 0
        await _ask(page, "Two?")
        await page.locator("#asking .said", has_text="1 turns").wait_for()
    assert [len(pictures) for pictures in executor.seen] == [1, 1]


async def test_what_cannot_be_asked_is_said_and_kept(browser, answering) -> None:
    async with editing(browser, answering, status=400) as page:
        await _ask(page, "Who is this man?")
        await page.get_by_text("doesn't say who somebody is").wait_for()
        assert await page.get_by_role("textbox", name="Question").input_value() == "Who is this man?"


async def test_it_is_asked_by_keyboard_alone(browser, answering) -> None:
    async with editing(browser, answering) as page:
        stage = page.locator("#stage")
        await stage.press("Delete")
        for key in ("b", "ArrowLeft", " ", "Shift+ArrowRight", " ", "a"):
            await page.keyboard.press(key)
        await page.get_by_text("about what is painted").wait_for()
        await page.keyboard.type("What is this?")
        await page.keyboard.press("Enter")
        await page.locator("#asking .said", has_text="1 turns").wait_for()
        await page.keyboard.press("Escape")
        assert await stage.evaluate("(stage) => stage === document.activeElement")


async def test_nobody_is_offered_questions_where_nothing_answers(browser, tmp_path: Path) -> None:
    async with open_site(tmp_path, Scenes(), ASK_MODEL="none") as site:
        job = await site.drawn(site.you, "a red house on a hill --ar 3:2")
        address = f"{site.web.url}/edit/{job['id']}/1"
        async with editing(browser, (site, None, address)) as page:
            await page.get_by_role("button", name="Draw").wait_for()
            assert await page.locator("#asking").count() == 0


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
async def test_axe_finds_nothing_in_a_conversation(browser, answering, axe, scheme, width) -> None:
    async with editing(browser, answering, status=400, **of(scheme, width)) as page:
        await page.evaluate(axe)
        await _ask(page, "What is this?")
        await page.locator("#asking .said", has_text="1 turns").wait_for()
        await sound(page)
        await _ask(page, "Who is this man?")
        await page.get_by_text("doesn't say who somebody is").wait_for()
        await sound(page)
