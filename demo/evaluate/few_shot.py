"""`python -m demo.evaluate.few_shot`: how often sets of examples are right about pictures that they haven't
seen, by a head on the demo CLIP and by a chat model, beside what leaving examples out says of it; and how
far that is from the truth in 200 sets.

Labels are invented words, which tell neither way anything; "with words" is the head that knows the real ones.
Every picture is a composition that no training has seen.

Five things to learn from examples: what a thing is, the place, the style, how many, and where."""

import argparse
import random
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from demo.drawing import draw
from demo.evaluate.report import wilson
from demo.train.chat_talks import invented
from demo.train.loop import MODELS
from demo.world import FAINT, OBJECTS, PLACES, STYLES, Group, Scene, compose, is_held_out
from vision.chat import talker as chat
from vision.chat.prompt import Picture
from vision.protocol import Talk, Turn
from vision.readers import clip, few_shot
from vision.readers.few_shot import Blocks, Learned, Lesson, learn_labels
from vision.reporter import Reporter

NUMBERS = ("one", "two", "three", "four")


@dataclass(frozen=True)
class Task:
    """labels: the words that people would use. told: what each label means for a scene."""

    name: str
    labels: tuple[str, ...]
    told: tuple[dict[str, Any], ...] = field(repr=False)

    def draw(self, label: int, rng: random.Random) -> Image.Image:
        """A picture of a label, of a composition that no training has seen."""
        while True:
            scene = _scene(rng, **self.told[label])
            if scene is not None and is_held_out(scene):
                return draw(scene, rng)


TASKS = (
    Task("objects", OBJECTS, tuple({"object": name} for name in OBJECTS)),
    Task("places", PLACES, tuple({"background": name} for name in PLACES)),
    Task("styles", STYLES, tuple({"style": name} for name in STYLES)),
    Task("counts", NUMBERS, tuple({"count": n, "place": "any", "style": "flat"} for n in (1, 2, 3, 4))),
    Task(
        "positions",
        ("left", "right", "top", "bottom"),
        tuple({"place": name} for name in ("left", "right", "top", "bottom")),
    ),
)


def _scene(rng: random.Random, **wanted: Any) -> Scene | None:
    """A scene of one kind of thing as it is wanted; None when the dice made one that nobody draws."""
    scene = compose(rng, "single")
    group = scene.groups[0]
    if "count" in wanted:
        group = Group(wanted["count"], group.colour, group.object, "medium")
    group = Group(group.count, group.colour, wanted.get("object", group.object), group.size)
    place, style = wanted.get("place", scene.place), wanted.get("style", scene.style)
    background = wanted.get("background", scene.background)
    faint = style == "outline" and (group.size == "small" or group.colour in FAINT[background])
    coarse = style in ("outline", "pixel") and (group.count > 1 or group.size == "small")
    if group.colour == background or faint or coarse:
        return None
    return Scene((group,), place, background, style)


POOL, HELD = 48, 32  # pictures of a label; of them those that are asked about
SHOTS, SIZES = (4, 8, 16), (2, 4, 6, 8, 12, 16)
GOALS = {
    ("objects", 8): 0.93,
    ("places", 4): 0.98,
    ("styles", 16): 0.80,
    ("counts", 16): 0.70,
    ("positions", 16): 0.70,
}
LEAST = 16  # examples of a set whose estimate is looked at
NEAR = 0.1


