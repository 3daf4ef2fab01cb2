"""The executor of questions that a chat server answers: slots, progress, cancel, a few tries before the
first word, and a clear sentence for whatever goes wrong. What a worker of this machine can tell of pictures
is asked of it first. A server can be tried for the host's doctor."""

import asyncio
import base64
import io
import logging
import re
import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any

from cachetools import LRUCache

from core.events import ChatAnswer, Output
from core.requests import AskRequest, from_json
from core.requests.chat import about_tokens
from jobs.executors import openai_api as api
from jobs.executors.base import Device, Executor, Lost, Outcome, Report
from vision.chat.output_parser import (
    THINKING,
    Wanted,
    ask_again,
    join_answers,
    put_in_form,
    talk_pictures,
    wanted_of_card,
)
from vision.protocol import (
    Answered,
    Broke,
    Declined,
    Done,
    Fault,
    Measure,
    Measured,
    Question,
    Run,
    Step,
    Stopped,
    Talk,
    kept_pictures,
)
from vision.readers.ocr import UNREAD, ToRead, enough, measured_output, to_read, with_texts

Look = Callable[[Question], Awaitable[Answered | Declined]]
FORMS = ("table", "text")
PICTURE_PATIENCE = 60.0  # seconds for one picture


async def without_model(run: Run, look: Look) -> Output | None:
    """Return the answer to a question that needs no chat model, None where one has to be asked."""
    request, talk = from_json(run.kind, run.request), run.talk
    assert talk is not None and isinstance(request, AskRequest)
    files = [run.paths[name] for name in talk_pictures(talk) if name in run.paths]
    if talk.answer not in FORMS or request.temperature or not files:
        return None
    if talk.answer == "table" and len(files) > 1:
        return None
    found = list[Measured]()
    try:
        for file in files:
            async with asyncio.timeout(PICTURE_PATIENCE):
                answered = await look(Measure(secrets.token_hex(8), file, talk.answer))
            if not isinstance(answered, Answered) or not answered.answer:
                return None
            found.append(answered.answer[0])
    except TimeoutError:
        return None
    return await asyncio.to_thread(measured_output, talk.answer, found, files)


TEXTS_PATIENCE = 10.0  # seconds for all pictures of a question: somebody waits for its first word
KEPT = 500  # pictures whose text is kept for the turns that follow


