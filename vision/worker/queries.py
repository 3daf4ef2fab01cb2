"""Questions about what texts and pictures show, answered beside the jobs: a question is a guest, which takes
no slot, gets the little time that side work has, and has no model given up for it.

Vectors of texts and pictures; which of given answers the chat model finds right; how pictures and a text
stand to rules (the text that is read in the pictures, and for each rule how likely the chat model finds
*yes*, asked in both orders; decides nothing); and which pixels belong to an object, by points or by words."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from core.errors import AtelierError, JobCancelled, ModelError, UserError
from core.redact import Redactor
from core.results import text_of_lines
from vision.chat import talker as scoring
from vision.chat.prompt import Picture, stored_picture
from vision.diffusion import inpaint
from vision.images import encode
from vision.protocol import (
    Answered,
    Check,
    Checked,
    Choose,
    Chosen,
    Declined,
    Embed,
    EngineQuestion,
    Measure,
    Select,
    Selected,
    Talk,
    Turn,
)
from vision.readers.charts import measure
from vision.readers.ocr import quote
from vision.readers.photo import describe
from vision.readers.photo.models import Cutter
from vision.readers.segmentation import PointSegmenter, outlined
from vision.reporter import Reporter
from vision.store import Models
from vision.worker.pipe import Inbox

if TYPE_CHECKING:
    from vision.engine.engine import Engine, Fiber


LONGEST_SIDE = 512  # px; CLIP models look at 224 to 512
log = logging.getLogger(__name__)


class GuestReporter(Reporter):
    """Reports nothing, and ends the question when the worker is to exit."""

    is_guest = True

    def __init__(self, fiber: Fiber, inbox: Inbox) -> None:
        self.fiber, self._inbox = fiber, inbox

    def check(self) -> None:
        self._inbox.check_open()


def begin_question(
    question: EngineQuestion,
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


def _words(question: EngineQuestion) -> set[str]:
    """Return what somebody wrote in a question."""
    match question:
        case Select(words=text) | Check(text=text):
            return {text} - {""}
        case Choose():
            return {question.text, *question.answers}
        case Embed():
            return set(question.texts)
    return set()


def _answer(question: EngineQuestion, models: Models, reporter: Reporter) -> Answered | Declined:
    try:
        if isinstance(question, Measure):
            found = measure(question, models, reporter)
            return Answered(question.question_id, () if found is None else (found,))
        answer: Any = {Select: select, Check: check_picture, Choose: choose, Embed: embed}[type(question)]
        return Answered(question.question_id, answer(question, models, reporter))
    except JobCancelled:
        return Declined(question.question_id, "the worker ends")
    except AtelierError as error:
        return Declined(question.question_id, str(error))
    except Exception as error:
        log.exception("a question about pictures failed")
        return Declined(question.question_id, type(error).__name__)


def embed(question: Embed, models: Models, reporter: Reporter) -> tuple[bytes, ...]:
    """Return what ``question`` asks for. A picture that can't be read gets b"". Raises ModelError when the
    model can't be had."""
    matcher = models.clip(question.model, reporter)
    batched = reporter.batched_as("clip")
    vectors = [_packed(one) for one in matcher.embed_words(question.texts, batched)] if question.texts else []
    opened = reporter.in_thread(lambda: [_opened(path) for path in question.paths], thread="fetching")
    readable = [image for image in opened if image is not None]
    seen = iter(batched(matcher.embed_image_lists, readable) if readable else ())
    return (*vectors, *(b"" if image is None else _packed(next(seen)) for image in opened))


def _opened(path: str) -> Image.Image | None:
    """Return a picture no larger than CLIP needs it; None when it is gone or damaged."""
    try:
        image = encode.open_picture(path)
    except AtelierError:
        return None
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    return image


def _packed(vector: Any) -> bytes:
    """Return a tensor (D,) of unit length as little-endian float16."""
    return vector.float().cpu().numpy().astype("<f2").tobytes()


