"""Links that sign a person in on the web. Any door may ask for one while the web is open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from storage.sessions import Sessions

LINK_LIVES = timedelta(minutes=10)


class WebLinks:
    """Makes links to the studio on the web. ``sessions``: who is signed in there."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        self._address: str | None = None

    @property
    def address(self) -> str | None:
        """Where the studio on the web is, such as https://studio.example.org; None while it is closed."""
        return self._address

    @contextmanager
    def opened(self, address: str) -> Iterator[None]:
        """Make links to ``address``, such as https://studio.example.org, until the block ends."""
        self._address = address
        try:
            yield
        finally:
            self._address = None

    async def new(self, user_id: int, name: str) -> str | None:
        """Return a link that signs the person in once, within ten minutes; None while the web is closed.

        The token stands behind the ``#``: it reaches no log, no other site and no preview of the link.
        """
        if self._address is None:
            return None
        return f"{self._address}/in#{await self.sessions.offer(user_id, name, LINK_LIVES)}"
