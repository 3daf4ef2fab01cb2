"""What is on its way to becoming a job: a request with its speed, and the picture or words it comes from."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from core.errors import MissingError
from core.job import Job, Lane
from core.limits import MAX_SEED
from core.prompt.parser import Prompt
from core.requests import EditRequest, GenerateRequest, Request
from jobs.queue import Result
from storage.job_queries import StoredOutput, StoredPicture
from studio.moderation.rules import texts_of


def new_seed() -> int:
    """Return a random seed, 0 to MAX_SEED."""
    return secrets.randbelow(MAX_SEED + 1)


@dataclass(frozen=True)
class NewJob:
    """A request that is ready to be queued.

    parent: job id and index (from 0) of the picture that it is made from. private: only its asker sees it.
    own_words: they are the asker's, not those of a job or caption that a button was pressed under; only one's
    own words bring a strike. made: what it makes, where that needed no model.
    """

    request: Request
    lane: Lane = Lane.FAST
    parent: tuple[str, int] | None = None
    private: bool = False
    own_words: bool = True
    made: StoredOutput | None = None

    def chosen(self, lane: Lane | None, *, private: bool = False) -> NewJob:
        """Return the job in the asker's own lane, if they chose one, and private if they or it want that."""
        return replace(self, lane=lane or self.lane, private=self.private or private)


@dataclass(frozen=True)
class PromptWithPictures:
    """A prompt, and the pictures that its words may name: ``<n>`` or link → SHA-256."""

    prompt: Prompt
    pictures: Mapping[str, str]


class OfJob:
    """What is worked on: picture or film ``index`` (from 0) of a job of ours, or, where ``job`` is None, what
    somebody sent."""

    job: Job | None
    index: int

    @property
    def parent(self) -> tuple[str, int] | None:
        """Job id and index (from 0), None for what somebody sent."""
        return (self.job.id, self.index) if self.job else None

    @property
    def request(self) -> GenerateRequest | None:
        """The request that drew it, of an edit with words for what it shows; None if nobody here drew it."""
        made_by = self.job.request if self.job else None
        if isinstance(made_by, EditRequest):
            return made_by.described
        return made_by if isinstance(made_by, GenerateRequest) else None

    @property
    def private(self) -> bool:
        """Whether what is made from it is private, because it is."""
        return self.job is not None and self.job.origin.private


@dataclass(frozen=True)
class Source(OfJob):
    """A stored picture to work on, and the job that made it, if one of ours did.

    next_seed: the seed for what is made from it next.
    """

    sha256: str
    width: int
    height: int
    job: Job | None = None
    index: int = 0
    next_seed: int = field(default_factory=new_seed)


def adds_words(request: Request, before: Request) -> bool:
    """Return whether a request has a text that the one it comes from has not."""
    return not set(texts_of(request)) <= {"", *texts_of(before)}


def source_of(result: Result, index: int, *, children: int = 0) -> Source:
    """Return picture ``index`` (from 0) of a finished job.

    children: how many jobs were made from that picture before; each gets a seed of its own, four apart since
    a job draws up to four pictures. Raises MissingError when there is no such picture.
    """
    picture, job = picture_of(result, index), result.job
    source = Source(picture.sha256, picture.width, picture.height, job, index)
    if source.request is None:
        return source
    return replace(source, next_seed=(source.request.seed + index + 4 * (children + 1)) % 2**32)


def picture_of(result: Result, index: int) -> StoredPicture:
    """Return the row of picture ``index`` (from 0). Raises MissingError when there is none of that number."""
    found = next((picture for picture in result.pictures if picture.index == index), None)
    if found is None:
        raise MissingError(f"That job has no picture number {index + 1}.")
    return found
