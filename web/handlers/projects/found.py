"""Reads what a call about a project says: which one it is, which pictures and version, files with it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.errors import UserError
from core.job import Job
from core.requests.own_models import DETECT
from jobs.views import Submitted
from studio.asking.new_job import NewJob
from studio.pictures.intake import Sent
from studio.projects.pictures import Brought
from studio.projects.shelf import Card
from web.call import Call, Gone
from web.fields import chosen_of, field, names_of

MOST_NAMED = 500  # pictures of a project that a call names
_ZIP = b"PK\x03\x04"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CHECKED = re.compile(r"p-([0-9a-f]{64})")


async def card(call: Call) -> Card:
    """Return the project that an address names. One that the person may not see looks like none."""
    try:
        found = await call.studio.projects.shelf.card(call.actor, call.path["project"])
    except UserError as error:
        raise Gone() from error
    if found.project.id != call.path["project"]:  # somebody called theirs so
        raise Gone()
    return found


def text(call: Call, name: str) -> str:
    """Return a text of the body, "" when it isn't there. Raises UserError for another type."""
    return field(call.body, name, str) or ""


def version_of(text: str) -> int | None:
    """Return a version's number, None of nothing. Raises UserError for what can't be one."""
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or not 0 < int(text[:9]) < 10**6:
        raise UserError("`version` takes the number of a version.")
    return int(text[:9])


def pictures_of(call: Call) -> list[str]:
    """Return the pictures of a project that JSON names. Raises UserError."""
    named = names_of(call.body, "pictures", MOST_NAMED)
    if not named or not all(_SHA256.fullmatch(name) for name in named):
        raise UserError(f"`pictures` takes 1 to {MOST_NAMED} ids of pictures, as the project lists them.")
    return named


def checked_of(call: Call) -> list[str]:
    """Return the pictures of a project that are ticked in a form. Raises UserError for none."""
    found = [match[1] for name in call.body if (match := _CHECKED.fullmatch(name))]
    if not found:
        raise UserError("Choose one or more pictures first.")
    return found


def is_picture(text: str) -> bool:
    """Return whether a text can be the id of a project's picture."""
    return _SHA256.fullmatch(text) is not None


def brought_along(call: Call) -> list[Sent | str]:
    """Return the pictures that come with a form: its files, and those of the studio's own that it names."""
    own = text(call, "pictures")
    named = [f"{job} {index + 1}" for job, index in chosen_of(call.body)] if own else []
    return [*call.files, *named]


async def add(call: Call, card: Card) -> Brought:
    """Put what comes with a form into its project, zip files by their folders. A label says nothing where
    things in pictures have their own."""
    pictures = call.studio.projects.pictures
    name, label = card.project.id, text(call, "label").strip()
    label = "" if card.project.task == DETECT else label
    given = brought_along(call)
    zips = [one for one in given if not isinstance(one, str) and one.head.startswith(_ZIP)]
    rest = [one for one in given if one not in zips]
    done: list[Brought] = []
    if rest or not zips:
        together = text(call, "together") == "1"
        done.append(await pictures.add(call.actor, name, rest, label, together=together))
    for one in zips:
        done.append(await pictures.add_zip(call.actor, name, one, label))
    return _sum(done)


def _sum(done: Sequence[Brought]) -> Brought:
    return Brought(
        tuple(name for one in done for name in one.new),
        tuple(name for one in done for name in one.known),
        tuple(pair for one in done for pair in one.refused),
        sum(one.more for one in done),
    )


async def submit(call: Call, new: NewJob, key: str | None = None) -> Job:
    """Queue a job of a project; with a ``key`` once."""
    submitted: Submitted = await call.studio.submit(call.actor, new, once=key)
    return submitted.job
