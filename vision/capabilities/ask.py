"""/ask: an answer in words to a question about pictures, as the next turn of a conversation. Text that was
read in its pictures is told to the chat model in the turn that brought them, and never as anybody's words."""

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from core.errors import AtelierError, ModelError, OutOfMemory
from core.events import ChatAnswer, Output
from core.requests import AskRequest
from core.results import TextLine
from vision import devices
from vision.chat import output_parser, output_renderer
from vision.chat.prompt import Picture, skipped, stored_picture
from vision.chat.talker import Talker
from vision.images import encode
from vision.protocol import Measure, Talk, Turn
from vision.readers import charts, scene
from vision.readers.answers import Answerer
from vision.readers.ocr import UNREAD, TextReader, enough, to_read, with_texts
from vision.readers.photo import describe
from vision.readers.questions import Measurer, asks_for_text
from vision.reporter import Quiet, Reporter
from vision.store import Models

log = logging.getLogger(__name__)
_CHART = re.compile(
    r"\b(bars?|chart|value|values|highest|lowest|largest|smallest|table|csv|box|locate)\b", re.I
)
_BARS = re.compile(r"\b(bars?|charts?|values?|highest|lowest|table|csv|box)\b", re.I)

SIDE = 2_000  # px of the longer side of a picture that is read


def with_picture_texts(
    talk: Talk, paths: Mapping[str, str], models: Models, reporter: Reporter, room: int
) -> tuple[Talk, str, str]:
    """Return the conversation with the text of those pictures that the model sees, all of that text, and a
    note on what went wrong. room: characters that a turn may be told."""
    texts = dict[int, str]()
    try:
        for one in to_read(talk.turns, skipped(talk.turns)):
            reader, key = models.get("ocr", reporter), (one.job_id, one.sha256)
            if key not in reader.kept:  # read once
                reader.kept[key] = enough(_lines(reader, paths[one.sha256], reporter))
            texts[one.number] = reader.kept[key]
    except ModelError as error:
        log.warning("no text for the chat model: %s", error)
        return talk, "", UNREAD
    turns, said = with_texts(talk.turns, texts, room)
    return replace(talk, turns=turns), said, ""


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


FEWER = 0.5  # of the pixels, when they are too many for the memory
NO_ROOM = "The question and its pictures need more memory than the device has. Try fewer or smaller pictures."
SMALLER = "There was little memory, so the model saw the pictures at half their pixels."


def run(
    request: AskRequest,
    paths: Mapping[str, str],
    models: Models,
    reporter: Reporter,
    talk: Talk | None = None,
) -> Output:
    """Answer the question. paths: SHA-256 → file of every picture that ``talk`` names. talk: the
    conversation that the question belongs to, None = the question alone. A step is a token."""
    if talk is None:
        times, seconds = request.times, request.video_used
        talk = Talk((Turn("user", request.question, request.images, "", times, seconds),), request.form)
    if (told := charts.read_instead(request, talk, dict(paths), models, reporter)) is not None:
        return told
    if (told := _of_photograph(request, talk, paths, models, reporter)) is not None:
        return told
    talker = models.get("ask", reporter)
    if (told := _measured(request, talk, paths, talker, models, reporter)) is not None:
        return told
    talker = models.get("ask", reporter)  # others may have been asked for since
    if (told := _of_repertoire(request, talk, paths, talker, models, reporter)) is not None:
        return told
    wanted, notes = talker.model.wanted, list[str]()
    if wanted.note and talk.answer in ("free", "short"):
        notes.append(wanted.note)
    hinted = talk.read and talk.answer != "boxes"  # which needs the question as it is
    if hinted and talker.takes_hints and models.config.models.get("ocr"):
        room = min(talk.context, talker.model.context) // 2
        talk, seen, note = with_picture_texts(talk, paths, models, reporter, room)
        notes += [note] if note else []
        if seen:
            reporter.seen(seen)
        talker = models.get("ask", reporter)
    how = {"temperature": request.temperature, "seed": request.seed}
    pictures = _pictures(talk, paths, talk.max_pixels)
    answer = None
    try:
        answer = talker.answer(output_parser.put_in_form(talk, wanted), pictures, reporter, **how)
    except Exception as error:
        if not devices.is_out_of_memory(error):
            raise
    if answer is None:  # not in the except block: the traceback holds tensors
        largest = max((w * h for w, h in (picture.size for picture in pictures.values())), default=0)
        if not largest:
            raise OutOfMemory(NO_ROOM)
        devices.release()
        notes.append(SMALLER)
        pictures = _pictures(talk, paths, int(largest * FEWER))
        answer = talker.answer(output_parser.put_in_form(talk, wanted), pictures, reporter, **how)
    if (more := output_parser.ask_again(talk, answer, wanted)) is not None:
        answer = output_parser.join_answers(
            answer, talker.answer(output_parser.put_in_form(more, wanted), pictures, reporter, **how)
        )
    parameters = {"kind": request.kind, "model": talker.name, **how, "notes": notes}
    finish = partial(output_renderer.finish_output, talk, answer, wanted, paths, parameters)
    return finish() if answer.ended == "stopped" else reporter.in_thread(finish)  # stopped, it starts nothing


