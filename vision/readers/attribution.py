"""Why a reader says a label, and where in the picture that is: attention rollout weighed with gradients where
it is a transformer with a class token, else by covering parts of the picture.

Rollout: R ← R + E_h[(∇A ⊙ A)⁺] R over all layers, from R = I; the row of the class token tells how much each
patch speaks for the score (arXiv:2103.15679, equations 5 and 6). Occlusion (arXiv:1311.2901, 4.2) is coarse,
but needs no model beside CLIP or SigLIP; CLIPSeg (SEGMENT_MODEL) is finer."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from core.errors import UserError
from vision import devices
from vision.engine.fiber import BeforeSlice, SideWork
from vision.images.ops import connected, place
from vision.readers.classifier import Classifier, odds
from vision.readers.clip import Matcher
from vision.readers.photo import describe as photographed
from vision.readers.photo.models import Face
from vision.readers.segmentation import NOTHING_FITS
from vision.reporter import Reporter

Score = Callable[[Any], Tensor]  # a model's output → one number


def relevance(model: Any, pixels: Tensor, score: Score) -> np.ndarray | None:
    """Return how much each patch of one picture (1, 3, H, W) speaks for what ``score`` makes of the model's
    output: (rows, columns), 0..1, 1 = the most.

    None for a model that isn't a plain transformer with a class token before its patches.
    """
    patch = getattr(model.config, "patch_size", None)
    if not isinstance(patch, int) or not getattr(model.config, "num_attention_heads", 0):
        return None
    rows, columns = pixels.shape[-2] // patch, pixels.shape[-1] // patch
    with torch.inference_mode(False), torch.enable_grad():
        pixels = pixels.clone().requires_grad_()  # so that there is a graph, though weights need none
        output = watched(model)(pixel_values=pixels, output_attentions=True)
        attentions = output.attentions or ()
        tokens = attentions[0].shape[-1] if attentions else 0
        if tokens <= rows * columns or any(one.shape[-2:] != (tokens, tokens) for one in attentions):
            return None
        gradients = torch.autograd.grad(score(output), attentions)
    relevant = torch.eye(tokens, device=pixels.device)
    for attention, gradient in zip(attentions, gradients, strict=True):
        weighed = (attention.detach() * gradient).float().clamp(min=0).mean(1)[0]
        relevant = relevant + weighed @ relevant
    found = relevant[0, tokens - rows * columns :].view(rows, columns)
    return (found / found.max().clamp(min=1e-12)).cpu().numpy()


def watched(model: Any) -> Any:
    """Return a module over the same weights that tells its attentions. The model stays as it is: it may
    compute attention in a way that keeps none, and jobs beside may be using it."""
    twin: Any = devices.shared_weights_copy(model)
    twin.set_attn_implementation("eager")
    return twin


def seen_by(processor: Any, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return what an image processor leaves of a picture of ``size``: left, top, right, bottom, px."""
    width, height = size
    cut, wanted = getattr(processor, "crop_size", None), getattr(processor, "size", {})
    if not getattr(processor, "do_center_crop", False) or not cut:
        return 0, 0, width, height
    across = down = 1.0
    if getattr(processor, "do_resize", False):
        find = wanted.get if hasattr(wanted, "get") else partial(getattr, wanted)
        if short := find("shortest_edge", None):
            across = down = short / min(size)
        else:  # to a fixed size, and from there
            across, down = wanted["width"] / width, wanted["height"] / height
    wide, high = min(width, cut["width"] / across), min(height, cut["height"] / down)
    left, top = (width - wide) / 2, (height - high) / 2
    return left, top, left + wide, top + high


MOST = 1536  # px of the longer side of what is shown
SCALE = (  # from what counts nothing to what counts most; dark to light, also for people who see no colours
    (0.0, (13, 8, 60)),
    (0.3, (106, 20, 130)),
    (0.6, (214, 62, 88)),
    (0.8, (250, 145, 50)),
    (1.0, (253, 240, 150)),
)
FAINT, STRONG = 0.55, 0.75  # how far the colours cover the picture: where nothing counts, and where all does
Box = tuple[float, float, float, float]


