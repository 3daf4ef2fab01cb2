"""Text that was read in the pictures of a conversation, told to the chat model of this worker in the turn
that brought them, and never as anybody's words."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from core.errors import AtelierError, ModelError
from core.results import TextLine
from vision.chat.conversation import skipped
from vision.model_store import Models
from vision.ocr.quoting import UNREAD, enough, to_read, with_texts
from vision.ocr.reader import TextReader
from vision.pictures import encode
from vision.protocol import Talk
from vision.reporter import Reporter

log = logging.getLogger(__name__)

SIDE = 2_000  # px of the longer side of a picture that is read


def told(
    talk: Talk, paths: Mapping[str, str], models: Models, reporter: Reporter, room: int
) -> tuple[Talk, str, str]:
    """Return the conversation with the text of those pictures that the model sees, all of that text, and a
    note on what went wrong. room: characters that a turn may be told."""
    texts = dict[int, str]()
    try:
        for one in to_read(talk.turns, skipped(talk.turns)):
            reader = models.get("ocr", reporter)
            texts[one.number] = _text(reader, one.job_id, one.sha256, paths[one.sha256], reporter)
    except ModelError as error:
        log.warning("no text for the chat model: %s", error)
        return talk, "", UNREAD
    turns, said = with_texts(talk.turns, texts, room)
    return replace(talk, turns=turns), said, ""


def _text(reader: TextReader, job_id: str, sha: str, path: str, reporter: Reporter) -> str:
    """Return what a picture of a job's question says, "" for too little; read once and kept."""
    if (job_id, sha) not in reader.kept:
        reader.kept[job_id, sha] = enough(_lines(reader, path, reporter))
    return reader.kept[job_id, sha]


def _lines(reader: TextReader, path: str, reporter: Reporter) -> list[TextLine]:
    try:
        image = reporter.in_thread(lambda: encode.open_picture(path))
        image.thumbnail((SIDE, SIDE))
        return reader.read(image, Quiet(reporter))
    except AtelierError:
        raise
    except Exception:  # of a reader and its libraries: a question is answered without
        log.exception("the text of a picture can't be read")
        return []


class Quiet(Reporter):
    """Ends the reading when the question is stopped; its lines are no steps of the answer."""

    def __init__(self, whole: Reporter) -> None:
        self._whole, self.fiber = whole, whole.fiber

    def check(self) -> None:
        """Raise what the whole job's ``check`` raises."""
        self._whole.check()