def _one_picture(talk: Talk) -> str:
    """Return the only picture of a conversation, "" where there are several, or a video's frames."""
    names = output_parser.talk_pictures(talk)
    return names[0] if len(names) == 1 and not any(turn.times for turn in talk.turns) else ""


def _of_photograph(
    request: AskRequest, talk: Talk, paths: Mapping[str, str], models: Models, reporter: Reporter
) -> Output | None:
    """Return what readers of photographs answer where the chat model is the demo's, which knows drawings;
    None for a drawing, and where another model answers."""
    name = _one_picture(talk)
    if talk.answer not in ("free", "short") or not name or not describe.helps(models, "ask"):
        return None
    image = reporter.in_thread(lambda: encode.open_picture(paths[name]).convert("RGB"))
    looked = describe.look_at(image, models, reporter, "ask")
    if looked.chances is None:
        return None
    question = talk.turns[-1].text
    if (said := _text_in(question, paths[name], models, reporter)) is None:
        faces = describe.faces(image, models, reporter)
        said = describe.answer(image, looked.chances, faces, question)
    reader = models.get("photograph", reporter).name
    known = {"kind": request.kind, "model": reader, "notes": [], "knows": describe.PHOTOGRAPH}
    return Output(answer=ChatAnswer(said), parameters=known)


def _text_in(question: str, path: str, models: Models, reporter: Reporter) -> str | None:
    """Return the text in a picture where a question asks for it, None where it doesn't, or nothing reads."""
    if not asks_for_text(question):
        return None
    found = charts.measure(Measure("", path, "text"), models, reporter)
    if found is None:
        return None
    return "\n".join(line.text for line in found.lines) or "I find no text in it."


FRAMES = 4  # of a video, in which its things are followed


