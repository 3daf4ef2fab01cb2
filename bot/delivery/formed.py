"""What a message shows of an answer in a form: a table or a text as a block of code with files, boxes as a
list."""

from __future__ import annotations

from collections.abc import Callable

from bot.delivery.reading import block, files
from bot.ui.messages import quote
from core.requests import AskRequest
from jobs.queue import Result
from studio import texts

CSV, JSON = "table.csv", "table.json"
GROWN = 1200  # characters of a text that is shown while it grows: the newest
LABEL = 60  # characters of what a box shows


def body(result: Result, text: str) -> str | None:
    """Return how an answer is shown that has a form, None where it is shown as words."""
    answer = result.answer
    assert answer is not None
    if answer.table is not None:
        title = f"**{quote(answer.table.title, 200)}**\n" if answer.table.title else ""
        return title + block(texts.as_text(answer.table))
    if answer.boxes:
        labels = (quote(box.label, LABEL) or "a thing" for box in answer.boxes)
        return "\n".join(f"{number}\\. {label}" for number, label in enumerate(labels, 1))
    if _form(result) == "text" and text.strip():
        return block(text)
    return None


def attached(result: Result, text: str) -> dict[str, bytes]:
    """Return the files that come along, by name."""
    table = result.answer.table if result.answer else None
    if table is not None:
        return {CSV: texts.as_csv(table).encode("utf-8-sig"), JSON: texts.as_json(table).encode()}
    return files(result, text) if result.lines else {}


def _form(result: Result) -> str:
    return result.job.request.form if isinstance(result.job.request, AskRequest) else ""


GROWING: dict[str, Callable[[str], str]] = {  # form → how what there is already is shown
    "table": lambda text: block(texts.growing(text)),
    "text": lambda text: block(text[-GROWN:].partition("\n")[2] if len(text) > GROWN else text),
}
