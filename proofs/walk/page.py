"""The sandbox's page as a person uses it: keys, clicks, and what there is to see."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from playwright.sync_api import TimeoutError

T = TypeVar("T")
DRAWING = 180.0  # seconds for a drawing, on a machine that does other things as well
PRESSES = 3
ANSWER = 60.0  # seconds for anything else
SOON = 5000.0  # ms for what is in sight
MESSAGES = "#channel-message-list > [data-message-id]"


class Page:
    """One tab. ``browser``: of playwright."""

    def __init__(self, browser: Any, address: str) -> None:
        self.tab = browser.new_page(viewport={"width": 1280, "height": 900})
        self.tab.set_default_timeout(ANSWER * 1000)
        self.open(address)

    def open(self, address: str) -> None:
        """Open the page, and wait until it is usable."""
        self.tab.goto("about:blank")
        self.tab.goto(address)
        self.until(lambda: not self.tab.locator("#preview-app[aria-busy=true]").count())
        self.tab.locator("#channel-composer-input").wait_for()

    def shoot(self, path: Path) -> None:
        """Make a screenshot."""
        self.tab.screenshot(path=path)

    def until(self, holds: Callable[[], T], seconds: float = ANSWER, what: str = "what was expected") -> T:
        """Wait until ``holds`` returns something true, and return it."""
        end = time.monotonic() + seconds
        while not (found := holds()):
            if time.monotonic() > end:
                raise AssertionError(f"{what} didn't come in {seconds:.0f} s; last: {self.last()[:80]}")
            self.tab.wait_for_timeout(200)
        return found

    # What there is to see

    def texts(self, since: int = 0) -> list[str]:
        """The messages that are shown, oldest first; those that came after ``since``, see ``newest``."""
        found = self.tab.locator(MESSAGES).evaluate_all(
            "all => all.map(e => [e.dataset.messageId, e.innerText])"
        )
        return [text for number, text in found if int(number) > since]

    def last(self) -> str:
        """The newest message."""
        return (self.texts() or [""])[-1]

    def wait_text(self, pattern: str, seconds: float = ANSWER, *, since: int = 0) -> str:
        """Wait for a message that fits ``pattern`` and came after ``since``."""

        def found() -> str:
            return next((t for t in reversed(self.texts(since)) if re.search(pattern, t, re.S)), "")

        return self.until(found, seconds, f"/{pattern}/")

    def newest(self) -> int:
        """The number of the newest message; the page shows thirty, and forgets the oldest."""
        last = self.tab.locator(MESSAGES).last
        return int(last.get_attribute("data-message-id") or 0) if last.count() else 0

    def message(self, text: str) -> Any:
        """The newest message that holds ``text``."""
        return self.tab.locator(MESSAGES).filter(has_text=text).last

    # What a person does

    def type_command(self, name: str) -> None:
        """Type a command's name and choose it."""
        close = self.tab.locator(".command-context-close")
        if close.count():
            close.first.click()
        self.tab.locator("#channel-composer-input").click()
        self.tab.keyboard.type(f"/{name}", delay=15)
        self.tab.locator(f'.command-entry[data-entry-key$=":{name.replace(" ", ".")}"]').click()
        self.tab.locator(".command-chip").wait_for()

    def fill(self, option: str, value: str) -> None:
        """Give an option of the command a value."""
        field = self.tab.locator(f'.command-option-input[data-option="{option}"]')
        self._take_option(option, field)
        field.click()
        self.tab.keyboard.type(value, delay=8)

    def attach(self, option: str, path: Path) -> None:
        """Give an option of the command a file."""
        field = self.tab.locator(f'input[type=file][aria-label^="{option} attachment"]')
        self._take_option(option, field)
        field.set_input_files(path)

    def _take_option(self, option: str, field: Any) -> None:
        """Choose an option of the command until its field is there: choices for the one before, which come
        late, take the list away."""
        offered = self.tab.locator(f'.command-suggestion[data-value="{option}"]')
        for _ in range(PRESSES):
            if field.count():
                return
            if not offered.count():
                self.tab.locator(".command-ghost").click()
            with suppress(TimeoutError):
                offered.first.click(timeout=SOON)
        field.wait_for(state="attached")

    def pick(self, text: str) -> None:
        """Choose what is offered for the option that was filled last."""
        self.tab.locator(".command-suggestion").filter(has_text=text).first.click()

    def run(self, name: str, /, **options: str) -> int:
        """Send a command with options by the arrow; return what was the newest message before."""
        before = self.newest()
        self.type_command(name)
        for option, value in options.items():
            self.fill(option, value)
        self.send()
        return before

    def send(self) -> None:
        """Press the arrow."""
        self.tab.locator("#send-message").click()
        self.until(lambda: not self.tab.locator(".command-chip").count(), what="the command's end")

    def imagine(self, prompt: str) -> int:
        """Type ``/imagine`` and a prompt, each with Enter; return what was the newest message before."""
        before = self.newest()
        self.type_command("imagine")
        self.tab.keyboard.type(prompt, delay=8)
        self.tab.wait_for_timeout(900)  # as somebody does who looks at it once more
        self.tab.keyboard.press("Enter")
        self.until(lambda: not self.tab.locator(".command-chip").count(), 20, "Enter's effect")
        return before

    def press(self, text: str, button: str) -> int:
        """Press a button under the newest message with ``text``; return what was the newest one before.

        simcord's page refuses a press while it is being told of something new; whoever presses sees that, and
        presses again.
        """
        before = self.newest()
        buttons = self.message(text).get_by_role("button")
        for _ in range(PRESSES):
            buttons.filter(has_text=re.compile(rf"(^|\s|\W){re.escape(button)}$")).first.click()
            self.tab.wait_for_timeout(300)
            self.until(lambda: not self._said().endswith("…"))
            if self._said() != "Action was not completed.":
                break
        return before

    def choose(self, text: str, menu: str, entry: str) -> int:
        """Choose an entry of a menu under the newest message with ``text``; return what was the newest one
        before."""
        before = self.newest()
        box = self.message(text).get_by_role("combobox", name=menu).first
        option = self.tab.get_by_role("option").filter(has_text=entry).first
        for _ in range(PRESSES):
            box.click()
            self.tab.wait_for_timeout(300)
            if option.count():
                option.click()
                break
        return before

    def answer_window(self, text: str) -> None:
        """Fill the first field of the window that has opened, and send it."""
        field = self.tab.locator("#modal-root .modal-input").first
        field.wait_for()
        field.fill(text)
        self.tab.locator("#modal-root button[type=submit]").click()
        self.until(lambda: not self.tab.locator("#modal-root .modal-dialog").count(), what="the window's end")

    def send_window(self, files: list[Path]) -> None:
        """Give files to the window that has opened, and send it."""
        field = self.tab.locator("#modal-root input[type=file]").first
        field.wait_for(state="attached")
        field.set_input_files(files)
        self.tab.locator("#modal-root button[type=submit]").click()
        self.until(lambda: not self.tab.locator("#modal-root .modal-dialog").count(), what="the window's end")

    def choose_in_window(self, text: str) -> None:
        """Choose an entry of a group in the window that has opened."""
        self.tab.locator("#modal-root label").filter(has_text=text).first.click()

    def _said(self) -> str:
        """What the page says of the last press."""
        return self.tab.locator("#action-status").inner_text()

    def view_as(self, name: str) -> None:
        """Look at the channel as somebody else."""
        self.tab.locator("#viewer-picker").select_option(label=name)
        self.tab.wait_for_timeout(1500)
        self.until(lambda: not self.tab.locator("#preview-app[aria-busy=true]").count())
