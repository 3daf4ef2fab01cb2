"""How many connections are open at once, and how long a browser may take to say what it wants."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from aiohttp import web
from aiohttp.http import HttpProcessingError

MOST = 1000  # at once
HEADER_TIME = 10.0  # seconds from the connection to the end of its first header


def quiet_log() -> logging.Logger:
    """Return the log of what goes wrong below our handlers, without calls that are no HTTP: anybody could
    fill it with them, and errors are told to the owner."""
    found = logging.getLogger(f"{__name__}.http")
    found.addFilter(_is_no_strangers)
    return found


def _is_no_strangers(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


class Connections:
    """Lets go of connections that are one too many, or say nothing: each costs memory while it is open.

    Later headers of a connection that is kept have as long as aiohttp keeps it.
    """

    def __init__(self) -> None:
        self._silent: set[web.RequestHandler] = set()

    def of(self, server: web.Server) -> Callable[[], web.RequestHandler]:
        """Return what makes the protocol of each new connection of ``server``."""

        def made() -> web.RequestHandler:
            protocol = server()
            patience = 0.0 if len(server.connections) >= MOST else HEADER_TIME
            self._silent.add(protocol)
            asyncio.get_running_loop().call_later(patience, self._look, protocol)
            return protocol

        return made

    def note(self, request: web.BaseRequest) -> None:
        """Note that a connection has said what it wants."""
        self._silent.discard(request.protocol)

    def _look(self, protocol: web.RequestHandler) -> None:
        if protocol not in self._silent:
            return
        self._silent.discard(protocol)
        if protocol.transport is not None:
            protocol.transport.close()
