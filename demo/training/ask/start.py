"""How the language model begins: with heads that already look up a word among pictures and earlier words.

Looking up is learned late, as a sudden step after many tokens, since each of its parts is worth nothing
before the others are there. A start in which queries and keys are nearly the same projection (Trockman and
Kolter, 2023, arXiv:2305.09828) has the parts from the first step; training then changes them as it likes.
"""

from math import cos, sin

import torch

from demo.captions import plural
from demo.training.ask.model import HEADS, TEXT_WIDTH
from demo.training.ask.tokens import START, Encoder
from demo.words import COLOUR_WORDS, OBJECT_WORDS

ONE, SHOWN, FIRST = 0, 1, 2  # dimensions that are told apart: of every token, of pictures, of the first token
RESERVED = 3
SPREAD = 0.07  # of an embedding's other numbers: its length is nearly one
LEVEL = 0.15  # what the first two of those dimensions hold
SIZE = TEXT_WIDTH // HEADS  # of a head
SLOW = 6  # pairs of a head's dimensions from this one on hardly turn within a conversation


def begin(text, encoder: Encoder, seed: int = 0):
    """Sets the embeddings and the heads of the first layers."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        main = _directions(len(OBJECT_WORDS) + len(COLOUR_WORDS), generator)
        _embed(text.embed_tokens.weight, main, encoder, generator)
        _wire(text.layers, main[: len(OBJECT_WORDS)], main[len(OBJECT_WORDS) :], generator)


def _directions(count: int, generator) -> torch.Tensor:
    """Orthogonal directions of length one that leave the reserved dimensions out."""
    free = TEXT_WIDTH - RESERVED
    some, _ = torch.linalg.qr(torch.randn(free, count, generator=generator))
    return torch.cat((torch.zeros(count, RESERVED), some.T), 1)


def _embed(table, main, encoder, generator):
    """Words of one meaning lie along one direction, which no other word has a share in."""
    table.copy_(torch.randn(table.shape, generator=generator) * SPREAD)
    table -= table @ main.T @ main
    words = [*OBJECT_WORDS.items(), *COLOUR_WORDS.items()]
    for direction, (_, synonyms) in zip(main, words, strict=True):
        for word in {*synonyms, *(plural(w) for w in synonyms)}:
            ids = encoder.ids(f" {word}")
            if len(ids) == 1:
                own = 0.4 * table[ids[0]]
                table[ids[0]] = own + 0.9 * direction
    table[:, :RESERVED] = 0
    table[:, ONE] = LEVEL
    table[encoder.tokenizer.convert_tokens_to_ids(START), FIRST] = 2 * LEVEL


def _wire(layers, things, colours, generator):
    """Three heads of the first layer look for things in pictures, two for colours; two heads of each of the
    next two layers for whatever came before; one of each of these looks at the token before."""
    others = _directions(TEXT_WIDTH - RESERVED, generator)
    first = layers[0].self_attn
    for head in range(5):
        wanted = things if head < 3 else colours
        told = colours if head == 0 else things if head == 3 else others[32 * head : 32 * head + 30]
        _match(first, head, wanted, 0.6, pictures=True)
        _carry(first, head, told, told, 0.08, found=True)
    for layer in layers[1:3]:
        attention = layer.self_attn
        _before(attention, 0)
        _carry(attention, 0, others[:SIZE], others[SIZE : 2 * SIZE], 0.06)
        for head in (1, 2):
            some = _directions(SIZE, generator)
            _match(attention, head, some[: 2 * (SIZE // 2 - SLOW - 1)], 1.2)
            _carry(attention, head, some, some, 0.06)


def _rows(attention, head):
    """The rows of queries and keys of one head, set to nothing."""
    rows = slice(SIZE * head, SIZE * (head + 1))
    attention.q_proj.weight[rows] = 0
    attention.k_proj.weight[rows] = 0
    return attention.q_proj.weight[rows], attention.k_proj.weight[rows]


def _match(attention, head, wanted, strength, pictures=False):
    """Each token looks for those that hold what it holds of `wanted`; with `pictures` among these, and for
    the first token if none does."""
    q, k = _rows(attention, head)
    half = SIZE // 2
    slow = [dim for pair in reversed(range(SLOW, half - 1)) for dim in (pair, pair + half)]
    for dim, direction in zip(slow, wanted, strict=False):
        q[dim] = k[dim] = strength * direction
    if pictures:
        for dim, mark, weight in ((half - 1, SHOWN, 2.9), (SIZE - 1, FIRST, 2.5)):
            q[dim, ONE] = k[dim, mark] = weight


def _before(attention, head):
    """Each token looks at the one before it: the fast pairs turn by one place."""
    q, k = _rows(attention, head)
    for pair, angle in ((0, 1.0), (1, 0.42), (2, 0.178)):
        k[pair, ONE] = 3.1
        q[pair, ONE], q[pair + SIZE // 2, ONE] = 3.1 * cos(angle), -3.1 * sin(angle)


def _carry(attention, head, taken, put, strength, found=False):
    """What a head finds along `taken` is added along `put`; with `found`, also that it was a picture."""
    rows = slice(SIZE * head, SIZE * (head + 1))
    values, out = attention.v_proj.weight[rows], attention.o_proj.weight[:, rows]
    values[: len(taken)] = taken
    out[:, : len(taken)] = strength * put.T
    if found:
        values[-1] = 0
        values[-1, SHOWN] = 1
        out[:, -1] = 0
        out[SHOWN, -1] = strength
