"""Trains the image generator's text encoder on captions alone, and to choose a layout where words leave one
open.

A caption's scene is known, so every token has dense labels: at a noun, its object, colour and count; at the
end and at every padding token after it, both groups, the background and the style. A frozen encoder that
carries these lets the UNet learn binding ("a red cat above a blue star") from few pictures.
"""

import copy
import random

import torch
import torch.nn as nn
import torch.nn.functional as F
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from demo.train.loop import PACK, WORK, Plan, Run, autocast, device
from demo.world import (
    BACKGROUNDS,
    COLOUR_WORDS,
    COLOURS,
    LENGTH,
    OBJECT_WORDS,
    OBJECTS,
    REVERSE,
    SIZE_WORDS,
    STYLES,
    Caption,
    Encoder,
    Scene,
    build_clip,
    describe,
    training_scene,
)

WIDTH = 128
CAPTIONED, SETTLED = WORK / "text", WORK / "text_settled"  # encoders
TEXT_BATCH = 128
TEXT_MIX = {"large": 0.1, "single": 0.3, "several": 0.15, "pair": 0.42, "empty": 0.03}
SIDES = ("any", "center", "left", "right", "top", "bottom")
SIDE_OF_RELATION = {"above": "top", "below": "bottom", "left": "left", "right": "right"}
IGNORE = -100
# What is asked at the end: two groups in the order of their names, then the background and the style.
SLOT = (len(OBJECTS) + 1, len(COLOURS) + 1, 5, len(SIDES))
SUMMARY = SLOT + SLOT + (len(BACKGROUNDS) + 1, len(STYLES) + 1)


def tokenizer_folder():
    return PACK / "stable-diffusion" / "tokenizer"


def text_build(vocabulary: int, end: int) -> CLIPTextModel:
    config = CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        bos_token_id=end - 1,
        eos_token_id=end,
        pad_token_id=end,
    )
    return CLIPTextModel(config)


def summary_labels(scene: Scene, caption: Caption) -> list[int]:
    """The labels of SUMMARY; what the words leave open is a class of its own (the last or, for sides, the
    first)."""
    labels = []
    for index in caption.order:
        group = scene.groups[index]
        side = "any"
        if caption.place_told:
            side = scene.place
            if len(scene.groups) == 2:
                side = SIDE_OF_RELATION[scene.place if index == 0 else REVERSE[scene.place]]
        colour = COLOURS.index(group.colour) if caption.colour_told[index] else len(COLOURS)
        labels += [OBJECTS.index(group.object), colour, group.count, SIDES.index(side)]
    labels += [len(OBJECTS), len(COLOURS), 0, 0] * (2 - len(caption.order))
    labels.append(BACKGROUNDS.index(scene.background) if caption.background_told else len(BACKGROUNDS))
    labels.append(STYLES.index(scene.style) if caption.style_told else len(STYLES))
    return labels


class DenseText(nn.Module):
    """The encoder and the heads that are thrown away after training."""

    def __init__(self, encoder: CLIPTextModel):
        super().__init__()
        self.encoder = encoder
        self.noun = nn.Linear(WIDTH, len(OBJECTS) + len(COLOURS) + 1 + 4)
        self.colour = nn.Linear(WIDTH, len(COLOURS))
        self.summary = nn.Linear(WIDTH, sum(SUMMARY))

    def losses(self, hidden: torch.Tensor, batch: "Batch") -> tuple[torch.Tensor, dict[str, float]]:
        """`hidden`: (B, L, WIDTH) of the batch's ids."""
        noun = self.noun(hidden[batch.noun_at[:, 0], batch.noun_at[:, 1]]).float()
        parts = noun.split((len(OBJECTS), len(COLOURS) + 1, 4), -1)
        loss = sum(F.cross_entropy(part, target) for part, target in zip(parts, batch.noun.T, strict=True))
        colour = self.colour(hidden[batch.colour_at[:, 0], batch.colour_at[:, 1]]).float()
        loss = loss + F.cross_entropy(colour, batch.colour)
        rows = torch.arange(len(hidden), device=hidden.device)
        right = []
        for position in (batch.end, batch.pad):
            parts = self.summary(hidden[rows, position]).float().split(SUMMARY, -1)
            loss = (
                loss
                + sum(
                    F.cross_entropy(part, target) for part, target in zip(parts, batch.summary.T, strict=True)
                )
                / 2
            )
            right.append(
                torch.stack([p.argmax(-1) == t for p, t in zip(parts, batch.summary.T, strict=True)])
                .all(0)
                .float()
                .mean()
            )
        return loss, {"end": right[0].item(), "pad": right[1].item()}


