"""Answers what vectors tell without a model, beside the jobs: what tastes say, and which vectors of a file
are nearest to others: by their numbers' signs, and a few thousand exactly."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from core.vectors import PLACES_OF_MARK, marks_path
from vision.protocol import Answered, Declined, Learned, Nearest, Neighbours, SideQuestion

CHUNK = 32_768  # places whose signs are looked at together: they stay in a core's cache
BEST = 3  # scores whose mean is that of the best: one alone may stand out by chance
FEW = 12  # pictures of which none is left out: they say too little of what is usual
NEAR = 0.4  # measured: docs/develop/decisions/search.md
ABOVE = 5.0  # robust standard deviations: measured, docs/develop/decisions/search.md
SAMPLE = 20_000  # places that texts which no picture shows are compared with at most
USUAL = 2000  # places whose scores tell what is usual
NEAREST = 12  # places that are told where none shows what is wanted
EXACT = 8000  # places that are compared exactly: all that fewer are, or the nearest by their signs
OF_ALL = 4000  # the same, of DENSE and more: others would hardly be among the best
ROUGH = 16_000  # places that are looked at a second time
DENSE = 0.1  # share of the places from which on the signs of all of them are looked at, none copied
KEPT = 32  # limits of sets of places
PART = 131_072  # places that a thread takes at a time
THREADS = min(2, os.cpu_count() or 1)  # that look at signs
log = logging.getLogger(__name__)


class Finder:
    """Answers questions one after the other, in a thread of its own, so that none waits for a pass."""

    def __init__(self, send: Callable[[Any], None]) -> None:
        self._send, self._thread = send, ThreadPoolExecutor(1, "finding")

    def begin(self, question: SideQuestion) -> None:
        """Answer ``question`` as soon as those before it are."""
        self._thread.submit(self._answer, question)

    def _answer(self, question: SideQuestion) -> None:
        try:
            self._send(Answered(question.question_id, answer_side(question)))
        except Exception as error:
            log.exception("vectors can't be compared")
            self._send(Declined(question.question_id, type(error).__name__))


def answer_side(question: SideQuestion) -> Neighbours | Learned:
    """Return what vectors tell."""
    if isinstance(question, Nearest):
        return nearest(question)
    from vision.taste import learn

    return learn(question)


class Vectors:
    """The vectors of a file (N, width), which is kept mapped, and their signs in memory: of each number less
    the mean of all, as bits, 64 in a word. They follow the file when they are used."""

    def __init__(self, path: Path, width: int) -> None:
        self.path, self.width = path, width
        self.mean = np.zeros(width, np.float32)
        self._threads = ThreadPoolExecutor(THREADS, "signs")
        self._words = -(-width // 64)
        self._forget()

    def _forget(self) -> None:
        self.vectors = np.empty((0, self.width), np.float32)
        self._file: tuple[int, int] | None = None
        self.written = 0  # when, in ns
        self.limits: dict[bytes, float] = {}  # what ``shown_from`` has found
        self._signs = np.empty((self._words, 0), np.uint64)  # (words, room for N)
        self._marks = np.empty(0, np.uint32)
        self._known = 0  # vectors whose signs and marks these are
        self._mean_of = 0  # vectors that there were when the mean was taken

    def open(self) -> None:
        """Map what the file has now. Raises OSError when there is none."""
        found = self.path.stat()
        size, self.written = 4 * self.width, found.st_mtime_ns
        if self._file != (found.st_dev, found.st_ino) or found.st_size < self.vectors.nbytes:
            self._forget()
            self._file = found.st_dev, found.st_ino
        if (count := found.st_size // size) > len(self.vectors):
            self.vectors = np.memmap(self.path, np.dtype("<f4"), "r", shape=(count, self.width))

    def _update(self) -> None:
        """Take the signs of what was written since."""
        count, path = len(self.vectors), marks_path(self.path)
        marks = np.zeros(-(-count // PLACES_OF_MARK), np.uint32)
        written = np.fromfile(path, np.dtype("<u4"), len(marks)) if path.exists() else marks[:0]
        marks[: len(written)] = written  # they are read first, as they are written last
        if count >= 2 * self._mean_of:
            self.mean, self._mean_of, self._known = self.vectors[:: -(-count // SAMPLE)].mean(0), count, 0
        if count > self._signs.shape[1]:
            grown = np.empty((self._words, count + count // 8), np.uint64)
            grown[:, : self._known] = self._signs[:, : self._known]
            self._signs = grown
        whole = self._known // PLACES_OF_MARK
        changed = np.ones(len(marks), bool)
        changed[:whole] = marks[:whole] != self._marks[:whole]
        for block in np.flatnonzero(changed).tolist():
            some = self.vectors[block * PLACES_OF_MARK : (block + 1) * PLACES_OF_MARK]
            first = block * PLACES_OF_MARK
            self._signs[:, first : first + len(some)] = self._packed(some > self.mean).T
        self._marks, self._known = marks, count

    def _packed(self, signs: np.ndarray) -> np.ndarray:
        """Return bits (N, width) as words (N, words)."""
        packed = np.zeros((len(signs), 8 * self._words), np.uint8)
        bits = np.packbits(signs, axis=1)
        packed[:, : bits.shape[1]] = bits
        return packed.view(np.uint64)

    def likely(self, marked: np.ndarray, aim: np.ndarray) -> np.ndarray:
        """Return those of the places that are ``marked`` (N,), in order, whose vectors may be nearest to
        ``aim`` (width,): about EXACT of them, those with most signs in common, or all where they aren't more.
        The signs of all tell ROUGH of these; then the half of the numbers that is larger counts twice."""
        chosen = int(np.count_nonzero(marked))
        if chosen <= EXACT:
            return np.flatnonzero(marked)
        self._update()
        if self.mean.any():  # how alike a vector is to the mean says little: all are about as much
            aim = aim - self.mean * ((aim @ self.mean) / (self.mean @ self.mean))
        code, larger = self._packed(np.stack((aim > 0, np.abs(aim) > np.median(np.abs(aim)))))
        dense = chosen >= DENSE * len(marked)
        if dense:
            away = np.empty(len(marked), np.uint16)

            def compare(first: int) -> None:
                for begin in range(first, min(first + PART, len(away)), CHUNK):
                    part = away[begin : begin + CHUNK]
                    part[:] = _away(self._signs[:, begin : begin + len(part)], code)

            list(self._threads.map(compare, range(0, len(away), PART)))
            if chosen < len(marked):
                away[~marked] = np.iinfo(np.uint16).max
            places = np.flatnonzero((away <= _lowest(away, min(ROUGH, chosen))) & marked)
        else:
            places = np.flatnonzero(marked)

        def look_again(some: np.ndarray) -> np.ndarray:
            signs = self._signs.take(some, 1)
            return _away(signs, code) + _away(signs, code, larger)

        away = self._in_parts(look_again, places)
        return places[away <= _lowest(away, OF_ALL if dense else EXACT)]

    def scores(self, places: np.ndarray, aim: np.ndarray) -> np.ndarray:
        """Return how alike the vectors at ``places`` (P,) are to ``aim`` (width,), exactly."""
        return self._in_parts(lambda some: self.vectors[some] @ aim, places)

    def _in_parts(self, work: Callable[[np.ndarray], np.ndarray], places: np.ndarray) -> np.ndarray:
        """Return what ``work`` finds for places (P,), of which each thread has some."""
        return np.concatenate(list(self._threads.map(work, np.array_split(places, THREADS))))


def _away(signs: np.ndarray, code: np.ndarray, among: np.ndarray | None = None) -> np.ndarray:
    """Return how many of the signs (words, P) differ from ``code``, or of those ``among`` (words,)."""
    found: Any = np.uint16(0)
    for number, (word, wanted) in enumerate(zip(signs, code, strict=True)):
        differ = word ^ wanted
        found = found + np.bitwise_count(differ if among is None else differ & among[number])
    return found


def _lowest(numbers: np.ndarray, count: int) -> int:
    """Return a limit that ``count`` of the numbers, or all, don't exceed, and few more."""
    count = min(count, len(numbers))
    some = numbers[:: max(1, len(numbers) // 65_536)]
    rank = min(len(some) - 1, count * len(some) // len(numbers))
    limit = int(np.partition(some, rank)[rank])
    while np.count_nonzero(numbers <= limit) < count:
        limit += 1
    return limit


_open: dict[str, Vectors] = {}  # by path
_opening = threading.Lock()  # one question after the other


def nearest(question: Nearest) -> Neighbours:
    """Return the places that ``question`` asks for; those behind the end of the file are left out. Raises
    OSError when there is no file."""
    wanted = np.stack([np.frombuffer(one, "<f2").astype(np.float32) for one in question.wanted])  # (Q, D)
    aim = wanted.mean(0)  # (D,): the mean of dot products is the dot product with the mean
    with _opening:
        held = _open.get(question.path)
        if held is None or held.width != len(aim):
            for path in [path for path in _open if not Path(path).exists()]:  # mapped, it would keep its disk
                del _open[path]
            held = _open[question.path] = Vectors(Path(question.path), len(aim))
        held.open()
        return _nearest(held, question, aim)


def _nearest(held: Vectors, question: Nearest, aim: np.ndarray) -> Neighbours:
    count = len(held.vectors)
    others, named = (  # (N,), filled up with what isn't marked
        np.unpackbits(np.frombuffer(bits + b"\0", np.uint8), count=count, bitorder="little").astype(bool)
        for bits in (question.places, question.first)
    )
    some_first, some_rest = held.likely(named, aim), held.likely(others & ~named, aim)
    of_first, of_rest = held.scores(some_first, aim), held.scores(some_rest, aim)
    before = best(some_first, of_first, question.most)
    bound = limit = -np.inf
    if question.clear:
        both = np.flatnonzero(others | named)
        few = len(some_first) + len(some_rest) == len(both)
        compared = np.concatenate((of_first, of_rest))
        usual = compared if few else held.vectors[both[:: -(-len(both) // USUAL)]] @ aim
        bound = least(compared, usual)
        if question.unrelated:
            limit = _limit(held, both, question.unrelated)
    none_shows = bool(len(of_rest)) and float(of_rest.max()) <= limit
    most = question.most - len(before)
    if none_shows:  # the nearest alone, unless others have the words
        return Neighbours(
            tuple(before), tuple(best(some_rest, of_rest, 0 if before else min(most, NEAREST))), True
        )
    alike = of_rest >= bound
    return Neighbours(tuple(before), tuple(best(some_rest[alike], of_rest[alike], most)))


def _limit(held: Vectors, places: np.ndarray, texts: tuple[bytes, ...]) -> float:
    """Return what ``shown_from`` finds for ``places`` or a sample of them; it is kept."""
    some = places[:: max(1, -(-len(places) // SAMPLE))]
    written = held.written.to_bytes(8) if len(some) == len(places) else b""  # one in many changes little
    key = hashlib.sha256(b"".join((written, some.tobytes(), *texts))).digest()
    if key not in held.limits:
        unrelated = np.stack([np.frombuffer(one, "<f2").astype(np.float32) for one in texts])
        if len(held.limits) == KEPT:
            held.limits.clear()
        held.limits[key] = shown_from(held.vectors, some, unrelated)
    return held.limits[key]


def shown_from(vectors: np.ndarray, places: np.ndarray, unrelated: np.ndarray) -> float:
    """Return the score above which some of the vectors (N, D) at ``places`` (P,) show a text, by what the
    best of them reach for texts (U, D) that hardly any picture shows: ABOVE robust standard deviations
    (1.4826 times the median of absolute deviations) over the median of these. It is measured on the very
    pictures and with the very model that are searched, since scores differ from model to model."""
    if not len(places):
        return -np.inf
    top = (vectors[places] @ unrelated.T).max(0)  # (U,)
    middle = np.median(top)
    return float(middle + ABOVE * 1.4826 * np.median(np.abs(top - middle)))


def least(scores: np.ndarray, usual: np.ndarray) -> float:
    """Return the score from which on a vector is as alike as the best of ``scores`` (P,): ``NEAR`` of the way
    from the lower quarter of ``usual`` (S,), of all that may be found or a sample, to the best few. That is
    relative, since scores differ from model to model. Where the best don't stand out, all show the same
    thing, or as good as none does: then it is -inf."""
    if len(usual) < FEW:
        return -np.inf
    low, quarter, middle = np.quantile(usual, (0.05, 0.25, 0.5))
    top = np.partition(scores, -BEST)[-BEST:].mean()
    return float(quarter + NEAR * (top - quarter)) if top - middle > middle - low else -np.inf


def best(places: np.ndarray, scores: np.ndarray, most: int) -> Sequence[int]:
    """Return at most ``most`` places, those with the highest scores first; among equal ones, the newest."""
    if most <= 0:
        return []
    if len(places) > most:
        kept = np.argpartition(-scores, most - 1)[:most]
        places, scores = places[kept], scores[kept]
    return places[np.lexsort((-places, -scores))].tolist()
