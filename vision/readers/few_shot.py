"""Learns a set's labels from a few examples: by a logistic head on three views of what CLIP or SigLIP sees,
or by a chat model that is shown the most similar ones, as in Flamingo (Alayrac et al., 2022).

The last layer knows objects and has forgotten most of the rest; styles and places are in the layers before,
numbers and positions in the patches (docs/evidence/questions.md has figures). Examples are left
out in turn, so that how often either is right on new pictures is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from cachetools import LRUCache
from PIL import Image
from torch import Tensor
from torch.nn import functional

from core.errors import UserError
from vision import devices
from vision.chat import talker as scoring
from vision.chat.prompt import Picture
from vision.chat.talker import Talker
from vision.engine.fiber import BeforeSlice
from vision.protocol import Talk, Turn
from vision.reporter import Reporter

LOOKS, LAYOUT = (0.4, 0.6, 0.8), 0.8  # of the depth, the layers that the views of looks and of places read
FIELDS, FINE = 4, 8  # a side: fields of the patches' means, and of the maps of what stands out
VIEWS = (("pooled", "projected"), ("pooled", "look 0", "look 1", "look 2"), ("fields", "spread", "ground"))
SLICE = 16  # pictures in a call
LEAST_SPREAD = 1e-3  # of a block's, that a number is divided by
MAX_BYTES = 64 * 2**20  # of features that are kept

Blocks = dict[str, Tensor]  # name → (D,) of one picture


class FeatureReader:
    """Reads the features of pictures with a CLIP or SigLIP model. kept: the latest, by SHA-256."""

    def __init__(self, model: Any, processor: Any) -> None:
        self._model, self._processor = model, processor
        self.kept = LRUCache[str, Blocks](MAX_BYTES, getsizeof=blocks_size)

    def forget(self, names: Collection[str]) -> None:
        """Give up what is kept of these pictures."""
        for name in names:
            self.kept.pop(name, None)

    def read_lists(
        self, lists: Sequence[Sequence[Image.Image]], before_slice: BeforeSlice
    ) -> list[list[Blocks]]:
        """Return the features of each job's list of pictures; see vision.engine.fiber."""
        images, found = [image for images in lists for image in images], list[Blocks]()
        for start in range(0, len(images), SLICE):
            if start:
                before_slice()
            found += self._read(images[start : start + SLICE])
        rest = iter(found)
        return [[next(rest) for _ in images] for images in lists]

    @torch.no_grad()
    def _read(self, images: Sequence[Image.Image]) -> list[Blocks]:
        pixels = self._processor.image_processor(images=list(images), return_tensors="pt")
        given = devices.moved_to(self._model, pixels)
        seen = self._model.vision_model(**given, output_hidden_states=True)
        pooled = seen.pooler_output  # (N, C)
        project = getattr(self._model, "visual_projection", None)
        blocks = {"pooled": pooled, "projected": pooled if project is None else project(pooled)}
        blocks |= blocks_of_layers(seen.hidden_states)
        small = {name: value.float().cpu().half() for name, value in blocks.items()}
        return [{name: value[i].clone() for name, value in small.items()} for i in range(len(images))]


def blocks_of_layers(layers: Sequence[Tensor]) -> Blocks:
    """Return blocks (N, D) of the layers (N, T, C), the first of which is what the model starts from. Without
    a square of patches there is only how a picture looks."""
    depth = len(layers) - 1
    normed = [functional.layer_norm(layer.float(), layer.shape[-1:]) for layer in layers[1:]]

    def at(share: float) -> Tensor:
        return normed[max(1, round(share * depth)) - 1]

    tokens = layers[0].shape[1]
    extra = tokens - math.isqrt(tokens) ** 2 and 1  # the class token, if there is one
    side = math.isqrt(tokens - extra)
    whole = [at(share)[:, 0] if extra else at(share).mean(1) for share in LOOKS]
    blocks = {f"look {number}": value for number, value in enumerate(whole)}
    if side * side != tokens - extra:
        return blocks

    def fields(layer: Tensor, most: int) -> Tensor:
        patches = layer[:, extra:].transpose(1, 2).unflatten(2, (side, side))
        return functional.adaptive_avg_pool2d(patches, min(side, most))  # (N, C, s, s)

    last = fields(normed[-1], FINE)
    return blocks | {
        "fields": fields(at(LAYOUT), FIELDS).flatten(1),
        "spread": spread_of_patches(last),
        "ground": distance_from_ground(last),
    }


