"""The rules on answers that grow while they are read: each part is judged with all before it, first."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from functools import partial

from core.errors import NotAllowedError
from core.job import Job
from studio.actor import Place
from studio.directory import Directory
from studio.moderation.moderator import Moderator
from studio.moderation.rules import Rule, Words, all_text, judge

HELD_BACK = 60  # characters at the end of a growing answer that nobody reads yet: a word may be half written
_SPELLED = re.compile(r"\s*\S(?:\s+\S)*(?=\s|\Z)")  # letters by themselves, read from the end
JUDGED_EVERY = 0.5  # seconds; judging 2,000 characters takes some milliseconds


class AnswerBlocked(NotAllowedError):
    """A rule stopped an answer. The text names the rule, never what was said."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(f"A rule stopped this answer: {rule}. What it said is gone.")
        self.rule = rule


class TextBlocked(NotAllowedError):
    """A rule stopped a question for the text in its pictures. The text names the rule, never what was
    read."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(f"A rule stopped this question for the text in its pictures: {rule}.")
        self.rule = rule


class Listener:
    """Hears one answer. level, words: the rules where it is read. adult: that place is age-restricted.
    question: judged together with the answer, for some rules look at both. of_minor: so does what they say
    of a picture of one."""

    def __init__(
        self,
        question: str,
        level: str,
        words: tuple[str, ...],
        *,
        adult: bool,
        of_minor: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._question = question
        self._words = partial(Words, of_minor=of_minor)
        self._judge = partial(judge, level=level, own=words, adult=adult)
        self._level = level
        self._clock, self._judged_at, self._shown = clock, float("-inf"), ""

    def see(self, text: str) -> None:
        """Take in what was read in the pictures of the question, which is judged with it and its answer.
        Raises TextBlocked."""
        self._question = f"{self._question}\n{text}"
        verdict = self._judge(self._words(self._question))
        if verdict is not None:
            raise TextBlocked(verdict.rule)

    def __call__(self, text: str, whole: bool) -> str:
        """Return what may be read of an answer so far: at level strict nothing before its end. Raises
        AnswerBlocked."""
        if not whole:
            now = self._clock()
            if now < self._judged_at + JUDGED_EVERY:
                return self._shown
            self._judged_at = now
        verdict = self._judge(self._words(f"{self._question}\n{text}"))
        if verdict is not None:
            raise AnswerBlocked(verdict.rule)
        if whole:
            return text
        self._shown = "" if self._level == "strict" else _without_end(text)
        return self._shown


def _without_end(text: str) -> str:
    """Return ``text`` without its last HELD_BACK characters, and without a word that this would cut, also one
    whose letters are spelled out."""
    kept = text[:-HELD_BACK]
    kept = kept if text[len(kept) : len(kept) + 1].isspace() else kept[: _last_space(kept)]
    spelled = _SPELLED.match(kept[::-1])
    return kept[: -spelled.end()] if spelled else kept


def _last_space(text: str) -> int:
    return max((place for place, char in enumerate(text) if char.isspace()), default=0)


async def listener(
    job: Job, moderator: Moderator, directory: Directory, pictures: Iterable[str] = ()
) -> Listener:
    """Return who hears the answer to a question where it was asked. pictures: of the turns before it."""
    place = Place(job.origin.guild_id, job.origin.channel_id)
    settings = await moderator.settings(place.guild_id)
    words = () if place.guild_id is None else tuple(await moderator.words(place.guild_id))
    adult = bool(directory.age_restricted(place))
    of_minor = await moderator.of_minors((*job.request.pictures, *pictures))
    return Listener(all_text(job.request), settings.level, words, adult=adult, of_minor=of_minor)
