"""What to draw, in one model's terms: the values that pass between requests and ``generate``, and how the
parameters of a request become steps, guidance and the text for the model's encoder. No torch.

Each parameter either has an effect or leaves a note for the person who asked. The table is in
docs/explanation/what-parameters-do.md."""

from dataclasses import dataclass, field, replace

from PIL import Image

from core.limits import NEGATIVE_WEIGHT, STYLIZE_CAP
from core.prompt.values import shown_lora
from core.requests import GenerateRequest
from core.styles import style_of_code
from core.taste_words import amount_of, in_one, joined, told_as
from vision.families import Mode
from vision.images import encode
from vision.weights.card import Card, VarietyCard, known_words, vocabulary_words

MAX_STEPS = 100
USUAL_STYLIZE = 100


@dataclass(frozen=True)
class TextSpec:
    """How texts steer a picture beyond one prompt and one negative prompt. By default: not at all. wanted,
    unwanted: parts of the prompt and of the negative prompt, with shares that sum to 1; empty = one part.
    refusal: how far to keep away from what is unwanted, 1 = as a plain negative prompt does. styles: (text,
    amount), 1 = as if it stood in the prompt. chaos, weird: 0..1. varied: the prompt in other words, of
    which each picture gets the one that its seed chooses; empty = all get the same."""

    wanted: tuple[tuple[str, float], ...] = ()
    unwanted: tuple[tuple[str, float], ...] = ()
    refusal: float = 1.0
    styles: tuple[tuple[str, float], ...] = ()
    chaos: float = 0.0
    weird: float = 0.0
    varied: tuple[str, ...] = ()

    def prompt_of(self, prompt: str, seed: int) -> str:
        """Return the words that the picture with ``seed`` is drawn from; neighbours' always differ."""
        return self.varied[seed % len(self.varied)] if self.varied else prompt


@dataclass(frozen=True)
class ModelText:
    """The text for one model: prompt and negative prompt, each as one sentence, the parts and weights they
    are made of, and notes for the person who asked."""

    prompt: str
    negative_prompt: str
    spec: TextSpec
    notes: tuple[str, ...] = ()


def steps(request: GenerateRequest, card: Card) -> int:
    """Return ``--steps``, else the model's (or draft's) times ``--quality``; its own where they are fixed."""
    if card.fixed_steps:
        return card.num_inference_steps
    usual = card.draft.num_inference_steps if request.draft else card.num_inference_steps
    return request.num_inference_steps or min(MAX_STEPS, max(1, round(usual * (request.quality or 1))))


def guidance(request: GenerateRequest, card: Card, neutral: float = 1.0) -> tuple[float, float, list[str]]:
    """Return (guidance_scale, guidance_rescale, notes). ``--stylize`` and ``--exp`` act on its distance from
    ``neutral``, where guidance does nothing. Rescaling keeps the contrast of strong guidance in bounds
    (arXiv:2305.08891, 3.4, with its φ = 0.7)."""
    if request.guidance_scale is not None:
        over = [] if request.stylize is None else ["--stylize"]
        over += ["--exp"] if request.exp else []
        note = f"`--cfg` was given, so {' and '.join(over)} left the guidance alone."
        return request.guidance_scale, 0.0, [note] if over else []
    usual = card.draft.guidance_scale if request.draft else card.guidance_scale
    if usual <= neutral:
        note = "This model draws without guidance; `--exp` had no effect."
        return usual, 0.0, [note] if request.exp else []
    exp = request.exp or 0
    more = guidance_factor(request.stylize) * (1 + exp / 100)
    return neutral + (usual - neutral) * more, 0.7 * exp / 100, []


def guidance_factor(stylize: int | None) -> float:
    """Return what ``--stylize`` multiplies guidance with: 1.5 at 0 (keeps to the text), 1 at 100, 0.4 at 1000
    (the model's own taste)."""
    value = USUAL_STYLIZE if stylize is None else min(stylize, STYLIZE_CAP)
    return 1.5 - 0.5 * value / 100 if value <= USUAL_STYLIZE else 1 - 0.6 * (value - 100) / 900


def weight_factor(weight: int | None) -> float:
    """Convert ``--stylize``, ``--sw`` or ``--ow`` to a factor: 0 at 0, 1 at 100 (usual), 1.5 from 1000 on."""
    value = 100 if weight is None else min(weight, STYLIZE_CAP)
    return value / 100 if value <= 100 else 1 + 0.5 * (value - 100) / 900


