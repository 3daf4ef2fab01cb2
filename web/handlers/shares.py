"""Shares, made and ended by their owner and looked at by whoever has a link; pictures posted to a channel."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import groupby
from typing import Any

from core.errors import UserError
from core.job import Job
from core.language import _
from core.requests.base import Answer as Kind
from storage.collections import Share, Shared
from storage.job_queries import StoredPicture
from studio.authority import Place
from studio.library.shares import Looked
from studio.requests.prompts import remix_text
from web import schemas
from web.call import DONE, Answer, Bytes, Call, File, Gone, Html, Json, there
from web.handlers import gallery
from web.schemas import number_of, read_body, whole_number
from web.views import alt_text

LASTS = (1, 7, 30, 90)  # days to choose from, beside the host's own
# https://docs.discord.com/developers/link-previews/component-embeds
MOST_BYTES, MOST_ITEMS = 3000, 10
CONTAINER, TEXT_DISPLAY, MEDIA_GALLERY = 17, 10, 12
MARKDOWN = re.compile(r"([\\`*_~|\[\]()<>#@-])")


async def shares_page(call: Call) -> Answer:
    """A page of the person's shares."""
    shares, now = call.studio.shares, datetime.now(UTC)
    found = [await _shape(call, share, now) for share in await shares.all(call.actor)]
    names = {folder.id: folder.name for folder in await call.studio.folders.all(call.actor)}
    for one in found:
        one["folder_name"] = names.get(one["folder"] or "")
    values = {"shares": found, "days": shares.days}
    return Html("organise/shares", values)


async def create_share(call: Call) -> Answer:
    """Make a share and return its link."""
    given = read_body(call, schemas.NewShare)
    if not given.folder and not given.job:
        raise UserError("`job` is missing.")
    position = number_of(str(given.n)) - 1 if given.n else None
    what = Shared(folder_id=given.folder) if given.folder else Shared(given.job, position)
    share, link = await call.studio.shares.create(
        call.actor, what, title=given.title, words=given.words, embed=given.embed, days=given.days
    )
    return Json({**await _shape(call, share, datetime.now(UTC)), "link": link}, HTTPStatus.CREATED)


async def list_shares(call: Call) -> Answer:
    """Return the person's shares."""
    now = datetime.now(UTC)
    found = await call.studio.shares.all(call.actor)
    return Json({"shares": [await _shape(call, share, now) for share in found]})


async def revoke_share(call: Call) -> Answer:
    """End a share: its link shows nothing from now on."""
    there(await call.studio.shares.revoke(call.actor, call.path["share"]))
    return DONE


async def shared_page(call: Call) -> Answer:
    """A page of what a link shows."""
    shares, before = call.studio.shares, gallery.cursor_of(call.query.get("before"))
    seen = there(await shares.look(call.path["token"], before))
    await shares.visited(seen.share, call.person.user_id if call.person else None)
    page = _page(seen, call.path["token"], shares.origin)
    return Html("organise/share", {**page, "embed": seen.share.embed and before is None}, shared=True)


async def shared_embed(call: Call) -> Answer:
    """Return what Discord shows where a link is pasted whose owner allows it."""
    shares = call.studio.shares
    seen = there(await shares.look(call.path["token"]))
    if not (seen.share.embed and seen.pictures):
        raise Gone()
    return Json(embed_of(_page(seen, call.path["token"], shares.origin)), shared=True)


def embed_of(page: Mapping[str, Any]) -> dict[str, Any]:
    """Return a component embed of a link's page: its title, until when, and as many of its pictures as fit,
    with alternative texts as long as fit."""
    for count, letters in ((MOST_ITEMS, 200), (MOST_ITEMS, 80), (MOST_ITEMS, 20), (3, 20)):
        items = [
            {"media": {"url": page["origin"] + one["thumb"]}, "description": one["alt"][:letters]}
            for one in page["pictures"][:count]
        ]
        title = MARKDOWN.sub(r"\\\1", page["title"])
        said = _("Made with a model · shared until {until}", until=page["until"])
        text = {"type": TEXT_DISPLAY, "content": f"### {title}\n{said}"}
        gallery = {"type": MEDIA_GALLERY, "items": items}
        found = {"component": {"type": CONTAINER, "components": [text, gallery]}}
        if len(json.dumps(found, ensure_ascii=False).encode()) <= MOST_BYTES:
            break
    return found


