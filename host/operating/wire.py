"""The connection to Discord, as far as it is counted."""

from __future__ import annotations

from bot.wire.connections import Connections
from bot.wire.serving import Serving
from bot.wire.transport import Transport


class DiscordWire:
    """What Metrics asks of the connection to Discord."""

    def __init__(self, transport: Transport, connections: Connections, serving: Serving) -> None:
        self._transport, self._connections, self._serving = transport, connections, serving

    @property
    def invalid_requests(self) -> int:
        """401, 403 and 429 answers in the last ten minutes."""
        return self._transport.breaker.invalid

    @property
    def identifies_left(self) -> int:
        """How many sessions may be begun without a pause."""
        return self._connections.left

    @property
    def shards(self) -> tuple[bool, ...]:
        """Whether each of the bot's connections to Discord is open."""
        return self._serving.shards

    @property
    def connected(self) -> bool:
        """Whether the gateway's connection is open."""
        return self._serving.connected

    @property
    def rest_requests(self) -> dict[tuple[str, int], int]:
        """Answers by route and HTTP status."""
        return self._transport.rest.counts