def _measured(
    request: AskRequest,
    talk: Talk,
    paths: Mapping[str, str],
    talker: Talker,
    models: Models,
    reporter: Reporter,
) -> Output | None:
    """Return what is measured of a drawing or a video's frames, where the chat model's card says that its
    pack's readers can; None for any other model, and for what they can't. What people have taught to be the
    answer of the same question stays it."""
    measurer, last = Measurer.of(talker.model.card), talk.turns[-1]
    names = output_parser.talk_pictures(talk)
    is_video = bool(names) and any(turn.pictures == names and turn.has_video for turn in talk.turns)
    if measurer is None or not names or (len(names) > 1 and not is_video) or _BARS.search(last.text):
        return None
    if talk.answer not in ("free", "short", "boxes") or asks_for_text(last.text):
        return None
    asked, before, answers = measurer.follow(talk.turns, names)
    parameters: dict[str, Any] = {"kind": request.kind, "model": talker.name, "notes": []}
    parameters |= {"temperature": request.temperature, "seed": request.seed}
    if (taught := answers.get(asked)) is not None and talk.answer != "boxes":
        return Output(answer=ChatAnswer(taught), parameters=parameters)
    known = talker.model.repertoire
    if known is not None and asked.unknown and known.known.issuperset(asked.unknown):
        return None  # such as of its style
    is_measured = asked.kind or talk.answer == "boxes"
    if not is_measured or not scene.can_read(models, measurer.vocabulary, reporter):
        return None
    if len(names) > FRAMES:
        names = tuple(names[round(at * (len(names) - 1) / (FRAMES - 1))] for at in range(FRAMES))
    for number, name in enumerate(names, 1):
        if name not in talker.scenes:
            image = reporter.in_thread(partial(encode.open_picture, paths[name])).convert("RGB")
            talker.scenes[name] = scene.read_scene(image, measurer.vocabulary, models, reporter)
        reporter.step(number, len(names))
    found = [talker.scenes[name] for name in names]
    seen = scene.follow(found) if is_video else found[0]
    if talk.answer == "boxes":
        boxes = ChatAnswer(measurer.boxes(last.text, seen))
        finish = partial(output_renderer.finish_output, talk, boxes, talker.model.wanted, paths, parameters)
        return reporter.in_thread(finish)
    answerer = Answerer(measurer)
    said = answerer.answer(asked, seen, before, short=talk.answer == "short")
    if asked.kind == "what" and not is_video and answerer.is_doubtful(seen):
        chart = charts.measure(Measure("", paths[names[0]], "table"), models, reporter)
        text = charts.measure(Measure("", paths[names[0]], "text"), models, reporter)
        if chart is not None and chart.table is not None:
            said = f"A bar chart:\n{output_parser.table_words(chart.table)}"
        elif text is not None and text.lines:
            said = f"I can read: {' / '.join(line.text for line in text.lines)}"
    return None if said is None else Output(answer=ChatAnswer(said), parameters=parameters)


def _of_repertoire(
    request: AskRequest,
    talk: Talk,
    paths: Mapping[str, str],
    talker: Talker,
    models: Models,
    reporter: Reporter,
) -> Output | None:
    """Return the answer of a model that was taught certain questions, or that it can't tell; None for any
    other model, and for what isn't asked of one picture."""
    known, name, asked = talker.model.repertoire, _one_picture(talk), talk.turns[-1]
    if known is None or not name or talk.answer not in ("free", "short") or _CHART.search(asked.text):
        return None
    pictures = _pictures(talk, paths, talk.max_pixels)
    answer = ChatAnswer("")

    def say(question: str) -> str:
        nonlocal answer
        alone = replace(talk, turns=(Turn("user", question, (name,), asked.job_id),))
        alone = output_parser.put_in_form(alone, talker.model.wanted)
        answer = talker.answer(
            alone, pictures, Quiet(reporter), temperature=request.temperature, seed=request.seed
        )
        return answer.text

    said = _text_in(asked.text, paths[name], models, reporter) or known.answer(asked.text, say)
    if said is None and len(talk.turns) > 1:
        return None  # it may follow on from the turns before
    text = said or f"I wasn't trained on such questions, so I don't know. {known.offer}"
    how = {"temperature": request.temperature, "seed": request.seed}
    parameters = {"kind": request.kind, "model": talker.name, "notes": [], **how}
    return Output(answer=replace(answer, text=text), parameters=parameters)


def _pictures(talk: Talk, paths: Mapping[str, str], max_pixels: int) -> dict[str, Picture]:
    times = dict(one for turn in talk.turns for one in turn.timed)
    return {
        sha: stored_picture(sha, paths[sha], max_pixels, frame=at is not None) for sha, at in times.items()
    }
