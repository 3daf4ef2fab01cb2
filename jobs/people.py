"""People: names for logs and exports, small flags, uploads, and what admins have set: bans, allow lists,
limits by role and the audit trail."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from core.errors import StorageError
from storage import jobs as rows
from storage import people, privacy
from storage.database import Database
from storage.people import AuditRow, RoleLimit, RoleTokens, audited

log = logging.getLogger(__name__)
SEEN_AGAIN, SEEN_AT_MOST = 3600.0, 10_000  # s, people


class People:
    """What is known of people beside their jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: dict[int, tuple[str, float]] = {}  # user → name, monotonic seconds

    async def user_seen(self, user_id: int, name: str) -> None:
        """Note a person's name; written once an hour at most, unless the name is another. Where the database
        can't, that is only logged: whoever asks this has just queued a job, which goes on."""
        known, at = self._seen.get(user_id, ("", 0.0))
        if known == name and time.monotonic() - at < SEEN_AGAIN:
            return
        if len(self._seen) >= SEEN_AT_MOST:
            self._seen.clear()
        self._seen[user_id] = name, time.monotonic()
        work = partial(people.user_seen, user_id=user_id, name=name, now=datetime.now(UTC))
        try:
            await self._database.write(work)
        except StorageError as error:
            self._seen.pop(user_id, None)
            log.warning("the name of user %d isn't noted (%s)", user_id, error)

    async def names(self, user_ids: Iterable[int]) -> dict[int, str]:
        """Return the names of these people, as far as they are known."""
        return await self._database.read(partial(people.read_names, user_ids=user_ids), once=True)

    async def guild_seen(self, guild_id: int, name: str) -> None:
        """Note a guild's name."""
        work = partial(people.guild_seen, guild_id=guild_id, name=name, now=datetime.now(UTC))
        await self._database.write(work)

    async def guilds_are(self, here: Mapping[int, str], mine: Callable[[int], bool]) -> None:
        """Note which guilds the bot is in, id → name, of those that are ``mine`` to tell of: it has left the
        others."""
        now = datetime.now(UTC)

        def work(connection: sa.Connection) -> None:
            there = people.guilds_there(connection)
            people.guilds_left(connection, (one for one in there - here.keys() if mine(one)), now=now)
            for guild_id in here.keys() - there:
                people.guild_seen(connection, guild_id, here[guild_id], now=now)

        await self._database.write(work)

    async def guild_left(self, guild_id: int) -> None:
        """Note that the bot is no longer in a guild."""
        await self._database.write(partial(people.guilds_left, guild_ids=[guild_id], now=datetime.now(UTC)))

    async def guilds(self) -> frozenset[int]:
        """Return the ids of the guilds that the bot is in, by the rows of all its processes."""
        return await self._database.read(people.guilds_there, once=True)

    async def user_flag(self, user_id: int, key: str) -> Any:
        """Return a small setting of the user, None when it was never set."""
        return await self._database.read(partial(people.read_flag, user_id=user_id, key=key), once=True)

    async def set_user_flag(self, user_id: int, key: str, value: Any) -> None:
        """Keep a small setting of the user. ``value``: anything JSON takes; None removes it."""
        work = partial(people.set_flag, user_id=user_id, key=key, value=value)
        await self._database.write(work)

    async def note_upload(self, user_id: int, sha256: str) -> None:
        """Note that the person has sent this file."""
        work = partial(privacy.note_upload, user_id=user_id, sha256=sha256, now=datetime.now(UTC))
        await self._database.write(work)

    async def has_sent(self, user_id: int, sha256: str) -> bool:
        """Return whether the person has sent this file."""
        return await self._database.read(partial(privacy.sent, user_id=user_id, sha256=sha256), once=True)


Clear = Callable[[AuditRow, Callable[[sa.Connection], list[str]]], Awaitable[int]]


