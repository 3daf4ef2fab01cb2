"""What comes of own models: one that was learned, and what one says of a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TRAIN, TEST = "train", "test"  # parts: learned from, kept for testing


@dataclass(frozen=True)
class LearnedFrom:
    """A picture as a training took it. label: "" = none. group: name of the shots of one thing that it is one
    of, "" = not known. part: TRAIN or TEST."""

    sha256: str
    label: str = ""
    group: str = ""
    part: str = TRAIN


@dataclass(frozen=True)
class Learned:
    """A version of a project's model that a worker has learned.

    path: of its file (safetensors) in the job's folder. items: what it learned from and was tested on, with
    the groups and parts that were used. threshold: by which an inspection or a detector judges, None where
    there is none.
    promise: the share of good parts that is stopped at most, None where nothing is promised. metrics: figures
    as JSON takes them; they name no picture. charts: names of the output's pictures, in their order, such as
    "confusion"; the output's grid is the report as one picture. sentence: what was learned, for people.
    """

    path: str
    items: tuple[LearnedFrom, ...] = field(repr=False)
    threshold: float | None = None
    promise: float | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    charts: tuple[str, ...] = ()
    sentence: str = ""


@dataclass(frozen=True)
class Region:
    """Where something strange is, or a thing: a box in 0..1 of the picture's sides, the share of the picture
    that it covers, and how strange it is there, or how sure, in limits. label, score: of a thing."""

    left: float
    top: float
    right: float
    bottom: float
    area: float
    ratio: float
    label: str = ""
    score: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """What a version says of a picture.

    score: of an inspection how strange it is, of a classifier the best label's probability, of a detector
    that of the surest thing. limit: that it judged by, 0 for a classifier. strange: over an inspection's
    limit; none of a classifier's labels. label: the likeliest kind of defect, the label, or how many things
    of which labels; "" = none. names: labels with probabilities, best first. regions: what is strange,
    or all things that were found, the surest first. rank:
    how many of the ``good`` held-out parts were stranger. sentence: the verdict as people read it.
    """

    sha256: str
    score: float
    strange: bool
    sentence: str
    label: str = ""
    limit: float = 0.0
    names: tuple[tuple[str, float], ...] = ()
    regions: tuple[Region, ...] = ()
    rank: int = 0
    good: int = 0
