"""The rules on words and pictures, without rows: what a request's words break, and what a server has chosen.

Levels: *off*, *standard* (sexual words and pictures only in age-restricted channels), *strict* (nowhere, nor
gore and suggestive words; pictures that can't be checked aren't shown). The rules about minors hold at every
level. ``TABLE`` says what each meeting of words leads to.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from core.errors import NotAllowedError
from core.parameters import field_names, parameters
from core.requests import Request
from storage.moderation import ModerationRow
from studio.moderation import terms
from studio.moderation.lookalikes import Reading, Terms
from studio.moderation.terms import Sense

THRESHOLDS = {"standard": 0.8, "strict": 0.5}  # of the classifier, 0..1


class Rule(enum.StrEnum):
    """Why something was stopped; people read the value."""

    MINORS = "sexual content with minors"
    CHILDREN = "words that can be meant sexually, beside a child"
    EXPLICIT = "sexual content"
    SUGGESTIVE = "suggestive content"
    GORE = "cruelty"
    WORDS = "this server's word list"
    PICTURE = "a picture that isn't fit to be shown here"


class Deed(enum.Enum):
    """What follows when a rule is broken; each member includes those before it."""

    REFUSE = "it is refused"
    STRIKE = "whoever wrote it gets a strike"
    TELL = "the audit has a row"


class Strictness(enum.IntEnum):
    """Of a place where something is asked or shown."""

    OFF = 0  # level off
    ADULT = 1  # age-restricted, at level standard
    STANDARD = 2
    STRICT = 3


class Visibility(enum.Enum):
    """How a picture may be shown somewhere."""

    SHOW = "show"
    SPOILER = "spoiler"
    BLOCK = "block"


class Blocked(NotAllowedError):
    """A rule stopped it. The text names the rule, never what was written. ``picture``: the SHA-256 of the
    input that broke it, None if it was the words."""

    def __init__(self, rule: Rule, deed: Deed, advice: str = "", picture: str | None = None) -> None:
        super().__init__(
            f"A rule blocked this: {rule}. Nothing was queued, and nothing counts against your"
            f" limits.{advice}"
        )
        self.rule, self.deed, self.picture = rule, deed, picture


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
    return strictness(settings.level, adult) <= Strictness.ADULT


def by_score(settings: ModerationSettings, score: float | None) -> Visibility:
    """Return how a picture with this score (None: it can't be judged) is shown where not every one is."""
    if score is None:
        return Visibility.BLOCK if settings.level == "strict" else Visibility.SHOW
    if score < THRESHOLDS[settings.level]:
        return Visibility.SHOW
    return (
        Visibility.BLOCK if settings.level == "strict" or settings.pictures == "block" else Visibility.SPOILER
    )


@dataclass(frozen=True)
class Words:
    """What is judged. avoided: what is to be left out, by ``--no`` or a weight below 0. of_minor: it is about
    a picture of one."""

    asked: str
    avoided: str = ""
    of_minor: bool = False


@dataclass(frozen=True)
class Line:
    """A line of the table: where words of all these senses meet, ``rule`` is broken. avoided: and, among what
    is to be left out, words of this sense. since: the least strict place where it holds."""

    rule: Rule
    deed: Deed
    asked: tuple[Sense, ...]
    avoided: Sense | None = None
    since: Strictness = Strictness.OFF


TABLE = (  # the first line that holds counts
    Line(Rule.MINORS, Deed.TELL, (Sense.FORBIDDEN,)),
    Line(Rule.CHILDREN, Deed.REFUSE, (Sense.MINOR, Sense.ART, Sense.EXPLICIT)),
    Line(Rule.MINORS, Deed.TELL, (Sense.MINOR, Sense.EXPLICIT)),
    Line(Rule.CHILDREN, Deed.REFUSE, (Sense.MINOR, Sense.COARSE)),
    Line(Rule.CHILDREN, Deed.REFUSE, (Sense.MINOR, Sense.SUGGESTIVE)),
    Line(Rule.CHILDREN, Deed.REFUSE, (Sense.MINOR, Sense.MILD, Sense.MILD)),
    Line(Rule.CHILDREN, Deed.REFUSE, (Sense.MINOR,), avoided=Sense.CLOTHES),
    Line(Rule.CHILDREN, Deed.REFUSE, (Sense.MINOR,), avoided=Sense.GARMENTS),
    Line(Rule.CHILDREN, Deed.REFUSE, (Sense.EXPLICIT,), avoided=Sense.ADULTS),
    Line(Rule.CHILDREN, Deed.REFUSE, (Sense.COARSE,), avoided=Sense.ADULTS),
    Line(Rule.WORDS, Deed.STRIKE, (Sense.OWN,), since=Strictness.ADULT),
    Line(Rule.EXPLICIT, Deed.STRIKE, (Sense.EXPLICIT,), since=Strictness.STANDARD),
    Line(Rule.EXPLICIT, Deed.REFUSE, (Sense.COARSE,), since=Strictness.STANDARD),
    Line(Rule.EXPLICIT, Deed.REFUSE, (), avoided=Sense.CLOTHES, since=Strictness.STANDARD),
    Line(Rule.GORE, Deed.STRIKE, (Sense.GORE,), since=Strictness.STRICT),
    Line(Rule.SUGGESTIVE, Deed.STRIKE, (Sense.SUGGESTIVE,), since=Strictness.STRICT),
    Line(Rule.SUGGESTIVE, Deed.REFUSE, (Sense.MILD,), since=Strictness.STRICT),
)


@dataclass(frozen=True)
class Hit:
    """One side of a meeting. terms: what of a list the text has, none where a picture says it. avoided: among
    what is to be left out."""

    sense: Sense
    terms: frozenset[str] = field(repr=False)
    avoided: bool = False


@dataclass(frozen=True)
class Verdict:
    """Which rule words break, what follows from it, and what met what."""

    rule: Rule
    deed: Deed
    met: tuple[Hit, ...] = ()


def judge(words: Words, level: str, own: tuple[str, ...], adult: bool) -> Verdict | None:
    """Return the first rule that words break, or None.

    own: a server's own patterns. adult: the place is age-restricted.
    """
    here, found = strictness(level, adult), _Found(words, own)
    for line in TABLE:
        if here >= line.since and found.has(line):
            return Verdict(line.rule, line.deed, found.hits(line))
    return None


def rule_of(text: str, level: str, own: tuple[str, ...], adult: bool) -> Rule | None:
    """Return the first rule that a text breaks, or None."""
    verdict = judge(Words(text), level, own, adult)
    return None if verdict is None else verdict.rule


def strictness(level: str, adult: bool) -> Strictness:
    """Return how strict a place of this level is. adult: it is age-restricted."""
    return Strictness.ADULT if adult and level == "standard" else Strictness[level.upper()]


class _Found:
    """What of each list words have; it is looked up when it is first asked for."""

    def __init__(self, words: Words, own: tuple[str, ...]) -> None:
        self._words, self._own = words, own
        self._readings = dict[str, Reading]()
        self._terms = dict[tuple[Sense, bool], frozenset[str]]()

    def has(self, line: Line) -> bool:
        """Return whether all of a line is there; what it names twice, by two different terms."""
        if line.avoided is not None and not self._of(line.avoided, True):
            return False
        return all(
            len(self._of(sense)) >= line.asked.count(sense) or (sense is Sense.MINOR and self._words.of_minor)
            for sense in line.asked
        )

    def hits(self, line: Line) -> tuple[Hit, ...]:
        """Return what of a line is there."""
        asked = tuple(Hit(sense, self._of(sense)) for sense in dict.fromkeys(line.asked))
        avoided = line.avoided
        return asked if avoided is None else (*asked, Hit(avoided, self._of(avoided, True), avoided=True))

    def _of(self, sense: Sense, avoided: bool = False) -> frozenset[str]:
        if (sense, avoided) not in self._terms:
            text = self._words.avoided if avoided else self._words.asked
            if text not in self._readings:
                self._readings[text] = terms.reading(text)
            self._terms[sense, avoided] = (
                _own_terms(self._own).all_in(self._readings[text])
                if sense is Sense.OWN
                else terms.found(sense, self._readings[text])
            )
        return self._terms[sense, avoided]


@lru_cache(maxsize=64)
def _own_terms(words: tuple[str, ...]) -> Terms:
    """Compile a server's own patterns; 500 of them take 20 ms."""
    return Terms(words)


def texts_of(request: Request) -> Iterator[str]:
    """Yield every text of a request that asks for something, also of fields that nothing is known of."""
    for name in field_names(type(request), lambda parameter: parameter.moderated and not parameter.avoided):
        yield from (text for text, avoided in _strings(getattr(request, name)) if not avoided)


def avoided_by(request: Request) -> Iterator[str]:
    """Yield every text of a request that says what is to be left out."""
    for name, parameter in parameters(type(request)).items():
        if parameter.moderated:
            found = _strings(getattr(request, name), parameter.avoided)
            yield from (text for text, avoided in found if avoided)


def _strings(value: object, avoided: bool = False) -> Iterator[tuple[str, bool]]:
    """Yield the texts of a field, and whether what each names is to be left out."""
    if isinstance(value, str):
        yield value, avoided
    elif isinstance(value, (tuple, list)):
        weighs = len(value) == 2 and isinstance(value[1], (int, float))
        for part in value:
            yield from _strings(part, avoided or (weighs and value[1] < 0))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for item in dataclasses.fields(value):
            yield from _strings(getattr(value, item.name), avoided)


def words_of(request: Request, *, of_minor: bool = False) -> Words:
    """Return the words of a request. of_minor: it is about a picture of one."""
    return Words(all_text(request), " \n ".join(avoided_by(request)), of_minor)


def names_a_minor(request: Request) -> bool:
    """Return whether the words of a request are about a minor."""
    return terms.about_a_minor(terms.reading(all_text(request)))


def all_text(request: Request) -> str:
    """Return every text of a request that asks for something, as one text."""
    return " \n ".join(texts_of(request))
