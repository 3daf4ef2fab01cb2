"""A blind duel in the demo's world: of two grids of one prompt, drawn with and without ``--p``, which shows
more of what somebody likes? Do both show the thing that the prompt names? The judge is the demo's: a network
of its own that never saw a vector of CLIP. ``--p`` chooses alone, as with ``--raw``, and adds words as well.

python -m proofs.vision.taste.duel --prompts 200
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from core.intervals import wilson
from core.requests import ImagineRequest
from core.taste_words import open_kinds
from demo.judge import GRID, SIZE, Judge
from demo.train.readers import pixels
from demo.world import BACKGROUNDS, COLOURS, OBJECTS, STYLES
from proofs.vision.lora_training.measuring import models
from proofs.vision.taste.__main__ import NINE, page_of
from proofs.vision.taste.pool import pick
from proofs.vision.taste.words import told, vectors_of, words_of_demo
from vision.capabilities.imagine import _prepare
from vision.diffusion import task
from vision.protocol import Taste
from vision.reporter import Reporter
from vision.store import Models
from vision.taste import Lesson, Page, best_of

RATED, PRESSES = 240, 40  # drawings that are rated, and how often somebody presses
FOUR, CANDIDATES = 4, (8, 12, 24)  # as --stylize 100, 250 and 750 draw
MOST_LIKED, DULL = 3, 0.15  # of a page; a liking under which nothing is pressed
WORDS = {"night": "at night", "sea": "at sea", "snow": "in the snow", "sunset": "at sunset"}
LOOKS = {"watercolor": "watercolor", "pixel": "pixel art", "outline": "line art"}
TASTES = [
    *(("colour", name) for name in ("blue", "red", "purple", "yellow")),
    *(("style", name) for name in LOOKS),
    *(("place", name) for name in WORDS),
]


@dataclass(frozen=True)
class Read:
    """What the judge sees in pictures: chances (N, …) of grounds, styles and the main thing's colour."""

    place: np.ndarray
    style: np.ndarray
    colour: np.ndarray

    def liking(self, kind: str, name: str) -> np.ndarray:
        """Return how much of what somebody likes each picture shows, (N,) in 0..1."""
        names = {"place": BACKGROUNDS, "style": STYLES, "colour": COLOURS}[kind]
        found: np.ndarray = getattr(self, kind)[:, names.index(name)]
        return found


