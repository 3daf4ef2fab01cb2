"""Finds the vectors of a file that are nearest to others: exactly, by comparing with each that may be
found."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from vision.protocol import Answered, Declined, Nearest, Neighbours

if TYPE_CHECKING:
    import numpy as np

CHUNK = 4096  # places that are looked at together
BEST = 3  # scores whose mean is that of the best: one alone may stand out by chance
FEW = 12  # pictures of which none is left out: they say too little of what is usual
NEAR = 0.4  # measured: docs/develop/decisions/search.md
ABOVE = 5.0  # robust standard deviations: measured, docs/develop/decisions/search.md
SAMPLE = 20_000  # places that texts which no picture shows are compared with at most
NEAREST = 12  # places that are told where none shows what is wanted
DENSE = 0.25  # share of the vectors between two places from which on all of them are compared, none copied
log = logging.getLogger(__name__)


class Finder:
    """Answers questions one after the other, in a thread of its own, so that none waits for a pass."""

    def __init__(self, send: Callable[[Any], None]) -> None:
        self._send, self._thread = send, ThreadPoolExecutor(1, "finding")

    def begin(self, question: Nearest) -> None:
        """Answer ``question`` as soon as those before it are."""
        self._thread.submit(self._answer, question)

    def _answer(self, question: Nearest) -> None:
        try:
            self._send(Answered(question.question_id, nearest(question)))
        except Exception as error:
            log.exception("vectors can't be compared")
            self._send(Declined(question.question_id, type(error).__name__))


def nearest(question: Nearest) -> Neighbours:
    """Return the places that ``question`` asks for; those behind the end of the file are left out. Raises
    OSError when there is no file."""
    import numpy as np

    wanted = np.stack([np.frombuffer(one, "<f2").astype(np.float32) for one in question.wanted])  # (Q, D)
    numbers, width = np.memmap(question.path, np.dtype("<f4"), "r"), wanted.shape[1]
    vectors = numbers[: len(numbers) // width * width].reshape(-1, width)  # (N, D)
    others, named = (_marked(text, len(vectors)) for text in (question.places, question.first))
    first, rest = np.flatnonzero(named), np.flatnonzero(others & ~named)
    of_first, of_rest = (similarities(vectors, places, wanted) for places in (first, rest))
    before = best(first, of_first, question.most)
    bound = least(np.concatenate((of_first, of_rest))) if question.clear else -np.inf
    limit = -np.inf
    if question.unrelated and question.clear:
        unrelated = np.stack([np.frombuffer(one, "<f2").astype(np.float32) for one in question.unrelated])
        limit = shown_from(vectors, np.flatnonzero(others | named), unrelated)
    none_shows = bool(len(of_rest)) and float(of_rest.max()) <= limit
    most = question.most - len(before)
    if none_shows:  # the nearest alone, unless others have the words
        return Neighbours(
            tuple(before), tuple(best(rest, of_rest, 0 if before else min(most, NEAREST))), True
        )
    alike = of_rest >= bound
    return Neighbours(tuple(before), tuple(best(rest[alike], of_rest[alike], most)))


def shown_from(vectors: np.ndarray, places: np.ndarray, unrelated: np.ndarray) -> float:
    """Return the score above which some of the vectors (N, D) at ``places`` (P,) show a text, by what the
    best of them reach for texts (U, D) that hardly any picture shows: ABOVE robust standard deviations
    (1.4826 times the median of absolute deviations) over the median of these. It is measured on the very
    pictures and with the very model that are searched, since scores differ from model to model."""
    import numpy as np

    if not len(places):
        return -np.inf
    step = -(-len(places) // SAMPLE)
    scores = vectors[places[::step]] @ unrelated.T  # (P, U)
    top = scores.max(0)
    middle = np.median(top)
    return float(middle + ABOVE * 1.4826 * np.median(np.abs(top - middle)))


def _marked(text: str, count: int) -> np.ndarray:
    """Return which of ``count`` places stand in ``text``, (count,): sorting them takes ten times as long."""
    import numpy as np

    places, marked = np.fromstring(text, np.int64, sep=","), np.zeros(count, bool)
    marked[places[places < count]] = True
    return marked


def similarities(vectors: np.ndarray, places: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return how alike the vectors (N, D) at ``places`` (P,) are to all of ``wanted`` (Q, D): the mean of
    their cosines, (P,)."""
    import numpy as np

    aim = wanted.mean(0)  # (D,): the mean of dot products is the dot product with the mean
    scores = np.empty(len(places), np.float32)
    for start in range(0, len(places), CHUNK):
        some = places[start : start + CHUNK]
        first, last = int(some[0]), int(some[-1]) + 1
        if len(some) >= DENSE * (last - first):
            scores[start : start + CHUNK] = (vectors[first:last] @ aim)[some - first]
        else:
            scores[start : start + CHUNK] = vectors[some] @ aim
    return scores


def least(scores: np.ndarray) -> float:
    """Return the score from which on a vector is as alike as the best, among ``scores`` (P,) of all that were
    compared: ``NEAR`` of the way from their lower quarter to the best few. That is relative, since scores
    differ from model to model. Where the best don't stand out, all show the same thing, or as good as none
    does: then it is -inf."""
    import numpy as np

    if len(scores) < FEW:
        return -np.inf
    low, quarter, middle = np.quantile(scores, (0.05, 0.25, 0.5))
    top = np.partition(scores, -BEST)[-BEST:].mean()
    return float(quarter + NEAR * (top - quarter)) if top - middle > middle - low else -np.inf


def best(places: np.ndarray, scores: np.ndarray, most: int) -> Sequence[int]:
    """Return at most ``most`` places, those with the highest scores first; among equal ones, the newest."""
    import numpy as np

    if most <= 0:
        return []
    if len(places) > most:
        kept = np.argpartition(-scores, most - 1)[:most]
        places, scores = places[kept], scores[kept]
    return places[np.lexsort((-places, -scores))].tolist()
