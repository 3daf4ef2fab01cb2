"""*Make it strong* in the demo's world: does a LoRA that is trained on what simulated people like, as the
studio trains it, bring pictures nearer to a taste, and would they choose it blind? The judge is the demo's.

python -m proofs.vision.taste.strong --prompts 12
"""

from __future__ import annotations

import argparse
import hashlib
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from core.prompt.values import StoredLora
from core.requests import ImagineRequest
from core.requests.custom_models import STYLE, TrainRequest
from core.taste_words import amount_of
from demo.judge import Judge
from proofs.vision.lora_training.measuring import models
from proofs.vision.taste.duel import LOOKS, RATED, TASTES, WORDS, draw, prompt_of, read, shows
from studio.taste_loras import EACH, ENOUGH, PROMPTS
from studio.taste_loras import WORDS as TRIGGER
from vision.capabilities import train
from vision.capabilities.imagine import _prepare
from vision.custom_models.snapshot import Item, Snapshot
from vision.diffusion import task
from vision.reporter import Reporter
from vision.store import Models
from vision.taste import wilson

LIKED = 12  # pictures that are trained on, of those that somebody likes
LIKES = 0.5  # of a picture: liking from which on it has a heart
PROJECT = "abcdefgh2345"
EVEN = 0.02  # liking by which two pictures differ at least; else somebody chooses by chance


def trained(folder: Path, pictures: Sequence[Image.Image]) -> Path:
    """Train a LoRA as the studio does, whose captions are written by the demo's captioner."""
    paths = dict[str, str]()
    for number, picture in enumerate(pictures):
        file = folder / f"{number}.png"
        picture.save(file)
        paths[hashlib.sha256(file.read_bytes()).hexdigest()] = str(file)
    (folder / train.SNAPSHOT).write_text(Snapshot.of(map(Item, paths)).text())
    request = TrainRequest(project=PROJECT, task=STYLE, words=TRIGGER, seconds=3600)
    made = train.train_style(request, paths, models(folder), Reporter(), folder)
    assert made.learned is not None
    captions = " | ".join(one.label for one in made.learned.items[:3])
    print(f"   strength {made.learned.metrics['strength']}, captions: {captions}", flush=True)
    return Path(made.learned.path)


def drawn(
    held: Models, prompt: str, seed: int, lora: str, weight: float, words: tuple[str, ...] = ()
) -> list[Image.Image]:
    """Return pictures as the studio draws them with a taste's LoRA; none of weight 0."""
    strong = ((lora, weight),) if weight else ()
    request = ImagineRequest(prompt=prompt, seed=seed, num_images=EACH, taste_words=words, taste_loras=strong)
    model, prepared = _prepare(request, {}, held, Reporter())
    return task.draw_pictures(prepared, model, Reporter()).images


def word_of(kind: str, name: str) -> str:
    """Return the word that says what somebody likes."""
    return {"colour": {name: name}, "style": LOOKS, "place": WORDS}[kind][name]


def main() -> None:
    """Print for each taste how many pairs the LoRA wins, and of comparisons how many turn it on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=12, help="of each taste; two pictures of each")
    parser.add_argument("--tastes", default="", help="such as blue,night; empty = all")
    asked = parser.parse_args()
    chosen = [one for one in TASTES if not asked.tastes or one[1] in asked.tastes.split(",")]
    torch.set_num_threads(1)
    rng, judge = random.Random("strong"), Judge()
    ways = {"plain": (0.0, False), "LoRA": (amount_of(None), False), "LoRA whole": (1.0, False)}
    ways |= {"words": (0.0, True), "words, LoRA": (amount_of(None), True)}
    totals: dict[str, list[np.ndarray]] = {way: [] for way in ways}
    things: dict[str, list[float]] = {way: [] for way in ways}
    turned, took = {"LoRA": list[bool](), "words, LoRA": list[bool]()}, list[float]()
    with tempfile.TemporaryDirectory() as name:
        held = models(Path(name))
        rated = [draw(held, prompt_of(rng, full=True), 10_000 + n, 1)[0] for n in range(RATED)]
        seen = read(judge, rated)
        for number, (kind, what) in enumerate(chosen):
            hearts = np.flatnonzero(seen.liking(kind, what) > LIKES)
            picked = np.random.default_rng(number).permutation(hearts)[:LIKED]
            with tempfile.TemporaryDirectory() as trains:
                begun = time.process_time()
                file = trained(Path(trains), [rated[one] for one in picked])
                took.append(time.process_time() - begun)
                sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
                lora = str(StoredLora("mine", PROJECT, sha256))
                held.loader.note_stored({sha256: file})
                likings = {way: list[float]() for way in ways}
                for turn in range(asked.prompts):
                    prompt = prompt_of(random.Random(f"{kind} {what} {turn}"), kind)
                    for way, (weight, worded) in ways.items():
                        words = (word_of(kind, what),) if worded else ()
                        pictures = drawn(held, prompt, 1000 * turn, lora, weight, words)
                        likings[way] += read(judge, pictures).liking(kind, what).tolist()
                        things[way] += shows(judge, pictures, prompt).tolist()
            told = []
            for way, without in (("LoRA", "plain"), ("LoRA whole", "plain"), ("words, LoRA", "words")):
                better = np.array(likings[way]) - np.array(likings[without])
                better[np.abs(better) < EVEN] = 0
                totals[way].append(better)
                told.append(f"{way} over {without} {(better > 0).sum()} of {(better != 0).sum()}")
            pairs = PROMPTS * EACH
            for way in ("LoRA", "words, LoRA"):
                chance = np.random.default_rng(number).choice((-1, 1), len(totals[way][-1]))
                said = np.where(totals[way][-1] == 0, chance, totals[way][-1]) > 0
                for start in range(0, len(said) - pairs + 1, pairs):
                    turned[way].append(bool(said[start : start + pairs].sum() >= ENOUGH * pairs))
            fits = ", ".join(f"{way} {np.mean(np.array(some) > 0.5):.3f}" for way, some in likings.items())
            print(
                f"{kind} {what}, {len(picked)} pictures, {took[-1]:.0f} s: {'; '.join(told)}; fit: {fits}",
                flush=True,
            )
    for way, some in totals.items():
        if some:
            every = np.concatenate(some)
            won, decided = int((every > 0).sum()), int((every != 0).sum())
            low, high = wilson(won / decided, decided)
            even = len(every) - decided
            print(
                f"{way}: won {won} of {decided}, {won / decided:.3f} ({low:.2f} to {high:.2f}); {even} even"
            )
    print("the prompt's thing shown:", {way: round(float(np.mean(some)), 3) for way, some in things.items()})
    for way, said in turned.items():
        print(f"{way}: turned on by {sum(said)} of {len(said)} comparisons")
    print(f"a LoRA took {np.mean(took):.0f} CPU s")


if __name__ == "__main__":
    main()