@torch.no_grad()
def read(judge: Judge, pictures: Sequence[Image.Image]) -> Read:
    """Return what the judge sees."""
    small = [np.asarray(one.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BOX)) for one in pictures]
    grids, summaries = judge.network(pixels(small))
    places, styles = summaries.split((len(BACKGROUNDS), len(STYLES)), 1)
    middle = grids[:, 0].flatten(1).argmax(1)
    colours = grids[torch.arange(len(grids)), -len(COLOURS) :, middle // GRID, middle % GRID]
    return Read(*(part.softmax(1).cpu().numpy() for part in (places, styles, colours)))


def shows(judge: Judge, pictures: Sequence[Image.Image], prompt: str) -> np.ndarray:
    """Return in which pictures (N,) the judge sees the thing that a prompt names."""
    verdicts = judge(list(pictures))
    return np.array([any(found.object in prompt for found in one.found) for one in verdicts], float)


def prompt_of(rng: random.Random, left_open: str = "", *, full: bool = False) -> str:
    """Return a prompt that says nothing of ``left_open``, and of the rest something now and then."""

    def says(kind: str) -> bool:
        return kind != left_open and (full or rng.random() < 0.4)

    colour = f"{rng.choice(COLOURS)} " if says("colour") else ""
    place = f" {rng.choice(list(WORDS.values()))}" if says("place") else ""
    style = f", {rng.choice(list(LOOKS.values()))}" if says("style") else ""
    return f"a {colour}{rng.choice(OBJECTS)}{place}{style}"


def draw(held: Models, prompt: str, seed: int, count: int, words: tuple[str, ...] = ()) -> list[Image.Image]:
    """Return drawings of a prompt with seeds that count up, as a worker draws its candidates. words: that a
    taste adds."""
    found = list[Image.Image]()
    for first in range(seed, seed + count, FOUR):
        number = min(FOUR, count)
        request = ImagineRequest(prompt=prompt, seed=first, num_images=number, taste_words=words)
        model, prepared = _prepare(request, {}, held, Reporter())
        found += task.draw_pictures(prepared, model, Reporter()).images
    return found


def lesson_of(held: Models, rated: Sequence[Image.Image], liking: np.ndarray, seed: int) -> Lesson:
    """Return what teaches somebody's taste, who presses what they like on pages of nine drawings."""
    rng, pages, pressed = np.random.default_rng(seed), list[Page](), 0
    while pressed < PRESSES:
        shown, liked = rng.choice(len(rated), NINE, replace=False), list[int]()
        for _ in range(MOST_LIKED):
            pressed += 1
            left = [n for n in range(NINE) if n not in liked]
            best = left[pick(liking[shown[left]], rng)]
            if liking[shown[best]] < DULL:
                break
            liked.append(best)
        pages.append(page_of(shown, liked))
    reporter = Reporter()
    matcher = held.clip(held.config.models["clip"], reporter)
    seen = matcher.embed_image_lists([[one.convert("RGB") for one in rated]], lambda *_: None)[0]
    vectors = {str(n): one.numpy().astype("<f2").tobytes() for n, one in enumerate(seen.float().cpu())}
    return Lesson(pages, vectors)


class Duels:
    """What came of duels. size: drawings of which a taste keeps four."""

    def __init__(self, size: int, how: str) -> None:
        self.size, self.how, self.better = size, how, {"colour": list[float](), "style": [], "place": []}
        self.fits: list[tuple[float, float]] = []
        self.shown: list[tuple[float, float]] = []

    def add(self, kind: str, with_taste: np.ndarray, without: np.ndarray, shown: tuple[float, float]) -> None:
        """Note how much of a taste each of two grids shows, and how many show the prompt's thing."""
        self.shown.append(shown)
        better = float(with_taste.mean() - without.mean())
        self.better[kind].append(0.5 if abs(better) < 1e-9 else float(better > 0))
        self.fits.append((float((with_taste > 0.5).mean()), float((without > 0.5).mean())))

    def show(self) -> None:
        """Print who won."""
        every = [one for rows in self.better.values() for one in rows]
        won, decided = every.count(1.0), len(every) - every.count(0.5)
        low, high = wilson(won / decided, decided)
        interval = f"{won / decided:.3f} ({low:.2f} to {high:.2f})"
        who = f"four of {self.size}, {self.how}"
        print(f"{who}: won {won} of {decided} duels, {interval}; {len(every) - decided} even")
        kinds = [f"{kind} {np.mean(rows):.3f} of {len(rows)}" for kind, rows in self.better.items()]
        shares = " and ".join(f"{share:.3f}" for share in np.mean(self.fits, 0))
        print(f"   by taste: {', '.join(kinds)}; pictures that fit, with and without: {shares}")
        things = " and ".join(f"{share:.3f}" for share in np.mean(self.shown, 0))
        print(f"   pictures that show the prompt's thing, with and without: {things}", flush=True)


def main() -> None:
    """Print how many duels are won."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--most", type=int, default=max(CANDIDATES), help="drawings of a prompt")
    asked = parser.parse_args()
    sizes = [size for size in CANDIDATES if size <= asked.most]
    torch.set_num_threads(1)
    rng, judge, begun = random.Random("duel"), Judge(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        held = models(Path(folder))
        rated = [draw(held, prompt_of(rng, full=True), 10_000 + n, 1)[0] for n in range(RATED)]
        seen = read(judge, rated)
        lessons = {one: lesson_of(held, rated, seen.liking(*one), n) for n, one in enumerate(TASTES)}
        words = words_of_demo()
        vectors, model = vectors_of(held, words), held.config.models["clip"]
        added = {one: told(lesson, words, vectors) for one, lesson in lessons.items()}
        print("words that are added:", {" ".join(one): list(some.values()) for one, some in added.items()})
        duels = [Duels(size, how) for how in ("no words", "words") for size in sizes]
        for number in range(asked.prompts):
            kind, name = TASTES[number % len(TASTES)]
            head = lessons[kind, name].fit()
            assert head is not None
            taste, prompt = Taste(model, head.packed), prompt_of(rng, kind)
            named = tuple(word for of, word in added[kind, name].items() if of in open_kinds([prompt]))
            for how, adds in (("no words", ()), ("words", named)):
                drawn = draw(held, prompt, 1000 * number, max(sizes), adds)
                liking, shown = read(judge, drawn).liking(kind, name), shows(judge, drawn, prompt)
                if how == "no words":
                    plain, right = liking[:FOUR], shown[:FOUR].mean()
                for one in (one for one in duels if one.how == how):
                    kept = list(best_of(drawn[: one.size], FOUR, taste, prompt, held, Reporter()))
                    one.add(kind, liking[kept], plain, (shown[kept].mean(), right))
    for one in duels:
        one.show()
    print(f"{time.process_time() - begun:.0f} s of a processor")


if __name__ == "__main__":
    main()
