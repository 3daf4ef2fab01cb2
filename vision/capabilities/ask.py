"""/ask: an answer in words to a question about pictures, as the next turn of a conversation."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from core.errors import OutOfMemory
from core.events import Output
from core.requests import AskRequest
from vision import devices
from vision.charts import measuring
from vision.chat.pictures import Picture, stored
from vision.forms import showing
from vision.forms.wanted import again, put
from vision.model_store import Models
from vision.ocr import hints
from vision.protocol import Talk, Turn
from vision.reporter import Reporter

FEWER = 0.5  # of the pixels, when they are too many for the memory
NO_ROOM = "The question and its pictures need more memory than the device has. Try fewer or smaller pictures."
SMALLER = "There was little memory, so that the model saw the pictures at half their pixels."


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
        times, seconds = request.times, request.film_used
        talk = Talk((Turn("user", request.question, request.images, "", times, seconds),), request.form)
    if (told := measuring.instead(request, talk, dict(paths), models, reporter)) is not None:
        return told
    talker = models.get("ask", reporter)
    wanted, notes = talker.model.wanted, list[str]()
    if wanted.note and talk.answer in ("free", "short"):
        notes.append(wanted.note)
    hinted = talk.read and talk.answer != "boxes"  # which needs the question as it is
    if hinted and talker.takes_hints and models.config.models.get("ocr"):
        room = min(talk.context, talker.model.context) // 2
        talk, seen, note = hints.told(talk, paths, models, reporter, room)
        notes += [note] if note else []
        if seen:
            reporter.seen(seen)
        talker = models.get("ask", reporter)
    how = {"temperature": request.temperature, "seed": request.seed}
    pictures = _pictures(talk, paths, talk.max_pixels)
    answer = None
    try:
        answer = talker.answer(put(talk, wanted), pictures, reporter, **how)
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
        answer = talker.answer(put(talk, wanted), pictures, reporter, **how)
    if (more := again(talk, answer, wanted)) is not None:
        answer = showing.joined(answer, talker.answer(put(more, wanted), pictures, reporter, **how))
    parameters = {"kind": request.kind, "model": talker.name, **how, "notes": notes}
    finish = partial(showing.finished, talk, answer, wanted, paths, parameters)
    return finish() if answer.ended == "stopped" else reporter.in_thread(finish)  # stopped, it starts nothing


def _pictures(talk: Talk, paths: Mapping[str, str], max_pixels: int) -> dict[str, Picture]:
    times = dict(one for turn in talk.turns for one in turn.timed)
    return {sha: stored(sha, paths[sha], max_pixels, frame=at is not None) for sha, at in times.items()}
