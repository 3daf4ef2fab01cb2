"""The rules on words and pictures, without rows: what a request's words break, and what a server has chosen.

Levels: *off*, *standard* (sexual words and pictures only in age-restricted channels), *strict* (nowhere, nor
gore and suggestive words; pictures that can't be checked aren't shown). The rule about minors holds at every
level.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from core.errors import NotAllowedError
from core.parameters import names
from core.requests import Request
from storage.moderation import ModerationRow
from studio.moderation import terms
from studio.moderation.lookalikes import Terms, read

THRESHOLDS = {"standard": 0.8, "strict": 0.5}  # of the classifier, 0..1


class Rule(enum.StrEnum):
    """Why something was stopped; people read the value."""

    MINORS = "sexual content with minors"
    EXPLICIT = "sexual content"
    SUGGESTIVE = "suggestive content"
    GORE = "cruelty"
    WORDS = "this server's word list"
    PICTURE = "a picture that isn't fit to be shown here"


class Visibility(enum.Enum):
    """How a picture may be shown somewhere."""

    SHOW = "show"
    SPOILER = "spoiler"
    BLOCK = "block"


class Blocked(NotAllowedError):
    """A rule stopped it. The text names the rule, never what was written. ``picture``: the SHA-256 of the
    input that broke it, None if it was the words."""

    def __init__(self, rule: Rule, advice: str = "", picture: str | None = None) -> None:
        super().__init__(
            f"A rule blocked this: {rule}. Nothing was queued, and nothing counts against your"
            f" limits.{advice}"
        )
        self.rule, self.picture = rule, picture


def in_time_out(until: datetime) -> str:
    """Return what somebody reads whose time-out lasts until then."""
    at = f"{until:%H:%M} UTC on {until.day} {until:%B}"
    return f"You are in a time-out here until {at}. Nothing was queued."


@dataclass(frozen=True)
class ModerationSettings:
    """A server's rules, with the host's choice wherever the server has made none. rules: its own in
    sentences, which a check compares with and nothing enforces."""

    level: str = "standard"
    pictures: str = "spoiler"
    strikes: int = 3
    window: int = 24  # hours
    timeout: int = 60  # minutes
    rules: tuple[str, ...] = ()

    def under(self, policy: ModerationRow) -> ModerationSettings:
        """Return these settings with whatever ``policy`` names in their place."""
        given = {
            f.name: value
            for f in dataclasses.fields(policy)
            if (value := getattr(policy, f.name)) is not None
        }
        return dataclasses.replace(self, **given)


def shows_all(settings: ModerationSettings, adult: bool) -> bool:
    """Return whether pictures are shown without being judged, except by the rule about minors."""
    return settings.level == "off" or (settings.level == "standard" and adult)


def by_score(settings: ModerationSettings, score: float | None) -> Visibility:
    """Return how a picture with this score (None: it can't be judged) is shown where not every one is."""
    if score is None:
        return Visibility.BLOCK if settings.level == "strict" else Visibility.SHOW
    if score < THRESHOLDS[settings.level]:
        return Visibility.SHOW
    return (
        Visibility.BLOCK if settings.level == "strict" or settings.pictures == "block" else Visibility.SPOILER
    )


def judge(text: str, level: str, words: tuple[str, ...], adult: bool, of_minor: bool = False) -> Rule | None:
    """Return the first rule that ``text`` breaks, or None.

    words: a server's own patterns. adult: the place is age-restricted. of_minor: it is about a picture of
    one.
    """
    reading = read(text)
    if terms.sexualises_a_minor(reading, of_minor):
        return Rule.MINORS
    if level == "off":
        return None
    if words and _own_terms(words).found_in(reading):
        return Rule.WORDS
    if terms.EXPLICIT.found_in(reading) and not (adult and level == "standard"):
        return Rule.EXPLICIT
    if level == "strict":
        if terms.GORE.found_in(reading):
            return Rule.GORE
        if terms.SUGGESTIVE.found_in(reading):
            return Rule.SUGGESTIVE
    return None


@lru_cache(maxsize=64)
def _own_terms(words: tuple[str, ...]) -> Terms:
    """Compile a server's own patterns; 500 of them take 20 ms."""
    return Terms(words)


def texts_of(request: Request) -> Iterator[str]:
    """Yield every text of a request that asks for something, also of fields that nothing is known of."""
    for name in names(type(request), lambda parameter: parameter.moderated):
        yield from _strings(getattr(request, name))


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (tuple, list)):
        if len(value) == 2 and isinstance(value[1], (int, float)) and value[1] < 0:
            return  # words with a negative weight are to be avoided
        for part in value:
            yield from _strings(part)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for item in dataclasses.fields(value):
            yield from _strings(getattr(value, item.name))


def names_a_minor(request: Request) -> bool:
    """Return whether the words of a request are about a minor."""
    return terms.about_a_minor(read(all_text(request)))


def all_text(request: Request) -> str:
    """Return every text of a request that asks for something, as one text."""
    return " \n ".join(texts_of(request))
