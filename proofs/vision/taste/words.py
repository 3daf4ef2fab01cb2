"""Words of a taste: how many of those that twenty simulated people like are found, and which wrong ones.

python -m proofs.vision.taste.words --seeds 3
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from core.settings import ROOT
from core.taste_words import SURE, told_as
from proofs.vision.lora_training.measuring import models
from proofs.vision.taste.__main__ import Person, lesson_of, packed
from proofs.vision.taste.pool import SLOPE, Pool, make_pool
from vision.reporter import Reporter
from vision.store import Models
from vision.taste import Lesson, Page
from vision.weights.card import taste_words_of

COUNTS = (20, 40, 80)  # presses on pages of nine
BOARDS = (5, 12, 20)  # pictures of a folder
# what each simulated person likes, in the words of the demo's card; and what is right as well
RIGHT: Mapping[str, Sequence[str]] = {
    **{f"colour {name}": (name,) for name in ("blue", "red", "purple", "yellow")},
    "style watercolor": ("watercolor",),
    "style pixel": ("pixel art",),
    "style line art": ("line art",),
    "place night": ("at night",),
    "place sea": ("at sea",),
    "place snow": ("in the snow",),
    "place sunset": ("at sunset",),
    "watercolor or night": ("watercolor", "at night"),
    "blue, never line art": ("blue",),
}
ALSO: Mapping[str, Sequence[str]] = {
    "dark": ("at night", "black"),
    "warm": ("at sunset", "red", "orange"),
    "blue, never line art": ("flat design", "pixel art", "watercolor"),
}


def words_of_demo() -> dict[str, list[str]]:
    """Return the demo's words of each kind."""
    found = taste_words_of(str(ROOT / "demo" / "models" / "stable-diffusion"), Path())
    return {kind: [told_as(word) for word in words] for kind, words in found.items()}


def vectors_of(held: Models, words: Mapping[str, Sequence[str]]) -> list[tuple[bytes, ...]]:
    """Return the vectors of words, as a worker answers them."""
    matcher = held.clip(held.config.models["clip"], Reporter())
    return [
        tuple(one.numpy().astype("<f2").tobytes() for one in matcher.embed_words(some))
        for some in words.values()
    ]


def told(
    lesson: Lesson,
    words: Mapping[str, Sequence[str]],
    kinds: Sequence[tuple[bytes, ...]],
    reference: Sequence[bytes] = (),
) -> dict[str, str]:
    """Return the word of each kind that a lesson is sure of. kinds: the words' vectors. reference: pictures
    beside which those are seen that were liked alone."""
    found = lesson.words(kinds, reference)
    best = {
        kind: max(zip(values, some, strict=True))
        for (kind, some), values in zip(words.items(), found, strict=bool(found))
    }
    return {kind: word for kind, (value, word) in best.items() if value > SURE}


def show_found(pool: Pool, held: Models, seeds: int) -> None:
    """Print how many words are found, right and wrong, of every simulated person."""
    words = words_of_demo()
    kinds = vectors_of(held, words)
    for count in COUNTS:
        right, missed, wrong, profiles = 0, 0, list[str](), 0
        for taste in pool.likings:
            for seed in range(seeds):
                person = Person(pool, taste, 900 + seed)
                lesson = lesson_of(pool, person.presses(count, pool.even))
                got = set(told(lesson, words, kinds).values())
                wanted = set(RIGHT.get(taste, ()))
                right, missed = right + len(got & wanted), missed + len(wanted - got)
                wrong += [f"{word} ({taste})" for word in got - wanted - set(ALSO.get(taste, ()))]
                profiles += 1
        figures = f"{right} of {right + missed} right, {len(wrong)} wrong in {profiles} profiles"
        print(f"words after {count} presses: {figures}{': ' if wrong else ''}{', '.join(wrong)}", flush=True)


def show_boards(pool: Pool, held: Models, seeds: int) -> None:
    """Print how many words are found in folders of liked pictures beside which nothing was passed over."""
    words = words_of_demo()
    kinds, named = vectors_of(held, words), packed(pool.vectors)
    reference = [named[str(place)] for place in pool.even[::2]]
    for count in BOARDS:
        right, missed, wrong, profiles = 0, 0, list[str](), 0
        for taste, liking in pool.likings.items():
            for seed in range(seeds):
                chances = np.exp(SLOPE * (liking - liking.max()))
                rng = np.random.default_rng(70 + seed)
                kept = rng.choice(len(liking), count, replace=False, p=chances / chances.sum())
                lesson = Lesson([Page((str(place),)) for place in kept], named)
                got = set(told(lesson, words, kinds, reference).values())
                wanted = set(RIGHT.get(taste, ()))
                right, missed = right + len(got & wanted), missed + len(wanted - got)
                wrong += [f"{word} ({taste})" for word in got - wanted - set(ALSO.get(taste, ()))]
                profiles += 1
        figures = f"{right} of {right + missed} right, {len(wrong)} wrong in {profiles} folders"
        print(f"words of {count} pictures: {figures}{': ' if wrong else ''}{', '.join(wrong)}", flush=True)


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        pool, held = make_pool(), models(Path(folder))
        show_found(pool, held, seeds)
        show_boards(pool, held, seeds)


if __name__ == "__main__":
    main()
