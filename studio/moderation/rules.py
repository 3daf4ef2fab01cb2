"""The rules on words and pictures: the words that come with Atelier, what each meeting of them leads to at a
server's level (``TABLE``), and which pictures are of a minor. One thing because every list and line of it
decides together; a server adds words of its own, and nobody can change or turn off the rules about minors.

Levels: *off*, *standard* (sexual words and pictures only in age-restricted channels), *strict* (nowhere, nor
gore and suggestive words; pictures that can't be checked aren't shown). Terms are whole words, with ``*`` for
any letters, read by ``studio.moderation.confusables``: those by which people ask for such pictures, in the
languages that are most asked in (``terms.toml``). A list is never complete, so the pictures are looked at
too.

A picture, video or style is of a minor as words say: those of the job that made one, or of any job that made
what it was made from. Each is told once, and what came of it is a row, which outlives the jobs before it."""

from __future__ import annotations

import dataclasses
import enum
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, lru_cache, partial
from pathlib import Path

from core.errors import NotAllowedError
from core.prompt.parameters import field_names, parameters
from core.requests import Request
from storage import moderation as rows
from storage.database import Database
from storage.moderation import Made, ModerationRow
from studio.moderation.confusables import Reading, Terms, read_text


class Sense(enum.Enum):
    """What words can mean; people read the value."""

    FORBIDDEN = "words for a sexualised child"
    EXPLICIT = "sexual words"
    COARSE = "words with a sexual and an everyday sense"
    SUGGESTIVE = "suggestive words"
    MILD = "words that are suggestive beside others"
    GORE = "words of cruelty"
    MINOR = "a child"
    ADULTS = "adults"
    ART = "old art"
    CLOTHES = "clothes"
    GARMENTS = "garments"
    OWN = "words on the server's list"


def listed_terms(text: str) -> Terms:
    """Return the terms that a text lists with commas between them."""
    return Terms(" ".join(term.split()) for term in text.split(","))


_TERMS = tomllib.loads(Path(__file__).with_name("terms.toml").read_text(encoding="utf-8"))
LISTS: dict[Sense, Terms] = {
    one: listed_terms(_TERMS[one.name.lower()]) for one in Sense if one is not Sense.OWN
}
EVERYDAY = re.compile(_TERMS["everyday"], re.VERBOSE | re.IGNORECASE)
_NUMBERS = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    " seventeen"
).split()
_AGE = r"(?:1[0-7]|0?[1-9]|" + "|".join(_NUMBERS) + ")"
_AGES = re.compile(
    rf"(?<![\w.])(?:{_AGE}\W{{0,3}}(?:(?:years?|yrs?|y)\W{{0,3}}(?:olds?|o)|yo|yr old|anos|años|ans"
    r"|jahre\W{1,2}alt\w*|jährig\w*|jahrig\w*|лет(?:н\w*)?|岁|歳|살)"
    r"|(?:1st|2nd|3rd|[4-9]th|1[0-2]th)\W{1,2}grade(?:rs?)?"
    rf"|age[ds]?\W{{0,3}}(?:of\W)?{_AGE}(?!\d)|{_AGE}\W{{0,3}}months?\W{{0,3}}old)(?!\w)"
)


def reading(text: str) -> Reading:
    """Return a text as the lists are looked up in it, without what means something else."""
    return read_text(EVERYDAY.sub(" ", text))


def about_a_minor(reading: Reading) -> bool:
    """Return whether a text names somebody under 18, by word or by age."""
    return LISTS[Sense.MINOR].found_in(reading) or bool(_AGES.search(reading.plain))


def found_terms(sense: Sense, reading: Reading) -> frozenset[str]:
    """Return what of a list a text has; of minors, ages too."""
    ages = _AGES.findall(reading.plain) if sense is Sense.MINOR else ()
    return LISTS[sense].all_in(reading) | frozenset(ages)


THRESHOLDS = {"standard": 0.8, "strict": 0.5}  # of the classifier, 0..1


class Rule(enum.StrEnum):
    """Why something was stopped; people read the value."""

    MINORS = "sexual content with minors"
    CHILDREN = "words that can be meant sexually, beside a child"
    EXPLICIT = "sexual content"
    SUGGESTIVE = "suggestive content"
    GORE = "cruelty"
    WORDS = "this server's word list"
    PICTURE = "a picture that isn't allowed here"


