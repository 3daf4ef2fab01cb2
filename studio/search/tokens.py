"""The grammar of the search box: words, and filters as ``name:value`` among them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo

from core.errors import UserError
from core.requests import PICTURE_KINDS
from storage.gallery import Filter

MOST_WORDS = 12
LONGEST = 400  # characters of the whole
_PART = re.compile(r'([A-Za-z]+:"[^"]*")|"([^"]*)"|(\S+)')
_TOKEN = re.compile(r"([A-Za-z]+):(.*)")
_DAY = re.compile(r"(\d{4})-(\d{1,2})(?:-(\d{1,2}))?")
_RATIO = re.compile(r"([1-9]\d{0,2})[:x/]([1-9]\d{0,2})")
_SENT = re.compile(r"(?i)\blike:\"?[0-9a-f]{64}\b\"?")
_LIKE = re.compile(r"([a-z2-9]{12})(?:/(\d{1,2}))?|([0-9a-f]{64})")


@dataclass(frozen=True)
class Like:
    """The picture that others are to be like: number ``index`` (from 0) of a job, or one that was sent."""

    job_id: str | None = None
    index: int = 0
    sha256: str | None = None


@dataclass(frozen=True)
class Query:
    """What somebody looks for. own: among their own pictures only. folder: the name of a folder of theirs.
    zone: whose days and months they name."""

    filter: Filter = Filter()
    like: Like | None = None
    own: bool = False
    folder: str | None = None
    zone: tzinfo = UTC

    @property
    def is_ranked(self) -> bool:
        """Whether some pictures fit better than others, rather than all that fit being alike."""
        return bool(self.filter.words) or self.like is not None


def read(text: str, zone: tzinfo = UTC) -> Query:
    """Return what ``text`` asks for. zone: whose days it names. Raises UserError for a filter that there
    isn't, or for its value."""
    if len(text) > LONGEST:
        raise UserError(f"The search has {len(text):,} characters; it takes up to {LONGEST}.")
    query, words = Query(zone=zone), list[str]()
    for named, quoted, bare in _PART.findall(text):
        token = _TOKEN.fullmatch(named or bare)
        if token is None or not (token[2] or token[1].lower() in FILTERS):
            words += (quoted or bare).split()
            continue
        name, value = token[1].lower(), token[2].strip('"')
        if name not in FILTERS:
            raise UserError(f'`{name}:` isn\'t a filter; there are {NAMES}. Words go into "quotation marks".')
        query = FILTERS[name](query, value)
    if len(words) > MOST_WORDS:
        raise UserError(f"The search has {len(words)} words; it takes up to {MOST_WORDS}.")
    return replace(query, filter=replace(query.filter, words=tuple(words)))


def shown(text: str) -> str:
    """Return a search as its author would say it: a picture that was sent has no name of its own."""
    return _SENT.sub("like a picture of yours", text)


def _kind(query: Query, value: str) -> Query:
    if value.lower() not in PICTURE_KINDS:
        raise UserError(f"`kind:` takes one of {', '.join(PICTURE_KINDS)}.")
    return _filtered(query, kind=value.lower())


def _model(query: Query, value: str) -> Query:
    if not value:
        raise UserError("`model:` takes a part of a model's name.")
    return _filtered(query, model=value)


def _seed(query: Query, value: str) -> Query:
    if not value.isascii() or not value.isdecimal() or int(value[:20]) >= 2**63:
        raise UserError("`seed:` takes a whole number, such as seed:42.")
    return _filtered(query, seed=int(value))


def _since(query: Query, value: str) -> Query:
    return _filtered(query, since=days_of("from", value, query.zone)[0])


def _until(query: Query, value: str) -> Query:
    return _filtered(query, until=days_of("to", value, query.zone)[1])


def _ratio(query: Query, value: str) -> Query:
    found = _RATIO.fullmatch(value)
    if found is None:
        raise UserError("`ar:` takes a shape, such as ar:3:2.")
    return _filtered(query, ratio=(int(found[1]), int(found[2])))


def _favourite(query: Query, value: str) -> Query:
    if value.lower() != "yes":
        raise UserError("`fav:` takes yes.")
    return _filtered(query, favourite=True)


def _by(query: Query, value: str) -> Query:
    if value.lower() != "me":
        raise UserError("`by:` takes me.")
    return replace(query, own=True)


def _like(query: Query, value: str) -> Query:
    found = _LIKE.fullmatch(value.lower())
    if found is None or found[2] == "0":
        raise UserError("`like:` takes a picture: a job's id and a number, such as like:abcd2345efgh/2.")
    return replace(query, like=Like(found[1], int(found[2] or 1) - 1, found[3]))


def _folder(query: Query, value: str) -> Query:
    return replace(query, folder=value)


FILTERS: dict[str, Callable[[Query, str], Query]] = {
    "like": _like,
    "kind": _kind,
    "model": _model,
    "seed": _seed,
    "from": _since,
    "to": _until,
    "ar": _ratio,
    "fav": _favourite,
    "folder": _folder,
    "by": _by,
}
NAMES = ", ".join(f"`{name}:`" for name in FILTERS)


def _filtered(query: Query, **values: object) -> Query:
    return replace(query, filter=replace(query.filter, **values))  # type: ignore[arg-type]


def days_of(name: str, value: str, zone: tzinfo) -> tuple[datetime, datetime]:
    """Return the beginning of a time zone's day or month, and that of the next. Raises UserError."""
    found = _DAY.fullmatch(value)
    wrong = UserError(f"`{name}:` takes a day or a month, such as {name}:2026-11-26.")
    if found is None:
        raise wrong
    year, month, day = (int(part or 1) for part in found.groups())
    try:
        begin = datetime(year, month, day, tzinfo=zone)
        month_later = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=zone)
        end = begin + timedelta(days=1) if found[3] else month_later
        return begin.astimezone(UTC), end.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise wrong from error
