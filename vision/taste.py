"""A taste as one direction among the vectors of pictures: pictures that were liked lie farther along it than
those that were passed over beside them; and the choice of drawings by it. It knows no people and no rows.

Fitted by Bradley-Terry with a ridge (https://en.wikipedia.org/wiki/Bradley%E2%80%93Terry_model): the least
sum of log(1 + exp(-d·w)) + λ/2 |w|², d = liked - passed over, in float64 and in an order of the content. The
same pages give the same bytes, however their rows are ordered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import ModelError
from core.intervals import wilson
from vision.protocol import Known, Learn, Learned, Taste
from vision.weights import files

if TYPE_CHECKING:
    from vision.reporter import Reporter
    from vision.store import Models

FEWEST = 9  # comparisons that a head is fitted to
FEWEST_ALONE = 5  # pictures that words are told of where nothing was passed over
FOLDS = 8  # in which whole pages are left out, to see how rightly they are ranked
TRIALS = 2  # as many as a page counts for in the interval: pairs of a page hang together (measured)
SPREAD = 40  # comparisons for each unit of λ (measured: flat from a twentieth to three times of it)
EVEN, LEAST_VARIANCE = 0.6, 0.05  # see ``stretch``; of the mean (measured: docs/evidence/taste.md)
MOST_SEEN = 1000  # pictures whose variance is looked at
STEPS, PRODUCTS = 30, 60  # of Newton's method, and of conjugate gradients within one
SHARP = 3.0  # of words against each other, in deviations of how well they fit (measured: flat from 2 to 4)
LEAST_SPREAD = 0.02  # of a mean share: what few pages that agree by chance can't go under
EXACT = 1e-9  # of the direction's length, where Newton's method ends

Vectors = Mapping[str, bytes]  # little-endian float16 of unit length, by the SHA-256 of their pictures
Floats = NDArray[np.float64]


@dataclass(frozen=True, order=True)
class Page:
    """Pictures that were seen together, by SHA-256. Of pictures that were liked alone, nothing is passed; of
    a page of which none is liked, everything."""

    liked: tuple[str, ...]
    passed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Head:
    """A fitted taste. direction: in units of the deviation of its own pictures' scores, so that several can
    be added. comparisons: of a liked picture with another."""

    direction: Floats
    comparisons: int

    @property
    def packed(self) -> bytes:
        """The direction as little-endian float32."""
        return self.direction.astype("<f4").tobytes()


class Lesson:
    """What can be learned from pages: those of pictures that have a vector, in the order of their content.
    voters: whose each page is, for a taste of several people, who count alike however much they compared."""

    def __init__(self, pages: Iterable[Page], vectors: Vectors, voters: Sequence[int] = ()) -> None:
        def seen(names: Iterable[str]) -> tuple[str, ...]:
            return tuple(sorted({*names} & vectors.keys()))

        by_voter = defaultdict[int, list[Page]](list)
        for number, page in enumerate(pages):
            there = Page(seen(page.liked), seen(page.passed))
            if there.liked or (there.passed and not page.liked):
                by_voter[voters[number] if voters else 0].append(there)
        self.voters = sorted(sorted(own) for own in by_voter.values())  # by content: numbers say nothing
        self.pages = [page for own in self.voters for page in own]
        self._names = sorted({name for page in self.pages for name in (*page.liked, *page.passed)})
        self._place = {name: place for place, name in enumerate(self._names)}
        self._vectors = vectors

    @property
    def compared(self) -> list[Page]:
        """The pages on which something was liked more than the rest."""
        return [page for page in self.pages if page.liked and page.passed]

    @property
    def likes(self) -> int:
        """How many pictures are liked."""
        return len({name for page in self.pages for name in page.liked})

    @cached_property
    def _centred(self) -> Floats:
        """The pictures' vectors (N, D), less their mean, which is the last row."""
        packed = b"".join(self._vectors[name] for name in self._names)
        stored = np.frombuffer(packed, "<f2").reshape(len(self._names), -1)
        found = np.zeros((len(stored) + 1, stored.shape[1]))
        found[:-1] = stored
        found[:-1] -= found[:-1].mean(0)
        return found

    @cached_property
    def _stretch(self) -> Floats:
        """See ``stretch``: of the pictures, or so many of them that it doesn't take long."""
        seen = self._centred[:-1]
        return stretch(seen[:: len(seen) // MOST_SEEN + 1])

    def _differences(self, pages: Sequence[Page]) -> Floats:
        """Return liked less passed over, of each pair of a page (n, D). What was liked alone is compared with
        the mean of all pictures; where none of a page was liked, the mean of what is liked elsewhere with
        it."""
        seen, place, mean = self._centred, self._place, len(self._names)
        pairs = [
            (place[one], place[other] if other else mean)
            for page in pages
            for one in page.liked
            for other in page.passed or ("",)
        ]
        if not pairs:
            return np.zeros((0, seen.shape[1]))
        first, second = np.array(pairs).T
        found = seen[first] - seen[second]
        refused = [place[name] for page in pages if not page.liked for name in page.passed]
        if not refused:
            return found
        liked = seen[[place[name] for page in pages for name in page.liked]].mean(0)
        return np.concatenate([found, liked - seen[refused]])

    def fit(self) -> Head | None:
        """Return the taste; None while there are too few comparisons, or nothing was ever passed over."""
        if not self.compared:
            return None
        differences = self._differences(self.pages)
        if len(differences) < FEWEST:
            return None
        direction = self._direction(self.voters)
        deviation = (self._centred[:-1] @ direction).std()
        return Head(direction / (deviation or 1.0), len(differences))

    def known(self) -> Known | None:
        """Return how well the taste is known; None while there are too few pages to tell."""
        if len(self.voters) > 1:
            return self._known_of_others()
        pages, right, pairs = self.compared, 0, 0
        refused = [page for page in self.pages if not page.liked]
        for fold in range(FOLDS):
            left_out, rest = pages[fold::FOLDS], [p for n, p in enumerate(pages) if n % FOLDS != fold]
            if not left_out or not rest:
                return None
            direction = fit_direction(self._differences(rest + refused), self._stretch)
            asked = self._differences(left_out) @ direction
            right, pairs = right + int((asked > 0).sum()), pairs + len(asked)
        return Known(right / pairs, *wilson(right / pairs, TRIALS * len(pages)))

    def words(
        self, kinds: Iterable[Sequence[bytes]], reference: Sequence[bytes] = ()
    ) -> tuple[tuple[float, ...], ...]:
        """Return how many deviations each word is truer of what was liked than of what was passed over
        beside it; nothing of a kind while there are too few pages to tell. kinds: vectors of words, of which
        a picture shows one. Voters count alike. Where nothing was ever passed over, ``reference`` is in its
        place."""
        by_voter = [[page for page in own if page.liked and page.passed] for own in self.voters]
        by_voter = [own for own in by_voter if own]
        groups = by_voter if len(by_voter) > 1 else [[page] for own in by_voter for page in own]
        there = [np.stack([_unpacked(one) for one in words]) for words in kinds]
        if not any(page.passed for page in self.pages):
            if self.likes < FEWEST_ALONE or not reference:
                return ()
            usual = np.stack([_unpacked(one) for one in reference])
            return tuple(self._truer_than(usual, words) for words in there)
        if len(groups) < 2:
            return ()
        return tuple(self._truer(words, groups) for words in there)

    def _truer_than(self, usual: Floats, words: Floats) -> tuple[float, ...]:
        """Return the same of one kind, of all that is liked beside usual pictures (N, D)."""
        liked = np.stack([_unpacked(self._vectors[name]) for name in self._names])
        shares = word_shares(np.concatenate([liked, usual]), words, usual)
        first, second = shares[: len(liked)], shares[len(liked) :]
        spread = np.sqrt(first.var(0, ddof=1) / len(first) + second.var(0) / len(second))
        return tuple(((first.mean(0) - second.mean(0)) / (spread + LEAST_SPREAD)).tolist())

    def _truer(self, words: Floats, groups: Sequence[Sequence[Page]]) -> tuple[float, ...]:
        """Return the same of one kind, from words (W, D) and pages that count as one."""
        seen = np.stack([_unpacked(self._vectors[name]) for name in self._names])
        shares = word_shares(seen, words, seen)

        def mean_of(names: Iterable[str]) -> Floats:
            found: Floats = shares[[self._place[name] for name in names]].mean(0)
            return found

        each = [np.mean([mean_of(p.liked) - mean_of(p.passed) for p in own], axis=0) for own in groups]
        spread = np.std(each, axis=0, ddof=1) / np.sqrt(len(each))
        return tuple((np.mean(each, axis=0) / (spread + LEAST_SPREAD)).tolist())

    def _known_of_others(self) -> Known | None:
        """Return how well somebody is known who wasn't asked: whole voters are left out, and count alike."""
        compared = ([page for page in own if page.liked and page.passed] for own in self.voters)
        voters, shares = [own for own in compared if own], list[float]()
        for fold in range(min(FOLDS, len(voters))):
            rest = [own for n, own in enumerate(voters) if n % FOLDS != fold]
            if not rest:
                return None
            direction = self._direction(rest)
            asked = (self._differences(own) @ direction for own in voters[fold::FOLDS])
            shares += [float((ranked > 0).mean()) for ranked in asked]
        if not shares:
            return None
        share = float(np.mean(shares))
        return Known(share, *wilson(share, TRIALS * len(shares)))

    def _direction(self, voters: Sequence[Sequence[Page]]) -> Floats:
        """Return the direction of some voters' pages, each comparison by 1 / those of its voter, and all
        together by their number."""
        parts = [self._differences(own) for own in voters]
        differences = np.concatenate(parts)
        if len(parts) == 1:
            return fit_direction(differences, self._stretch)
        each = len(differences) / len(parts)
        counts = np.concatenate([np.full(len(part), each / len(part)) for part in parts])
        return fit_direction(differences, self._stretch, counts)


def stretch(centred: Floats) -> Floats:
    """Return what (D, D) makes the variance of pictures (N, D) less uneven, and their mean length 1: each
    principal axis is divided by its deviation to the power of EVEN. What pictures differ in most, the things
    that they show, would hide what they differ in less, such as the medium."""
    variances, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    variances = np.maximum(variances, 0.0)
    scales = (variances + (LEAST_VARIANCE * variances.mean() or 1.0)) ** (-EVEN / 2)
    length = np.sqrt((variances * scales**2).sum()) or 1.0
    return (axes * (scales / length)) @ axes.T


def word_shares(pictures: Floats, words: Floats, usual: Floats) -> Floats:
    """Return how much each picture (N, D) shows of each word (W, D), (N, W) of 1 together, by how much better
    it fits than it does usual pictures."""
    fits, others = pictures @ words.T, usual @ words.T
    fits = (fits - others.mean(0)) * (SHARP / ((others - others.mean(0)).std() or 1.0))
    shares = np.exp(fits - fits.max(1, keepdims=True))
    return np.asarray(shares / shares.sum(1, keepdims=True))


def _unpacked(vector: bytes) -> Floats:
    return np.frombuffer(vector, "<f2").astype(np.float64)


def fit_direction(differences: Floats, stretched: Floats, counts: Floats | float = 1.0) -> Floats:
    """Return the direction (D,) along which most of ``differences`` (n, D) are positive. stretched: (D, D),
    by which the ridge doesn't press all of it alike. counts: (n,) as how many each counts."""
    ridge = max(1.0, len(differences) / SPREAD)
    direction = np.zeros(differences.shape[1])  # before it is stretched
    for _ in range(STEPS):
        wrong = 1 / (1 + np.exp(np.clip(differences @ (stretched @ direction), -40, 40)))
        pull = stretched @ (differences.T @ (counts * wrong)) - ridge * direction
        step = _solved(differences, stretched, counts * wrong * (1 - wrong), ridge, pull)
        direction += step
        if np.abs(step).max() <= EXACT * (1 + np.abs(direction).max()):
            break
    return np.asarray(stretched @ direction)


def _solved(differences: Floats, stretched: Floats, weights: Floats, ridge: float, wanted: Floats) -> Floats:
    """Return x of ((stretched differences)' weights (stretched differences) + ridge) x = wanted, by conjugate
    gradients: the ridge makes them end soon, where forming the matrix would take longest."""
    found, rest = np.zeros_like(wanted), wanted.copy()
    way, size = rest.copy(), rest @ rest
    limit = EXACT**2 * size
    for _ in range(PRODUCTS):
        if size <= limit:
            break
        product = stretched @ (differences.T @ (weights * (differences @ (stretched @ way)))) + ridge * way
        share = size / (way @ product)
        found, rest = found + share * way, rest - share * product
        size, before = rest @ rest, size
        way = rest + size / before * way
    return found


def mixed(heads: Iterable[tuple[Head, float]]) -> bytes:
    """Return the direction of several tastes with weights, as little-endian float32."""
    found = [head.direction * weight for head, weight in heads]
    return np.sum(found, axis=0).astype("<f4").tobytes()


def learn(question: Learn) -> Learned:
    """Return what tastes say together. Takes up to half a second for 2,000 hearts."""
    lessons = [
        Lesson((Page(*page) for page in one.pages), one.vectors, one.voters) for one in question.tastes
    ]
    if question.kinds:
        told = (lesson.words(question.kinds, question.reference) for lesson in lessons)
        return Learned(b"", (), None, tuple(told))
    found = [lesson.fit() for lesson in lessons]
    heads = [(head, one.weight) for head, one in zip(found, question.tastes, strict=True) if head is not None]
    known = lessons[0].known() if question.how_well and heads else None
    return Learned(mixed(heads) if heads else b"", tuple(head is not None for head in found), known)


UNLIKE = 2.0  # what likeness to a drawing that is taken costs, in deviations of the candidates' scores
MISSED = 2.0  # deviations under the candidates' mean from which on a drawing doesn't show its prompt


def choose_drawings(
    candidates: NDArray[np.floating],
    direction: NDArray[np.floating],
    count: int,
    text: NDArray[np.floating] | None = None,
) -> Sequence[int]:
    """Return which of ``candidates`` (N, D) to keep, the best first. direction: (D,) of a taste. text: the
    prompt's vector, None = none is known. All vectors are of unit length."""
    there = list(range(len(candidates)))
    if text is not None:
        fits = candidates @ text
        least = fits.mean() - MISSED * fits.std()
        shown = [one for one in there if fits[one] >= least]
        there = shown if len(shown) >= count else there
    scores = candidates @ direction
    scores = (scores - scores.mean()) / (scores.std() or 1.0)
    alike, taken = candidates @ candidates.T, list[int]()
    while there and len(taken) < count:
        costs = {one: max((alike[one, other] for other in taken), default=0.0) for one in there}
        taken.append(max(there, key=lambda one: (scores[one] - UNLIKE * costs[one], -one)))
        there.remove(taken[-1])
    return taken


def best_of(
    drawings: Sequence[Image.Image],
    count: int,
    taste: Taste,
    prompt: str,
    models: Models,
    reporter: Reporter,
) -> Sequence[int]:
    """Return which ``count`` of some drawings to keep, the best first. Raises ModelError when nothing can say
    what they show, or the taste is of vectors of another size."""
    vectors, direction = _looked(drawings, taste, models, reporter)
    matcher, batched = models.clip(files.spec_of(taste.model), reporter), reporter.batched_as("clip")
    [text] = matcher.embed_words((prompt,), batched) if prompt.strip() else [None]
    return choose_drawings(vectors, direction, count, None if text is None else text.float().cpu().numpy())


def most_liked_first(
    drawings: Sequence[Image.Image], taste: Taste, models: Models, reporter: Reporter
) -> list[int]:
    """Return the places of some drawings, most liked first. Raises ModelError as ``best_of`` does."""
    vectors, direction = _looked(drawings, taste, models, reporter)
    return np.argsort(-(vectors @ direction), kind="stable").tolist()


def _looked(
    drawings: Sequence[Image.Image], taste: Taste, models: Models, reporter: Reporter
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the vectors of some drawings (N, D), and the taste's direction (D,) among them."""
    matcher = models.clip(files.spec_of(taste.model), reporter)
    pictures = [one.convert("RGB") for one in drawings]
    seen = reporter.batched_as("clip")(matcher.embed_image_lists, pictures)
    vectors, direction = seen.float().cpu().numpy(), np.frombuffer(taste.direction, "<f4")
    if vectors.shape[1] != len(direction):
        raise ModelError("The taste was learned from what another model sees.")
    return vectors, direction
