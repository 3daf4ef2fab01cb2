"""The host's choice of what pictures and films say of themselves when they leave: the mark that a model made
them, and content credentials."""

from __future__ import annotations

import asyncio
import logging

from studio.marking import marks
from studio.marking.credentials import ROOM, Credentials

MARK_BYTES = 2000  # the most that the mark adds
log = logging.getLogger(__name__)


class Marker:
    """Marks what leaves. ai_mark: whether at all. credentials: by which it is signed, None = not."""

    def __init__(self, *, ai_mark: bool, credentials: Credentials | None = None) -> None:
        self.ai_mark, self._credentials = ai_mark, credentials if ai_mark else None

    @property
    def room(self) -> int:
        """The most bytes that marking adds."""
        return MARK_BYTES + (ROOM if self._credentials else 0)

    def name(self, source: str) -> str:
        """Return what a file that was marked with ``source`` is called where it is kept."""
        return f"{source}-{self._credentials.name}" if self._credentials else source

    async def mark(
        self, data: bytes, media_type: str, *, source: str | None, parameters: bool = False, sign: bool = True
    ) -> bytes:
        """Return a picture or film as it leaves, in a thread: the checksums of a large one take tens of
        milliseconds. source: IPTC's word for how it came to be, None = no mark. parameters: whether our own
        texts stay in it. sign: whether it is worth credentials. Raises ValueError as ``marks.outgoing``."""
        return await asyncio.to_thread(self._mark, data, media_type, source, parameters, sign)

    def _mark(self, data: bytes, media_type: str, source: str | None, parameters: bool, sign: bool) -> bytes:
        marked = marks.outgoing(data, media_type, source=source, parameters=parameters)
        if source is None or self._credentials is None or not sign:
            return marked
        try:
            return self._credentials.sign(marked, media_type, source)
        except ValueError as error:  # the mark alone is better than no picture
            log.warning("a picture or film leaves without credentials: %s", error)
            return marked