def _edge(patches: Tensor) -> Tensor:
    """Return the patches (N, s, s, …) along the edge of a picture: (N, e, …)."""
    sides = (patches[:, 0], patches[:, -1], patches[:, 1:-1, 0], patches[:, 1:-1, -1])
    return torch.cat(sides, 1)


def spread_of_patches(patches: Tensor) -> Tensor:
    """Return where each patch (N, C, s, s) lies on the line along which those of its picture differ most,
    (N, s * s); most of the edge is below 0."""
    rows = patches.flatten(2).transpose(1, 2)
    rows = rows - rows.mean(1, keepdim=True)
    left, scales, _ = torch.linalg.svd(rows, full_matrices=False)
    line = left[..., 0] * scales[:, :1]
    edge = _edge(line.unflatten(1, patches.shape[2:])).mean(1, keepdim=True)
    line = torch.where(edge > 0, -line, line)
    return line / line.abs().mean(1, keepdim=True).clamp(min=1e-6)


def distance_from_ground(patches: Tensor) -> Tensor:
    """Return how far each patch (N, C, s, s) is from what lies along the edge of its picture, (N, s * s)."""
    rows = patches.permute(0, 2, 3, 1)
    usual = _edge(rows).median(1, keepdim=True).values[:, None]
    far = (rows - usual).norm(dim=-1).flatten(1)
    return far / far.mean(1, keepdim=True).clamp(min=1e-6)


def views(seen: Sequence[Blocks], asked: Sequence[Blocks]) -> list[tuple[Tensor, Tensor]]:
    """Return for each view the features of examples, (n, D), and of other pictures, (Q, D): centred, every
    number scaled by its spread over the examples, every block counting the same, of length 1 in the mean."""
    found = []
    for names in VIEWS:
        parts = [_scaled(name, seen, asked) for name in names if name in seen[0]]
        if parts:
            known, other = (len(parts) ** -0.5 * torch.cat(some, 1) for some in zip(*parts, strict=True))
            found.append((known, other))
    return found


def _scaled(name: str, seen: Sequence[Blocks], asked: Sequence[Blocks]) -> tuple[Tensor, Tensor]:
    known = torch.stack([blocks[name] for blocks in seen]).float()
    other = torch.stack([blocks[name] for blocks in asked]).float() if asked else known[:0]
    middle, spread = known.mean(0), known.std(0, correction=0)
    spread = spread + LEAST_SPREAD * known.std(correction=0) + 1e-6
    known, other = (known - middle) / spread, (other - middle) / spread
    length = known.square().sum(1).mean().sqrt().clamp(min=1e-6)
    return known / length, other / length


def blocks_size(blocks: Blocks) -> int:
    """Return the bytes of a picture's features."""
    return sum(value.numel() * value.element_size() for value in blocks.values())


PENALTY = 0.02  # of squared weights, beside the sum of losses
ROUNDS = 80  # of descent
NUMBERS_AT_ONCE = 4_000_000  # in the largest tensor of a call
USUAL = 0.4  # what a view counts before anything is known
UNTAUGHT = -0.7  # and, as a logarithm beside it, one that learns nothing from examples
SURENESS, VIEW = 2.0, 0.2  # examples that this weighs: of all views together, of each beside others
ROUNDS_OF_WEIGHTS = 100


@dataclass(frozen=True)
class Fitted:
    """What heads say of pictures, as log-probabilities of labels. left_out: (t, L), of examples, by heads
    that were fitted without them. asked: (Q, L), of other pictures."""

    left_out: Tensor
    asked: Tensor


