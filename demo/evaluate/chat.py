"""Rows about the chat model: held-out pictures, asked through the usual classes from the saved folder.

`python -m demo.evaluate.chat`: how often sets of examples are right about pictures that they haven't seen, by
a head on the demo CLIP and by a chat model, beside what leaving examples out says of it; and how far that is
from the truth in 200 sets. Labels are invented words, which tell neither way anything.
"""

import argparse
import random
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from demo.drawing import draw
from demo.evaluate import AskReport, wilson
from demo.train import chat_data
from demo.train.chat_data import Fresh, Talk, invented
from demo.train.loop import MODELS
from demo.world import FAINT, OBJECTS, PLACES, STYLES, Group, Scene, compose, is_held_out
from vision import protocol
from vision.chat import talker as chat
from vision.chat.prompt import Picture
from vision.protocol import Turn
from vision.readers import clip, few_shot
from vision.readers.few_shot import Blocks, Learned, Lesson, learn_labels
from vision.reporter import Reporter

LONGEST = 56  # tokens of an answer


class Chat:
    """The model of a folder, loaded as any other chat model."""

    def __init__(self, folder):
        self.processor = AutoProcessor.from_pretrained(folder)
        self.processor.tokenizer.padding_side = "left"
        self.model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()

    @torch.no_grad()
    def answers(self, conversations: list[list[dict]]) -> list[str]:
        """The greedy answers to conversations that end with a question."""
        inputs = self.processor.apply_chat_template(
            conversations,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True},
        )
        out = self.model.generate(**inputs, max_new_tokens=LONGEST, do_sample=False)
        texts = self.processor.batch_decode(out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        return [text.strip() for text in texts]

    def last(self, some: list[Talk]) -> list[str]:
        """What it says to the last question of each talk, whose earlier answers are given as true."""
        conversations = [messages(talk, [turn.answer for turn in talk.turns[:-1]]) for talk in some]
        return self.answers(conversations)

    def walk(self, some: list[Talk]) -> list[str]:
        """What it says to the last question when all answers before are its own."""
        said: list[list[str]] = [[] for _ in some]
        for _ in range(max(len(talk.turns) for talk in some)):
            for own, text in zip(said, self.answers([*map(messages, some, said)]), strict=True):
                own.append(text)
        return [own[-1] for own in said]


def messages(talk: Talk, answers: list[str]) -> list[dict]:
    """The talk up to the first question that `answers` leave open, as the chat template takes it."""
    told = []
    for turn, answer in zip(talk.turns, [*answers, None], strict=False):
        content = [
            {"type": "text", "text": part}
            if isinstance(part, str)
            else {"type": "image", "image": talk.pictures[part].image}
            for part in turn.parts
        ]
        told.append({"role": "user", "content": content})
        if answer is not None:
            told.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
    return told


BATCH = 25
OFFERED = {  # rows in which a guess among the names that were told is the chance
    "naming, 2 x 2, things never named": 1 / 2,
    "naming, 2 x 2, all things": 1 / 2,
    "naming, 2 x 1": 1 / 2,
    "naming, 3 x 1": 1 / 3,
    "naming colours, 2 x 2": 1 / 2,
}
LEAST = {  # what each row must reach
    "object": 0.95,
    "colour": 0.95,
    "count": 0.95,
    "background": 0.95,
    "where": 0.85,
    "relation": 0.85,
    "yes_no": 0.92,
    "absent": 0.92,
    "describe": 0.80,
    "box": 0.80,
    "compare": 0.88,
    "sign letters": 0.95,
    "sign": 0.80,
    "value ±1": 0.95,
    "table cells ±1": 0.90,
    "order": 0.85,
    "direction": 0.93,
    "naming, 2 x 2, things never named": 0.85,
}
NAMES = {
    "object": "object",
    "colour": "colour",
    "count": "how many",
    "background": "background",
    "style": "style",
    "where": "where: nine fields",
    "relation": "relation of two objects",
    "yes_no": "yes or no",
    "absent": "an object that isn't there",
    "describe": "describe: every fact",
    "captioner": "describe: every fact, by the captioner",
    "box": "box (IoU of 0.5)",
    "compare": "two pictures compared",
    "sign": "sign: the whole word",
    "sign letters": "sign: letters",
    "value": "bar chart: a value",
    "value ±1": "bar chart: a value ±1",
    "extreme": "bar chart: highest, lowest",
    "bars": "bar chart: how many bars",
    "table cells": "bar chart as a table: cells",
    "table cells ±1": "bar chart as a table: cells ±1",
    "order": "order of three frames",
    "direction": "direction in three frames",
    "naming, 2 x 2, things never named": "naming, 2 names x 2 examples, objects never named in training",
    "naming, 2 x 2, all things": "naming, 2 names x 2 examples, all objects",
    "naming, 2 x 1": "naming, 2 names x 1 example",
    "naming, 3 x 1": "naming, 3 names x 1 example",
    "naming colours, 2 x 2": "naming colours, 2 names x 2 examples",
    "follow": "the third turn of a conversation",
}


@dataclass
class Row:
    """Hits of one kind of question, and what was asked: the best constant answer is its chance."""

    hits: list[bool] = field(default_factory=list)
    truths: list[str] = field(default_factory=list)
    right: Callable[[str, str], bool] = str.__eq__

    def add(self, said: str, truth: str):
        self.hits.append(bool(self.right(said, truth)))
        self.truths.append(truth)

    def chance(self) -> float:
        """How often the answer that fits most of the questions would be right."""
        return max(sum(self.right(c, t) for t in self.truths) for c in set(self.truths)) / len(self.truths)


def near(said: str, truth: str) -> bool:
    """Whether a number is told within one."""
    return said.isdigit() and abs(int(said) - int(truth)) <= 1


def overlaps(said: str, truth: str) -> bool:
    """Whether two boxes share half of what they cover together."""
    try:
        (a, b, c, d), (e, f, g, h) = (map(int, re.findall(r"\d+", text)) for text in (said, truth))
    except ValueError:
        return False
    shared = max(0, min(c, g) - max(a, e)) * max(0, min(d, h) - max(b, f))
    whole = (c - a) * (d - b) + (g - e) * (h - f) - shared
    return whole > 0 and shared / whole >= 0.5


RIGHT = {"box": overlaps, "value ±1": near, "table cells ±1": near}


def first_questions(n: int) -> Iterable[Talk]:
    """Until `n` of every kind are there: talks of one question about held-out pictures."""
    makers = (
        chat_data.scene_talk,
        chat_data.chart_talk,
        chat_data.compare_talk,
        chat_data.motion_talk,
        chat_data.order_talk,
    )
    source, found = Fresh(True), Counter()
    for number, maker in enumerate(makers):
        rng = random.Random(f"ask rows {number}")
        misses = 0
        while misses < min(400, 20 * n):  # in a row: every kind is full
            talk = maker(source, rng) if maker is chat_data.motion_talk else maker(source, rng, turns=1)
            kind = talk.turns[0].kind
            if found[kind] == n:
                misses += 1
                continue
            found[kind], misses = found[kind] + 1, 0
            yield talk


def named(n: int) -> dict[str, list[Talk]]:
    """Talks that teach invented names, by what is taught how often."""

    def some(name, **more):
        rng = random.Random(f"ask rows {name}")
        return [chat_data.name_talk(Fresh(True), rng, **more) for _ in range(n)]

    return {
        "naming, 2 x 2, things never named": some("never", ways=2, shots=2, things=chat_data.NEVER_NAMED),
        "naming, 2 x 2, all things": some("two", ways=2, shots=2, things=OBJECTS),
        "naming, 2 x 1": some("one", ways=2, shots=1),
        "naming, 3 x 1": some("three", ways=3, shots=1),
        "naming colours, 2 x 2": some("colour", ways=2, shots=2, by="colour"),
    }


def measure(chat: Chat, n: int, caption: Callable[[list], list[str]]) -> dict[str, Row]:
    """Asks everything and returns the rows by name. `caption` describes pictures without being asked."""
    rows: dict[str, Row] = defaultdict(Row)

    def add(name, said, truth):
        rows[name].right = RIGHT.get(name, str.__eq__)
        rows[name].add(said, truth)

    def asked(some, answer=chat.last):
        some = sorted(some, key=lambda talk: (len(talk.pictures), len(talk.turns)))
        for start in range(0, len(some), BATCH):
            part = some[start : start + BATCH]
            yield from zip(part, answer(part), strict=True)

    described = []
    for talk, said in asked(first_questions(n)):
        kind, truth = talk.turns[-1].kind, talk.turns[-1].answer
        if kind == "describe":
            described.append((talk.pictures[0].image, truth))
        if kind == "table":
            _cells(said, truth, add)
            continue
        add(kind, said, truth)
        if kind == "value":
            add("value ±1", said, truth)
    for said, (_, truth) in zip(caption([image for image, _ in described]), described, strict=True):
        add("captioner", said, truth)
    rng, source = random.Random("ask rows signs"), Fresh(True)
    for talk, said in asked([chat_data.sign_talk(source, rng) for _ in range(n)]):
        word = talk.turns[-1].answer
        add("sign", said, word)
        for k, letter in enumerate(word):
            add("sign letters", said[k : k + 1], letter)
    for name, some in named(n).items():
        for talk, said in asked(some):
            add(name, said, talk.turns[-1].answer)
    rng = random.Random("ask rows follow")
    for talk, said in asked([chat_data.follow_talk(source, rng) for _ in range(n)], chat.walk):
        if talk.turns[-1].kind != "box":
            add("follow", said, talk.turns[-1].answer)
    return rows


def _cells(said: str, truth: str, add):
    told = dict(line.split(", ") for line in said.splitlines() if line.count(", ") == 1)
    for line in truth.splitlines():
        colour, value = line.split(", ")
        for name in ("table cells", "table cells ±1"):
            add(name, told.get(colour, ""), value)


def tell(chat: Chat, n: int, report: AskReport | None, caption: Callable[[list], list[str]]):
    """Measures everything; prints it or, with a report, keeps it and writes it into the model card."""
    rows = measure(chat, n, caption)
    for name in sorted(rows, key=lambda name: [*NAMES, *rows].index(name)):
        row, text = rows[name], NAMES.get(name, name)
        chance = OFFERED.get(name) or row.chance()
        if report is None:
            share = sum(row.hits) / len(row.hits)
            print(f"{text:<60} {share:7.1%}  chance {chance:.0%}  n = {len(row.hits)}")
        else:
            report.share(text, row.hits, LEAST.get(name), chance=round(chance, 4))
    if report is not None:
        report.publish()


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
LEAST_EXAMPLES = 16  # examples of a set whose estimate is looked at
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
        examples, asked = pool.chosen(rng.choice([n for n in SIZES if n * labels >= LEAST_EXAMPLES]), rng)
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
    for label, n in some:
        asked = Turn("user", "What is this?", (f"{label} {n}",), "")
        lesson = Lesson.of(protocol.Talk((*turns, asked)))
        vector = pool.seen[label][n]["projected"].float()
        told = few_shot.tell_by_chat(lesson, talker, pictures, seen, vector, protocol.Talk(()), Reporter())
        left = told.accuracy or 0.0  # tested once: the set is the same
        best = max(range(len(told.chances)), key=told.chances.__getitem__)
        hits.append(lesson.labels[best] == words[label])
    return hits, left


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m demo.evaluate.chat", description=__doc__)
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