def draw_heat(image: Image.Image, counts: np.ndarray, seen: Box | None = None) -> Image.Image:
    """Return a picture, no larger than MOST, in colours of ``counts``.

    counts: (rows, columns), 0..1, of the part ``seen``: left, top, right, bottom in px of the picture, None =
    all of it. What lies outside of that was looked at by nobody, and counts nothing.
    """
    scale = min(1.0, MOST / max(image.size))
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    left, top, right, bottom = (round(px * scale) for px in seen or (0, 0, *image.size))
    inside = max(1, right - left), max(1, bottom - top)
    part = Image.fromarray(counts.astype(np.float32)).resize(inside, Image.Resampling.BICUBIC)
    field = Image.new("F", size)
    field.paste(part, (left, top))
    value = np.clip(np.asarray(field), 0, 1)
    stops, colours = [at for at, _ in SCALE], np.array([colour for _, colour in SCALE], float)
    tint = np.stack([np.interp(value, stops, colours[:, part]) for part in range(3)], -1)
    grey = np.asarray(image.resize(size, Image.Resampling.LANCZOS).convert("L"), float)[..., None]
    cover = (FAINT + (STRONG - FAINT) * value)[..., None]
    # the tint takes the light of the picture, so that its shapes stay
    shown = (1 - cover) * grey + cover * tint * (0.4 + 0.6 * grey / 255)
    return Image.fromarray(shown.round().astype("uint8"))


CELLS = 8  # along each side
MARGIN = 0.5  # of a cell: what is covered around it, too
MIN_DROP = 0.3  # of the largest drop: cells above it belong to the object
# of the largest drop: where a second place reaches it, the words don't say which is meant. Of 32 phrases for
# objects in 16 scenes of the demo world, 3 of 3 wrong finds and 1 of 29 right ones were above it.
RIVAL = 0.55
MAX_SIDE = 512  # px of the longer side that the model is shown
BATCH = 16  # pictures that it is shown at once


def covered(image: Image.Image) -> Iterator[Image.Image]:
    """Yield ``image``, then a copy for each cell of the grid, row by row, with that cell blurred."""
    yield image
    blurred = image.filter(ImageFilter.GaussianBlur(max(image.size) / 6))
    across, down = image.width / CELLS, image.height / CELLS
    for y in range(CELLS):
        for x in range(CELLS):
            left, right = (int(min(max(0, at * across), image.width)) for at in (x - MARGIN, x + 1 + MARGIN))
            top, bottom = (int(min(max(0, at * down), image.height)) for at in (y - MARGIN, y + 1 + MARGIN))
            part = image.copy()
            part.paste(blurred.crop((left, top, right, bottom)), (left, top))
            yield part


def find_by_occlusion(image: Image.Image, score: Callable[[list[Image.Image]], list[float]]) -> Image.Image:
    """Return a mask ("L", 255 = the object) at the picture's size.

    score: BATCH pictures at most → how well the words fit each. Raises UserError when nothing matters.
    """
    return mask_of_drops(occlusion_drops(image, score), image.size)


def occlusion_drops(image: Image.Image, score: Callable[[list[Image.Image]], list[float]]) -> np.ndarray:
    """Return (CELLS, CELLS), how much the score drops when a cell is covered. See ``find``."""
    small = image.copy()
    small.thumbnail((MAX_SIDE, MAX_SIDE))
    parts, scores = covered(small), list[float]()
    while some := list(islice(parts, BATCH)):
        scores += score(some)
    return np.array(scores[0]) - np.array(scores[1:]).reshape(CELLS, CELLS)


