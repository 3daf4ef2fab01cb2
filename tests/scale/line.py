"""A bus within one process, for tests of what is said over it; messages are written and read as always."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from core.errors import BusAway
from jobs.cluster.nats import MESSAGE_MOST, Message, decode_message, encode_message


class Pipe:
    """All programs' ends are this one. ``cut``: nothing arrives. ``said``: subjects, in order."""

    def __init__(self) -> None:
        self.cut = False
        self.said: list[str] = []
        self._hearers: dict[str, list[tuple[Any, Callable[[Any, str], None]]]] = {}
        self._servers: dict[str, list[tuple[Any, Any]]] = {}

    async def publish(self, subject: str, message: Message) -> bool:
        self.said.append(subject)
        data = encode_message(message)
        for kind, hear in [] if self.cut else list(self._hearers.get(subject, ())):
            hear(decode_message(data, kind), subject)
        return not self.cut

    async def request(self, subject: str, message: Message, kind: type[Any], *, patience: float) -> Any:
        self.said.append(subject)
        serving = self._servers.get(subject)
        if self.cut or not serving:
            raise BusAway(f"no answer from {subject}")
        wanted, answer = serving[-1]
        async with asyncio.timeout(patience):
            said = await answer(decode_message(encode_message(message), wanted), subject)
        return decode_message(encode_message(said), kind)

    async def listen(
        self, subject: str, kind: type[Any], hear: Callable[[Any, str], None]
    ) -> Callable[[], Awaitable[None]]:
        return _put(self._hearers.setdefault(subject, []), (kind, hear))

    async def serve(
        self, subject: str, kind: type[Any], answer: Any, *, most: int = MESSAGE_MOST
    ) -> Callable[[], Awaitable[None]]:
        return _put(self._servers.setdefault(subject, []), (kind, answer))


def _put(place: list[Any], what: Any) -> Callable[[], Awaitable[None]]:
    place.append(what)

    async def end() -> None:
        place.remove(what)

    return end
