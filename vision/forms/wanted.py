"""What a model is asked for, by form of answer, and how its answer becomes what people see."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.events import ChatAnswer
from core.requests.chat import Form
from vision.forms import boxes, tables
from vision.forms.boxes import FAMILIES, Family
from vision.forms.tables import NotInForm
from vision.forms.tasks import TASKS
from vision.protocol import Talk, Turn

TABLE = (
    "Answer with the numbers or cells of the picture as one JSON object and nothing else, in this form:"
    ' {"title": "…", "x": "what the rows are", "columns": ["what the values are"], "rows": [["name", 12.5]]}.'
    " Each row begins with its name, and has one value for each of the columns; null where there is none."
    " Give numbers as they can be read off the axis, without units."
)
BOXES = (
    "Answer with a JSON list and nothing else: for each such thing"
    ' {"bbox_2d": [x1, y1, x2, y2], "label": "its name"}. An empty list if there is none.'
)
IN_THOUSANDTHS = " Coordinates are from 0 to 1000, across and down the whole picture."
TEXT = (
    "Write down all the text in the picture as it stands there, line by line, and nothing else. If there is"
    " none, write: no text."
)
_ASKED = re.compile(
    r"^(?:please\s+)?(?:(?:can|could) you\s+)?(?:where(?:'s|\s+is|\s+are)|find|locate|detect|mark"
    r"|show(?: me)?|point (?:to|at)"
    r"|(?:draw|give|put)\s+(?:me\s+)?(?:an?\s+|the\s+)?box(?:es)?\s+(?:of|for|around|on))\s+",
    re.IGNORECASE,
)
# How a model is asked that can be told nothing but the thing
_FINDS: Mapping[str, str] = {
    "loc": "detect {thing}",
    "thousandths": "locate the {thing}.",
    "florence": "{thing}",
}
_ARTICLE = re.compile(r"^(?:the|a|an|all(?: of)?(?: the)?|every|each|any)\s+", re.IGNORECASE)


@dataclass(frozen=True)
class Wanted:
    """How a model wants to be asked. table, text: said after the question. boxes: how it tells them. locate:
    instead of the question, with the thing in place of {thing}; "" = the question and what is wanted. note:
    said beside an answer in words."""

    table: str = TABLE
    boxes: Family = "qwen3"
    text: str = TEXT
    locate: str = ""
    note: str = ""

    @property
    def finds(self) -> str:
        """How a model is asked for boxes that is told nothing but the thing, "" where it can be told more."""
        return self.locate or _FINDS.get(self.boxes, "")

    def question(self, question: str, form: Form) -> str:
        """Return a question as it is put for an answer in a form."""
        if form == "table":
            return f"{question}\n{self.table}" if self.table else question
        if form == "text":
            return f"{question}\n{self.text}" if self.text else question
        if form == "boxes":
            if self.finds:
                return self.finds.replace("{thing}", thing(question))
            return f"{question}\n{BOXES}{'' if self.boxes == 'pixels' else IN_THOUSANDTHS}"
        return question


def wanted(card: Mapping[str, Any], name: str = "") -> Wanted:
    """Return how a model wants to be asked. card: its own words, "table", "text", "locate", and "boxes", one
    of FAMILIES. name: its type or name, which tells the rest."""
    family = card.get("boxes")
    return Wanted(
        str(card.get("table", TABLE)),
        family if family in FAMILIES else boxes.family_of(name),
        str(card.get("text", TEXT)),
        str(card.get("locate", "")),
        TASKS[name].note if name in TASKS else "",
    )


def thing(question: str) -> str:
    """Return what is looked for: "Where are the red boats?" → "red boats"."""
    text = question.strip().rstrip("?!. ")
    text = _ARTICLE.sub("", _ASKED.sub("", text, count=1), count=1)
    return re.sub(r"\s+(?:in|on) (?:the|this) (?:picture|image|photo)$", "", text).strip() or question.strip()


def put(talk: Talk, wanted: Wanted) -> Talk:
    """Return the conversation with its last question as it is put for the form of its answer."""
    last = talk.turns[-1]
    asked = replace(last, text=wanted.question(last.text, talk.answer))
    return replace(talk, turns=(*talk.turns[:-1], asked))


def again(talk: Talk, answer: ChatAnswer, wanted: Wanted) -> Talk | None:
    """Return the conversation in which a model is asked once more, since its answer isn't in the form; None
    where it is, or has no end. talk: as it came, before ``put``."""
    if answer.ended == "stopped" or not answer.text.strip() or (talk.answer == "boxes" and wanted.finds):
        return None  # a model that is told a thing only can't be told what was wrong
    try:
        formed(talk, answer, wanted)
        return None
    except NotInForm as error:
        last = talk.turns[-1]
        first = put(talk, wanted).turns[-1]
        said = Turn("assistant", answer.text, (), last.job_id)
        asked = Turn("user", f"That can't be used: {error}. Once more.\n{last.text}", (), last.job_id)
        return replace(talk, turns=(*talk.turns[:-1], first, said, asked))


def formed(talk: Talk, answer: ChatAnswer, wanted: Wanted) -> tuple[ChatAnswer, tuple[str, ...]]:
    """Return an answer with what its words hold, and sentences about it. Raises NotInForm."""
    if talk.answer == "table":
        table = tables.read(answer.text)
        return replace(answer, text=tables.words(table), table=table), ()
    if talk.answer == "boxes":
        size = answer.pictures[-1] if answer.pictures else (1000, 1000)
        found, dropped = boxes.read(answer.text, wanted.boxes, size, thing(talk.turns[-1].text))
        text = boxes.words(found) or "Nothing of that was found in the picture."
        return replace(answer, text=text, boxes=found), _told(dropped)
    return answer, ()


def _told(dropped: int) -> tuple[str, ...]:
    if not dropped:
        return ()
    one = dropped == 1
    return (
        f"{dropped} box{'' if one else 'es'} {'is' if one else 'are'} left out: outside of the picture, too"
        f" small, or more than {boxes.MOST}.",
    )
