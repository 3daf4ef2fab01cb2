"""What the process opens once and hands to every door: queue, rows, files, and the rules around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.settings import Settings
from jobs.queue import Queue
from storage.blobs.base import Files
from storage.database import Database
from studio.authority import CurrentDirectory
from studio.embeddings import Eyes, Indexing
from studio.janitor import Janitor
from studio.library.rendition import Showing
from studio.media.provenance import Marker
from studio.media.uploads import Intake
from studio.moderation.moderator import Moderator
from studio.privacy import Privacy
from studio.web_links import WebLinks

if TYPE_CHECKING:
    from jobs.cluster.nats import Bus


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
