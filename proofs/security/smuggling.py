"""Control tokens in what people write: ``python -m proofs.security.smuggling [--n 100000]``.

Texts made to smuggle them into a prompt, on every tokenizer that the tests can build: alone, as the worker
neutralises them; as text that was read in a picture; as question, answer and question in the whole prompt of
every tiny model; and as questions to a server, whose tokenizer isn't known here, as
``jobs.executors.openai_api`` sends them.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from jobs.executors.openai_api import neutral
from tests.servers import model as served
from tests.vision.chat import fuzz, shapes
from vision.chat.prompt import ControlTokens, PromptMaker
from vision.readers import ocr

OF_SERVERS = (
    "qwen",
    "smolvlm",
    "qwen3-vl",
    "llava",
    "gemma3",
    "idefics",
    "served",
)  # whose marks have the usual shapes
SHARE_OF_PROMPTS = 100  # a whole prompt is made for one text in so many
SHARE_OF_PICTURES = 10  # and for one in so many, a text as it is told when it was read in a picture


def tokenizers() -> dict[str, ControlTokens]:
    """Those of the tests, and the one of the model that real servers serve."""
    return {**fuzz.tokenizers(), "served": ControlTokens(served.tokenizer())}


def left_by_the_worker(tokens: ControlTokens, texts: Iterator[str]) -> tuple[int, int]:
    """How many texts would have brought control tokens in, and how many of them still do."""
    with_power = left = 0
    for text in texts:
        with_power += tokens.count(fuzz.ids(tokens, _encodable(text))) > 0
        left += tokens.count(fuzz.ids(tokens, tokens.neutralise(text))) > 0
    return with_power, left


def left_for_a_server(tokens: ControlTokens, texts: Iterator[str]) -> int:
    """How many texts still bring control tokens in, when a server tokenises what it is sent."""
    special = {i for i, token in tokens.tokenizer.added_tokens_decoder.items() if token.special}
    return sum(not special.isdisjoint(fuzz.ids(tokens, neutral(_encodable(text)))) for text in texts)


def left_in_pictures(tokens: ControlTokens, texts: Iterator[str]) -> int:
    """How many texts still bring control tokens in when they were read in a picture and told the model."""
    turns = (f"{ocr.quote(1, text, ocr.LONGEST)}\n\nWhat is it?" for text in texts)
    return sum(tokens.count(fuzz.ids(tokens, tokens.neutralise(turn))) > 0 for turn in turns)


def left_in_prompts(prompts: PromptMaker, seed: str, n: int) -> int:
    """How many whole prompts have more control tokens, or fewer, than the template puts there."""
    rng = random.Random(seed)
    return sum(fuzz.more_than_the_template(prompts, rng) > 0 for _ in range(n))


def texts(tokens: ControlTokens, seed: str, n: int) -> Iterator[str]:
    rng = random.Random(seed)
    for _ in range(n):
        yield fuzz.text(rng, tokens)


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=100_000, help="texts for each tokenizer")
    parser.add_argument("--only")
    options, bad = parser.parse_args(), 0
    for name, tokens in tokenizers().items():
        if options.only and name != options.only:
            continue
        began = time.monotonic()
        with_power, left = left_by_the_worker(tokens, texts(tokens, name, options.n))
        told = f"{name:12} {options.n} texts, {with_power} with control tokens: {left} after neutralising"
        bad += left
        count = max(1, options.n // SHARE_OF_PICTURES)
        read = left_in_pictures(tokens, texts(tokens, f"{name} read", count))
        told, bad = f"{told}, {read} of {count} as read in a picture", bad + read
        if name in OF_SERVERS:
            sent = left_for_a_server(tokens, texts(tokens, f"{name} server", options.n))
            told, bad = f"{told}, {sent} as sent to a server", bad + sent
        print(f"{told} ({time.monotonic() - began:.0f} s)", flush=True)
    for name in shapes.SHAPES:
        if options.only and name != options.only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            shapes.save(name, Path(folder))
            prompts = shapes.loaded(name, Path(folder)).model.prompts
        count = max(1, options.n // SHARE_OF_PROMPTS)
        wrong = left_in_prompts(prompts, name, count)
        bad += wrong
        print(
            f"{name:12} {count} whole prompts of three texts each: {wrong} with other control tokens",
            flush=True,
        )
    print(f"{bad} wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