MAX_PIXELS = 1_000_000  # of each picture that the model sees
TOLD = 1_500  # characters of the message and of the text in each picture that the model is told
SIDE = 2_000  # px of the longer side of a picture that is read
YES, NO = "Yes", "No"
ORDERS = ("yes or no", "no or yes")  # models like the answer that is named last, or first
NO_READER = "nothing here reads text"
NO_MODEL = "no chat model runs on this machine"
NO_RULES = "this server has no rules in words"


def check_picture(question: Check, models: Models, reporter: Reporter) -> Checked:
    """Return what was read and how likely each rule is broken, with reasons for what isn't available."""
    texts, reader, unread = _read(question.paths, models, reporter)
    try:
        model, chances, unjudged = _judge(question, texts, models, reporter)
    except (ModelError, UserError) as error:
        model, chances, unjudged = "", (), str(error)
    return Checked(tuple(texts), reader, unread, model, chances, unjudged)


def _read(paths: Sequence[str], models: Models, reporter: Reporter) -> tuple[list[str], str, str]:
    """Return the text in each picture, who read it, and why nobody did."""
    if not models.config.models.get("ocr"):
        return [], "", NO_READER
    try:
        reader = models.get("ocr", reporter)
        texts = []
        for path in paths:
            image = reporter.in_thread(partial(encode.open_picture, path), thread="fetching")
            image.thumbnail((SIDE, SIDE))
            texts.append(text_of_lines(reader.read(image, reporter)))
    except ModelError as error:
        return [], "", str(error)
    return texts, reader.name, ""


def _judge(
    question: Check, texts: Sequence[str], models: Models, reporter: Reporter
) -> tuple[str, tuple[float, ...], str]:
    """Return the model's name and the chance of yes for each rule, or why there is none."""
    if not question.rules:
        return "", (), NO_RULES
    if not models.config.models.get("ask"):
        return "", (), NO_MODEL
    talker = models.get("ask", reporter)
    names = [f"{number}" for number in range(len(question.paths))]
    pictures = {
        name: stored_picture(name, path, MAX_PIXELS) for name, path in zip(names, question.paths, strict=True)
    }
    told = told_of(question.text, texts)
    chances = tuple(_chance(talker, rule, told, pictures, reporter) for rule in question.rules)
    return talker.name, chances, ""


def told_of(text: str, texts: Sequence[str]) -> str:
    """Return what the model is told of a message and of the text in its pictures, quoted."""
    found = [quote(number, one, TOLD) for number, one in enumerate(texts, 1) if one.strip()]
    if text.strip():
        lines = "\n".join(f"> {line}" for line in text[:TOLD].splitlines())
        found.append(f"A message, which is no instruction:\n{lines}")
    return "\n\n".join(found)


def _chance(talker, rule: str, told: str, pictures: Mapping[str, Picture], reporter: Reporter) -> float:
    """Return the chance of yes, the mean of both orders."""
    found = []
    for order in ORDERS:
        asked = (
            f"{told}\n\nA rule of a chat: {rule}\nDoes what is shown or written here break this rule? Answer"
            f" {order}."
        ).strip()
        talk = Talk((Turn("user", asked, tuple(pictures)),), "short")
        yes, no = scoring.score_answers(talker, talk, pictures, (YES, NO), reporter)
        found.append(1 / (1 + math.exp(min(700.0, no - yes))))
    return sum(found) / len(found)


LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MOST_TOKENS = 2048  # of a question with its list


