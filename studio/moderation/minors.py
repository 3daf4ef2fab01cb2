"""Which stored pictures, films and styles are of a minor, as words say: those of the job that made one, or of
any job that made what it was made from.

Each is told once, and what came of it is a row, which outlives the jobs before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from storage import moderation as rows
from storage.database import Database
from storage.moderation import Made
from studio.moderation.rules import names_a_minor
from studio.moderation.terms import about_a_minor, reading


class Minors:
    """Reads back from a picture to what it was made from, as far as that isn't known yet."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def among(self, sha256s: Iterable[str], models: Iterable[str] = ()) -> set[str]:
        """Return those of these pictures and films (SHA-256), and of these files of own models, that are of a
        minor. What somebody sent is not."""
        models, names = set(models), {*sha256s, *models}
        if not names:
            return set()
        # 1. Back to files of which it is known, or that nobody here made
        known, made, unknown = dict[str, bool](), dict[str, list[Made]](), names
        while unknown:
            known |= await self._database.read(partial(rows.of_minors, sha256s=unknown), once=True)
            if unknown := unknown - known.keys():
                found = await self._database.read(partial(rows.makers, sha256s=unknown - models), once=True)
                if learned := unknown & models:
                    found |= await self._database.read(partial(rows.learned, sha256s=learned))
                made |= found
                jobs = [job for several in found.values() for job in several]
                models |= {name for job in jobs for name in job.request.files}
                unknown = {name for job in jobs for name in job.sources} - known.keys() - made.keys()
        # 2. And forth again: what is made from one is one
        of_minor = set[str]()
        new = {name for name, is_one in known.items() if is_one}
        new |= {name for name, jobs in made.items() if any(_names_one(job) for job in jobs)}
        while new:
            of_minor |= new
            new = {
                name
                for name, jobs in made.items()
                if name not in of_minor and any(of_minor & job.sources for job in jobs)
            }
        if marks := {name: name in of_minor for name, jobs in made.items() if jobs}:
            await self._database.write(partial(rows.set_of_minors, marks=marks))
        return names & of_minor


def _names_one(made: Made) -> bool:
    """Return whether the words by which something was made are about a minor."""
    return names_a_minor(made.request) or about_a_minor(reading(made.captions))
