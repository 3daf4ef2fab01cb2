"""Rows of pictures that are named one by one: by their job's id and their own number from 0."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import sqlalchemy as sa

from core.job import Job
from storage.lookup import StoredPicture, get_many, pictures_of
from storage.schema import GRID

Named = tuple[str, int]
T = TypeVar("T")
PAGE = 100  # names in one statement; the event loop waits while their rows become jobs


def pages(names: Iterable[T]) -> Iterator[list[T]]:
    """Yield all names once, so many at a time as a statement takes."""
    left = iter(dict.fromkeys(names))
    while page := list(islice(left, PAGE)):
        yield page


def pick(connection: sa.Connection, names: Sequence[Named]) -> list[tuple[Job, StoredPicture]]:
    """Return those of the named pictures that there are, with their jobs, in the order in which they are
    named."""
    found: dict[Named, tuple[Job, StoredPicture]] = {}
    for page in pages(names):
        known = get_many(connection, {job_id for job_id, _ in page})
        for job_id, stored in pictures_of(connection, known).items():
            found |= {(job_id, one.index): (known[job_id], one) for one in stored if one.index > GRID}
    return [found[name] for name in dict.fromkeys(names) if name in found]
