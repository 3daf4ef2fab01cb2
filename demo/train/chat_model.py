"""The demo chat model: transformers' own SmolVLM class at a small size, a lean way to run it in training,
its tokenizer and processor, how it begins, and pictures that are told to it.

The lean way computes what the class computes, from the class's own weights: fused projections, no caches and
no masks built anew in every layer. `tests/demo/test_ask.py` holds the two equal.

The language model begins with heads that already look up a word among pictures and earlier words. Looking up
is learned late, as a sudden step after many tokens, since each of its parts is worth nothing before the
others are there. A start in which queries and keys are nearly the same projection (Trockman and Kolter,
2023, arXiv:2305.09828) has the parts from the first step; training then changes them as it likes.

In a told picture each token is the sum of what its patches show. From these the language model learns to
answer before the tower sees well, and at the cost of text. What they are made of is then the goal of the
connector.
"""

import random
from functools import cache
from math import cos, sin
from pathlib import Path
from pydoc_data.topics import topics

import torch
import torch.nn as nn
import torch.nn.functional as F
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    CLIPModel,
    LlamaConfig,
    PreTrainedTokenizerFast,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
    SmolVLMImageProcessor,
    SmolVLMProcessor,
    SmolVLMVideoProcessor,
)
from transformers.models.smolvlm.processing_smolvlm import DEFAULT_CHAT_TEMPLATE

from demo.train import chat_data
from demo.train.chat_data import HEADS as PICTURES_HEADS
from demo.train.chat_data import NUMBERS, ROW, box_text
from demo.train.loop import PACK, WORK
from demo.train.readers import GRID, PATCH, WIDTH
from demo.train.readers import SIZE as VISION_SIZE
from demo.world import COLOUR_WORDS, OBJECT_WORDS, PLACES, STYLES, grammar_words, plural

