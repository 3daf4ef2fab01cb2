"""A conversation as a chat template takes it: what the model is told before it, alternating turns with what
people wrote made harmless, and which of them are left out when there is no room. Loads no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.requests.ask import FILM, SHORT, SYSTEM
from core.requests.frame_words import Part, parts_of_turn
from vision.protocol import Turn, kept_pictures

MOST_PICTURES = 8  # of a conversation, beside those of a question that has more

Exchange = tuple[Turn, ...]  # a question and its answer, or the question that is asked now


@dataclass(frozen=True)
class Instructions:
    """system: said first, "" = nothing. short: added to the last question when its answer is to be short.
    film: added to each question about a film. frames: how their times are told, see
    ``core.requests.frame_words``; "" = as the processor's kind wants it."""

    system: str = SYSTEM
    short: str = SHORT
    film: str = FILM
    frames: str = ""


def instructions(card: Mapping[str, Any]) -> Instructions:
    """Return what a model's card says, and ours where it says nothing."""
    told = {name: str(card[name]) for name in ("system", "short", "film", "frames") if name in card}
    return Instructions(**told)


@dataclass(frozen=True)
class Conversation:
    """What is left of a conversation. dropped: questions, with their answers, that are left out."""

    exchanges: tuple[Exchange, ...]
    dropped: int = 0

    @property
    def turns(self) -> list[Turn]:
        """All turns that are left, oldest first."""
        return [turn for exchange in self.exchanges for turn in exchange]

    def shorter(self) -> Conversation | None:
        """Return the conversation without its second exchange; the first, which has what it is about, goes
        last. None when only the question is left."""
        if len(self.exchanges) < 2:
            return None
        place = 1 if len(self.exchanges) > 2 else 0
        return Conversation(self.exchanges[:place] + self.exchanges[place + 1 :], self.dropped + 1)


def conversation(turns: Sequence[Turn]) -> Conversation:
    """Return the conversation of ``turns``, oldest first, the last of which is a question. Turns of one role
    that follow each other become one, and an answer without a question is left out."""
    exchanges: list[list[Turn]] = []
    for turn in turns:
        if turn.role == "user" and not (exchanges and len(exchanges[-1]) == 1):
            exchanges.append([turn])
        elif exchanges and exchanges[-1][-1].role == turn.role:
            exchanges[-1][-1] = _joined(exchanges[-1][-1], turn)
        elif exchanges:
            exchanges[-1].append(turn)
    return Conversation(tuple(map(tuple, exchanges)))


def _joined(first: Turn, second: Turn) -> Turn:
    text = f"{first.text}\n{second.text}".strip()
    seconds = first.film_seconds or second.film_seconds
    turn = Turn(first.role, text, job_id=second.job_id, film_seconds=seconds)
    return turn.with_pictures([*first.timed, *second.timed])


def skipped(turns: Sequence[Turn], most: int = MOST_PICTURES) -> int:
    """Return how many of the first pictures of a conversation the model isn't shown any more. most: that it
    is shown."""
    total = sum(len(turn.pictures) for turn in turns)
    return total - kept_pictures(turns, most)


@dataclass
class Messages:
    """Makes messages for a chat template. neutralise: takes the power from what is written in a text.
    pictures: SHA-256 of those in the messages, in order."""

    neutralise: Callable[[str], str]
    pictures: list[str] = field(default_factory=list)

    def of(
        self, turns: Sequence[Turn], told: Instructions, short: bool, most: int = MOST_PICTURES
    ) -> list[dict[str, Any]]:
        """Return the messages of ``turns``. short: whether the answer is to be. most: pictures that are
        shown."""
        unseen = skipped(turns, most)
        messages = [_message("system", [], [told.system])] if told.system else []
        number, film = 0, False
        for place, turn in enumerate(turns):
            numbers = range(number + 1, number + len(turn.pictures) + 1)
            number += len(turn.pictures)
            shown = [one for n, one in zip(numbers, turn.timed, strict=True) if n > unseen]
            gone = [f"[picture {n}, no longer shown]" for n in numbers if n <= unseen]
            film = film or turn.has_film
            last = place == len(turns) - 1
            about_film = told.film if film and turn.role == "user" else ""
            texts = [*gone, self.neutralise(turn.text), about_film, told.short if short and last else ""]
            self.pictures += [sha for sha, _ in shown]
            times = [seconds for _, seconds in shown]
            messages.append(_message(turn.role, parts_of_turn(times, told.frames, turn.film_seconds), texts))
        return messages


def _message(role: str, parts: Sequence[Part], texts: Iterable[str]) -> dict[str, Any]:
    text = "\n".join(filter(None, texts))
    return {"role": role, "content": [*parts, {"type": "text", "text": text}]}
