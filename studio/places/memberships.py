"""What people are in the servers that they share with the bot: asked of the chat service, kept for
seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from cachetools import LRUCache

from storage.members import Members
from studio.actor import Actor, Place
from studio.directory import Directory, Member, Unanswered

KEPT = 5.0  # seconds that an answer is good for: what somebody may read ends soon after their role
ABSENT = 60.0  # the same of somebody who isn't there, for whom nothing can end
HELD = 600.0  # seconds that the last answer counts while the chat service gives no new one
FEW = 20  # servers that each person is looked for in; of a bot in more, only where they have been seen
LOOKED = 100  # servers that somebody is looked for in, until there is one
MOST = 10_000  # answers


@dataclass(frozen=True)
class _Answer:
    """until, given: monotonic seconds when it ends to be good, and when the chat service gave it."""

    member: Member | None
    until: float
    given: float


class Memberships:
    """Looks people up. members: where they have asked for something, and whether they say that they are of
    age."""

    def __init__(
        self, directory: Directory, members: Members, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._directory, self._members, self._clock = directory, members, clock
        self._answers = LRUCache[tuple[int, int], _Answer](MOST)
        self._asking: dict[tuple[int, int], asyncio.Task[Member | None]] = {}

    async def of(self, user_id: int, guild_id: int) -> Member | None:
        """Return what a person is in a server, None where they aren't or where that can't be told. However
        many ask at once, the chat service is asked once."""
        key = user_id, guild_id
        known = self._answers.get(key)
        if known is not None and self._clock() < known.until:
            return known.member
        if key not in self._asking:
            self._asking[key] = asyncio.create_task(self._ask(key), name="look a member up")
        return await asyncio.shield(self._asking[key])

    async def all_of(self, user_id: int) -> list[Member]:
        """Return what a person is in each server that they share with the bot, by the servers' names."""
        ids = self._directory.server_ids
        if len(ids) > FEW:
            ids = ids & set(await self._members.servers(user_id))
        found = await asyncio.gather(*(self.of(user_id, guild_id) for guild_id in sorted(ids)[:FEW]))
        return sorted((member for member in found if member), key=lambda m: (m.server.lower(), m.guild_id))

    async def shares_any(self, user_id: int) -> bool:
        """Return whether a person shares a server with the bot: each is asked until there is one, those where
        they have asked for something first. Of a bot in very many, not all are."""
        used = await self._members.servers(user_id)
        ids = sorted(self._directory.server_ids, key=lambda guild_id: (guild_id not in used, guild_id))
        for guild_id in ids[:LOOKED]:
            if await self.of(user_id, guild_id) is not None:
                return True
        return False

    async def shares_none(self, user_id: int) -> bool:
        """Return whether it is sure that a person shares no server with the bot: not while the chat service
        gives no answer. Of a bot in many servers, those where they have asked for something count."""
        ids = self._directory.server_ids
        if len(ids) > FEW:
            ids = ids & set(await self._members.servers(user_id))
        for guild_id in sorted(ids):
            if await self.of(user_id, guild_id) is not None or not self._is_told(user_id, guild_id):
                return False
        return bool(ids)

    def _is_told(self, user_id: int, guild_id: int) -> bool:
        known = self._answers.get((user_id, guild_id))
        return known is not None and known.given > float("-inf")

    async def within(self, actor: Actor, member: Member) -> Actor:
        """Return who ``actor`` is inside a server: they read what they could open there, but of
        age-restricted channels nothing until they say that they are of age."""
        adult = (await self._members.preferences(actor.user_id)).adult

        def reads(channel_id: int) -> bool:
            place = Place(member.guild_id, channel_id)
            return member.reads(channel_id) and (adult or self._directory.age_restricted(place) is False)

        return replace(actor, guild_id=member.guild_id, manages=member.manages, reads=reads)

    async def _ask(self, key: tuple[int, int]) -> Member | None:
        try:
            member = await self._directory.member(*key)
        except Unanswered:
            return self._without_answer(key)
        finally:
            del self._asking[key]
        now = self._clock()
        self._answers[key] = _Answer(member, now + (KEPT if member else ABSENT), now)
        return member

    def _without_answer(self, key: tuple[int, int]) -> Member | None:
        """Return the last answer while it counts, and don't ask again at once."""
        known, now = self._answers.get(key), self._clock()
        counts = known is not None and now - known.given < HELD
        kept = known if known is not None and counts else _Answer(None, now, float("-inf"))
        self._answers[key] = replace(kept, until=now + KEPT)
        return kept.member
