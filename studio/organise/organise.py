"""What members do with their pictures, as one: the trash, folders, zip files, shares, posts."""

from __future__ import annotations

from studio.films.clips import clips_of
from studio.films.showing import FilmShowing
from studio.organise.folders import Folders
from studio.organise.posting import Posting
from studio.organise.shares import Shares
from studio.organise.trash import Trash
from studio.organise.zips import Zips
from studio.rights import Rights
from studio.services import Services


class Organise:
    """Holds what sorts pictures; every method of its parts takes an actor and checks their right."""

    def __init__(self, rights: Rights, services: Services) -> None:
        database, queue = services.database, services.queue
        self.trash = Trash(rights, database, queue, services.privacy)
        self.folders = Folders(rights, database, queue)
        days = services.settings.share_days
        films = FilmShowing(services.files, clips_of(services.files, services.settings), services.marker)
        self.zips = Zips(rights, database, queue, services.showing, films)
        showing, moderator = services.showing, services.moderator
        self.shares = Shares(rights, database, queue, showing, films, moderator, services.web, days)
        self.posting = Posting(rights, queue, services.showing, services.directory)