def styles(request: GenerateRequest, card: Card) -> tuple[tuple[str, float], ...]:
    """Return (text, amount) of the house style and of a taste's words, unless ``--raw``, and of each
    ``--sref <number>``. A text may have a gap for the prompt, see ``core.taste_words``."""
    words = "" if request.raw else card.style.words
    house = [(words, weight_factor(request.stylize))] if words else []
    total = sum(weight for _, weight in request.style_codes)
    codes = [
        (style_of_code(code), weight_factor(request.style_weight) * weight / total)
        for code, weight in request.style_codes
        if total
    ]
    named = {told_as(word): word for words in card.taste_words.values() for word in words}
    added = () if request.raw else [named.get(word, word) for word in request.taste_words]
    taste = [(in_one(added), amount_of(request.stylize))] if added else []
    return tuple((words, share) for words, share in (*house, *codes, *taste) if share > 0)


def model_text(
    request: GenerateRequest,
    card: Card,
    name: str,
    *,
    supports_weights: bool,
    supports_chaos: bool,
    guided: bool,
) -> ModelText:
    """Return the text for the model ``name``. supports_weights: whether the parts of its texts can have
    weights. supports_chaos: whether these can become others from step to step. guided: whether it draws with
    guidance away from a negative prompt. Midjourney's rule: weights count in relation to each other, and
    ``--no x`` is ``x::-0.5``."""
    wanted, unwanted = _parts(request)
    styled, negative = styles(request, card), ", ".join(text for text, _ in unwanted)
    notes = [
        *_ignored_notes(request, card, name, guided=guided),
        *(f"`--sref {code}`: {style_of_code(code)}." for code, _ in request.style_codes),
    ]
    if request.taste_words and not request.raw:
        notes.append(f"`--p` added what the prompt left open: {', '.join(request.taste_words)}.")
    if request.taste_loras and not request.raw:
        shown = ", ".join(f"`{shown_lora(lora)}` at {weight:g}" for lora, weight in request.taste_loras)
        notes.append(f"`--p` drew with what was trained on pictures that you like: {shown}.")
    mixed = (("chaos", request.chaos, supports_chaos), ("weird", request.weird, supports_weights))
    ignored = [flag for flag, given, works in mixed if given and not works]
    notes += [f"{name} can't vary the weight of words; `--{flag}` had no effect." for flag in ignored]
    if unwanted and not guided:
        takes_none = card.negative == "none"
        why = "doesn't take negative prompts" if takes_none else "ignores negative prompts without guidance"
        what = "`--no`" if request.negative_prompt.strip() else "a negative weight"
        notes.append(f"{name} {why}; {what} had no effect.")
    if not supports_weights:
        if len({weight for _, weight in wanted}) > 1:
            notes.append(f"{name} reads one sentence, not weights; the heaviest part comes first.")
        ordered = [text for text, _ in sorted(wanted, key=lambda part: -part[1])]
        whole = ", ".join(filter(None, ordered))
        for words, share in styled:
            whole = joined(whole, words) if share >= 0.5 else whole
        return ModelText(whole, negative, TextSpec(), tuple(notes))
    ratio = sum(weight for _, weight in unwanted) / sum(weight for _, weight in wanted)
    spec = TextSpec(
        _shares(wanted),
        _shares(unwanted),
        ratio / NEGATIVE_WEIGHT if unwanted else 1.0,
        styled,
        (request.chaos or 0) / 100 if supports_chaos else 0.0,
        (request.weird or 0) / 3000,
    )
    return ModelText(", ".join(filter(None, (text for text, _ in wanted))), negative, spec, tuple(notes))


_BEFORE = frozenset("a an the one of with in on at and draw want".split())  # the words about an object


def varied(prompt: str, card: VarietyCard) -> tuple[str, ...]:
    """Return ``prompt`` in each of the card's ways; nothing where it tells place, size or number itself, or
    isn't about one object."""
    words = list(vocabulary_words(prompt))  # (word, begin, end)
    objects, unless = known_words(card.objects), known_words(card.unless)
    named = [i for i, (word, _, _) in enumerate(words) if word in objects]
    together = named and named[-1] - named[0] == len(named) - 1  # "crescent moon" is one object
    if not card.ways or any(word in unless for word, _, _ in words) or (objects and not together):
        return ()
    begin, end = 0, len(prompt)
    if objects:
        first = named[0]
        while first and prompt[words[first - 1][2] : words[first][1]].isspace() and named[0] - first < 3:
            if words[first - 1][0] in _BEFORE:
                break
            first -= 1
        begin, end = words[first][1], words[named[-1]][2]
    before, about = prompt[:begin], [way.replace("{}", prompt[begin:end]) for way in card.ways]
    rest, _, article = before.rstrip().rpartition(" ")
    if article.lower() in ("a", "an"):  # as English has it: "an orange ball", "a small orange ball"
        before = f"{rest} ".lstrip()
        about = [f"{'an' if words[:1].lower() in 'aeiou' else 'a'} {words}" for words in about]
    return tuple(before + words + prompt[end:] for words in about)


