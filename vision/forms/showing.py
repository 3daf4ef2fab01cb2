"""From an answer in words, or from what was measured, to what people see: words, table or boxes, a picture,
and sentences about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from core.events import ChatAnswer, Output, Picture
from core.requests.ask import Form
from core.results.text_lines import text_of_lines
from vision.forms import boxes, tables
from vision.forms.tables import NotInForm
from vision.forms.wanted import Wanted, formed
from vision.protocol import Measured, Talk

if TYPE_CHECKING:
    from PIL import Image

BY_AXIS = (
    "Read from the axis by OCR, and by how long the bars are; no chat model looked at it. It may be wrong:"
    " compare it with the chart drawn again."
)
BY_OCR = "Read by OCR; no chat model looked at it. It may be wrong; check what matters."
NO_FORM = {
    "table": "The model gave no table that can be used; this is what it said.",
    "boxes": "The model gave no boxes that can be used; this is what it said.",
}
NO_TEXT = "No text was found in the picture."
NO_PICTURE = "The picture is gone, so that nothing is drawn on it."


def pictures_of(talk: Talk) -> tuple[str, ...]:
    """Return the SHA-256 of the pictures that a question is about: its own, or else those of the last
    question that had any."""
    return next((turn.pictures for turn in reversed(talk.turns) if turn.pictures), ())


def so_far(form: Form, text: str) -> str:
    """Return what there is to read of an answer that grows: of a table its rows, of boxes what was found."""
    if form == "table":
        table = tables.so_far(text)
        return tables.words(table) if table is not None else ""
    if form == "boxes":
        try:
            return boxes.words(boxes.read(text, "qwen3", (1000, 1000)).boxes)
        except NotInForm:
            return ""
    return text


def finished(
    talk: Talk,
    answer: ChatAnswer,
    wanted: Wanted,
    paths: Mapping[str, str],
    parameters: Mapping[str, Any],
) -> Output:
    """Return what a model's answer comes to. talk: the conversation as it came. paths: SHA-256 → file.
    parameters: of the output. Opens and draws pictures, so it blocks."""
    notes = list(parameters.get("notes", ()))
    if talk.answer not in NO_FORM or not answer.text.strip():
        return Output(answer=answer, parameters=dict(parameters))
    grid = None
    try:
        answer, told = formed(talk, answer, wanted)
        notes += told
        grid = _drawn(answer, pictures_of(talk), paths)
    except NotInForm:
        notes.append(NO_FORM[talk.answer])
    if answer.boxes and grid is None:
        notes.append(NO_PICTURE)
    return Output(grid=grid, answer=answer, parameters={**parameters, "notes": notes})


def _drawn(answer: ChatAnswer, names: Sequence[str], paths: Mapping[str, str]) -> Picture | None:
    from vision.forms import drawing  # here: importing the queue loads no pictures

    only = paths.get(names[0]) if len(names) == 1 else None
    original = _opened(only) if only else None
    if answer.table is not None:
        return drawing.drawn_again(answer.table, original)
    return drawing.boxed(original, answer.boxes) if answer.boxes and original is not None else None


def _opened(path: str) -> Image.Image | None:
    from PIL import Image

    try:
        with Image.open(path) as opened:
            if not opened.has_transparency_data:
                return opened.convert("RGB")
            rgba = opened.convert("RGBA")
            return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    except OSError:
        return None


def measured(form: Form, found: Sequence[Measured], files: Sequence[str]) -> Output:
    """Return what was measured in pictures, in the files of that order, without a chat model. Opens and draws
    pictures, so it blocks."""
    from vision.forms import drawing

    sizes = tuple(one.size for one in found)
    parameters: dict[str, Any] = {"kind": "ask", "model": found[0].reader}
    original = _opened(files[0]) if len(files) == 1 else None
    table = found[0].table
    if form == "table" and table is not None:
        answer = ChatAnswer(tables.words(table), pictures=sizes, table=table)
        return Output(
            grid=drawing.drawn_again(table, original),
            answer=answer,
            parameters={**parameters, "notes": [BY_AXIS]},
        )
    texts = [text_of_lines(one.lines) for one in found]
    if len(texts) > 1:
        texts = [f"Picture {number}:\n{text or NO_TEXT}" for number, text in enumerate(texts, 1)]
    answer = ChatAnswer("\n\n".join(texts) or NO_TEXT, pictures=sizes)
    if len(found) > 1 or not found[0].lines:
        return Output(answer=answer, parameters={**parameters, "notes": [BY_OCR]})
    from vision.ocr import boxes as line_boxes

    (width, height), lines = found[0].size, found[0].lines
    grid = drawing.encoded(line_boxes.draw(original, lines)) if original is not None else None
    told = {**parameters, "width": width, "height": height, "notes": [BY_OCR]}
    return Output(grid=grid, answer=answer, lines=lines, parameters=told)


def joined(first: ChatAnswer, second: ChatAnswer) -> ChatAnswer:
    """Return the second answer of a model that was asked once more, with the tokens of both."""
    return replace(
        second,
        tokens_in=first.tokens_in + second.tokens_in,
        tokens_cached=first.tokens_cached + second.tokens_cached,
        tokens_out=first.tokens_out + second.tokens_out,
        pictures=first.pictures,
        turns_dropped=max(first.turns_dropped, second.turns_dropped),
    )