class Admin:
    """What admins set. Each change writes an audit row in the same transaction; ``actor_id`` is who makes it.

    ``clear`` runs what cancels waiting jobs, with its audit row, and returns how many that were.
    """

    def __init__(self, database: Database, clear: Clear) -> None:
        self._database, self._clear = database, clear

    async def ban(
        self, actor_id: int, user_id: int, guild_id: int | None = None, *, everywhere: bool = False
    ) -> int:
        """Take nothing more from a user in a guild (None: anywhere), and cancel what of theirs waits there
        (``everywhere``: wherever they asked); return how many jobs that were."""
        row = AuditRow(datetime.now(UTC), actor_id, "ban", guild_id, str(user_id))

        def work(connection: sa.Connection) -> list[str]:
            people.ban(connection, user_id, guild_id, actor_id=actor_id, now=row.at)
            place = None if everywhere else guild_id
            return rows.cancel_waiting(connection, now=row.at, user_id=user_id, guild_id=place)

        return await self._clear(row, work)

    async def unban(self, actor_id: int, user_id: int, guild_id: int | None = None) -> bool:
        """End a ban in a guild (None: everywhere). Return False when there was none."""
        work = partial(people.unban, user_id=user_id, guild_id=guild_id)
        return await self._change(actor_id, "unban", guild_id, user_id, work)

    async def banned(self, guild_id: int | None) -> list[int]:
        """Return the users banned in the guild (None: everywhere)."""
        return await self._database.read(partial(people.banned, guild_id=guild_id), once=True)

    async def barred(self, user_id: int, guild_id: int | None) -> bool:
        """Return whether the user may ask for nothing there: banned in the guild, or everywhere."""
        work = partial(people.read_rules, user_id=user_id, guild_id=guild_id)
        return (await self._database.read(work, once=True)).banned

    async def allow(self, actor_id: int, guild_id: int, kind: str, target_id: int) -> None:
        """Put a channel or role (``kind``) on the guild's list; once a list has an entry, only what is on it
        may be used."""
        work = partial(people.allow, guild_id=guild_id, kind=kind, target_id=target_id)
        await self._change(actor_id, f"allow {kind}", guild_id, target_id, work)

    async def disallow(self, actor_id: int, guild_id: int, kind: str, target_id: int) -> bool:
        """Take it off the list; an empty list allows everything. Return False when it wasn't listed."""
        work = partial(people.disallow, guild_id=guild_id, kind=kind, target_id=target_id)
        return await self._change(actor_id, f"disallow {kind}", guild_id, target_id, work)

    async def allowed(self, guild_id: int) -> tuple[frozenset[int], frozenset[int]]:
        """Return the guild's allow lists: channels, roles."""
        work = partial(people.read_rules, user_id=0, guild_id=guild_id)
        found = await self._database.read(work, once=True)
        return found.channels, found.roles

    async def role_limits(self, guild_id: int) -> list[RoleLimit]:
        """Return the limits of the guild's roles."""
        return await self._database.read(partial(people.all_role_limits, guild_id=guild_id), once=True)

    async def set_role_limit(self, actor_id: int, guild_id: int, limit: RoleLimit) -> None:
        """Give members with a role limits of their own; who has several such roles has the best of each."""
        detail = {"user_running": limit.user_running, "user_waiting": limit.user_waiting}
        work = partial(people.set_role_limit, guild_id=guild_id, limit=limit)
        await self._change(actor_id, "set role limit", guild_id, limit.role_id, work, detail)

    async def remove_role_limit(self, actor_id: int, guild_id: int, role_id: int) -> bool:
        """Take a role's limits away. Return False when it had none."""
        work = partial(people.remove_role_limit, guild_id=guild_id, role_id=role_id)
        return await self._change(actor_id, "remove role limit", guild_id, role_id, work)

    async def role_tokens(self, guild_id: int) -> list[RoleTokens]:
        """Return how many tokens a day the guild's roles have, of those with a number of their own."""
        return await self._database.read(partial(people.all_role_tokens, guild_id=guild_id), once=True)

    async def set_role_tokens(self, actor_id: int, guild_id: int, tokens: RoleTokens) -> None:
        """Give members with a role a number of tokens a day; who has several such roles has the most."""
        work, detail = (
            partial(people.set_role_tokens, guild_id=guild_id, tokens=tokens),
            {"per_day": tokens.per_day},
        )
        await self._change(actor_id, "set role tokens", guild_id, tokens.role_id, work, detail)

    async def remove_role_tokens(self, actor_id: int, guild_id: int, role_id: int) -> bool:
        """Take a role's number of tokens away. Return False when it had none."""
        work = partial(people.remove_role_tokens, guild_id=guild_id, role_id=role_id)
        return await self._change(actor_id, "remove role tokens", guild_id, role_id, work)

    async def audit(self, guild_id: int | None = None, limit: int = 50) -> list[AuditRow]:
        """Return what admins did (in a guild, if it is named), newest first."""
        work = partial(people.audit_rows, guild_id=guild_id, limit=limit)
        return await self._database.read(work, once=True)

    async def _change(
        self,
        actor_id: int,
        action: str,
        guild_id: int | None,
        target: int,
        work: Callable[[sa.Connection], Any],
        detail: dict[str, Any] | None = None,
    ) -> Any:
        row = AuditRow(datetime.now(UTC), actor_id, action, guild_id, str(target), detail or {})
        return await self._database.write(audited(row, work))
