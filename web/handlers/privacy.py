"""A person's own data: what there is of it, a copy, and its deletion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime

from web.call import Answer, Call, Json, SignedOut, Stream
from web.handlers.pages import Pages
from web.people import Visitors


class PrivacyHandlers:
    """Handlers about a person's own data. ``ended`` is told whose session has ended and its id."""

    def __init__(self, pages: Pages, visitors: Visitors, ended: Callable[[int, str], None]) -> None:
        self._pages, self._visitors, self._ended = pages, visitors, ended

    async def page(self, call: Call) -> Answer:
        """What is kept of the person and for how long, with ways to take it away and to delete it."""
        own, talking = call.studio.own, call.studio.talking
        values = {
            "held": asdict(await own.holdings(call.actor)),
            "kept": asdict(own.retention),
            "server": talking.server,
        }
        return self._pages.page(call, "privacy", values)

    async def show(self, call: Call) -> Answer:
        """Return how much is kept of the person, and for how many days; 0 days = until it is deleted."""
        held = asdict(await call.studio.own.holdings(call.actor))
        since = held.pop("since")
        held["since"] = since.isoformat() if since else None
        return Json({"held": held, "days": asdict(call.studio.own.retention)})

    async def export(self, call: Call) -> Answer:
        """Send everything that is kept of the person as one file; without pictures and films with
        ?pictures=0."""
        parts = call.studio.own.export(call.actor, pictures=call.query.get("pictures") != "0")
        return Stream(parts, "application/zip", f"atelier-data-{datetime.now(UTC):%Y-%m-%d}.zip")

    async def delete(self, call: Call) -> Answer:
        """Delete everything that is kept of the person, for good; all of their sessions end."""
        user_id = call.actor.user_id
        sessions = await self._visitors.sessions.of(user_id)
        await call.studio.own.delete(call.actor)
        for session in sessions:
            self._ended(user_id, session.id)
        return SignedOut()
