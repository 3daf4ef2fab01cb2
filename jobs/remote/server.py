"""What the remote executor needs of a chat server, and what can go wrong with it. The wire itself is the
host's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol


class Unreachable(Exception):
    """The server isn't reached, or the line to it broke. The text is for the log."""


class Silent(Unreachable):
    """The server said nothing for longer than it may."""


class Refused(Exception):
    """The server answers with an error. said: its own words, "" = none. wait: seconds that it asks for."""

    def __init__(self, status: int, said: str = "", wait: float | None = None) -> None:
        super().__init__(f"status {status}")
        self.status, self.said, self.wait = status, said, wait


class Answering(Protocol):
    """An answer on its way. streams: it comes as server-sent events, else whole."""

    streams: bool

    def pieces(self) -> AsyncIterator[bytes]:
        """Yield bytes as they come. Raises Unreachable, Silent."""
        ...


class ChatServer(Protocol):
    """A server with OpenAI's interface. host: its name and port, for the host alone."""

    host: str

    async def model(self) -> str:
        """Return what the server calls its model. Raises Unreachable, Refused."""
        ...

    def forget_model(self) -> bool:
        """Forget what the server called its model, to ask it anew; False where that isn't the server's to
        say."""
        ...

    def ask(self, body: Mapping[str, Any]) -> AbstractAsyncContextManager[Answering]:
        """Send a question; leaving the block ends the answer on the server, too. Raises Unreachable, Silent,
        Refused."""
        ...

    async def close(self) -> None:
        """Let go of every connection."""
        ...
