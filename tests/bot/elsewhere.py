"""Places that the bot isn't in, which simcord lacks: interactions by somebody's own installation, and answers
that Discord makes private."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import simcord.http.routes.interactions  # makes the table
import simcord.interactions
from simcord.backend import serializers
from simcord.http import router

SERVER, CHANNEL, GROUP = 999000000000000001, 999000000000000002, 999000000000000003
MANAGES = str(1 << 5 | 1 << 10 | 1 << 11 | 1 << 13 | 1 << 31)
CALLBACK = "interactions/{interaction_id}/{token}/callback".split("/")


@dataclass
class Elsewhere:
    """A server (or a group, ``is_group``) without the bot. owner: id of whoever brought the bot along; None =
    people are where the simulator has them. managers: ids of who manages it. silenced: ids of whose answers
    Discord makes private. sent: (person, kind of answer) of each."""

    owner: int | None = None
    is_group: bool = False
    managers: set[int] = field(default_factory=set)
    silenced: set[int] = field(default_factory=set)

    def moved(self, payload: dict[str, Any], user: dict[str, Any]) -> dict[str, Any]:
        """Return an interaction's payload as it arrives from there."""
        if self.owner is None:
            return payload
        payload = {
            **payload,
            "authorizing_integration_owners": {"1": str(self.owner)},
            "app_permissions": "0",
        }
        member = payload.pop("member", None)
        for name in ("guild_id", "guild_locale", "user"):
            payload.pop(name, None)
        if self.is_group:
            channel = {
                "id": str(GROUP),
                "type": 3,
                "name": None,
                "recipients": [user],
                "last_message_id": None,
            }
            channel |= {"flags": 0, "owner_id": str(self.owner), "icon": None}
            return payload | {"channel": channel, "channel_id": str(GROUP), "user": user, "context": 2}
        rights = MANAGES if int(user["id"]) in self.managers else str(1 << 10 | 1 << 11 | 1 << 31)
        member = {**(member or {"joined_at": "2026-01-01T00:00:00+00:00", "deaf": False, "mute": False})}
        member |= {"user": user, "roles": ["999000000000000009"], "permissions": rights, "flags": 0}
        channel = {"id": str(CHANNEL), "type": 0, "name": "general", "nsfw": True, "guild_id": str(SERVER)}
        channel |= {"position": 0, "parent_id": None, "topic": None, "last_message_id": None, "flags": 0}
        place = {"guild_id": str(SERVER), "channel_id": str(CHANNEL), "channel": channel, "context": 0}
        guild = {"id": str(SERVER), "locale": "de", "features": []}
        return payload | place | {"member": member, "guild": guild}


@contextmanager
def elsewhere() -> Iterator[Elsewhere]:
    """Let the simulator's people ask from a place that the bot isn't in, where and as the result says."""
    place, plain = Elsewhere(), simcord.interactions.base_payload

    def base(backend: Any, **about: Any) -> tuple[Any, dict[str, Any]]:
        record, payload = plain(backend, **about)
        user = dict(serializers.user_payload(backend.get_user(about["user_id"])))
        return record, place.moved(payload, user)

    table = router._ROUTES["POST"]
    at, answer = next((i, handler) for i, (route, handler) in enumerate(table) if route == CALLBACK)

    def callback(call: Any) -> Any:
        body, record = call.body(), call.backend.interactions.get(call.int_arg("interaction_id"))
        if record is not None and record.user_id in place.silenced and body["type"] in (4, 5):
            body.setdefault("data", {})["flags"] = int((body.get("data") or {}).get("flags") or 0) | 64
        return answer(call)

    with mock.patch.object(simcord.interactions, "base_payload", base):
        table[at] = (CALLBACK, callback)
        try:
            yield place
        finally:
            table[at] = (CALLBACK, answer)