async def send_shared(call: Call) -> Answer:
    """Return a picture that a link shows, whole or as a small copy."""
    side = int(call.path["side"]) if "side" in call.path else None
    shown = await call.studio.shares.picture(call.path["token"], _named(call), side)
    if shown is None or shown.data is None:
        raise Gone()
    return Bytes(shown.data, shown.media_type, shared=True)


async def send_shared_video(call: Call) -> Answer:
    """Return a video that a link shows, whole or in parts."""
    path = await call.studio.shares.video(call.path["token"], _named(call))
    return File(there(path), "video/mp4", shared=True)


def share_form(call: Call, **what: Any) -> dict[str, Any] | None:
    """Return what the form to share something needs, None where nothing is shared. what: its fields."""
    days = call.studio.shares.days
    return {"what": what, "days": days, "choices": sorted({*LASTS, days})} if days else None


def _named(call: Call) -> tuple[str, int]:
    return call.path["job"], number_of(call.path["n"]) - 1


async def _shape(call: Call, share: Share, now: datetime) -> dict[str, Any]:
    """Return a share as its owner reads it. link: None of one that has ended, or that can't be told again."""
    what = share.what
    first = None if what.job_id is None else f"{what.job_id}/{(what.position or 0) + 1}"
    return {
        "id": share.id,
        "link": None if share.ended(now) else await call.studio.shares.link(share),
        "title": share.title,
        "job": what.job_id,
        "n": None if what.position is None else what.position + 1,
        "folder": what.folder_id,
        "href": f"/pictures/{first}" if first else f"/folders/{what.folder_id}",
        "thumb": f"/files/{first}/256.webp" if first else None,
        "words": share.words,
        "embed": share.embed,
        "created": share.created_at.isoformat(),
        "expires": share.expires_at.isoformat(),
        "ended": share.ended(now),
        "revoked": share.revoked_at is not None,
        "views": share.views,
    }


def _page(seen: Looked, token: str, origin: str) -> dict[str, Any]:
    """Return what the page of a link shows, and what a chat that the link is pasted into shows of it. Without
    words, nothing of the prompts is in it. origin: of the web, before every path."""
    share = seen.share
    shown = [_picture(job, stored, token) for job, stored in seen.pictures]
    for number, one in enumerate(shown, 1):
        _job, stored = seen.pictures[number - 1]
        named = (share.title or _("A picture")) + (f", {number}" if len(shown) > 1 else "")
        one["alt"] = one["alt"] or seen.captions.get(stored.sha256) or named
    several = share.what.folder_id is not None or len(shown) > 1
    return {
        "title": share.title or (_("Pictures") if several else _("A picture")),
        "pictures": shown,
        "origin": origin,
        "address": f"{origin}/s/{token}",
        "until": f"{share.expires_at.day} {share.expires_at:%B %Y}",
        "older": f"/s/{token}?before={seen.older}" if seen.older else None,
    }


def _picture(job: Job, stored: StoredPicture, token: str) -> dict[str, Any]:
    files = f"/files/s/{token}/{job.id}/{stored.index + 1}"
    return {
        "width": stored.width,
        "height": stored.height,
        "original": files,
        "thumb": f"{files}/512.webp",
        "video": f"{files}.mp4" if job.request.answer is Kind.VIDEOS else None,
        "alt": alt_text(job) if job.worded else "",
        "words": remix_text(job) if job.worded else "",
    }


async def list_channels(call: Call) -> Answer:
    """Return the channels where the person may post, by server."""
    found = await call.studio.posting.channels(call.actor)
    servers = [
        {
            "id": str(guild_id),
            "name": open_[0].server,
            "channels": [{"id": str(one.place.channel_id), "name": one.name} for one in open_],
        }
        for guild_id, group in groupby(found, key=lambda one: one.place.guild_id)
        if (open_ := list(group))
    ]
    return Json({"servers": servers})


async def post_picture(call: Call) -> Answer:
    """Post a picture of the person's to a channel where they may write."""
    given = read_body(call, schemas.Post)
    if (server := whole_number(given.server)) is None:
        raise UserError("`server` takes the id of a server.")
    if (channel := whole_number(given.channel)) is None:
        raise UserError("`channel` takes the id of a channel.")
    position, posting = number_of(str(given.n)) - 1, call.studio.posting
    await posting.post(call.actor, given.job, position, Place(server, channel))
    return DONE