class Batch:
    """Captions as tensors, with the positions and labels of their nouns, colours and ends."""

    def __init__(self, pairs: list[tuple[Scene, Caption]], encoder: Encoder, rng: random.Random, length: int):
        ids, noun_at, noun, colour_at, colour, end, pad = [], [], [], [], [], [], []
        for row, (scene, caption) in enumerate(pairs):
            tokens, ends = encoder.words([word.text for word in caption.words], length)
            ids.append(tokens)
            coloured = set()
            for word, position in zip(caption.words, ends, strict=True):
                if position < 0 or not word.role:
                    continue
                group = scene.groups[word.group]
                if word.role == "colour":
                    coloured.add(word.group)
                    colour_at.append((row, position))
                    colour.append(COLOURS.index(group.colour))
                else:
                    noun_at.append((row, position))
                    known = COLOURS.index(group.colour) if word.group in coloured else len(COLOURS)
                    noun.append((OBJECTS.index(group.object), known, group.count - 1))
            end.append(tokens.index(encoder.end))
            pad.append(rng.randint(end[-1], length - 1))
        to = device()
        self.ids = torch.tensor(ids, device=to)  # (B, L)
        self.noun_at, self.noun = torch.tensor(noun_at, device=to), torch.tensor(noun, device=to)
        self.colour_at, self.colour = torch.tensor(colour_at, device=to), torch.tensor(colour, device=to)
        self.end, self.pad = torch.tensor(end, device=to), torch.tensor(pad, device=to)
        self.summary = torch.tensor([summary_labels(scene, caption) for scene, caption in pairs], device=to)