def mask_of_drops(drops: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """Return the mask of the cell with the largest drop and all that is connected with it.

    drops: (rows, columns), how much the score drops when a cell is covered. size: (w, h) of the mask, px.
    Raises UserError when no drop is over 0, or another place comes close to the best.
    """
    if not drops.max() > 0:
        raise UserError(NOTHING_FITS)
    coarse = torch.from_numpy(drops)[None, None].float()
    fine = torch.nn.functional.interpolate(coarse, size=(64, 64), mode="bicubic")[0, 0].numpy()
    inside = fine >= MIN_DROP * fine.max()
    part = connected(fine == fine.max(), inside)
    _refuse_rivals(fine, part)
    return Image.fromarray((part * 255).astype(np.uint8)).resize(size, Image.Resampling.NEAREST)


def _refuse_rivals(fine: np.ndarray, part: np.ndarray) -> None:
    """Raise UserError when a place outside ``part`` fits about as well as the best one in it."""
    rest = np.where(part, -np.inf, fine)
    if rest.max() < RIVAL * fine.max():
        return
    cells = (np.unravel_index(found.argmax(), fine.shape) for found in (fine, rest))
    best, second = (place((int(x) + 0.5) / fine.shape[1], (int(y) + 0.5) / fine.shape[0]) for y, x in cells)
    where = f"the {best} and the {second}" if best != second else f"two places in the {best}"
    raise UserError(
        f"These words may mean {where} of the picture. Say more about the part you mean, or choose it by"
        " `mask` or `fields`."
    )


FACES = 32  # cells a side of a map of faces


@dataclass(frozen=True)
class Reason:
    """chance: of the label, 0..1. counts: (rows, columns), 0..1, how much each place speaks for it. seen: of
    which part of the picture, px; None = all. how: this was found out."""

    chance: float
    counts: np.ndarray
    seen: Box | None
    how: Literal["attention", "covering", "faces"]


def classifier_reason(reader: Classifier, image: Image.Image, label: str, reporter: Reporter) -> Reason:
    """Return why a classifier says one of its labels."""
    place = reader.labels.index(label)
    chance = reporter.batched("classifier", reader.chances_each, image)[place]

    def explain(picture: Image.Image) -> np.ndarray | None:
        pixels = reader.pixels([picture])
        return relevance(reader.model, pixels, lambda output: reader.score(output.logits[0].float(), place))

    counts = _by_attention(explain, image, reporter)
    if counts is not None:
        return Reason(chance, counts, seen_by(reader.processor, image.size), "attention")

    def chances(parts: list[Image.Image]) -> list[float]:
        return [one[place] for one in _at_once(reader.chances_each, parts, reporter)]

    return _covered(image, chance, chances)


def matcher_reason(
    reader: Matcher, image: Image.Image, label: str, labels: Sequence[str], reporter: Reporter
) -> Reason:
    """Return why CLIP or SigLIP finds a label among others."""
    batched, place = reporter.batched_as("clip"), list(labels).index(label)
    chance = reader.probabilities(image, labels, batched)[place]
    text = torch.stack(reader.embed_words(labels, batched))  # (L, D)

    counts = _by_attention(lambda picture: _by_clip(reader, picture, text, place), image, reporter)
    if counts is not None:
        seen = seen_by(reader.processor.image_processor, image.size)
        return Reason(chance, counts, seen, "attention")

    def fits(parts: list[Image.Image]) -> list[float]:
        embeddings = reporter.batched("clip", reader.embed_image_lists, parts)
        return reader.fits(embeddings, text)[:, place].tolist()

    return _covered(image, chance, fits)


def photograph_reason(
    reader: Any,
    image: Image.Image,
    label: str,
    labels: Sequence[str],
    faces: Sequence[Face],
    reporter: Reporter,
) -> Reason:
    """Return why the readers of photographs say a label. labels: that were compared, none = all they know."""

    def fits(parts: list[Image.Image]) -> list[float]:
        seen = (chances for chances, _ in _at_once(reader.read_each, parts, reporter))
        if labels:
            return [dict(photographed.compare_labels(chances, faces, labels)[0])[label] for chances in seen]
        return [float(chances[list(photographed.classes_of(label))].sum()) for chances in seen]

    if photographed.means_people(label) or (not labels and not photographed.classes_of(label)):
        counts, sides = np.zeros((FACES, FACES)), (*image.size, *image.size)
        for face in faces:
            cells = (int(px * FACES / side) for px, side in zip(face.box, sides, strict=True))
            left, top, right, bottom = cells
            counts[max(0, top) : bottom + 1, max(0, left) : right + 1] = face.score
        return Reason(faces[0].score if faces else 0.0, counts, None, "faces")
    return _covered(image, fits([image])[0], fits)


def _by_attention(
    explain: Callable[[Image.Image], np.ndarray | None], image: Image.Image, reporter: Reporter
) -> np.ndarray | None:
    """Return what ``explain`` makes of a picture, in turn with the passes of other jobs."""

    def each(pictures: Sequence[Image.Image], before_slice: BeforeSlice) -> list[np.ndarray | None]:
        found = []
        for picture in pictures:
            before_slice()
            found.append(explain(picture))
        return found

    return reporter.batched("why", each, image)


def _by_clip(reader: Matcher, image: Image.Image, text: torch.Tensor, place: int) -> np.ndarray | None:
    tower, projection = reader.model.vision_model, getattr(reader.model, "visual_projection", None)
    pixels = reader.pixels([image])

    def score(output: Any) -> torch.Tensor:
        pooled = output.pooler_output if projection is None else projection(output.pooler_output)
        return odds(reader.logits(pooled / pooled.norm(dim=-1, keepdim=True), text)[0].float(), place)

    return relevance(tower, pixels, score)


def _at_once(work: SideWork, parts: Sequence[Image.Image], reporter: Reporter) -> Sequence[Any]:
    """Return what ``work`` makes of each part, beside other jobs' passes, for none of which it waits."""
    return reporter.in_thread(lambda: work(parts, lambda count=1: None), thread="fetching")


def _covered(image: Image.Image, chance: float, fits: Callable[[list[Image.Image]], list[float]]) -> Reason:
    drops = np.clip(occlusion_drops(image, fits), 0, None)
    return Reason(chance, drops / max(float(drops.max()), 1e-12), None, "covering")
