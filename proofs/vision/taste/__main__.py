"""How well tastes are learned and what choosing by them brings: twenty simulated people and drawings of the
demo's world that they haven't seen.

python -m proofs.vision.taste --seeds 3
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from demo.world import OBJECTS
from proofs.vision.taste.pool import BLIND, OFTEN, Pool, make_pool, pick
from vision.taste import Lesson, Page, choose_drawings

HEARTS, PRESSES = (5, 10, 20, 40), (10, 20, 40)
DULL, PASSED = 0.15, 0.8  # a liking under which people press "none of these", and how often they do
MOST_LIKED = 3  # of a page of nine
NINE, FOUR, EIGHT, MANY = 9, 4, 8, 24
MOST = 0.3  # a liking under which half of the grids get no heart


class Person:
    """Somebody with a taste. seed: of what they are shown and how they choose_drawings."""

    def __init__(self, pool: Pool, taste: str, seed: int) -> None:
        self.pool, self.taste, self.liking = pool, taste, pool.likings[taste]
        self.rng = np.random.default_rng(seed)

    def hearts(self, count: int) -> list[Page]:
        """Return grids of four of one prompt in which they give a heart."""
        pages, things = list[Page](), sorted({one.thing for one in self.pool.drawings})
        for _ in range(4000):
            among = self.pool.of(self.rng.choice(things), self.pool.seen)
            if len(pages) == count or len(among) < FOUR:
                break
            shown = self.rng.choice(among, FOUR, replace=False)
            best = pick(self.liking[shown], self.rng)
            like = self.liking[shown[best]]
            if like >= DULL and not (like < MOST and self.rng.random() < 0.5):
                pages.append(page_of(shown, [best]))
        return pages

    def presses(self, count: int, among: np.ndarray) -> list[Page]:
        """Return pages of nine, of which they have pressed ``count`` pictures or "none of these"."""
        pages = list[Page]()
        while count > 0:
            shown, liked = self.rng.choice(among, NINE, replace=False), list[int]()
            for _ in range(min(MOST_LIKED, count)):
                count -= 1
                left = [n for n in range(NINE) if n not in liked]
                best = left[pick(self.liking[shown[left]], self.rng)]
                if self.liking[shown[best]] < DULL and self.rng.random() < PASSED:
                    break
                liked.append(best)
            pages.append(page_of(shown, liked))
        return pages

    def pairs(self, thing: str | None = None) -> np.ndarray:
        """Return pairs of drawings that they haven't seen and don't like alike, the better one first."""
        among = self.pool.fresh if thing is None else self.pool.of(thing, self.pool.fresh)
        rng = np.random.default_rng(7)
        count = 500 if thing is None else 30
        found = np.array([rng.choice(among, 2, replace=False) for _ in range(count)])
        better = self.liking[found[:, 0]] - self.liking[found[:, 1]]
        found = found[np.abs(better) > 1e-6]
        better = better[np.abs(better) > 1e-6]
        return np.where((better > 0)[:, None], found, found[:, ::-1])


def page_of(shown: Sequence[int], liked: Sequence[int]) -> Page:
    """Return a page of drawings by their places."""
    names = [str(place) for place in shown]
    return Page(tuple(names[n] for n in liked), tuple(name for n, name in enumerate(names) if n not in liked))


def scores_of(pool: Pool, pages: Sequence[Page]) -> np.ndarray | None:
    """Return how much each drawing of the pool is liked by what the pages teach."""
    head = lesson_of(pool, pages).fit()
    return None if head is None else pool.vectors @ head.direction


def lesson_of(pool: Pool, pages: Sequence[Page]) -> Lesson:
    """Return what pages teach."""
    return Lesson(pages, packed(pool.vectors))


def packed(vectors: np.ndarray) -> dict[str, bytes]:
    """Return vectors as rows have them, by their places."""
    return {str(place): vector.astype("<f2").tobytes() for place, vector in enumerate(vectors)}


def right(scores: np.ndarray, pairs: np.ndarray) -> float:
    """Return the share of pairs that are ranked rightly."""
    return float((scores[pairs[:, 0]] > scores[pairs[:, 1]]).mean())


def in_grids(person: Person, scores: np.ndarray) -> float:
    """Return the share of pairs that are ranked rightly, each of one prompt that gave no page."""
    found = list[float]()
    for thing in sorted({one.thing for one in person.pool.drawings}):
        if len(pairs := person.pairs(thing)):
            found.append(right(scores, pairs))
    return float(np.mean(found or [np.nan]))


def mean_of_hearts(pool: Pool, pages: Sequence[Page]) -> np.ndarray:
    """Return how near each drawing is to the mean of those with a heart: what is compared with."""
    liked = sorted({int(name) for page in pages for name in page.liked})
    return np.asarray((pool.vectors @ pool.vectors[liked].T).mean(1))


def grids(person: Person, size: int, count: int = 2) -> Iterator[np.ndarray]:
    """Yield drawings of one prompt."""
    rng = np.random.default_rng(11)
    for thing in sorted({one.thing for one in person.pool.drawings}):
        among = person.pool.fresh if person.taste in OFTEN else person.pool.of(thing, person.pool.fresh)
        for _ in range(count if len(among) >= size else 0):
            yield rng.choice(among, size, replace=False)


def chosen(person: Person, scores_by: np.ndarray, size: int) -> tuple[float, float, float, float, float]:
    """Return how many of four drawings fit: of any four, of those chosen from ``size``, and of the best that
    may be; and how unlike each other any four are, and the chosen ones."""
    pool, fits, rows = person.pool, person.pool.liked(person.taste), list[tuple[float, ...]]()
    for grid in grids(person, size):
        kept = grid[list(choose_drawings(pool.vectors[grid], scores_by, FOUR))]
        best = np.sort(fits[grid])[::-1][:FOUR].mean()
        told = fits[grid].mean(), fits[kept].mean(), best
        rows.append((*told, unlike(pool.vectors[grid[:FOUR]]), unlike(pool.vectors[kept])))
    return tuple(float(value) for value in np.mean(rows, 0))  # type: ignore[return-value]


def unlike(vectors: np.ndarray) -> float:
    """Return the mean distance of any two."""
    return float(1 - (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)].mean())


def show_hearts(pool: Pool, seeds: int) -> None:
    """Print how rightly pairs of new grids are ranked after some hearts."""
    for count in HEARTS:
        found = defaultdict[str, list[tuple[float, float]]](list)
        for taste in pool.likings:
            for seed in range(seeds):
                person = Person(pool, taste, 50 + seed)
                pages = person.hearts(count)
                if (scores := scores_of(pool, pages)) is None:
                    continue
                plain = mean_of_hearts(pool, pages)
                if not any(len(person.pairs(thing)) for thing in OBJECTS):
                    continue  # drawings of one prompt don't differ in it
                found[taste].append((in_grids(person, scores), in_grids(person, plain)))
        seen = [t for t in found if t not in BLIND and t not in OFTEN]
        for who, tastes in (("tastes that differ in a grid", list(found)), ("those that are seen", seen)):
            by, plain = np.mean([np.mean(found[taste], 0) for taste in tastes], 0)
            told = f"{by:.3f} ranked rightly; mean of hearts {plain:.3f}"
            print(f"{count:2} hearts, {who} ({len(tastes)}): {told}")


def show_presses(pool: Pool, seeds: int) -> None:
    """Print how rightly pairs are ranked after some presses, and what choosing brings."""
    for count in PRESSES:
        found = defaultdict[str, list[float]](list)
        shares, told = list[tuple[float, ...]](), list[tuple[float, ...]]()
        for taste in pool.likings:
            for seed in range(seeds):
                person = Person(pool, taste, 300 + seed)
                head = lesson_of(pool, person.presses(count, pool.even)).fit()
                if head is None:
                    continue
                found[taste].append(right(pool.vectors @ head.direction, person.pairs()))
                shares.append(chosen(person, head.direction, EIGHT))
                told.append(chosen(person, head.direction, MANY))
        every = [np.mean(values) for values in found.values()]
        seen = [np.mean(values) for taste, values in found.items() if taste not in BLIND]
        print(f"{count:2} presses: 20 tastes {np.mean(every):.3f}; the 18 that are seen {np.mean(seen):.3f}")
        for size, rows in ((EIGHT, shares), (MANY, told)):
            any_four, kept, best, apart, kept_apart = np.nanmean(rows, 0)
            share = np.mean([(row[1] - row[0]) / (row[2] - row[0]) for row in rows if row[2] > row[0] + 0.01])
            fit = f"{kept:.3f} fit (any four {any_four:.3f}, at most {best:.3f})"
            distance = f"unlike {kept_apart:.3f}, any four {apart:.3f}"
            print(f"   of {size}: {fit}: {share:.3f} of what they allow; {distance}")


def show_told(pool: Pool, seeds: int) -> None:
    """Print whether the interval that is told holds what is true on fresh pages."""
    holds, widths, blind, others = 0, list[float](), list[bool](), list[bool]()
    for taste in pool.likings:
        for seed in range(seeds):
            lesson = lesson_of(pool, Person(pool, taste, 900 + seed).presses(40, pool.even))
            known, head = lesson.known(), lesson.fit()
            if known is None or head is None:
                continue
            fresh = Person(pool, taste, 5000 + seed).presses(200, pool.fresh)
            scores = pool.vectors @ head.direction
            ranked = [
                scores[int(one)] > scores[int(other)]
                for page in fresh
                for one in page.liked
                for other in page.passed
            ]
            holds += known.low <= np.mean(ranked) <= known.high
            widths.append(known.high - known.low)
            (blind if taste in BLIND else others).append(not known.is_seen)
    print(f"told: holds in {holds} of {len(widths)}, mean width {np.mean(widths):.2f}")
    print(f"said to be unseen: {sum(blind)} of {len(blind)} that are; {sum(others)} of {len(others)} others")


def show_speed() -> None:
    """Print how long 2,000 hearts take to learn, and a choice among 24."""
    for width in (128, 768):
        rng = np.random.default_rng(1)
        vectors = rng.normal(size=(8000, width)).astype(np.float32)
        vectors[:, :4] *= 4
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        taste = rng.normal(size=width)
        pages = list[Page]()
        for start in range(0, 8000, FOUR):
            shown = list(range(start, start + FOUR))
            pages.append(page_of(shown, [int(np.argmax(vectors[shown] @ taste))]))
        names = packed(vectors)
        begun = time.process_time()
        head = Lesson(pages, names).fit()
        took = time.process_time() - begun
        assert head is not None
        begun = time.process_time()
        for _ in range(100):
            choose_drawings(vectors[:MANY], head.direction, FOUR, vectors[MANY])
        each = (time.process_time() - begun) * 10
        print(f"{width} numbers: 2,000 hearts learned in {took:.3f} s; a choice among 24 in {each:.2f} ms")


def show_forgetting(pool: Pool) -> None:
    """Print how many heads there are of nineteen members in five orders of rows, of whom another was
    forgotten each time, and whether it is the head of those nineteen alone."""
    places = [taste for taste in pool.likings if taste.startswith(("place", "colour"))]
    votes = [Person(pool, places[n % len(places)], n).hearts(3 + n % 5) for n in range(20)]
    rng, vectors, same = np.random.default_rng(3), packed(pool.vectors), 0
    for gone in range(20):
        heads = set[bytes]()
        for _ in range(5):
            names = rng.permutation(1000)
            rows = [(names[n], page) for n, own in enumerate(votes) if n != gone for page in own]
            rows = [rows[n] for n in rng.permutation(len(rows))]
            head = Lesson([page for _, page in rows], vectors, [name for name, _ in rows]).fit()
            assert head is not None
            heads.add(hashlib.sha256(head.packed).digest())
        same += len(heads) == 1
    print(f"forgetting one of twenty members, five orders of rows each: the same bytes for {same} of 20")


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    pool = make_pool()
    show_hearts(pool, seeds)
    show_presses(pool, seeds)
    show_told(pool, seeds)
    show_speed()
    show_forgetting(pool)


if __name__ == "__main__":
    main()
