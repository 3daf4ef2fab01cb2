"""A conversation about a picture by keyboard: begun with an upload, gone on with, stopped, asked again; what
the model writes drawn as text, lists, code and tables; axe, a phone and a narrow window on all of it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from core.events import ChatAnswer, Output
from jobs.executors.base import Outcome, Report
from tests.studio.conftest import png
from tests.studio.talker import Talker
from tests.web.browser.conftest import SIDEWAYS, faults, look, sign_in
from tests.web.browser.test_accessibility import LOOKS
from tests.web.browser.test_keyboard import tab_to
from tests.web.browser.test_looks import SMALL
from tests.web.conftest import Site, open_site
from vision.protocol import Done, Run, Step

pytestmark = pytest.mark.asyncio(loop_scope="session")
WRITTEN = """## What there is

There are **two** boats and _one_ tree, see [here](https://evil.example) or <b>there</b>:

1. a red boat with a `mast`
2. a blue one
   - without a sail

| object | how many | where, as far as it can be seen from this side of the water |
|---|--:|---|
| boat | 2 | left of the tree, in front of the house |
| tree | 1 | by the sea |

```python
boats = [boat for boat in picture if boat.colour in ("red", "blue") and boat.is_not_behind_the_tree]
```

> Boats for hire"""
SLOW = "A **red** house by the sea, and behind it a hill with a tower on which a flag blows in the wind."


class Pretended(Talker):
    """Answers at once; to what has "slowly" in it when it is stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.say["What is it?"] = WRITTEN
        self.stops: dict[str, asyncio.Event] = {}

    async def run(self, device: str, run: Run, report: Report) -> Outcome:
        if run.talk is None or "slowly" not in run.talk.turns[-1].text:
            return await super().run(device, run, report)
        self.started.append(run.job_id)
        stop = self.stops[run.job_id] = asyncio.Event()
        report(Step(run.job_id, 5, 100, text=SLOW))
        await stop.wait()
        return Done(run.job_id, Output(answer=ChatAnswer(SLOW, "stopped", 10, 0, 20)))

    def has(self, job_id: str) -> bool:
        return job_id in self.stops or super().has(job_id)

    async def stop(self) -> None:
        for stop in self.stops.values():
            stop.set()
        await super().stop()

    def cancel(self, job_id: str) -> None:
        if job_id in self.stops:
            self.stops[job_id].set()
        super().cancel(job_id)


@pytest_asyncio.fixture(loop_scope="session")
async def talking(tmp_path: Path) -> AsyncIterator[Site]:
    executor = Pretended()
    async with open_site(tmp_path, executor, VLM_URL="http://chat.example:9/v1") as found:
        yield found
        for stop in executor.stops.values():
            stop.set()


@pytest_asyncio.fixture(loop_scope="session")
async def asker(talking: Site, page):
    """The page to ask, of somebody who is signed in."""
    await sign_in(talking, page, "/ask")
    return page


async def begin(page, tmp_path: Path, question: str = "What is it?") -> None:
    """Ask about a picture from the disk, by keyboard; the file is chosen for it."""
    (tmp_path / "boats.png").write_bytes(png())
    await page.locator("#more-file").set_input_files(tmp_path / "boats.png")
    await page.wait_for_selector("#more-pictures .attached:not(:has(progress))")
    await type_and_send(page, question)


async def type_and_send(page, question: str) -> None:
    before = page.url
    await tab_to(page, "#more-question")
    await page.keyboard.type(question)
    await page.keyboard.press("Enter")
    await page.wait_for_url(lambda url: url != before and "/talk/" in url)


async def test_a_conversation_by_keyboard(asker, talking: Site, tmp_path: Path) -> None:
    page = asker
    # 1. A picture and a question, from the navigation on
    await page.goto(f"{talking.web.url}/")
    await tab_to(page, 'a[href="/ask"]', press="Enter")
    await page.wait_for_selector("#talk-bar:not([hidden])")
    await begin(page, tmp_path)
    await page.wait_for_selector(".said table")
    assert await page.locator(".asked-pictures img").count() == 1
    # 2. What follows on
    await type_and_send(page, "And what else?")
    await page.wait_for_selector(".turn:nth-child(2) .said")
    assert "3 turns" in await page.locator(".turn:nth-child(2) .said").inner_text()
    # 3. One that grows, stopped
    await type_and_send(page, "Tell it slowly")
    await page.wait_for_selector(".said.growing strong")
    assert "wind" not in await page.locator(".said.growing").inner_text(), "its end is held back"
    await tab_to(page, ".turn:last-child .job-actions button", back=True, press="Enter")
    await page.wait_for_selector("text=Stopped here.")
    assert "in the wind" in await page.locator(".turn:last-child .said").inner_text()
    # 4. Another try, which is a branch
    stopped = page.url
    await tab_to(page, ".turn:nth-child(2) .job-actions button", back=True, press="Enter")
    await page.wait_for_url(lambda url: url != stopped)
    await page.wait_for_selector(".turn:nth-child(2) .said")
    assert await page.locator(".turn").count() == 2
    also = page.locator(".turn:first-child .branches a")
    assert await also.all_inner_texts() == ["And what else?"]
    await also.focus()
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".turn:nth-child(2) .branches a")
    assert await page.locator(".branches a").all_inner_texts() == ["And what else?", "Tell it slowly"]
    # 5. What the model saw, and a prompt of what it said
    await tab_to(page, ".turn:nth-child(2) .saw summary", press="Enter")
    await page.wait_for_selector(".saw[open]")
    assert "tokens in" in await page.locator(".saw[open]").inner_text()
    await page.get_by_role("link", name="Imagine this").last.focus()
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#bar-prompt")
    assert (await page.locator("#bar-prompt").input_value()).startswith("3 turns")


