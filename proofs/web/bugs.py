"""Seeded bugs: what the walk has to see. Each is one check of the program that isn't made."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from unittest import mock

from jobs.queue import Admin
from storage.sessions import Sessions
from studio.authority import Action, Actor
from studio.library import gallery
from studio.library.downloads import Zips
from studio.library.gallery import Gallery
from studio.library.shares import Shares
from studio.moderation.moderator import Moderator
from studio.moderation.rules import Visibility
from studio.requests.prompts import Requests
from studio.rights import Rights
from tests.web.cells import Cell, From, key_of
from tests.web.world import AUTHOR, World
from web import dispatch, guard
from web.auth import Visitors


@dataclass(frozen=True)
class Bug:
    """One bug. plant: makes it for the length of a block. where: cells in which it would be seen."""

    name: str
    plant: Callable[[World], AbstractContextManager[Any]]
    where: Callable[[Cell], bool]


def _on(*lines: str) -> Callable[[Cell], bool]:
    return lambda cell: key_of(cell.route) in lines and cell.origin is From.HERE


def _from_elsewhere(cell: Cell) -> bool:
    return not cell.safe and cell.origin not in (From.HERE, From.REBOUND)


def _unasked(*actions: Action) -> Callable[[World], AbstractContextManager[Any]]:
    """Nobody asks the table of rights about these."""
    check = Rights.check

    async def forgetful(rights: Rights, actor: Actor, action: Action, job: Any = None) -> None:
        if action not in actions:
            await check(rights, actor, action, job)

    return lambda world: mock.patch.object(Rights, "check", forgetful)


def _replaced(owner: Any, name: str, value: Any) -> Callable[[World], AbstractContextManager[Any]]:
    return lambda world: mock.patch.object(owner, name, value)


async def _no(*_: Any, **__: Any) -> bool:
    return False


async def _yes(*_: Any, **__: Any) -> bool:
    return True


async def _none(*_: Any, **__: Any) -> None:
    return None


async def _shown(*_: Any, **__: Any) -> Visibility:
    return Visibility.SHOW


async def _all_shown(gallery: Gallery, place: Any, pictures: Any) -> list[Visibility]:
    return [Visibility.SHOW for _ in pictures]


async def _unmasked(route: Any, call: Any) -> Any:
    return await route.handler(call)


def _sees_channel_0(actor: Actor, place: Any) -> bool:
    same = place.channel_id == actor.channel_id or actor.reads(place.channel_id)
    return place.guild_id == actor.guild_id and same


async def _every_channel(member: Any, actor: Actor) -> list[int]:
    return list(member.channels())


def _plain(world: World) -> AbstractContextManager[Any]:
    thumbnail = Gallery.thumbnail

    async def sharp(*arguments: Any, veiled: bool = True) -> Any:
        return await thumbnail(*arguments, veiled=False)

    return mock.patch.object(Gallery, "thumbnail", sharp)


def _any_token(world: World) -> AbstractContextManager[Any]:
    find = Visitors.find

    async def found(visitors: Visitors, token: str) -> Any:
        return await find(visitors, world.cookies[AUTHOR.name])

    return mock.patch.object(Visitors, "find", found)


def _anybodys_session(world: World) -> AbstractContextManager[Any]:
    end = Sessions.end

    async def ended(sessions: Sessions, user_id: int, session_id: str | None = None) -> int:
        return await end(sessions, AUTHOR.id or 0, session_id)

    return mock.patch.object(Sessions, "end", ended)


def _anybodys_draft(world: World) -> AbstractContextManager[Any]:
    confirmed = Requests.confirmed

    async def found(requests: Requests, actor: Actor, draft_id: str) -> Any:
        return await confirmed(requests, Actor(AUTHOR.id or 0, None), draft_id)

    return mock.patch.object(Requests, "confirmed", found)


def _never_expires(world: World) -> AbstractContextManager[Any]:
    sessions = world.opened.services.web.sessions
    return mock.patch.object(sessions, "_idle", timedelta(days=9999))


def _sent_by_anybody(world: World) -> AbstractContextManager[Any]:
    return mock.patch.object(type(world.opened.services.queue.people), "has_sent", _yes)


BY_LINK = "GET /files/s/{token}/{job}/{n}"
SMALL = "GET /files/{job}/{n}/{side}.webp"
PRESS = ("POST /api/jobs/{job}/{n}/{action}", "POST /jobs/{job}/{n}/{action}")
KEEP = ("PUT /api/favourites/{job}/{n}", "POST /favourites/{job}/{n}")
REMOVE = ("DELETE /api/jobs/{job}", "POST /jobs/{job}/delete")
CANCEL = ("POST /api/jobs/{job}/cancel", "POST /jobs/{job}/cancel")
MAKES = (
    Action.PICK,
    Action.VARY,
    Action.REROLL,
    Action.REMIX,
    Action.UPSCALE,
    Action.ZOOM,
    Action.PAN,
    Action.DESCRIBE,
    Action.CLASSIFY,
)
BUGS = (
    Bug("the origin isn't looked at", _replaced(guard, "check_origin", lambda *_: None), _from_elsewhere),
    Bug(
        "the host isn't looked at",
        _replaced(guard, "check_host", lambda *_: None),
        lambda c: c.origin is From.REBOUND,
    ),
    Bug("authority isn't asked for thumbnails", _unasked(Action.SHOW), _on(SMALL)),
    Bug("authority isn't asked for originals", _unasked(Action.SHOW), _on("GET /files/{job}/{n}")),
    Bug("authority isn't asked for previews", _unasked(Action.SHOW), _on("GET /previews/{job}/{step}")),
    Bug("authority isn't asked for a picture's page", _unasked(Action.SHOW), _on("GET /pictures/{job}/{n}")),
    Bug("authority isn't asked for a job's data", _unasked(Action.SHOW), _on("GET /api/jobs/{job}")),
    Bug("the family tree shows everybody's", _replaced(Rights, "sees", _yes), _on("GET /pictures/{job}/{n}")),
    Bug("authority isn't asked for buttons", _unasked(*MAKES), _on(*PRESS)),
    Bug("authority isn't asked for favourites", _unasked(Action.FAVOURITE), _on(*KEEP)),
    Bug("authority isn't asked for deleting", _unasked(Action.DELETE), _on(*REMOVE)),
    Bug("authority isn't asked for cancelling", _unasked(Action.CANCEL), _on(*CANCEL)),
    Bug("channel 0 is a place", _replaced(Actor, "sees", _sees_channel_0), _on("GET /api/jobs/{job}")),
    Bug("bans of a server aren't looked up", _replaced(Admin, "barred", _no), _on("GET /files/{job}/{n}")),
    Bug(
        "Explore shows channels that aren't read",
        _replaced(gallery, "readable_channels", _every_channel),
        _on("GET /api/explore"),
    ),
    Bug("bans aren't looked up", _replaced(Admin, "barred", _no), _on("PATCH /api/settings")),
    Bug(
        "time-outs aren't looked up", _replaced(Moderator, "time_out_ends", _none), _on("PATCH /api/settings")
    ),
    Bug("sessions never expire", _never_expires, _on("GET /api/jobs")),
    Bug("any cookie is the author's", _any_token, _on("GET /api/jobs")),
    Bug("anybody's session can be ended", _anybodys_session, _on("DELETE /api/sessions/{session}")),
    Bug("anybody's draft can be confirmed", _anybodys_draft, _on("POST /api/drafts/{draft}")),
    Bug(
        "anybody's upload is shown",
        _sent_by_anybody,
        _on("GET /files/uploads/{sha256}", "GET /files/uploads/{sha256}.webp"),
    ),
    Bug("authority isn't asked for ZIP files", _replaced(Zips, "_is_shown", _yes), _on("POST /api/zip")),
    Bug("a link shows more than it stands for", _replaced(Shares, "_holds", _yes), _on(BY_LINK)),
    Bug("blocked pictures are sent small", _replaced(Gallery, "_visible", _all_shown), _on(SMALL)),
    Bug(
        "blocked pictures are sent",
        _replaced(Moderator, "visibility", _shown),
        _on("GET /files/{job}/{n}"),
    ),
    Bug("spoilers aren't blurred", _plain, _on(SMALL)),
    Bug(
        "a job is told from one that never was",
        _replaced(dispatch, "_handled", _unmasked),
        _on("GET /api/jobs/{job}"),
    ),
)
