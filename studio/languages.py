"""Whose language holds: people's own choices, servers' choices, and what an app or a browser asks for."""

import asyncio
import logging

from cachetools import LRUCache, TTLCache

from core.convert import Preferences
from core.errors import StorageError
from core.language import SOURCE, known_language, speak
from storage.members import Members

MOST, LIVES = 10_000, 60.0  # people and servers that are remembered, and for how many seconds
FRESH = 1.0  # seconds for which settings that were read with a language are those that hold
PATIENCE = 0.5  # seconds for a row: the first answer to an interaction is due within 3 s
log = logging.getLogger(__name__)


class Languages:
    """Reads choices of languages, which every door asks for before it answers; it remembers them for a
    minute, because other programs of the studio may change them."""

    def __init__(self, members: Members) -> None:
        self._members = members
        self._people: TTLCache[int, str] = TTLCache(MOST, LIVES)
        self._servers: TTLCache[int, str] = TTLCache(MOST, LIVES)
        self._settings: TTLCache[int, Preferences] = TTLCache(MOST, FRESH)
        self._apps: LRUCache[int, str] = LRUCache(MOST)  # whose app says what; a message doesn't

    async def speak(
        self, user_id: int | None, guild_id: int | None, asked: str, asked_there: str = ""
    ) -> None:
        """Let the languages of a person and a server hold in this task. asked: what the person's app or
        browser says; asked_there: what Discord says of the server. Both may be "" or unknown here, and count
        alone where rows can't be read in time."""
        try:
            async with asyncio.timeout(PATIENCE):
                if user_id and user_id not in self._people or guild_id and guild_id not in self._servers:
                    person, server = user_id or 0, guild_id or 0
                    chosen, self._servers[server] = await self._members.choices(person, server)
                    self._settings[person], self._people[person] = chosen, chosen.language
        except (TimeoutError, StorageError):
            log.warning("the choice of a language came too late")
        if user_id and known_language(asked):
            self._apps[user_id] = asked
        asked = asked or self._apps.get(user_id or 0, "")
        own = self._people.get(user_id or 0) or known_language(asked) or SOURCE
        there = self._servers.get(guild_id or 0)
        speak(own, (there or known_language(asked_there) or SOURCE) if guild_id else own)

    async def preferences(self, user_id: int) -> Preferences:
        """Return a person's settings; those that were read just now, with the language, are handed over
        once."""
        return self._settings.pop(user_id, None) or await self._members.preferences(user_id)

    def forget(self, id_: int) -> None:
        """Read the choice of a person or server again, which has changed."""
        self._people.pop(id_, None)
        self._settings.pop(id_, None)
        self._servers.pop(id_, None)
