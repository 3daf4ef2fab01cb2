"""Questions beside the jobs, over the bus: their files go by hash, their answers by type."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from core.errors import AtelierError, WireError
from jobs.agents.fetching import Fetching
from jobs.agents.outputs import hashed
from jobs.agents.wire import Ask, Reply
from jobs.executor import Executor
from vision.protocol import Answered, Check, Declined, Embed, Measure, Nearest, Question, Select

PATIENCE = 120.0  # seconds for a question and its pictures
CLIP = "@clip"  # the model of vectors that both ends have, wherever it lies
_SHA256 = re.compile(r"[0-9a-f]{64}")


def paths_of(question: Question) -> tuple[str, ...]:
    """Return the paths of the files that a question is about."""
    if isinstance(question, Embed | Check):
        return question.paths
    return (question.path,)


def with_paths(question: Question, paths: Mapping[str, str]) -> Question:
    """Return a question about the files that ``paths`` has in the place of its own."""
    if isinstance(question, Embed | Check):
        return replace(question, paths=tuple(paths[path] for path in question.paths))
    return replace(question, path=paths[question.path])


async def named(paths: tuple[str, ...]) -> dict[str, str]:
    """Return the SHA-256 of each file, by path. What lies in a store is called so. Raises OSError."""
    return {path: await asyncio.to_thread(_name, Path(path)) for path in paths}


def _name(path: Path) -> str:
    return path.stem if _SHA256.fullmatch(path.stem) else hashed(path)[0]


def asked(token: str, question: Question, names: Mapping[str, str], clip: str) -> Ask:
    """Return a question as a message. names: SHA-256 of its files, by path. clip: the model of vectors as it
    is called here. Raises WireError for a question that no other machine can answer."""
    files = {sha256: Path(path).suffix[1:].lower() or "png" for path, sha256 in names.items()}
    sent = with_paths(question, names)
    if isinstance(sent, Embed):
        return Ask(token, files, embed=replace(sent, model=CLIP) if clip and sent.model == clip else sent)
    if isinstance(sent, Select):
        return Ask(token, files, select=sent)
    if isinstance(sent, Check):
        return Ask(token, files, check=sent)
    if isinstance(sent, Measure):
        return Ask(token, files, measure=sent)
    raise WireError("vectors are compared where their file is")


async def answered(ask: Ask, fetching: Fetching, executor: Executor, clip: str) -> Reply:
    """Have a question answered by a worker of this machine. clip: the model of vectors as it is called
    here."""
    question = ask.embed or ask.select or ask.check or ask.measure
    if question is None or not set(paths_of(question)) <= ask.files.keys():
        return Reply(declined="that is no question")
    try:
        async with asyncio.timeout(PATIENCE), fetching.lent(ask.token, ask.files) as paths:
            local = with_paths(question, {sha256: str(path) for sha256, path in paths.items()})
            if isinstance(local, Embed) and local.model == CLIP:
                local = replace(local, model=clip)
            return reply_of(local, await executor.ask(local))
    except TimeoutError:
        return Reply(declined="it takes too long")
    except (AtelierError, OSError) as error:
        return Reply(declined=f"its pictures can't be had: {type(error).__name__}")


def reply_of(question: Question, answer: Answered | Declined) -> Reply:
    """Return an answer as a message."""
    if isinstance(answer, Declined):
        return Reply(declined=answer.reason)
    if isinstance(question, Embed):
        return Reply(vectors=answer.answer)
    if isinstance(question, Select):
        return Reply(selected=answer.answer)  # type: ignore[arg-type]
    if isinstance(question, Check):
        return Reply(checked=answer.answer)  # type: ignore[arg-type]
    return Reply(measured=answer.answer)


def answer_of(question: Question, reply: Reply) -> Answered | Declined:
    """Return what a message says in answer to a question."""
    found: tuple | None = None
    match question:
        case Embed():
            found = reply.vectors
        case Select():
            found = reply.selected
        case Check():
            found = reply.checked
        case Measure():
            found = reply.measured
        case Nearest():
            found = None
    if found is None:
        return Declined(question.question_id, reply.declined or "the answer is of another kind")
    return Answered(question.question_id, found)
