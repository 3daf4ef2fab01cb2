"""Rows about the chat model: held-out pictures, asked through the usual classes from the saved folder."""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from demo.evaluate.report import AskReport
from demo.train import chat_talks
from demo.train.chat_talks import Fresh, Talk
from demo.world import OBJECTS

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
    "relation": "relation of two things",
    "yes_no": "yes or no",
    "absent": "a thing that isn't there",
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
    "naming, 2 x 2, things never named": "naming, 2 names x 2 examples, things never named in training",
    "naming, 2 x 2, all things": "naming, 2 names x 2 examples, all things",
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
        chat_talks.scene_talk,
        chat_talks.chart_talk,
        chat_talks.compare_talk,
        chat_talks.motion_talk,
        chat_talks.order_talk,
    )
    source, found = Fresh(True), Counter()
    for number, maker in enumerate(makers):
        rng = random.Random(f"ask rows {number}")
        misses = 0
        while misses < min(400, 20 * n):  # in a row: every kind is full
            talk = maker(source, rng) if maker is chat_talks.motion_talk else maker(source, rng, turns=1)
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
        return [chat_talks.name_talk(Fresh(True), rng, **more) for _ in range(n)]

    return {
        "naming, 2 x 2, things never named": some("never", ways=2, shots=2, things=chat_talks.NEVER_NAMED),
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
    for talk, said in asked([chat_talks.sign_talk(source, rng) for _ in range(n)]):
        word = talk.turns[-1].answer
        add("sign", said, word)
        for k, letter in enumerate(word):
            add("sign letters", said[k : k + 1], letter)
    for name, some in named(n).items():
        for talk, said in asked(some):
            add(name, said, talk.turns[-1].answer)
    rng = random.Random("ask rows follow")
    for talk, said in asked([chat_talks.follow_talk(source, rng) for _ in range(n)], chat.walk):
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