KEPT = 5  # layers of the tower that come from CLIP
TOWER_LAYERS = KEPT + 3
TEXT_WIDTH = 192
TEXT_LAYERS = 6
HEADS = 6
INNER = 512
SHUFFLE = 2  # patches a side that one token of a picture covers
TOKENS = (GRID // SHUFFLE) ** 2  # of a picture


def build(tokenizer, from_clip: bool = True) -> SmolVLMForConditionalGeneration:
    """Returns the untrained model; its tower begins as CLIP's."""
    vision = dict(
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=TOWER_LAYERS,
        num_attention_heads=4,
        image_size=VISION_SIZE,
        patch_size=PATCH,
        hidden_act="gelu",
        layer_norm_eps=1e-5,
    )
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=TEXT_LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        max_position_embeddings=2048,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    model = SmolVLMForConditionalGeneration(
        SmolVLMConfig(
            vision_config=vision,
            text_config=text.to_dict(),
            scale_factor=SHUFFLE,
            image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    if from_clip:
        _start_tower(model.model.vision_model)
    return model


@torch.no_grad()
def _start_tower(tower: nn.Module):
    """Copies CLIP's tower, less its class token; the layers that it lacks begin as doing nothing."""
    source = CLIPModel.from_pretrained(PACK / "clip", dtype=torch.float32).vision_model.state_dict()
    state = {
        name: value[1:] if name.endswith("position_embedding.weight") else value
        for name, value in source.items()
        if "pre_layrnorm" not in name and "class_embedding" not in name
    }
    state["embeddings.patch_embedding.bias"] = torch.zeros(WIDTH)
    missing, unexpected = tower.load_state_dict(state, strict=False)
    assert not unexpected, unexpected
    for layer in tower.encoder.layers[KEPT:]:
        for part in (layer.self_attn.out_proj, layer.mlp.fc2):
            part.weight.mul_(0.05)
            part.bias.zero_()


def _fused(*parts: nn.Linear):
    weight = torch.cat([part.weight for part in parts])
    return weight, None if parts[0].bias is None else torch.cat([part.bias for part in parts])


def _attend(q, k, v, mask=None):
    """Attention in plain products: on a CPU in bfloat16 three times as fast as the fused kernel."""
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    if mask is not None:
        scores = scores + mask.to(scores.dtype)
    return scores.softmax(-1, dtype=scores.dtype) @ v


def see(tower: nn.Module, pixels: torch.Tensor, kept: bool = False) -> torch.Tensor:
    """(B, 3, SIZE, SIZE) in -1 to 1 → (B, GRID * GRID, WIDTH): what the tower makes of square pictures.

    `kept`: the layers that come from CLIP stay as they are, and no gradient is computed for them."""
    with torch.set_grad_enabled(torch.is_grad_enabled() and not kept):
        x = _cells(tower.embeddings, pixels)
        for layer in tower.encoder.layers[:KEPT]:
            x = _look(layer, x)
    for layer in tower.encoder.layers[KEPT:]:
        x = _look(layer, x)
    return tower.post_layernorm(x)


def _cells(embeddings, pixels):
    """The patches' embeddings."""
    batch = len(pixels)
    cells = pixels.view(batch, 3, GRID, PATCH, GRID, PATCH).permute(0, 2, 4, 1, 3, 5)
    cells = cells.reshape(batch, GRID**2, -1)
    x = F.linear(cells, embeddings.patch_embedding.weight.flatten(1), embeddings.patch_embedding.bias)
    return x + embeddings.position_embedding.weight


def _look(layer, x):
    """One layer of the tower."""
    batch, cells, width = x.shape
    attention = layer.self_attn
    y = F.linear(layer.layer_norm1(x), *_fused(attention.q_proj, attention.k_proj, attention.v_proj))
    heads = attention.num_heads
    q, k, v = y.view(batch, cells, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    x = x + attention.out_proj(_attend(q, k, v).transpose(1, 2).reshape(batch, cells, width))
    return x + layer.mlp.fc2(F.gelu(layer.mlp.fc1(layer.layer_norm2(x)), approximate="none"))


def connect(model: SmolVLMForConditionalGeneration, seen: torch.Tensor) -> torch.Tensor:
    """(B, GRID * GRID, WIDTH) → (B, TOKENS, TEXT_WIDTH): the tokens of each picture."""
    return model.model.connector(seen)


def _normed(x, norm):
    y = x.float()
    y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + norm.variance_epsilon)
    return (y * norm.weight).to(x.dtype)


def _turned(x, cos, sin):
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), -1) * sin


def read(text: nn.Module, x: torch.Tensor, wanted: torch.Tensor | None = None) -> torch.Tensor:
    """(B, L, TEXT_WIDTH) embeddings, padded behind → as many, normed: every token sees those before. With
    `wanted` (B, L) only what comes of those tokens, (tokens, TEXT_WIDTH)."""
    batch, length, _ = x.shape
    size = TEXT_WIDTH // HEADS
    later = torch.full((length, length), float("-inf")).triu(1)
    angles = torch.arange(length, dtype=torch.float32)[:, None] * text.rotary_emb.inv_freq.float()[None]
    angles = torch.cat((angles, angles), -1)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    for layer in text.layers:
        attention, mlp = layer.self_attn, layer.mlp
        y = F.linear(
            _normed(x, layer.input_layernorm), *_fused(attention.q_proj, attention.k_proj, attention.v_proj)
        )
        q, k, v = y.view(batch, length, 3, HEADS, size).permute(2, 0, 3, 1, 4)
        q, k = _turned(q, cos.to(q.dtype), sin.to(q.dtype)), _turned(k, cos.to(q.dtype), sin.to(q.dtype))
        y = _attend(q, k, v, later)
        y = y.transpose(1, 2).reshape(batch, length, TEXT_WIDTH)
        if wanted is not None and layer is text.layers[-1]:
            x, y = x[wanted], y[wanted]
        x = x + attention.o_proj(y)
        y = F.linear(_normed(x, layer.post_attention_layernorm), *_fused(mlp.gate_proj, mlp.up_proj))
        gate, up = y.chunk(2, -1)
        x = x + mlp.down_proj(F.silu(gate) * up)
    return _normed(x, text.norm)


VOCABULARY = 1500
LENGTH = 2048
START, END, PAD, PICTURE = "<|im_start|>", "<end_of_utterance>", "<pad>", "<image>"
AROUND, WHOLE, VIDEO = "<fake_token_around_image>", "<global-img>", "<video>"
TILES = [f"<row_{row}_col_{column}>" for row in range(1, 5) for column in range(1, 5)]
SPECIAL = [PAD, START, END, AROUND, PICTURE, WHOLE, VIDEO, *TILES]
# Words are tokens; digits and letters of words in capitals stand alone, so signs and numbers are spelled.
PATTERN = r""" ?[A-Z][a-z]+| ?[a-z]+|[A-Z]|\d| ?[^\sA-Za-z\d]|\s"""
BLOCK = AROUND + WHOLE + PICTURE * TOKENS + AROUND


MAKERS = (
    chat_data.scene_talk,
    chat_data.sign_talk,
    chat_data.chart_talk,
    chat_data.compare_talk,
    chat_data.motion_talk,
    chat_data.order_talk,
    chat_data.name_talk,
)


def _corpus(conversations: int):
    """Conversations, the drawn world's words, invented words and plain English."""
    rng = random.Random("ask tokens")
    source = chat_data.Facts(False)
    for _ in range(conversations):
        talk = rng.choice(MAKERS)(source, rng)
        for turn in talk.turns:
            question = " ".join(part for part in turn.parts if isinstance(part, str))
            yield f"User: {question}\nAssistant: {turn.answer}\nUser:{question}"
    tables = (OBJECT_WORDS, COLOUR_WORDS)
    words = [
        *NUMBERS,
        *PLACES,
        *STYLES,
        "yes",
        "no",
        *(word for table in tables for ws in table.values() for word in ws),
    ]
    yield " ".join([*grammar_words() * 20, *words * 400])
    yield " ".join(
        f" {a}{b}{c}{b}" for a in chat_data.CONSONANTS for b in chat_data.VOWELS for c in chat_data.CONSONANTS
    )
    yield " ".join(box_text(rng.choices(range(0, 1001, 50), k=4)) for _ in range(50))
    yield from (topics[key] for key in sorted(topics))


def build_tokenizer(folder: Path, conversations: int = 4000) -> PreTrainedTokenizerFast:
    """Trains the tokenizer on what the model is to read and say, and saves it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - 1,
        special_tokens=SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        max_token_length=16,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(conversations), trainer)
    tokenizer.add_tokens([AddedToken("\n\n", normalized=False)])  # llama.cpp looks this one up
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=START,
        eos_token=END,
        pad_token=PAD,
        model_max_length=LENGTH,
        extra_special_tokens={
            "image_token": PICTURE,
            "fake_image_token": AROUND,
            "global_image_token": WHOLE,
            "end_of_utterance_token": END,
            "video_token": VIDEO,
        },
    )
    folder.mkdir(parents=True, exist_ok=True)
    fast.save_pretrained(folder)
    return fast


@cache
def tokenizer() -> PreTrainedTokenizerFast:
    """Returns the tokenizer, trained once."""
    folder = WORK / "ask-tokenizer"
    if not (folder / "tokenizer.json").exists():
        build_tokenizer(folder)
    return PreTrainedTokenizerFast.from_pretrained(folder)


def processor() -> SmolVLMProcessor:
    """Returns transformers' own processor with the sizes of the demo model."""
    sides = {"size": {"longest_edge": VISION_SIZE}, "max_image_size": {"longest_edge": VISION_SIZE}}
    pictures = SmolVLMImageProcessor(**sides, do_image_splitting=False, resample=1)
    videos = SmolVLMVideoProcessor(**sides, do_sample_frames=True, num_frames=3, fps=1)
    return SmolVLMProcessor(
        pictures, tokenizer(), videos, image_seq_len=TOKENS, chat_template=DEFAULT_CHAT_TEMPLATE
    )


class Encoder:
    """Turns conversations into ids, remembering the ids of every text that it met."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast):
        self.tokenizer = tokenizer
        self.ids = cache(self._ids)

    def _ids(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False).input_ids)

    def talk(self, talk: chat_data.Talk) -> tuple[list[int], list[bool], list]:
        """The ids, which of them are learned answers, and the pictures in the order of their tokens. A
        picture that is a text is read as that text."""
        ids, learned, pictures = list(self.ids(START)), [False], []

        def add(text, learn=False):
            new = self.ids(text)
            ids.extend(new)
            learned.extend([learn] * len(new))

        for turn in talk.turns:
            text = "User:" if isinstance(turn.parts[0], int) else "User: "
            for part in turn.parts:
                if isinstance(part, str):
                    text += part
                    continue
                picture = talk.pictures[part]
                if isinstance(picture, str):
                    text += f" {picture}. "
                    continue
                add(text)
                add(BLOCK)
                pictures.append(picture)
                text = ""
            add(text)
            add(END)
            add("\nAssistant:")
            add(" " + turn.answer, turn.learned)
            add(END, turn.learned)
            add("\n")
        return ids, learned, pictures


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


NONE = {"object", "colour", "letter"}  # the last class tells nothing
WEIGHT = 2.0  # of a fact that all four patches of a token show
# Of its word's embedding in a fact: things and colours of what a patch shows are what questions look for.
SHARE = {"object": 1.0, "colour": 1.0, "other_object": 0.5, "other_colour": 0.5, "value": 0.5}
LEAST = 0.35
TOLD_SPREAD = 0.02
FAINT = {"background": 0.5, "style": 0.7, "kind": 0.7}


class Told(nn.Module):
    """A direction for every fact that the heads of the tower know; for things, colours, places, numbers and
    letters the embedding of the word."""

    def __init__(self, words: torch.Tensor):
        super().__init__()
        rows = 1 + sum(PICTURES_HEADS.values())
        self.facts = nn.Parameter(torch.randn(rows, TEXT_WIDTH) * TOLD_SPREAD)
        index, start = torch.zeros(len(PICTURES_HEADS), max(PICTURES_HEADS.values())).long(), 1
        word, share = torch.full((rows,), -1), torch.zeros(rows, 1)
        with torch.no_grad():
            self.facts[:, :RESERVED] = 0
            for name, classes in PICTURES_HEADS.items():
                told = classes - 1 if name in NONE else classes
                index[ROW[name], :told] = torch.arange(start, start + told)
                word[start : start + told] = words[ROW[name], :told]
                share[start : start + told] = SHARE.get(name, LEAST)
                self.facts[start : start + told] *= FAINT.get(name, 1.0)
                start += classes
        share[word < 0] = 0
        self.register_buffer("index", index, persistent=False)  # 0: nothing
        self.register_buffer("word", word.clamp(min=0), persistent=False)
        self.register_buffer("share", share, persistent=False)

    def table(self, embeddings: torch.Tensor) -> torch.Tensor:
        """(1 + facts, TEXT_WIDTH): the direction of each."""
        words = F.pad(embeddings[self.word, RESERVED:], (RESERVED, 0))
        own = (self.share < 1) * (torch.arange(len(self.word)) > 0)[:, None]
        return self.share * words + own * self.facts

    def forward(self, embeddings: torch.Tensor, labels: torch.Tensor, noise: float = 0.0) -> torch.Tensor:
        """(B, len(HEADS), GRID * GRID) labels → (B, TOKENS, TEXT_WIDTH)."""
        batch, rows, _ = labels.shape
        known = self.index[torch.arange(rows)[None, :, None], labels.clamp(min=0)] * (labels >= 0)
        side = GRID // 2
        known = known.view(batch, rows, side, 2, side, 2).permute(0, 2, 4, 1, 3, 5)
        table = self.table(embeddings).float()
        tokens = F.embedding_bag(known.reshape(batch * TOKENS, -1), table, mode="sum", padding_idx=0)
        tokens = tokens.view(batch, TOKENS, -1) * (WEIGHT / 4)
        if noise:
            tokens = tokens + noise * torch.randn_like(tokens)
        level = torch.zeros(TEXT_WIDTH)
        level[ONE] = level[SHOWN] = LEVEL
        return tokens + level