class Deed(enum.Enum):
    """What follows when a rule is broken; each member includes those before it."""

    REFUSE = "it is refused"
    STRIKE = "its author gets a strike"
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
        given = dataclasses.asdict(policy).items()
        return dataclasses.replace(self, **{name: value for name, value in given if value is not None})

    def away(self) -> ModerationSettings:
        """Return what of this holds where the bot isn't, of which nobody says what may be shown there."""
        return dataclasses.replace(self, level="standard") if self.level == "off" else self


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
    here, read = strictness(level, adult), cache(reading)

    @cache
    def terms(sense: Sense, avoided: bool = False) -> frozenset[str]:
        text = read(words.avoided if avoided else words.asked)
        return own_terms(own).all_in(text) if sense is Sense.OWN else found_terms(sense, text)

    def has(sense: Sense, count: int) -> bool:  # what a line names twice, by two different terms
        return len(terms(sense)) >= count or (sense is Sense.MINOR and words.of_minor)

    for line in TABLE:
        avoided = None if line.avoided is None else Hit(line.avoided, terms(line.avoided, True), avoided=True)
        if here < line.since or (avoided is not None and not avoided.terms):
            continue
        if all(has(sense, line.asked.count(sense)) for sense in line.asked):
            asked = [Hit(sense, terms(sense)) for sense in dict.fromkeys(line.asked)]
            return Verdict(line.rule, line.deed, (*asked, *([avoided] if avoided else ())))
    return None


def rule_of(text: str, level: str, own: tuple[str, ...], adult: bool) -> Rule | None:
    """Return the first rule that a text breaks, or None."""
    verdict = judge(Words(text), level, own, adult)
    return None if verdict is None else verdict.rule


def strictness(level: str, adult: bool) -> Strictness:
    """Return how strict a place of this level is. adult: it is age-restricted."""
    return Strictness.ADULT if adult and level == "standard" else Strictness[level.upper()]


@lru_cache(maxsize=64)
def own_terms(words: tuple[str, ...]) -> Terms:
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


def judged_words(request: Request, *, of_minor: bool = False) -> Words:
    """Return the words of a request. of_minor: it is about a picture of one."""
    return Words(all_text(request), " \n ".join(avoided_by(request)), of_minor)


def names_a_minor(request: Request) -> bool:
    """Return whether the words of a request are about a minor."""
    return about_a_minor(reading(all_text(request)))


def all_text(request: Request) -> str:
    """Return every text of a request that asks for something, as one text."""
    return " \n ".join(texts_of(request))


class Minors:
    """Reads back from a picture to what it was made from, as far as that isn't known yet."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def among(self, sha256s: Iterable[str], models: Iterable[str] = ()) -> set[str]:
        """Return those of these pictures and videos (SHA-256), and of these files of own models, that are of
        a minor. What somebody sent is not."""
        models, names = set(models), {*sha256s, *models}
        if not names:
            return set()
        # 1. Back to files of which it is known, or that nobody here made
        known, made, unknown = dict[str, bool](), dict[str, list[Made]](), names
        while unknown:
            work = partial(rows.of_minors, sha256s=frozenset(unknown))
            known |= (await self._database.look_up(work, once=True))[0]
            if unknown := unknown - known.keys():
                found = await self._database.read(partial(rows.makers, sha256s=unknown - models), once=True)
                if learned := unknown & models:
                    found |= await self._database.read(partial(rows.learned, sha256s=learned))
                made |= found
                jobs = [job for several in found.values() for job in several]
                models |= {name for job in jobs for name in job.request.files}
                unknown = {name for job in jobs for name in job.sources} - known.keys() - made.keys()

        def names_one(made: Made) -> bool:
            return names_a_minor(made.request) or about_a_minor(reading(made.captions))

        # 2. And forth again: what is made from one is one
        of_minor = set[str]()
        new = {name for name, is_one in known.items() if is_one}
        new |= {name for name, jobs in made.items() if any(names_one(job) for job in jobs)}
        while new:
            of_minor |= new
            new = {
                name
                for name, jobs in made.items()
                if name not in of_minor and any(of_minor & job.sources for job in jobs)
            }
        if marks := {name: name in of_minor for name, jobs in made.items() if jobs}:
            await self._database.write(partial(rows.set_of_minors, marks=marks))
        return names & of_minor
