"""Questions about what texts and pictures show, answered beside the jobs: a question is a guest, which takes
no slot, gets the little time that side work has, and has no model given up for it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from core.errors import AtelierError, JobCancelled
from core.redact import Redactor
from vision.pipe import Inbox
from vision.protocol import Answered, Check, Declined, Embed, Measure, Select
from vision.reporter import Reporter

if TYPE_CHECKING:
    from PIL import Image

    from vision.engine import Engine, Fiber
    from vision.model_store import Models

LONGEST_SIDE = 512  # px; CLIP models look at 224 to 512
log = logging.getLogger(__name__)


class GuestReporter(Reporter):
    """Reports nothing, and ends the question when the worker is to exit."""

    is_guest = True

    def __init__(self, fiber: Fiber, inbox: Inbox) -> None:
        self.fiber, self._inbox = fiber, inbox

    def check(self) -> None:
        """Raise Leaving if the worker is to exit."""
        self._inbox.check_open()


def begin(
    question: Embed | Select | Check | Measure,
    models: Models,
    engine: Engine,
    inbox: Inbox,
    send: Callable[[Any], None],
    redact: Redactor,
) -> None:
    """Answer ``question`` in a fiber of its own. redact: keeps its texts out of the log meanwhile."""
    redact.add(words := _words(question))

    def work(fiber: Fiber) -> Answered | Declined:
        return _answer(question, models, GuestReporter(fiber, inbox))

    def done(answer: Answered | Declined | None, error: BaseException | None) -> None:
        redact.drop(words)
        if error is not None:
            raise error
        send(answer)

    engine.begin(question.question_id, work, check=inbox.check_open, done=done)


def _words(question: Embed | Select | Check | Measure) -> set[str]:
    """Return what somebody wrote in a question."""
    match question:
        case Select():
            return {question.words}
        case Check():
            return {question.text} - {""}
        case Measure():
            return set()
        case Embed():
            return set(question.texts)


def _answer(
    question: Embed | Select | Check | Measure, models: Models, reporter: Reporter
) -> Answered | Declined:
    try:
        if isinstance(question, Select):
            from vision.search.selecting import select

            return Answered(question.question_id, select(question, models, reporter))
        if isinstance(question, Check):
            from vision.search.checking import check

            return Answered(question.question_id, check(question, models, reporter))
        if isinstance(question, Measure):
            from vision.charts.measuring import measure

            found = measure(question, models, reporter)
            return Answered(question.question_id, () if found is None else (found,))
        return Answered(question.question_id, embed(question, models, reporter))
    except JobCancelled:
        return Declined(question.question_id, "the worker ends")
    except AtelierError as error:
        return Declined(question.question_id, str(error))
    except Exception as error:
        log.exception("a question about pictures failed")
        return Declined(question.question_id, type(error).__name__)


def embed(question: Embed, models: Models, reporter: Reporter) -> tuple[bytes, ...]:
    """Return what ``question`` asks for. A picture that can't be read gets b"".

    Raises ModelError when the model can't be had.
    """
    matcher = models.clip(question.model, reporter)
    batched = reporter.batched_as("clip")
    vectors = [_packed(one) for one in matcher.embed_words(question.texts, batched)] if question.texts else []
    opened = reporter.in_thread(lambda: [_opened(path) for path in question.paths], thread="fetching")
    readable = [image for image in opened if image is not None]
    seen = iter(batched(matcher.embed_image_lists, readable) if readable else ())
    return (*vectors, *(b"" if image is None else _packed(next(seen)) for image in opened))


def _opened(path: str) -> Image.Image | None:
    """Return a picture no larger than CLIP needs it; None when it is gone or damaged."""
    from vision.pictures import encode

    try:
        image = encode.open_picture(path)
    except AtelierError:
        return None
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    return image


def _packed(vector: Any) -> bytes:
    """Return a tensor (D,) of unit length as little-endian float16."""
    return vector.float().cpu().numpy().astype("<f2").tobytes()