async def test_what_the_model_writes_is_drawn_and_nothing_in_it_can_be_pressed(asker, tmp_path: Path) -> None:
    await begin(asker, tmp_path)
    said = asker.locator(".said")
    await asker.wait_for_selector(".said table")
    assert await said.locator("strong").all_inner_texts() == ["What there is", "two"]
    assert await said.locator("ol > li").count() == 2 and await said.locator("ol ul > li").count() == 1
    assert await said.locator("td").all_inner_texts() == [
        "boat", "2", "left of the tree, in front of the house", "tree", "1", "by the sea"
    ]  # fmt: skip
    assert await said.locator("a, b, script, img, button").count() == 0
    assert "[here](https://evil.example) or <b>there</b>" in await said.inner_text()


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
async def test_axe_finds_nothing_and_nothing_is_wider_than_the_window(
    asker, talking: Site, axe: str, tmp_path: Path, scheme: str, width: int
) -> None:
    await look(asker, scheme, width)
    assert await faults(asker, axe) == []
    await begin(asker, tmp_path)
    await asker.wait_for_selector(".said table")
    await type_and_send(asker, "Tell it slowly")
    await asker.wait_for_selector(".said.growing")
    assert await faults(asker, axe) == []
    assert await asker.evaluate(SIDEWAYS) <= 0
    await asker.goto(f"{talking.web.url}/ask")
    await asker.wait_for_selector(".talks a")
    assert await faults(asker, axe) == []
    assert await asker.evaluate(SIDEWAYS) <= 0


async def test_on_a_phone_everything_is_large_enough_to_press(
    talking: Site, browser, device, tmp_path: Path
) -> None:
    context = await browser.new_context(**device("iPhone 13"), locale="en-GB")
    page = await context.new_page()
    await page.goto(f"{talking.web.url}/in#a-capability")
    await page.wait_for_selector("#bar-prompt")
    await page.get_by_role("link", name="Ask", exact=True).tap()
    await page.wait_for_selector("#talk-bar:not([hidden])")
    assert await page.evaluate(SMALL) == [] and await page.evaluate(SIDEWAYS) <= 0
    await begin(page, tmp_path)
    await page.wait_for_selector(".said table")
    assert await page.evaluate(SMALL) == [] and await page.evaluate(SIDEWAYS) <= 0
    await context.close()


async def test_a_picture_is_pasted_and_taken_away_again(asker) -> None:
    await asker.locator("#more-question").focus()
    await asker.evaluate("""async () => {
        const canvas = new OffscreenCanvas(40, 30);
        canvas.getContext('2d').fillRect(0, 0, 20, 20);
        const file = new File([await canvas.convertToBlob()], 'pasted.png', { type: 'image/png' });
        const clipboardData = new DataTransfer();
        clipboardData.items.add(file);
        const paste = new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true });
        document.activeElement.dispatchEvent(paste);
    }""")
    await asker.wait_for_selector("#more-pictures .attached:not(:has(progress))")
    await asker.get_by_label("Remove pasted.png").click()
    assert await asker.locator("#more-pictures .attached").count() == 0
    await asker.keyboard.press("Tab")


async def test_a_question_without_a_picture_says_so_and_keeps_its_words(asker) -> None:
    await asker.locator("#more-question").fill("What is it?")
    await asker.keyboard.press("Enter")
    await asker.wait_for_selector(".toast")
    assert "Add the picture" in await asker.locator(".toast").inner_text()
    assert await asker.locator("#more-question").input_value() == "What is it?"