class Hints:
    """Has pictures read beside the jobs, each once. look: asks whoever reads."""

    def __init__(self, look: Look | None) -> None:
        self._look = look
        self._kept = LRUCache[tuple[str, str], str](KEPT)

    async def told(self, run: Run, talk: Talk, is_stopped: Callable[[], bool]) -> tuple[Talk, str, str]:
        """Return the conversation with the text of those pictures that the model sees, all of that text, and
        a note on what went wrong. is_stopped: whether nobody waits for it any more."""
        if self._look is None or not talk.read or talk.answer == "boxes":  # which needs the question as it is
            return talk, "", ""
        unseen = sum(len(turn.pictures) for turn in talk.turns) - kept_pictures(talk.turns, api.PICTURES_KEPT)
        texts = dict[int, str]()
        try:
            async with asyncio.timeout(TEXTS_PATIENCE):
                for one in to_read(talk.turns, unseen):
                    if is_stopped():
                        return talk, "", ""
                    text = await self._text(one, run, self._look)
                    if text is None:
                        return talk, "", ""  # nothing here reads
                    texts[one.number] = text
        except TimeoutError:
            log.warning("job %s: the text of its pictures took too long", run.job_id)
            return talk, "", UNREAD
        turns, said = with_texts(talk.turns, texts, talk.context // 2)
        return replace(talk, turns=turns), said, ""

    async def _text(self, one: ToRead, run: Run, look: Look) -> str | None:
        """Return what a picture says, "" for too little, None where nothing reads it. Kept by its job too."""
        key = one.job_id, one.sha256
        if key not in self._kept:
            if one.sha256 not in run.paths:
                return ""
            answered = await look(Measure(secrets.token_hex(8), run.paths[one.sha256], "text"))
            if not isinstance(answered, Answered):
                return None
            found: tuple[Measured, ...] = answered.answer
            self._kept[key] = enough(found[0].lines) if found else ""
        return self._kept[key]

    def forget(self, names: Collection[str]) -> None:
        """Give up what is kept of these jobs and pictures."""
        gone = set(names)
        for key in [key for key in self._kept if not gone.isdisjoint(key)]:
            del self._kept[key]


NAME = "server"  # of the one device
TRIES = 3
PAUSES = (1.0, 4.0)  # seconds before another try, unless the server asks for others
LONGEST_PAUSE = 30.0  # seconds that a server may ask for
WHOLE = 600.0  # seconds for one answer, tries included
REPORT_EVERY = 0.3  # seconds
MOST = 1 << 22  # bytes of one answer with all that is sent around its words
FOR_USAGE = 2.0  # seconds after an answer's end in which a server may tell what it cost
AGAIN = (408, 409, 425, 429, 500, 502, 503, 504, 529)  # HTTP statuses that may be better in a moment
CALLED = "The chat server's model asked for a tool instead of answering, and there are none. Ask again."
EMPTY = "The chat server gave an empty answer."
STARVED = "The chat server took too long and gave no answer. Ask for less."
CUT_OFF = "The server cut this answer off."
log = logging.getLogger(__name__)


@dataclass
class _Running:
    """A question on its way. model: whom it was put to. task: what reads its answer."""

    run: Run
    report: Report
    model: str = ""
    stream: api.Stream = field(default_factory=api.Stream)
    task: asyncio.Task[None] | None = None
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    reported: tuple[int, int] = (0, 0)  # characters, thoughts
    reported_at: float = float("-inf")  # monotonic seconds
    later: asyncio.TimerHandle | None = None

    def tell(self) -> None:
        """Report the newest text, or that the model thinks, every REPORT_EVERY at most, the last one too."""
        if self.later is not None or self._news == self.reported:
            return
        wait = self.reported_at + REPORT_EVERY - monotonic()
        if wait > 0:
            self.later = asyncio.get_running_loop().call_later(wait, self._tell_now)
        else:
            self._tell_now()

    def _tell_now(self) -> None:
        self.later, self.reported, self.reported_at = None, self._news, monotonic()
        talk, stream = self.run.talk, self.stream
        assert talk is not None
        doing = "" if stream.text else THINKING
        self.report(Step(self.run.job_id, stream.pieces, talk.max_tokens, text=stream.text, doing=doing))

    @property
    def _news(self) -> tuple[int, int]:
        """How much has come: characters of the answer, or else thoughts."""
        return len(self.stream.text), 0 if self.stream.text else self.stream.thoughts

    def begin_anew(self) -> None:
        """Forget what has come: the server is asked once more."""
        self.hush()
        self.stream, self.reported, self.later = api.Stream(), (0, 0), None

    def hush(self) -> None:
        """Report nothing more."""
        if self.later is not None:
            self.later.cancel()


class ChatServerExecutor(Executor):
    """Puts questions to ``server``, ``slots`` at once. pauses: seconds between tries. look: asks somebody
    else what can be told of a picture without the server. boxes: how its model tells them, "" = by its
    name."""

    def __init__(
        self,
        server: api.ChatServer,
        slots: int,
        pauses: Sequence[float] = PAUSES,
        *,
        look: Look | None = None,
        boxes: str = "",
    ) -> None:
        self._server, self._slots, self._pauses = server, slots, pauses
        self._look, self._boxes, self._hints = look, boxes, Hints(look)
        self._runs: dict[str, _Running] = {}
        self._changed: Callable[[], None] = lambda: None
        self._stopping = False
        # its model was seen to think to itself: it gets more tokens than its answer may have
        self._thinks = False
        self._instead: dict[str, Any] = {}  # what it takes for fields that it has refused
        self._problem: str | None = None

    @property
    def devices(self) -> Sequence[Device]:
        card, running, role = self._server.host, len(self._runs), AskRequest.role
        return (Device(NAME, "ready", card, 0, self._slots, running, problem=self._problem, only=role),)

    async def start(self, changed: Callable[[], None]) -> None:
        self._changed, self._stopping = changed, False

    async def stop(self) -> None:
        """End every answer; its question goes to the next process."""
        self._stopping = True
        tasks = [running.task for running in self._runs.values() if running.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.close()

    def free(self) -> Mapping[str, int]:
        free = 0 if self._stopping else self._slots - len(self._runs)
        return {NAME: free} if free > 0 else {}

    def has(self, job_id: str) -> bool:
        return job_id in self._runs

    async def run(self, device: str, run: Run, report: Report) -> Outcome:
        if self._stopping or run.talk is None:
            return Lost(run.job_id, "the server takes questions only", untouched=True)
        running = self._runs[run.job_id] = _Running(run, report)
        try:
            return await self._outcome(running)
        finally:
            running.hush()
            del self._runs[run.job_id]
            self._changed()

    async def ask(self, question: Question) -> Answered | Declined:
        """Decline: a chat server looks at no pictures beside its answers."""
        return Declined(question.question_id, "a chat server doesn't answer that")

    def cancel(self, job_id: str) -> None:
        """Stop listening to an answer; the server ends it, too."""
        running = self._runs.get(job_id)
        if running is not None:
            running.cancelled.set()
            if running.task is not None:
                running.task.cancel()

    def forget(self, names: Sequence[str]) -> None:
        """Give up what is kept of the text in these pictures; the server can't be asked to forget."""
        self._hints.forget(names)

    # One question

    async def _outcome(self, running: _Running) -> Outcome:
        run, talk = running.run, running.run.talk
        assert talk is not None
        if self._look is not None and (told := await without_model(run, self._look)) is not None:
            return Stopped(run.job_id) if running.cancelled.is_set() else Done(run.job_id, told)
        talk, seen, note = await self._hints.told(run, talk, running.cancelled.is_set)
        running.run = replace(run, talk=talk)
        if seen:
            running.report(Step(run.job_id, 0, talk.max_tokens, seen=seen))
        outcome = await self._said(running, talk)
        if not isinstance(outcome, Done) or (answer := outcome.output.answer) is None:
            return outcome
        wants, parameters = await self._wanted(talk), outcome.output.parameters
        more = ask_again(talk, answer, wants)
        if more is not None and not running.cancelled.is_set():
            running.begin_anew()
            second = await self._said(running, more)
            if isinstance(second, Done) and second.output.answer is not None:
                answer, parameters = join_answers(answer, second.output.answer), second.output.parameters
        if note:
            parameters = {**parameters, "notes": [*parameters.get("notes", ()), note]}
        from vision.chat.output_renderer import finish_output  # here: importing the queue loads no pictures

        output = await asyncio.to_thread(finish_output, talk, answer, wants, run.paths, parameters)
        return Done(run.job_id, output)

    async def _wanted(self, talk: Talk) -> Wanted:
        """Return how the server's model wants to be asked."""
        if talk.answer != "boxes":
            return wanted_of_card({})
        try:
            return wanted_of_card({"boxes": self._boxes}, "" if self._boxes else await self._server.model())
        except (api.Unreachable, api.Refused):  # which will be told when it is asked
            return wanted_of_card({})

    async def _said(self, running: _Running, talk: Talk) -> Outcome:
        """Put a conversation to the server; return what it said, in words."""
        job_id = running.run.job_id
        try:
            asked = put_in_form(talk, await self._wanted(talk))
            if self._thinks:
                asked = replace(asked, max_tokens=asked.max_tokens + asked.context // 2)
            prompt = await asyncio.to_thread(api.prompt_of, asked, running.run.paths)
        except (OSError, KeyError):
            log.exception("job %s: a picture can't be read", job_id)
            return Broke(job_id, Fault.USER, "A picture of this conversation can't be read any more.")
        if running.cancelled.is_set():
            return Stopped(job_id)
        note = ""
        work = self._listen(running, prompt, asked.max_tokens)
        running.task = asyncio.create_task(work, name=f"answer {job_id}")
        try:
            async with asyncio.timeout(WHOLE):
                await asyncio.wait([running.task])
                running.task.result()
            self._problem = None
        except asyncio.CancelledError:
            if self._stopping:
                return Lost(job_id, "stopped", untouched=True)
            if not running.cancelled.is_set():
                raise  # it is us who are cancelled
            if not running.stream.text:
                return Stopped(job_id)
        except (TimeoutError, api.Unreachable, api.Refused, api.Garbled, api.ServerError) as error:
            log.warning("job %s: the chat server: %s: %s", job_id, type(error).__name__, error)
            self._problem = sentence(error)
            if not running.stream.text:
                return Broke(job_id, Fault.USER, self._problem)
            note = CUT_OFF
        finally:
            running.task.cancel()
        stream, knew = running.stream, self._thinks
        self._thinks = knew or stream.thoughts > 0
        if not knew and stream.is_starved and not stream.calls and not running.cancelled.is_set():
            self._thinks = True
            log.info("job %s: the chat server's model thinks; it is asked again with room for that", job_id)
            running.begin_anew()
            return await self._said(running, talk)
        return self._answer(running, prompt, note)

    def _answer(self, running: _Running, prompt: api.Prompt, note: str) -> Outcome:
        job_id, stream, talk = running.run.job_id, running.stream, running.run.talk
        assert talk is not None
        if not stream.text.strip() and not running.cancelled.is_set():
            why = CALLED if stream.calls else STARVED if stream.is_starved else EMPTY
            return Broke(job_id, Fault.USER, why)
        stopped = running.cancelled.is_set() or bool(note)
        answer = ChatAnswer(
            stream.text.strip(),
            "stopped" if stopped else "length" if stream.reason == "length" else "end",
            stream.count("prompt_tokens")
            or sum(about_tokens(turn.text, len(turn.pictures)) for turn in talk.turns),
            stream.cached,
            stream.count("completion_tokens")
            or stream.thoughts + max(stream.pieces, about_tokens(stream.text)),
            prompt.pictures,
            prompt.dropped,
        )
        request = from_json(running.run.kind, running.run.request)
        model = re.split(r"[/\\]", running.model)[-1]  # some servers call it by its path
        parameters: dict[str, Any] = {"kind": request.kind, "model": model}
        if isinstance(request, AskRequest) and request.temperature:
            parameters |= {"temperature": request.temperature, "seed": request.seed}
        if note:
            parameters["notes"] = [note]
        return Done(job_id, Output(answer=answer, parameters=parameters))

    async def _listen(self, running: _Running, prompt: api.Prompt, max_tokens: int) -> None:
        """Ask, and take in the answer; once more where nothing of it had come. max_tokens: of the answer, and
        of what its model thinks before. Raises what ends it."""
        talk, request = running.run.talk, from_json(running.run.kind, running.run.request)
        assert talk is not None and isinstance(request, AskRequest)
        asked, instead, number = replace(talk, max_tokens=max_tokens), dict(self._instead), 0
        while True:
            try:
                running.model = model = await self._server.model()
                body = api.body_of(prompt, asked, request, model, instead)
                await self._take(running, body, spare=max_tokens > talk.max_tokens)
                self._instead = instead
                return
            except (api.Refused, api.Unreachable, api.ServerError, api.Garbled) as error:
                if running.stream.text or number >= TRIES:
                    raise
                if isinstance(error, api.Refused) and error.status in (400, 422):
                    if not (changed := api.refused_fields(body, error.said)):
                        raise
                    instead |= changed  # some servers know no such field
                    continue
                number += 1
                if isinstance(error, api.Refused) and error.status == 404 and self._server.forget_model():
                    continue  # it may have another model by now
                pause = self._pause(error, number - 1)
                if pause is None:
                    raise
                log.info("job %s: the chat server: %s; once more in %.1f s", running.run.job_id, error, pause)
                await asyncio.sleep(pause)
                running.stream = api.Stream()

    def _pause(self, error: Exception, number: int) -> float | None:
        """Return the seconds before another try, None where that makes no sense."""
        if number >= len(self._pauses) or isinstance(error, api.Silent | api.Garbled):
            return None
        if isinstance(error, api.Refused):
            if error.status not in AGAIN:
                return None
            if error.wait is not None:
                return error.wait if error.wait <= LONGEST_PAUSE else None
        return self._pauses[number]

    async def _take(self, running: _Running, body: Mapping[str, Any], *, spare: bool) -> None:
        """Take in an answer. spare: more tokens are asked for than it may have, the rest is for thoughts."""
        stream, talk = running.stream, running.run.talk
        assert talk is not None
        stream.most = talk.max_tokens if spare else 0
        stream.no_thinking = "chat_template_kwargs" in body
        async with self._server.ask(body) as answering:
            whole, taken = bytearray(), 0
            pieces = answering.pieces()
            while not stream.over:
                try:
                    async with asyncio.timeout(FOR_USAGE if stream.done else None):
                        data = await anext(pieces)
                except StopAsyncIteration:
                    break
                except (TimeoutError, api.Unreachable):
                    if stream.done:
                        break  # all but the bill has come
                    raise
                if answering.streams:
                    stream.feed(data)
                    running.tell()
                else:
                    whole += data
                taken += len(data)
                if taken > MOST:
                    raise api.Garbled("an answer without an end")
            if not answering.streams:
                stream.whole(bytes(whole))
            stream.finish()
            if not stream.text and not stream.done:
                raise api.Garbled("nothing came")


def sentence(error: Exception) -> str:
    """Return what somebody reads whose question wasn't answered. Where the server is, only the host knows."""
    where = "The chat server"
    match error:
        case TimeoutError():
            return f"{where} took longer than {WHOLE / 60:.0f} minutes. Ask again, or for less."
        case api.Silent():
            return f"{where} didn't answer for too long. Ask again in a minute."
        case api.Unreachable():
            return f"{where} can't be reached. Ask again in a minute; if that lasts, tell the operator."
        case api.Garbled():
            return f"{where} doesn't answer like a chat server. The operator needs to check VLM_URL."
        case api.ServerError(said=said):
            return f"{where} failed{f': {said}' if said else ''}. Ask again in a minute."
        case api.Refused(status=401 | 403):
            return f"{where} refuses the key. The operator needs to check VLM_KEY."
        case api.Refused(status=404):
            return f"{where} has no such address or model. The operator needs to check VLM_URL and VLM_MODEL."
        case api.Refused(status=429):
            return f"{where} is overloaded. Ask again in a minute."
        case api.Refused(status=413):
            return f"{where} refused this as too large. Ask with fewer or smaller pictures."
        case api.Refused(status=status, said=said) if 400 <= status < 500:
            return f"{where} refused this question ({status}){f': {said}' if said else '.'}"
        case api.Refused(status=status):
            return f"{where} failed ({status}). Ask again in a minute; if that lasts, tell the operator."
    return f"{where} failed. Ask again in a minute."


SIDE = 64  # px; some models take no smaller pictures
QUESTION = "Which colour is this picture, red or blue? Answer with one word."
ENOUGH = 40  # characters; a model that thinks first has a thousand tokens for that
COLOURS = ("red", "blue")


@dataclass(frozen=True)
class Trial:
    """What came of it. problem: why nothing did, as a sentence."""

    model: str = ""
    sees: bool = False
    problem: str = ""


async def try_server(server: api.ChatServer) -> Trial:
    """Ask about a red picture and about a blue one: a model that tells them apart sees them."""
    model = ""
    try:
        model = await server.model()
        words = [await _answer(server, model, None)]
    except (api.Unreachable, api.Refused, api.Garbled, api.ServerError) as error:
        return Trial(model, problem=sentence(error))
    try:
        words = [await _answer(server, model, colour) for colour in COLOURS]
    except (api.Unreachable, api.Refused, api.Garbled, api.ServerError):
        return Trial(model)  # it answers without pictures
    told = [[colour in text.lower() for colour in COLOURS] for text in words]
    return Trial(model, sees=told == [[True, False], [False, True]])


async def _answer(server: api.ChatServer, model: str, colour: str | None) -> str:
    content: list[dict[str, object]] = [{"type": "text", "text": QUESTION}]
    if colour is not None:
        from PIL import Image

        out = io.BytesIO()
        Image.new("RGB", (SIDE, SIDE), colour).save(out, "JPEG", quality=95)
        url = f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"
        content.insert(0, {"type": "image_url", "image_url": {"url": url}})
    prompt = api.Prompt([{"role": "user", "content": content if colour else QUESTION}])
    request = AskRequest(question=QUESTION, follows=True)
    talk, instead = Talk((), max_tokens=1024), dict[str, Any]()
    while True:
        body = api.body_of(prompt, talk, request, model, instead)
        try:
            return (await api.read_short_answer(server, body, ENOUGH)).text
        except api.Refused as error:
            changed = api.refused_fields(body, error.said) if error.status in (400, 422) else {}
            if not changed:
                raise
            instead |= changed
