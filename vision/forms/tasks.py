"""Models that do tasks on one picture and know no conversation: what each is told for a form of answer.

Florence-2 (Xiao et al., 2023) and PaliGemma (Beyer et al., 2024), as their model cards have it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import UserError
from core.requests.chat import Form

ALL_THINGS = frozenset(("everything", "things", "objects", "anything", "all"))
DESCRIBES = "This model takes up no questions: it describes the picture, whatever is asked."
NO_TABLE = "This model reads no tables. Ask in words, for boxes, or for the text in the picture."


@dataclass(frozen=True)
class Tasks:
    """What a model is told; {question} stands for somebody's words, or for the thing that is looked for.

    free, short, text, boxes: by form of answer. all_boxes: for boxes around whatever there is, "" = as of one
    thing. note: said beside an answer in words.
    """

    free: str
    short: str
    text: str
    boxes: str
    all_boxes: str = ""
    note: str = ""

    def told(self, form: Form, question: str) -> str:
        """Return what the model is told. question: harmless already. Raises UserError for a table."""
        if form == "table":
            raise UserError(NO_TABLE)
        if form == "boxes" and self.all_boxes and question.strip().lower() in ALL_THINGS:
            return self.all_boxes
        task = {"short": self.short, "text": self.text, "boxes": self.boxes}.get(form, self.free)
        return task.replace("{question}", question.replace("<", "‹"))


TASKS: Mapping[str, Tasks] = {  # by the model's type
    "florence2": Tasks(
        free="<MORE_DETAILED_CAPTION>",
        short="<CAPTION>",
        text="<OCR>",
        boxes="<CAPTION_TO_PHRASE_GROUNDING>{question}",
        all_boxes="<OD>",
        note=DESCRIBES,
    ),
    "paligemma": Tasks(
        free="<image>answer en {question}",
        short="<image>answer en {question}",
        text="<image>ocr",
        boxes="<image>{question}",  # "detect thing", by ``vision.forms.wanted``
    ),
}