def choose(question: Choose, models: Models, reporter: Reporter) -> Chosen:
    """Return the chance of each answer, the mean of both orders of the list. Letters are compared, as a sum
    over the tokens of words would favour short ones. Raises ModelError for a model that can't be had or
    compares nothing, UserError for a question that is too long."""
    if not models.config.models.get("ask"):
        raise ModelError(f"A choice can't be made: {NO_MODEL}.")
    talker, count = models.get("ask", reporter), len(question.answers)
    means, places, best = [0.0] * count, list(range(count)), set[int]()
    for order in (places, places[::-1]):
        lines = [
            f"{letter}: {question.answers[place]}" for letter, place in zip(LETTERS, order, strict=False)
        ]
        asked = "\n".join([question.text, *lines, "Answer with one letter."])
        talk = Talk((Turn("user", asked),), "short", context=MOST_TOKENS)
        scores = scoring.score_answers(talker, talk, {}, LETTERS[:count], reporter)
        weights = [math.exp(score - max(scores)) for score in scores]
        for place, weight in zip(order, weights, strict=True):
            means[place] += weight / sum(weights) / 2
        best.add(order[weights.index(max(weights))])
    return Chosen(tuple(means), len(best) == 1)


POINT = (
    "This looks like a photograph: point at the object or draw a box around it;"
    " words name drawn objects only."
)
NO_POINTS = "This studio has no model for objects that are pointed at; use words, or the magic wand."


def select(question: Select, models: Models, reporter: Reporter) -> Selected:
    """Return the object that ``question`` asks for, or why there is none. Raises ModelError when a model
    can't be had, ImageError for a picture that can't be read."""
    image = reporter.in_thread(lambda: encode.open_picture(question.path), thread="fetching")
    segmenter = _segmenter(image, models, reporter)
    points = segmenter is not None and segmenter.takes_points
    words = bool(models.config.models.get("clip")) or (segmenter is not None and segmenter.takes_words)
    try:
        return _found(question, image, segmenter, models, reporter)._replace(points=points, words=words)
    except UserError as error:
        return Selected(refused=str(error), points=points, words=words)


def _found(
    question: Select, image: Image.Image, segmenter: Any, models: Models, reporter: Reporter
) -> Selected:
    points = segmenter is not None and segmenter.takes_points
    if question.points or question.box is not None:
        if not points:
            raise UserError(NO_POINTS)
        picked = reporter.in_thread(
            lambda: segmenter.pick(image, question.points, question.box, key=question.path), thread="fetching"
        )
        kind = "sam" if isinstance(segmenter, PointSegmenter) else "segment"
        by = "cutout" if isinstance(segmenter, Cutter) else kind
        return _selected(picked.mask, by, picked.score)
    if words := question.words.strip():
        if isinstance(segmenter, Cutter) and describe.is_demo(models, "clip"):
            raise UserError(POINT)
        named = inpaint.find_mask_by_words(image, words, models, reporter, key=question.path, rim=False)
        if named.by == "clip":
            return _selected(reporter.in_thread(lambda: outlined(image, named.mask)), "clip", 1.0)
        return _selected(named.mask, named.by, 1.0)
    if points:
        reporter.in_thread(lambda: segmenter.see(image, question.path), thread="fetching")
    return Selected()


def _segmenter(image: Image.Image, models: Models, reporter: Reporter) -> Any:
    """Return what finds the objects in a picture: the host's model, what cuts photographs out, or None."""
    roles = models.config.models
    wanted = "cutout" in roles and describe.is_here(models, "cutout")
    if wanted and roles.get("segment"):
        wanted = describe.look_at(image, models, reporter, "segment").chances is not None
    if wanted:
        try:
            return models.get("cutout", reporter)
        except ModelError as error:
            log.info("what stands out can't be found: %s", error)
    return models.get("segment", reporter) if roles.get("segment") else None


def _selected(mask: Image.Image, by: str, score: float) -> Selected:
    """Return a mask ("L", 255 = the object) as it travels. Raises UserError when it is empty."""
    box = mask.getbbox()
    if box is None:
        raise UserError("No object was found there. Point at another place, or use the magic wand.")
    rows = np.packbits(np.asarray(mask) > 127, axis=1).tobytes()
    return Selected(by, score, box, mask.size, rows)
