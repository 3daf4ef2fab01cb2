"""Pictures that their owner posts to a channel, and the channels where that can be."""

from __future__ import annotations

from http import HTTPStatus
from itertools import groupby

from core.errors import UserError
from studio.actor import Place
from web.call import Answer, Call, Json
from web.fields import field, number_of, text_of, whole


async def channels(call: Call) -> Answer:
    """Return the channels where the person may post, by server."""
    found = await call.studio.organise.posting.channels(call.actor)
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


async def post(call: Call) -> Answer:
    """Post a picture of the person's to a channel where they may write."""
    number = field(call.body, "n", int)
    for name in ("job", "server", "channel"):
        field(call.body, name, str)  # each of its kind, before one is missed
    job, place = text_of(call.body, "job"), Place(_id(call.body, "server"), _id(call.body, "channel"))
    await call.studio.organise.posting.post(call.actor, job, number_of(str(number or 0)) - 1, place)
    return Json(None, HTTPStatus.NO_CONTENT)


def _id(body: object, name: str) -> int:
    if (found := whole(text_of(body, name))) is None:
        raise UserError(f"`{name}` takes the id of a {name}.")
    return found