class Pool:
    """Pictures of every label of a task, with what the demo CLIP sees of them."""

    def __init__(self, task: Task, matcher: clip.Matcher):
        self.task, self.matcher = task, matcher
        self.images = [
            [task.draw(label, random.Random(f"{task.name} {label} {n}")) for n in range(POOL)]
            for label in range(len(task.labels))
        ]
        self.seen: list[list[Blocks]] = [
            matcher.features.read_lists([images], lambda count=1: None)[0] for images in self.images
        ]

    def chosen(self, shots: int, rng: random.Random) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Examples and other pictures, as (label, number)."""
        orders = [rng.sample(range(POOL), POOL) for _ in self.task.labels]
        examples = [(label, n) for label, order in enumerate(orders) for n in order[:shots]]
        return examples, [(label, n) for label, order in enumerate(orders) for n in order[-HELD:]]

    def of(self, names: list[tuple[int, int]]) -> list[Blocks]:
        return [self.seen[label][n] for label, n in names]

    def learned(self, examples, asked, *, words: bool = False) -> Learned:
        """What the head makes of a set."""
        some, others = self.of(examples), self.of(asked)
        told = None
        if words:
            said = [torch.stack([blocks["projected"] for blocks in few]).float() for few in (some, others)]
            told = tuple(self.matcher.word_chances(few, self.task.labels) for few in said)
        return learn_labels(some, [label for label, _ in examples], len(self.task.labels), others, told)


def head_rows(pools: list[Pool], sets: int) -> None:
    """Held-out accuracy beside what leaving out says."""
    print("| task | shots | head | with words | right when left out | expected | asked |")
    print("|---|---|---|---|---|---|---|")
    for pool in pools:
        for shots in SHOTS:
            rng, hits, with_words, left, expected = random.Random(f"head {shots}"), [], [], [], []
            for _ in range(sets):
                examples, asked = pool.chosen(shots, rng)
                found = pool.learned(examples, asked)
                hits += right(found, asked)
                with_words += right(pool.learned(examples, asked, words=True), asked)
                left.append(found.right / found.tested)
                expected.append(found.expected)
            low, high = wilson(sum(hits), len(hits))
            goal = GOALS.get((pool.task.name, shots))
            reached = sum(hits) / len(hits)
            asked_for = "" if goal is None else f"{goal:.0%}{'' if reached >= goal else ' (missed)'}"
            print(
                f"| {pool.task.name} | {shots} | {reached:.1%} ({low:.1%} to {high:.1%})"
                f" | {sum(with_words) / len(with_words):.1%} | {statistics.mean(left):.1%}"
                f" | {statistics.mean(expected):.1%} | {asked_for} |",
                flush=True,
            )


def right(found: Learned, asked: list[tuple[int, int]]) -> list[bool]:
    return [guess == label for guess, (label, _) in zip(found.chances.argmax(1).tolist(), asked, strict=True)]


def estimate_rows(pools: list[Pool], sets: int) -> None:
    """How far what is said of a set is from the truth."""
    rng, rows = random.Random("estimates"), []
    for _ in range(sets):
        pool = rng.choice(pools)
        labels = len(pool.task.labels)
        examples, asked = pool.chosen(rng.choice([n for n in SIZES if n * labels >= LEAST]), rng)
        found = pool.learned(examples, asked)
        held = statistics.mean(right(found, asked))
        rows.append((len(examples), held, found.expected, found.right / found.tested))
    print(
        "\n| examples of a set | sets | expected within 10 points | counted within 10 points | bias of both |"
    )
    print("|---|---|---|---|---|")
    for least, most in ((16, 10**6), (16, 31), (32, 63), (64, 10**6)):
        some = [row for row in rows if least <= row[0] <= most]
        near = [statistics.mean(abs(row[1] - row[k]) <= NEAR for row in some) for k in (2, 3)]
        bias = [100 * statistics.mean(row[k] - row[1] for row in some) for k in (2, 3)]
        name = f"{least} to {most}" if most < 10**6 else f"{least} and more"
        off = f"{bias[0]:+.1f} and {bias[1]:+.1f} points"
        print(f"| {name} | {len(some)} | {near[0]:.0%} | {near[1]:.0%} | {off} |")


def chat_rows(pools: list[Pool], folder: Path, asked: int) -> None:
    """The same of a chat model, on fewer pictures: each costs a reading of nine."""
    talker = chat.load_chat_model(folder, "chat", {}, "cpu", torch.float32)
    print("\n| task | shots | chat model | right when left out | head on the same |")
    print("|---|---|---|---|---|")
    for pool in pools:
        for shots in (4, 16):
            rng = random.Random(f"chat {shots}")
            examples, others = pool.chosen(shots, rng)
            some = rng.sample(others, asked)
            hits, left = _told(pool, talker, examples, some, rng)
            low, high = wilson(sum(hits), len(hits))
            same = statistics.mean(right(pool.learned(examples, some), some))
            print(
                f"| {pool.task.name} | {shots} | {sum(hits) / len(hits):.1%} ({low:.1%} to {high:.1%})"
                f" | {left:.1%} | {same:.1%} |",
                flush=True,
            )


def _told(pool: Pool, talker, examples, some, rng) -> tuple[list[bool], float]:
    """Whether a chat model is right about each of ``some``, and about examples that were left out."""
    words = [invented(rng) for _ in pool.task.labels]
    pictures, turns = {}, []
    for label, n in (*examples, *some):
        image, name = pool.images[label][n], f"{label} {n}"
        pictures[name] = Picture(name, image.size, lambda image=image: image)
    for label, n in examples:
        name = f"{label} {n}"
        turns += [Turn("user", "What is this?", (name,), name), Turn("assistant", words[label], (), name)]
    seen = torch.stack([blocks["projected"].float() for blocks in pool.of(examples)])
    hits, left = [], 0.0
    for number, (label, n) in enumerate(some):
        asked = Turn("user", "What is this?", (f"{label} {n}",), "")
        lesson = Lesson.of(Talk((*turns, asked)))
        vector = pool.seen[label][n]["projected"].float()
        if number == 0:
            told = few_shot.tell_by_chat(lesson, talker, pictures, seen, vector, Talk(()), Reporter())
            chances, left = told.chances, told.accuracy or 0.0
        else:
            chances = few_shot.ask_chat(lesson, talker, pictures, seen, vector, Talk(()), Reporter())
        best = max(range(len(chances)), key=chances.__getitem__)
        hits.append(lesson.labels[best] == words[label])
    return hits, left


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m demo.evaluate.few_shot", description=__doc__)
    parser.add_argument("--sets", type=int, default=10, help="for each row of the head")
    parser.add_argument("--estimates", type=int, default=200, help="sets whose estimate is looked at")
    parser.add_argument("--chat", type=Path, help="folder of a chat model; none: only the head is measured")
    parser.add_argument("--asked", type=int, default=40, help="pictures for each row of the chat model")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    matcher = clip.load_clip(MODELS / "clip", "clip", {}, "cpu", torch.float32)
    pools = [Pool(task, matcher) for task in TASKS]
    head_rows(pools, arguments.sets)
    estimate_rows(pools, arguments.estimates)
    if arguments.chat is not None:
        chat_rows(pools, arguments.chat, arguments.asked)


if __name__ == "__main__":
    main()