def train(steps: int = 1600):
    """Writes the tokenizer, CAPTIONED and, with half as many steps more, SETTLED."""
    tokenizer = build_clip(tokenizer_folder())
    encoder = Encoder(tokenizer)
    torch.manual_seed(0)
    model = DenseText(text_build(len(tokenizer), tokenizer.eos_token_id)).to(device())
    run = Run("text", model, Plan(steps, lr=1.5e-3, weight_decay=0.02, betas=(0.9, 0.98), ema=0.995))

    def loss(rng):
        scenes = [training_scene(rng, TEXT_MIX) for _ in range(TEXT_BATCH)]
        # The far positions only ever hold padding: they are seen in every fourth batch.
        batch = Batch(
            [(s, describe(s, rng, noise=0.25)) for s in scenes],
            encoder,
            rng,
            rng.choice((40, 40, 48, LENGTH)),
        )
        with autocast():
            hidden = model.encoder(input_ids=batch.ids).last_hidden_state
            return model.losses(hidden, batch)

    run.train(loss)
    run.use_average()
    model.encoder.save_pretrained(CAPTIONED)
    train_layout(steps // 2)


# Layout
# ----------------------------------------------------------------------------------------------------------
# "a red house" may stand anywhere and "a cat and a star" in any order: the UNet, asked for all of these at
# once, draws some of each. `train_layout` lets the encoder choose.

CENTRED, LARGE = ("in", "the", "center"), "large"
BESIDE = ("left", "of")
LEFT_OPEN = {"and", ",", "with", "together", "next", "beside"}  # how two things are joined without an order


def settled(scene: Scene, caption: Caption) -> list[tuple[str, int]]:
    """The words of a caption with a layout where it leaves one open: a single thing is large and in the
    middle, the first of two stands left of the second. Each word comes with the index of the caption's own
    word that it stands for, -1 for none."""
    words = [(word.text, index) for index, word in enumerate(caption.words)]
    if not _leaves_layout_open(scene, caption):
        return words
    of_group = [[i for i, w in enumerate(caption.words) if w.role and w.group == g] for g in caption.order]
    if len(of_group) == 2:
        between = range(of_group[0][-1] + 1, of_group[1][0])
        joint = next((i for i in between if caption.words[i].text in LEFT_OPEN), None)
        if joint is None:
            return words
        after = joint + (2 if caption.words[joint].text in ("next", "together") else 1)
        left, of = ((word, joint + i if joint + i < after else -1) for i, word in enumerate(BESIDE))
        return [*words[:joint], left, of, *words[after:]]
    first, last = _start(scene, caption, of_group[0][0]), of_group[0][-1]
    size = [] if _tells_size(caption) else [(LARGE, -1)]
    place = [(word, -1) for word in CENTRED]
    return [*words[:first], *size, *words[first : last + 1], *place, *words[last + 1 :]]


def _leaves_layout_open(scene: Scene, caption: Caption) -> bool:
    """Whether it is for the encoder to choose where things stand; several of a thing stand as they do."""
    several = len(scene.groups) == 1 and scene.groups[0].count > 1
    return bool(scene.groups) and not several and not caption.place_told


def _tells_size(caption: Caption) -> bool:
    sizes = {word for size in ("small", "large") for word in SIZE_WORDS[size]}
    return not sizes.isdisjoint(word.text for word in caption.words)


def is_as_settled(scene: Scene, caption: Caption) -> bool:
    """Whether a scene has the layout that its caption tells or, where that leaves one open, the one that
    `settled` puts in."""
    if not _leaves_layout_open(scene, caption):
        return True
    if len(scene.groups) == 2:
        return (caption.order[0], scene.place) in ((0, "left"), (1, "right"))
    return scene.place == "center" and (_tells_size(caption) or scene.groups[0].size == LARGE)


def _start(scene: Scene, caption: Caption, at: int) -> int:
    """Where the words begin of the thing or colour that ends at index `at`: "a light [green] house"."""
    group = scene.groups[0]
    texts = [word.text for word in caption.words]
    phrases = [phrase.split() for phrase in (*OBJECT_WORDS[group.object], *COLOUR_WORDS[group.colour])]
    lengths = [len(phrase) for phrase in phrases if texts[: at + 1][-len(phrase) :] == phrase]
    return at + 1 - max(lengths, default=1)


def _aligned(
    encoder: Encoder, caption: Caption, chosen: list[tuple[str, int]], length: int
) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """The `length` ids of a caption, those of its settled words (`chosen`), and the pairs of positions, in
    the one and in the other, that should say the same: each word's last token, the end, and all padding."""
    ids, ends = encoder.words([word.text for word in caption.words], length)
    others, other_ends = encoder.words([text for text, _ in chosen], length)
    of_words = [(ends[index], at) for (_, index), at in zip(chosen, other_ends, strict=True) if index >= 0]
    pairs = [(0, 0), *(pair for pair in of_words if min(pair) >= 0)]  # -1: cut off
    end, other_end = ids.index(encoder.end), others.index(encoder.end)
    pairs.append((end, other_end))
    pairs += [(at, min(max(at, other_end + 1), length - 1)) for at in range(end + 1, length)]
    return ids, others, pairs


def train_layout(steps: int):
    """Teaches the encoder to say of a caption that leaves the layout open what it says of the same caption
    with one (`settled`), and of all others what it said before, by the mean square of hidden states. Writes
    SETTLED."""
    torch.manual_seed(0)
    encoder = Encoder(CLIPTokenizer.from_pretrained(tokenizer_folder()))
    before = CLIPTextModel.from_pretrained(CAPTIONED).float().to(device()).eval().requires_grad_(False)
    model = copy.deepcopy(before).requires_grad_(True).train()
    run = Run("text_layout", model, Plan(steps, lr=1e-3, decay=0.7, betas=(0.9, 0.98), ema=0.99))

    def loss(rng):
        length = rng.choice((40, 48, LENGTH))
        ids, others, places = [], [], []
        for row in range(TEXT_BATCH // 2):
            scene = training_scene(rng, TEXT_MIX)
            caption = describe(scene, rng, noise=0.25)
            own, other, pairs = _aligned(encoder, caption, settled(scene, caption), length)
            ids.append(own)
            others.append(other)
            places += [(row, at, other_at) for at, other_at in pairs]
        ids, others = (torch.tensor(rows, device=device()) for rows in (ids, others))  # (B, L) each
        row, at, other_at = torch.tensor(places, device=device()).T
        with autocast():
            hidden = model(input_ids=ids).last_hidden_state  # (B, L, WIDTH)
            with torch.no_grad():
                wanted = before(input_ids=others).last_hidden_state
        value = F.mse_loss(hidden[row, at].float(), wanted[row, other_at].float())
        return value, {"apart": value.item()}

    run.train(loss)
    run.use_average()
    model.save_pretrained(SETTLED)
