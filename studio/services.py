"""What the process opens once and hands to every door: queue, rows, files, and the rules around them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from cachetools import TTLCache

from core.outside import Broker, Cameras, Posting
from core.settings import Settings
from jobs.executors.server_choice import ServerChoice
from jobs.queue import Queue
from storage.blobs.base import Files
from storage.database import Database
from storage.sessions import Sessions
from studio.authority import CurrentDirectory
from studio.embeddings import Eyes, Indexing
from studio.janitor import Janitor
from studio.library.rendition import Showing
from studio.media.provenance import Marker
from studio.media.uploads import Intake
from studio.moderation.moderator import Moderator
from studio.privacy import Privacy

if TYPE_CHECKING:
    from jobs.cluster.nats import Bus

LINK_LIVES = timedelta(minutes=10)
LAUNCH_LIVES = 120.0  # seconds


class Launch(NamedTuple):
    """A page that somebody has asked for. at: when, in seconds of a clock that only goes on."""

    page: str
    at: float


class WebLinks:
    """Makes links to the studio on the web. sessions: who is signed in there. address: where it is, such as
    https://studio.example.org; None while it is closed. looking: how many pages people look at, by their ids.
    launched: what people have asked for inside a chat
    service, by what it calls the place where it opens pages, and who."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        self.address: str | None = None
        self.looking = Counter[int]()
        self.launched: TTLCache[tuple[str, int], Launch] = TTLCache(2000, LAUNCH_LIVES)

    @contextmanager
    def opened(self, address: str) -> Iterator[None]:
        """Make links to ``address`` until the block ends."""
        self.address = address
        try:
            yield
        finally:
            self.address = None

    def launch(self, instance: str, user_id: int, page: str) -> None:
        """Note that somebody has asked for a page, where a chat service opens it."""
        self.launched[instance, user_id] = Launch(page, time.monotonic())

    async def new(self, user_id: int, name: str, page: str = "/") -> str | None:
        """Return a link that signs the person in once, within ten minutes, and leads to ``page``; None while
        the web is closed.

        The token follows the ``#``: it reaches no log, no other site and no preview of the link.
        """
        if self.address is None:
            return None
        wanted = "" if page == "/" else f"?{urlencode({'next': page})}"
        return f"{self.address}/in{wanted}#{await self.sessions.offer(user_id, name, LINK_LIVES)}"


@dataclass(frozen=True)
class Services:
    """Open services; they outlive every connection to a chat service. ``directory``: attach yours to it."""

    settings: Settings
    database: Database
    files: Files
    queue: Queue
    moderator: Moderator
    privacy: Privacy
    janitor: Janitor
    intake: Intake
    marker: Marker
    showing: Showing
    directory: CurrentDirectory
    web: WebLinks
    indexing: Indexing
    eyes: Eyes
    bus: Bus | None = None  # to other machines and processes
    choice: ServerChoice | None = None  # of a chat server, where one is asked what sentences mean
    posting: Posting | None = None  # to hosts elsewhere, where the operator allows any
    pushing: Posting | None = None  # to services that call people's browsers
    cameras: Cameras | None = None  # that the operator has named, where there are any
    broker: Broker | None = None  # of MQTT, where there is one