def _parts(request: GenerateRequest) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    parts = [(text.strip(), weight) for text, weight in request.prompt_parts if text.strip() and weight]
    parts = parts or [(request.prompt.strip(), 1.0)]
    negative = request.negative_prompt.strip()
    unwanted = [(negative, NEGATIVE_WEIGHT)] if negative else []
    unwanted += [(text, -weight) for text, weight in parts if weight < 0]
    return [part for part in parts if part[1] > 0], unwanted


def _shares(parts: list[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    total = sum(weight for _, weight in parts)
    return tuple((text, weight / total) for text, weight in parts) if len(parts) > 1 else ()


def _ignored_notes(request: GenerateRequest, card: Card, name: str, *, guided: bool) -> list[str]:
    """A note for each parameter that has no effect on this model, whatever its texts."""
    counted = (("steps", request.num_inference_steps), ("quality", request.quality), ("draft", request.draft))
    notes = [
        f"{name} always draws in its makers' {card.num_inference_steps} steps; `--{flag}` had no effect."
        for flag, given in counted
        if given and card.fixed_steps
    ]
    has_style = bool(card.style.words or card.style.lora)
    if request.stylize is not None and not has_style and not guided:
        notes.append(f"{name} draws without guidance and has no house style; `--stylize` had no effect.")
    if request.raw and not has_style:
        notes.append(f"{name} has no house style to leave out; `--raw` changed nothing.")
    return notes


@dataclass(frozen=True)
class Generation:
    """Everything a drawing depends on besides the model.

    seeds: one for each picture. width, height: px at the model's scale, whole multiples of the card's.
    image (IMAGE, INPAINT): of exactly that size. images: one for each seed in place of ``image``. mask_image
    (INPAINT): "L", white = paint. strength: 0..1, how far to move from ``image``. text_spec: how texts steer
    the picture beyond one prompt and one negative prompt. guidance_rescale: 0..1. stop: share of the schedule
    that is run. texts: (prompt, text_spec) for each seed, where those differ; empty = all have the same.
    loras: (name the host has set up, weight), each name once. at_once: pictures in one batch at
    most, None = all. seamless: opposite edges meet. references (TEXT): pictures that are shown to a model
    that takes them, or to its IP-Adapter. reference_scale (IP-Adapter): how much they count, 0..1. draft:
    decoded by the model's tiny decoder, if it has one. edges (IMAGE): a picture of the same size that the
    model's ControlNet keeps to. shape: (w, h) of the middle that the finished picture
    keeps, as small whole numbers; None = the whole picture. frames (IMAGE): the pictures are frames of a
    video and look at the first of them while they are drawn, where the model is a UNet. is_tiles: the
    pictures are pieces of larger ones, of which nobody is shown a preview.
    """

    mode: Mode
    prompt: str
    seeds: tuple[int, ...]
    width: int
    height: int
    num_inference_steps: int
    guidance_scale: float
    negative_prompt: str = ""
    strength: float | None = None
    sampler: str | None = None
    image: Image.Image | None = field(default=None, repr=False)
    mask_image: Image.Image | None = field(default=None, repr=False)
    text_spec: TextSpec = TextSpec()
    texts: tuple[tuple[str, TextSpec], ...] = ()
    guidance_rescale: float = 0.0
    stop: float = 1.0
    loras: tuple[tuple[str, float], ...] = ()
    images: tuple[Image.Image, ...] = field(default=(), repr=False)
    at_once: int | None = None
    seamless: bool = False
    references: tuple[Image.Image, ...] = field(default=(), repr=False)
    reference_scale: float | None = None
    draft: bool = False
    edges: Image.Image | None = field(default=None, repr=False)
    shape: tuple[int, int] | None = None
    frames: bool = False
    is_tiles: bool = False

    def part(self, begin: int, end: int) -> "Generation":
        """Return the pictures from number ``begin`` to ``end`` alone."""
        texts = self.texts[begin:end]
        part = replace(self, seeds=self.seeds[begin:end], images=self.images[begin:end], texts=texts)
        if len(set(texts)) != 1:
            return part
        prompt, spec = texts[0]
        return replace(part, prompt=prompt, text_spec=spec, texts=())

    def finished_size(self, scale: int) -> tuple[int, int]:
        """Return (w, h) in px of the finished picture, which is ``scale`` times as large as the drawn one."""
        return encode.largest((self.width * scale, self.height * scale), self.shape)


@dataclass(frozen=True)
class Drawn:
    """The result. images: one for each seed, at the model's scale; RGBA where the picture that was edited
    stays, which is transparent then. notes: sentences for the person who asked. left: numbers of those that
    were drawn only halfway, see Reporter.stays."""

    images: tuple[Image.Image, ...]
    notes: tuple[str, ...] = ()
    left: frozenset[int] = frozenset()
