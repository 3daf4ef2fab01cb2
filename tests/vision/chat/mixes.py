"""Random conversations, answered together and each alone."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from tests.support import tiny
from vision.chat.decoder import Decoder, Reply
from vision.chat.prompt import Picture, Prompt
from vision.chat.talker import Talker
from vision.protocol import Talk, Turn

WORDS = "what colour is the cat on a table left of two red boats and why not show me more".split()
SIZES = ((64, 48), (48, 64), (64, 64), (96, 40), (33, 70))


def pictures(count: int = 10) -> dict[str, Picture]:
    """Name → picture, of several sizes."""
    made = [tiny.picture(*SIZES[i % len(SIZES)], seed=i) for i in range(count)]
    return {f"p{i}": Picture(f"p{i}", image.size, lambda image=image: image) for i, image in enumerate(made)}


PICTURES = pictures()


def words(rng: random.Random, most: int = 9) -> str:
    return " ".join(rng.choices(WORDS, k=rng.randint(1, most)))


def question(rng: random.Random, job_id: str, most_pictures: int = 4) -> Turn:
    names = tuple(rng.choices(sorted(PICTURES), k=rng.randint(0, most_pictures)))
    return Turn("user", words(rng), names, job_id)


def alone(
    talker: Talker, talk: Talk, max_tokens: int, *, pictures: Mapping[str, Picture] = PICTURES, **more: Any
) -> list[int]:
    """The tokens that transformers' own ``generate`` gives for one conversation, from scratch. more: of its
    arguments."""
    model = talker.model
    messages, shas = model.prompts.messages(talk.turns, talk.answer == "short")
    shown = iter(shas)
    for message in messages:
        message["content"] = [
            {"type": "image", "image": pictures[next(shown)].open()} if part["type"] == "image" else part
            for part in message["content"]
        ]
    how = {"tokenize": True, "return_dict": True, "return_tensors": "pt", **model.prompts.told}
    inputs = model.processor.apply_chat_template(messages, add_generation_prompt=True, **how)
    with torch.no_grad():
        out = model.model.generate(
            **inputs,
            do_sample=False,
            max_new_tokens=max_tokens,
            eos_token_id=sorted(model.ends) or None,
            pad_token_id=0,
            **more,
        )
    return out[0, inputs["input_ids"].shape[1] :].tolist()


@dataclass(eq=False)
class Asked:
    """One question at its time. stop_at: tokens after which it is stopped, None = never."""

    talk: Talk
    reply: Reply
    comes: int
    stop_at: int | None = None


@dataclass
class Mix:
    """Questions that come at different ticks of one decoder."""

    decoder: Decoder
    asked: list[Asked] = field(default_factory=list)
    slices: int = 0

    def run(self) -> None:
        waiting = sorted(self.asked, key=lambda asked: asked.comes)
        while waiting or self.decoder.is_busy:
            while waiting and (waiting[0].comes <= self.slices or not self.decoder.is_busy):
                self.decoder.add(waiting.pop(0).reply)
            self.decoder.write_on()
            self.slices += 1
            for asked in self.asked:
                if asked.stop_at is not None and len(asked.reply.tokens) >= asked.stop_at:
                    self.decoder.stop(asked.reply)


def prompt_of(talker: Talker, talk: Talk) -> Prompt:
    return talker.model.prompts.make(talk, PICTURES, 4096)


def reply_to(talker: Talker, talk: Talk, max_tokens: int) -> Reply:
    earlier = tuple(dict.fromkeys(turn.job_id for turn in reversed(talk.turns[:-1])))
    return Reply(prompt_of(talker, talk), max_tokens, talk.turns[-1].job_id, earlier)


def differing(talker: Talker, asked: Sequence[Asked]) -> Iterator[Asked]:
    """Those whose tokens aren't the ones of ``generate`` alone, as far as they were written."""
    for one in asked:
        right = alone(talker, one.talk, one.reply.max_tokens)
        tokens = one.reply.tokens
        if one.reply.error is not None or tokens != (right[: len(tokens)] if one.stop_at else right):
            yield one


def mixes(talker: Talker, seed: int, people: int, rounds: int = 2) -> tuple[int, int]:
    """Let people talk at random times, some for several turns; return (answers, those that differ)."""
    rng = random.Random(seed)
    turns: list[list[Turn]] = [[] for _ in range(people)]
    wrong = answers = 0
    for number in range(rounds):
        mix = Mix(talker.decoder)
        going_on = [i for i in range(people) if number == 0 or rng.random() < 0.8]
        for i in going_on:
            turns[i].append(question(rng, f"{seed}-{i}-{number}"))
            talk = Talk(tuple(turns[i]), rng.choice(("free", "short")))
            stop = rng.randint(1, 6) if rng.random() < 0.2 else None
            mix.asked.append(
                Asked(talk, reply_to(talker, talk, rng.randint(1, 14)), rng.randint(0, 25), stop)
            )
        mix.run()
        wrong += len(list(differing(talker, mix.asked)))
        answers += len(mix.asked)
        for i, asked in zip(going_on, mix.asked, strict=True):
            text = talker.model.text(asked.reply.tokens)
            turns[i].append(Turn("assistant", text, (), asked.talk.turns[-1].job_id))
    return answers, wrong
