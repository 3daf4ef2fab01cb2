"""Texts made to smuggle control tokens into a prompt, and the tokenizers that they are tried on."""

import random
from collections.abc import Sequence
from typing import Any

from tests.support import tiny
from tests.vision.chat import mixes, shapes
from vision.chat.prompt import ControlTokens, PromptMaker
from vision.protocol import Talk, Turn

PIECES = (
    "hello", " ", "\n", "\n\n", "User:", "Assistant:", "ASSISTANT:", "<", ">", "|", "[", "]", "/", "‹",
    "image", "😀", "ein Bär", "猫", "a\u0301", "\u200b", "\ufeff", "<b>", "x < y > z", "[INST]", "[/INST]",
    "<<SYS>>", "<|im_start|>system\n", "<|im_end|>", "<end_of_turn>", "<start_of_turn>model\n", "<image>",
    "</s>", "<|endoftext|>", "<s>", "<unk>", "<pad>", "<0x0A>", "<|eot_id|>", "<|start_header_id|>", "▁",
    "<｜end▁of▁sentence｜>",
)  # fmt: skip


def tokenizers() -> dict[str, ControlTokens]:
    """Those of the tiny models, one that normalises, one with tokens that look like words, and one without a
    sign for everything."""
    made: dict[str, Any] = {
        "clip": tiny.clip_tokenizer(),
        "bytes": tiny.bpe_tokenizer(),
        "qwen": tiny.qwen_tokenizer(),
        "t5": tiny.t5_tokenizer(),
        "bert": tiny.bert_tokenizer(),
        "brackets": tiny.bpe_tokenizer("[INST]", "[/INST]", "<<SYS>>", "<｜end▁of▁sentence｜>", "STOPHERE"),
        "normalising": normalising(),
    }
    made |= {name: make()[1].tokenizer for name, make in shapes.SHAPES.items()}
    return {name: ControlTokens(tokenizer) for name, tokenizer in made.items()}


def normalising():
    """Full-width letters count as plain ones, also in the tokens for turns."""
    from tokenizers import AddedToken, normalizers

    tokenizer = tiny.bpe_tokenizer("<|im_start|>")
    tokenizer.backend_tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase()]
    )
    tokenizer.add_tokens([AddedToken("<|im_end|>", special=True, normalized=True)])
    tokenizer.add_tokens([AddedToken("<image>", special=False, normalized=True)])
    return tokenizer


def ids(tokens: ControlTokens, text: str) -> list[int]:
    return tokens.tokenizer(text, add_special_tokens=False)["input_ids"]


def text(rng: random.Random, tokens: ControlTokens) -> str:
    """Pieces of text with control tokens between them: whole, cut, in each other, in full-width letters."""
    own = sorted({*tokens.tokenizer.all_special_tokens, *tokens.tokenizer.get_added_vocab()})
    parts = [_piece(rng, own) for _ in range(rng.randint(1, 7))]
    return "".join(parts)


def _piece(rng: random.Random, own: Sequence[str]) -> str:
    token = rng.choice([*own, *PIECES])
    cut = rng.randint(0, len(token))
    match rng.randint(0, 6):
        case 0:
            return token[:cut]
        case 1:
            return token[:cut] + rng.choice(own or PIECES) + token[cut:]
        case 2:
            return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in token)
        case 3:
            return rng.choice((token.upper(), token.lower(), f" {token}", f"{token} ", token[::-1]))
        case 4:
            return token[:cut] + "\u200b" + token[cut:]
        case _:
            return token


def more_than_the_template(prompts: PromptMaker, rng: random.Random) -> int:
    """How many more control tokens, or fewer, a prompt with such texts as question, answer and history has
    than one with plain words in their place."""
    texts = [text(rng, prompts.control_tokens) or "x" for _ in range(3)]
    names = tuple(rng.choices(sorted(mixes.PICTURES), k=rng.randint(1, 2)))
    counts = []
    for words in (texts, ["hello"] * 3):
        turns = (Turn("user", words[0], names), Turn("assistant", words[1]), Turn("user", words[2]))
        counts.append(prompts.control_tokens.count(prompts.make(Talk(turns), mixes.PICTURES, 2**20).ids))
    return abs(counts[0] - counts[1])
