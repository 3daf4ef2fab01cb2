"""A question on its way: handed out with the turns before it, its answer heard while it comes, and what is
made of the end."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Set
from contextlib import suppress
from dataclasses import replace

from core.errors import UserError
from core.events import ChatAnswer, Output
from core.requests.chat import about_tokens
from jobs.active import ActiveJob, Conversation
from jobs.executor import Outcome
from vision.chat.output_parsing import NotInForm, formed, wanted
from vision.chat.output_rendering import so_far
from vision.protocol import Broke, Done, Fault, Talk

log = logging.getLogger(__name__)


def seen_in(talk: Talk) -> Iterator[str]:
    """Yield the SHA-256 of each picture of a conversation."""
    return (sha256 for turn in talk.turns for sha256 in turn.pictures)


def without(talk: Talk, gone: Set[str]) -> Talk:
    """Return a conversation without the pictures that are ``gone``."""
    if gone:
        log.info("%d pictures of earlier turns are gone", len(gone))
    turns = (turn.with_pictures(one for one in turn.timed if one[0] not in gone) for turn in talk.turns)
    return replace(talk, turns=tuple(turns))


def hear(live: ActiveJob, text: str, *, whole: bool = False) -> str:
    """Take in all of an answer so far, and return what of it may be read: nothing of one that is refused.
    What grows in a form, such as a table, is read as what people will see of it."""
    live.text = text
    if live.conversation is not None and not whole:
        text = so_far(live.conversation.talk.answer, text)
    if live.refused is None and live.conversation is not None:
        try:
            return live.conversation.hear(text, whole)
        except UserError as error:
            log.info("job %s: its answer is refused", live.job.id)
            live.refused = error
    return ""


def see(live: ActiveJob, text: str) -> None:
    """Take in the text that was read in the pictures of a question."""
    if live.conversation is None:
        return
    try:
        live.conversation.see(text)
    except UserError as error:
        log.info("job %s: the text in its pictures is refused", live.job.id)
        live.refused = error


def concluded(live: ActiveJob, outcome: Outcome) -> Outcome:
    """Return how a question ends: with what there was when its asker stopped it, or refused by a rule."""
    job_id = live.job.id
    if live.conversation is None:
        return outcome
    if live.stopped and live.text and not isinstance(outcome, Done):
        answer = ChatAnswer(live.text, "stopped", tokens_out=about_tokens(live.text))
        with suppress(NotInForm):
            answer, _ = formed(live.conversation.talk, answer, wanted({}))
        outcome = Done(job_id, Output(answer=answer))
    if isinstance(outcome, Done):
        if outcome.output.answer is not None:
            hear(live, outcome.output.answer.text, whole=True)
        outcome = Done(job_id, _with_notes(outcome.output, live.conversation))
    return outcome if live.refused is None else Broke(job_id, Fault.USER, str(live.refused))


def _with_notes(output: Output, conversation: Conversation) -> Output:
    told = [*output.parameters.get("notes", ()), *conversation.notes]
    more = {"notes": told, "film": conversation.film}
    kept = {name: value for name, value in more.items() if value}
    return replace(output, parameters={**output.parameters, **kept})