def folds(labels: Sequence[int], most: int) -> list[list[int]]:
    """Return which examples are left out together: one of each label that has more, so that no label is
    likelier for those left out; each example once, in at most ``most`` folds. labels: of the examples."""
    places: dict[int, list[int]] = {}
    for place, label in enumerate(labels):
        places.setdefault(label, []).append(place)
    several = [some for some in places.values() if len(some) > 1]
    turns = min(most, max(map(len, several), default=0))
    return [[some[turn] for some in several if turn < len(some)] for turn in range(turns)]


def fit_head(
    seen: Tensor,
    asked: Tensor,
    labels: Tensor,
    count: int,
    without: Sequence[Sequence[int]],
    pause: Callable[[], None] = lambda: None,
) -> Fitted:
    """Return what heads on one view say.

    seen: (n, D), of the examples; asked: (Q, D), of other pictures; see ``features.views``. labels: (n,), 0
    to count - 1. without: see ``folds``; ``Fitted.left_out`` has their examples in that order.
    """
    # weights lie in the span of the examples, so that coordinates there say all
    powers, axes = torch.linalg.eigh((seen @ seen.T).double())
    some = powers > 1e-8 * powers[-1].clamp(min=1e-12)
    scales, axes = powers[some].sqrt().float(), axes[:, some].float()
    known = axes * scales  # (n, r): its columns are orthogonal
    other = asked @ (seen.T @ axes) / scales
    everything = torch.ones(1, len(seen), dtype=torch.bool)
    weights = _descend(known, scales, labels, count, everything, torch.zeros(len(scales) + 1, 1, count))
    found = [torch.zeros(0, count)]
    step = max(1, NUMBERS_AT_ONCE // (len(seen) * count))
    for start in range(0, len(without), step):
        pause()
        some_folds = without[start : start + step]
        kept = torch.ones(len(some_folds), len(seen), dtype=torch.bool)
        for row, fold in enumerate(some_folds):
            kept[row, list(fold)] = False
        own = _descend(known, scales, labels, count, kept, weights.repeat(1, len(some_folds), 1))
        each = zip(some_folds, own.split(1, 1), strict=True)
        found += [_logits(known[list(fold)], one)[:, 0] for fold, one in each]
    return Fitted(torch.cat(found).log_softmax(-1), _logits(other, weights)[:, 0].log_softmax(-1))


def _descend(
    known: Tensor, scales: Tensor, labels: Tensor, count: int, kept: Tensor, weights: Tensor
) -> Tensor:
    """Return the weights (r + 1, F, L) of F heads, each fitted to the examples that its row of ``kept``
    (F, n) names; every label counts the same, however many examples it has. weights: to begin with.

    Accelerated descent, each coordinate by a bound of its own curvature (Boehning, 1992): coordinates are
    orthogonal, so that no matrix has to be inverted.
    """
    right = functional.one_hot(labels, count).to(known.dtype)  # (n, L)
    each = kept.to(known.dtype) @ right  # (F, L)
    shares = kept * (1 / each.clamp(min=1) / (each > 0).sum(1, keepdim=True))[:, labels]  # (F, n), sum: 1
    largest, shares = shares.amax(1), shares.T[..., None].contiguous()  # (F,), (n, F, 1)
    penalty = PENALTY / len(known)
    steps = 1 / (0.5 * largest * scales.square()[:, None] + penalty)  # (r, F)
    steps = torch.cat([steps, torch.full((1, len(kept)), 2.0)])[..., None]
    penalties = torch.cat([torch.full_like(scales, penalty), scales.new_zeros(1)])[:, None, None]
    before, speed = weights, 1.0
    for _ in range(ROUNDS):
        faster = (1 + (1 + 4 * speed * speed) ** 0.5) / 2
        ahead = weights + (speed - 1) / faster * (weights - before)
        before, speed = weights, faster
        errors = (_logits(known, ahead).softmax(-1) - right[:, None]) * shares  # (n, F, L)
        slope = (known.T @ errors.flatten(1)).unflatten(1, errors.shape[1:])  # (r, F, L)
        slope = torch.cat([slope, errors.sum(0, keepdim=True)])
        weights = ahead - steps * (slope + penalties * ahead)
    return weights


def _logits(known: Tensor, weights: Tensor) -> Tensor:
    """Return (n, F, L)."""
    return (known @ weights[:-1].flatten(1)).unflatten(1, weights.shape[1:]) + weights[-1]


def blend(views: Sequence[Tensor], labels: Tensor, learns: Sequence[bool]) -> Tensor:
    """Return how much each view counts, (V,), none below 0: what makes the right labels of left-out examples
    likeliest, not far from ``USUAL`` where there are few. How much all count together decides how sure they
    are, of which few examples say little.

    views: (t, L), log-probabilities. labels: (t,). learns: whether a view learns from the examples.
    """
    usual = torch.tensor([0.0 if one else UNTAUGHT for one in learns])
    if not len(labels):
        return USUAL * usual.exp()
    together, each = torch.tensor(0.0, requires_grad=True), usual.clone().requires_grad_()
    optimiser, stacked = torch.optim.Adam([together, each], 0.1), torch.stack(list(views))
    with torch.enable_grad():
        for _ in range(ROUNDS_OF_WEIGHTS):
            optimiser.zero_grad()
            loss = functional.cross_entropy(mixed(stacked, _weights(together, each)), labels)
            prior = SURENESS * together.square() + VIEW * (each - usual).square().sum()
            (loss + prior / len(labels)).backward()
            optimiser.step()
    return _weights(together, each).detach()


def _weights(together: Tensor, each: Tensor) -> Tensor:
    return USUAL * (together + each - each.mean()).exp()


def mixed(views: Tensor, weights: Tensor) -> Tensor:
    """Return the logits (n, L) of all views (V, n, L) together."""
    return (weights[:, None, None] * views).sum(0)


MOST_FOLDS, LEAST_FOLDS = 32, 4  # times that one example of each label is left out
MOST_WORK = 60_000_000  # of all folds: squared examples times labels; some seconds of a processor


@dataclass(frozen=True)
class Learned:
    """chances: (Q, L), of the labels for each picture that was asked about. tested: examples that were left
    out, and how many of them were ``right`` then. expected: the share of new pictures that is likely
    to be right, None where nothing could be left out.

    ``expected`` is the mean of two: the share of the examples left out that was named rightly, which of few
    is a matter of luck, and how sure the heads were of what they said of them, which promises too much of
    labels that can't be told apart.
    """

    chances: Tensor
    tested: int
    right: int
    expected: float | None


def learn_labels(
    seen: Sequence[Blocks],
    labels: Sequence[int],
    count: int,
    asked: Sequence[Blocks],
    words: tuple[Tensor, Tensor] | None = None,
    pause: Callable[[], None] = lambda: None,
) -> Learned:
    """Return what heads say of the pictures that are ``asked`` about. labels: of the examples, 0 to count -
    1. words: log-probabilities by the labels' words alone, (n, L) and (Q, L)."""
    given, work = torch.tensor(labels), len(labels) ** 2 * count
    without = folds(labels, min(MOST_FOLDS, max(LEAST_FOLDS, MOST_WORK // work)))
    tested = torch.tensor([place for fold in without for place in fold], dtype=torch.long)
    fits = [fit_head(known, other, given, count, without, pause) for known, other in views(seen, asked)]
    known, other = [fit.left_out for fit in fits], [fit.asked for fit in fits]
    learns = [True] * len(fits)
    if words is not None:
        known, other, learns = [*known, words[0][tested]], [*other, words[1]], [*learns, False]
    weights = blend(known, given[tested], learns)
    chances = mixed(torch.stack(other), weights).softmax(-1)
    if not len(tested):
        return Learned(chances, 0, 0, None)
    left_out = mixed(torch.stack(known), weights).softmax(-1)
    right = int((left_out.argmax(-1) == given[tested]).sum())
    sure = float(left_out.amax(-1).mean())
    return Learned(chances, len(tested), right, (sure + right / len(tested)) / 2)


TOO_FEW = "This set has examples of {count} of the two labels that it takes at least. Add more to it."


@dataclass(frozen=True)
class Lesson:
    """turns: a question and its right answer for each example, oldest first. asked: the question now."""

    turns: tuple[tuple[Turn, Turn], ...]
    asked: Turn

    @classmethod
    def of(cls, talk: Talk) -> Lesson:
        """Return the lesson of a talk, of pictures that are there. Raises UserError for under two labels."""
        *before, asked = talk.turns
        pairs = zip(before[::2], before[1::2], strict=True)
        lesson = cls(tuple(pair for pair in pairs if pair[0].pictures), asked)
        if len(lesson.labels) < 2:
            raise UserError(TOO_FEW.format(count=("none", "one")[len(lesson.labels)]))
        return lesson

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Every label, in the order in which they came."""
        return tuple(dict.fromkeys(answer.text for _, answer in self.turns))

    @cached_property
    def places(self) -> tuple[int, ...]:
        """The label of each example, by its place in ``labels``."""
        places = {label: place for place, label in enumerate(self.labels)}
        return tuple(places[answer.text] for _, answer in self.turns)

    @property
    def pictures(self) -> tuple[str, ...]:
        """SHA-256 of the picture of each example."""
        return tuple(question.pictures[0] for question, _ in self.turns)


SHOTS = 8  # examples that the model is shown
MOST_TESTED = 16  # examples that are asked about in turn: each costs as much as the question


def tell_by_chat(
    lesson: Lesson,
    talker: Talker,
    pictures: Mapping[str, Picture],
    seen: Tensor,
    asked: Tensor,
    limits: Talk,
    reporter: Reporter,
) -> Learned:
    """Return what a chat model makes of a lesson, tested on examples without themselves among those shown.
    seen, asked: (n, D) and (D,), by which pictures are similar. limits: whose ``context`` holds.

    A step is a picture that it was asked about. Raises ModelError for a model that can't compare answers,
    UserError when one question is too long for it.
    """
    key = (*lesson.pictures, *(answer.text for _, answer in lesson.turns))
    known = talker.tested.get(key)
    tested = tested_of(lesson.places, MOST_TESTED) if known is None else []
    names = f"The answer is one of: {', '.join(lesson.labels)}."

    def ask(question: Turn, like: Tensor, places: Sequence[int]) -> list[float]:
        shown = most_similar(lesson, seen, like, places)
        turns = [turn for place in shown for turn in lesson.turns[place]]
        first = turns[0] if turns else question
        turns = [replace(first, text=f"{names}\n{first.text}"), *turns[1:], replace(question, job_id="")]
        talk = Talk(tuple(turns), context=limits.context, most_pictures=len(shown) + 1)
        scores = torch.tensor(scoring.score_answers(talker, talk, pictures, lesson.labels, reporter))
        return scores.softmax(0).tolist()

    steps, right, every = len(tested) + 1, 0, range(len(lesson.turns))
    chances = ask(lesson.asked, asked, every)
    reporter.step(1, steps)
    for number, place in enumerate(tested, 2):
        found = ask(lesson.turns[place][0], seen[place], [other for other in every if other != place])
        right += max(range(len(found)), key=found.__getitem__) == lesson.places[place]
        reporter.step(number, steps)
    if known is None:
        known = talker.tested[key] = len(tested), right
    count, right = known
    return Learned(torch.tensor([chances]), count, right, right / count if count else None)


def most_similar(lesson: Lesson, seen: Tensor, asked: Tensor, places: Sequence[int]) -> list[int]:
    """Return the places of the most similar examples, but of no label more than its share, the best last."""
    some = torch.tensor(list(places))
    alike = torch.nn.functional.cosine_similarity(seen[some], asked[None], dim=-1)
    share = max(1, -(-SHOTS // len(lesson.labels)))
    chosen, of_label = list[int](), dict[int, int]()
    for place in some[alike.argsort(descending=True, stable=True)].tolist():
        label = lesson.places[place]
        if len(chosen) < SHOTS and of_label.get(label, 0) < share:
            of_label[label] = of_label.get(label, 0) + 1
            chosen.append(place)
    return chosen[::-1]


def tested_of(labels: Sequence[int], most: int) -> list[int]:
    """Return which examples a chat model is tested on: of each label that has more than one, as many as of
    the others as far as there are, at most ``most`` in all."""
    found = [place for fold in folds(labels, len(labels)) for place in fold]
    return sorted(found[:most])
