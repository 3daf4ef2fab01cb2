"""How one image model is best used: its family, which its files tell; the family's defaults, what its
configuration files say, then its own ``atelier.json``; and which words of a text it doesn't know, where it
has a small vocabulary. Loads no torch."""

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from core.errors import ModelError
from core.taste_words import KINDS, told_as
from vision.families import EDITORS, FAMILIES
from vision.families.family import Family
from vision.weights import hub
from vision.weights.files import config_folder, gguf_folder, header, parse, read_json, shared_parts

FILE = "atelier.json"
MOST_PROMPTS, LONGEST_PROMPT = 8, 200
BASE = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}|[\w-][\w.-]*")
RANGES = {
    "native_size": (16, 4096),
    "multiple": (1, 256),
    "num_inference_steps": (1, 200),
    "output_scale": (1, 8),
}


def check_ranges(card: object, **more: tuple[int, int]) -> None:
    """Raise ModelError for a number of ``card`` that isn't in its range: one of RANGES, or of ``more``."""
    for name, (low, high) in {**RANGES, **more}.items():
        if not low <= getattr(card, name) <= high:
            raise ModelError(f"{FILE}: {name} is {getattr(card, name)!r}; it takes {low} to {high}.")


@dataclass(frozen=True)
class Draft:
    """What ``--draft`` means for this model.

    num_inference_steps: steps of a draft. guidance_scale: guidance of a draft. lora: name of a LoRA for few
    steps, as the host has set it up; empty = none. weight: weight of that LoRA. sampler: the one that LoRA
    wants; null = the model's.
    """

    num_inference_steps: int
    guidance_scale: float
    lora: str = ""
    weight: float = 1.0
    sampler: str | None = None


@dataclass(frozen=True)
class OutpaintCard:
    """How this model extends a picture.

    strength: strength of the inpainting, 0 to 1. max_area: largest canvas that is painted at once, in native
    areas; a larger one is painted smaller and enlarged. band: how much of the old picture is painted again
    along extended edges, in px at the model's scale; 0 = native / 24, at least 16. still: the picture's
    ground is continued and nothing is drawn, unless new words ask for it; for small models, which else draw
    their words once more around the picture.
    """

    strength: float = 0.92
    max_area: float = 1.5
    band: int = 0
    still: bool = False


@dataclass(frozen=True)
class StyleCard:
    """The house style, which ``--stylize`` scales and ``--raw`` leaves out.

    words: what is added to each prompt. lora: name of a LoRA that the host has set up; empty = none. weight:
    weight of that LoRA at the usual ``--stylize 100``.
    """

    words: str = ""
    lora: str = ""
    weight: float = 0.8


@dataclass(frozen=True)
class VarietyCard:
    """How the pictures of a grid come to differ, for a model that draws much the same from any seed.

    ways: what is added to the words, one by the seed of each picture: "small {}", "{} on the left"; "{}" is
    the object and the words before it, back to its article; empty = its seeds differ by themselves. objects:
    names of one object each, with spaces between them; words with none or with several of them are drawn as
    they are; empty = "{}" is the whole prompt. unless: words that tell a place, a size or a number; with one
    of them, too, the words are drawn as they are. bolder: ways that take the place of "{}", one after the
    other, as `--chaos` grows.
    """

    ways: tuple[str, ...] = ()
    objects: str = field(default="", repr=False)
    unless: str = field(default="", repr=False)
    bolder: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("ways", "bolder"):
            ways = getattr(self, name)
            if not isinstance(ways, list | tuple) or any("{}" not in str(way) for way in ways):
                raise ModelError(
                    f'{FILE}: ways of variety are texts with {{}} in them, such as "small {{}}".'
                )
            object.__setattr__(self, name, tuple(ways))

    def at(self, chaos: int | None) -> Self:
        """Return the variety of a request. chaos: its `--chaos`; 0 leaves no variety, None is as the card has
        it, and 100 takes every way of ``bolder`` that there is room for."""
        if not chaos:
            return self if chaos is None else replace(self, ways=())
        plain = [n for n, way in enumerate(self.ways) if way == "{}"]
        bold = dict(zip(plain[: len(plain) * chaos // 100], self.bolder, strict=False))
        return replace(self, ways=tuple(bold.get(n, way) for n, way in enumerate(self.ways)))


VARIATION = {"subtle": 0.4, "strong": 0.75, "full": 0.4}  # usual strengths
UPSCALE = {"subtle": 0.25, "creative": 0.35}


@dataclass(frozen=True)
class Card:
    """Defaults and abilities of one image model. Sides are in px.

    native_size: side of the square that it was trained on. multiple: sides are whole multiples of it.
    num_inference_steps: steps of a picture. guidance_scale: how strictly pictures follow the words. draft:
    what ``--draft`` means. negative: how it takes a negative prompt: "prompt", "true_cfg" (by a second pass)
    or "none". samplers: "any" of the noise schedulers, or only the model's "own". true_cfg_scale: guidance
    where ``negative`` is "true_cfg". strength: strength of image-to-image, 0 to 1. variation: strength of
    variations, by how far they go; "full" is a draft drawn in full. upscale: strength of upscaling, by how
    much detail it redraws. region:
    strength for the part of a picture that is painted again. blend: strength where drawing begins at the mean
    of several pictures. image_guidance_scale: how close InstructPix2Pix keeps to the picture that it edits, 1
    and more. relevance_threshold: how far latents must move before they count as meant by the words of an
    edit; what is not meant stays the picture's own; 0 = everything may change. max_area: largest picture, in
    native areas. output_scale: factor by which pictures are enlarged after decoding. sampler: one that
    ``--sampler`` takes; null = as shipped. cache_threshold: First-Block-Cache skips the other blocks of a
    step when the first block's output has changed by less than this share since the last step; 0 = off.
    outpaint: how it extends a picture. style: its house style. variety: how the pictures of a grid come to
    differ. colours: of an edit that adds an object in no colour, {"boat ship": "red white"}: the first that
    shows before the picture; empty = as it is drawn. merged_lora: name of a file in its folder ``lora``,
    which is added to its weights when they are loaded; empty = none. base: the undistilled model that styles
    are trained on in this one's place: a hub's at a commit, or a folder beside this one's; empty = this one.
    style_seconds: of the device that learning a style takes at most, of a processor those of one core; 0 =
    the host's TRAINING_SECONDS. fixed_steps: it draws at the noise levels that its makers chose, so that
    ``--steps`` has no effect.
    vocabulary: all the words that the model knows, with spaces between them; empty = any word may mean
    something to it. prompts: up to eight that show what it is good at, which people are offered to begin
    with. taste_words: what a taste may add to a prompt, by kind, {"place": ["at sea", "in the snow"]}: kinds
    are colour, place, medium and light. A word follows the prompt, or has {} where the prompt stands.
    """

    native_size: int
    multiple: int
    num_inference_steps: int
    guidance_scale: float
    draft: Draft
    negative: str
    samplers: str
    true_cfg_scale: float = 4.0
    strength: float = 0.6
    variation: Mapping[str, float] = field(default_factory=lambda: dict(VARIATION))
    upscale: Mapping[str, float] = field(default_factory=lambda: dict(UPSCALE))
    region: float = 1.0
    blend: float = 0.9
    image_guidance_scale: float = 1.5
    relevance_threshold: float = 0.0
    max_area: float = 4.0
    output_scale: int = 1
    sampler: str | None = None
    cache_threshold: float = 0.0
    outpaint: OutpaintCard = OutpaintCard()
    style: StyleCard = StyleCard()
    variety: VarietyCard = VarietyCard()
    colours: Mapping[str, str] = field(default_factory=dict, repr=False)
    merged_lora: str = ""
    base: str = ""
    style_seconds: int = 0
    fixed_steps: bool = False
    vocabulary: str = field(default="", repr=False)
    prompts: tuple[str, ...] = field(default=(), repr=False)
    taste_words: Mapping[str, Sequence[str]] = field(default_factory=lambda: KINDS, repr=False)

    def __post_init__(self) -> None:
        check_ranges(self)
        object.__setattr__(self, "taste_words", check_taste_words(self.taste_words))
        given = self.prompts
        if not isinstance(given, list | tuple) or not all(isinstance(one, str) and one for one in given):
            raise ModelError(f"{FILE}: prompts must be a list of texts.")
        if len(given) > MOST_PROMPTS or any(len(one) > LONGEST_PROMPT for one in given):
            raise ModelError(
                f"{FILE}: prompts takes up to {MOST_PROMPTS}, each of up to {LONGEST_PROMPT} characters."
            )
        object.__setattr__(self, "prompts", tuple(given))
        if not isinstance(self.vocabulary, str):
            raise ModelError(f"{FILE}: vocabulary must be words with spaces between them.")
        pairs = self.colours.items() if isinstance(self.colours, Mapping) else [("", "")]
        if not all(isinstance(text, str) and text.strip() for pair in pairs for text in pair):
            raise ModelError(f'{FILE}: colours are words for words, such as {{"boat ship": "red white"}}.')
        if not isinstance(self.merged_lora, str) or self.merged_lora != os.path.basename(self.merged_lora):
            raise ModelError(f"{FILE}: merged_lora must be the name of a file in the model's folder lora.")

    def guided(self, guidance_scale: float, neutral: float) -> bool:
        """Return whether a negative prompt has an effect. neutral: see Family."""
        return self.negative == "true_cfg" or (self.negative == "prompt" and guidance_scale > neutral)


def check_taste_words(given: Any) -> Mapping[str, Sequence[str]]:
    """Return a card's ``taste_words``. Raises ModelError."""
    kinds = given if isinstance(given, Mapping) else {"": ()}
    lists = [words for words in kinds.values() if isinstance(words, list | tuple)]
    each = [word for words in lists for word in words]
    if len(lists) < len(kinds) or not kinds.keys() <= KINDS.keys():
        raise ModelError(f"{FILE}: taste_words has lists of words for kinds: {', '.join(KINDS)}.")
    if not all(isinstance(word, str) and told_as(word) and len(word) <= LONGEST for word in each):
        raise ModelError(f"{FILE}: taste_words are texts of up to {LONGEST} characters.")
    return {kind: tuple(words) for kind, words in kinds.items()}


def read_card(folder: Path, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the folder's ``atelier.json``, {} without one, with the entries of ``more`` in place of its own.
    Raises ModelError when it isn't a JSON object."""
    return read_json(folder / FILE) | dict(more or {})


def host_file(name: str, cache_dir: Path) -> Path:
    """Return the file of the host's card for the hub's model ``name``, DATA_DIR/cards/owner--name.json. A
    hub model's own folder is the cache, where nobody keeps anything. cache_dir: DATA_DIR/cache."""
    return cache_dir.parent / "cards" / f"{name.replace('/', '--')}.json"


def make_card(family: Family, configs: Mapping[str, Mapping[str, Any]], own: Mapping[str, Any]) -> Card:
    """Return the card of an image model: its family's defaults, then what its configuration says, then
    ``own``. configs: configuration file's folder or stem → JSON. own: the entries of ``atelier.json``;
    unknown ones are ignored. Raises ModelError for an entry of the wrong type or range."""
    draft = {"num_inference_steps": family.draft_steps, "guidance_scale": family.guidance_scale}
    plain = "native_size", "multiple", "num_inference_steps", "guidance_scale", "negative", "samplers"
    entries: dict[str, Any] = {name: getattr(family, name) for name in plain} | {"draft": draft}
    for layer in ({"prompts": family.prompts}, family.adjust(configs), own):
        for key, value in layer.items():  # an entry that is itself an object is merged, not replaced
            entries[key] = {**entries.get(key, {}), **value} if isinstance(value, Mapping) else value
    known = {f.name for f in fields(Card)}
    try:
        entries["draft"] = Draft(**entries["draft"])
        entries["outpaint"] = OutpaintCard(**entries.get("outpaint", {}))
        entries["style"] = StyleCard(**entries.get("style", {}))
        entries["variety"] = VarietyCard(**entries.get("variety", {}))
        for entry, usual in (("variation", VARIATION), ("upscale", UPSCALE)):
            given = entries.get(entry, {})
            entries[entry] = {name: float(given.get(name, strength)) for name, strength in usual.items()}
        return Card(**{k: v for k, v in entries.items() if k in known})
    except (TypeError, KeyError, ValueError) as error:
        raise ModelError(f"{FILE} can't be used: {error}.") from error


def family_of_folder(folder: Path) -> Family:
    """Return the family that ``_class_name`` in model_index.json belongs to, or the last one of ``FAMILIES``.
    Raises ModelError when the folder holds no diffusers pipeline."""
    name = read_json(folder / "model_index.json").get("_class_name")
    if not isinstance(name, str):
        raise ModelError(
            f"{folder.name} isn't an image model: it has no model_index.json that names a pipeline."
        )
    return next((family for family in (*FAMILIES, *EDITORS) if family.has_pipeline(name)), FAMILIES[-1])


def family_of_file(path: Path) -> Family:
    """Return the family that the names of the file's tensors belong to. Raises ModelError when none does.
    Later families are tried first: FLUX.2 has FLUX.1's tensors and more."""
    names = header(path)
    for family in reversed(FAMILIES):
        if any(part in name for part in family.file_keys for name in names):
            return family
    raise ModelError(f"{path.name} is of no family that Atelier can load from one file.")


def family_and_card(path: Path, more: Mapping[str, Any] | None = None) -> tuple[Family, Card]:
    """Return family and card of the image model in folder or file ``path``. more: entries of its card, in
    place of its own. Raises ModelError like the above, or when ``atelier.json`` can't be used."""
    folder = path if path.is_dir() else gguf_folder(path)
    family = family_of_folder(folder) if folder is not None else family_of_file(path)
    folder = folder or config_folder(path)
    if folder is None:
        return family, make_card(family, {}, more or {})
    configs = {p.parent.name: read_json(p) for p in folder.glob("*/config.json")} | {
        "model_index": read_json(folder / "model_index.json"),
        "scheduler": read_json(folder / "scheduler" / "scheduler_config.json"),
        **{name: read_json(part / "config.json") for name, part in shared_parts(folder).items()},
    }
    own = read_card(folder, more)
    if base := own.get("base"):
        if not isinstance(base, str) or not BASE.fullmatch(base):
            raise ModelError(
                f"{FILE}: base is {base!r}; it takes owner/name@ with the commit's 40 hex digits, or the name"
                " of a folder beside the model's."
            )
        own["base"] = base if "/" in base else str(folder.parent / base)
    return family, make_card(family, configs, own)


SHOWN = 8  # unknown words that a note names
LONGEST = 30  # characters of one of them
_APOSTROPHES = "'\u2019"


def vocabulary_words(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield the words of a text in small letters, in any script, and each emoji on its own; with each where
    it begins and ends in the text."""
    begin = None
    for end, c in enumerate(text + " "):
        kind = unicodedata.category(c)
        if kind[0] in "LN" or (begin is not None and (kind[0] == "M" or c in _APOSTROPHES)):
            begin = end if begin is None else begin
            continue
        if begin is not None:
            word = unicodedata.normalize("NFC", text[begin:end]).casefold().rstrip(_APOSTROPHES)
            yield word.removesuffix("'s").removesuffix("\u2019s"), begin, end
        begin = None
        if kind == "So":
            yield c, end, end + 1


def known_words(vocabulary: str) -> frozenset[str]:
    """Return the words of a card's ``vocabulary``, as texts are compared with them."""
    return frozenset(word for word, _, _ in vocabulary_words(vocabulary))


def vocabulary_of(spec: str, cache_dir: Path) -> frozenset[str] | None:
    """Return the words that the image model ``spec`` has learned, none where any word may mean something to
    it; None where it isn't here yet."""
    try:
        folder = hub.find_downloaded(parse(spec), cache_dir)
        words = read_card(folder).get("vocabulary", "") if folder and folder.is_dir() else ""
    except ModelError:  # the worker says what is wrong with it
        return frozenset()
    return None if folder is None else known_words(str(words))


def taste_words_of(spec: str, cache_dir: Path) -> Mapping[str, Sequence[str]]:
    """Return what a taste may add to a prompt for the image model ``spec``; nothing by a wrong card."""
    try:
        source = parse(spec)
        folder = hub.find_downloaded(source, cache_dir)
        own = host_file(source.id, cache_dir)
        more = read_json(own) if source.kind == "hub" else {}
        given = read_card(folder, more) if folder and folder.is_dir() else more
        return check_taste_words(given.get("taste_words", KINDS))
    except ModelError:  # the worker says what is wrong with it
        return {}


def unknown(texts: Iterable[str], vocabulary: str) -> list[str]:
    """Return the words of ``texts`` that aren't in ``vocabulary``, each once; none where that is empty."""
    if not (known := known_words(vocabulary)):
        return []
    return list(dict.fromkeys(w for text in texts for w, _, _ in vocabulary_words(text) if w not in known))


def notes(texts: Iterable[str], vocabulary: str) -> list[str]:
    """Return the sentence that names the unknown words of ``texts``, if there are any."""
    found = unknown(texts, vocabulary)
    return [f"This model knows only some words. It doesn't know: {listed(found)}."] if found else []


def listed(words: Sequence[str]) -> str:
    """Return unknown words as a sentence names them: so many, and not all of a long one."""
    named = ", ".join(word if len(word) <= LONGEST else word[: LONGEST - 1] + "…" for word in words[:SHOWN])
    return named + (f" and {len(words) - SHOWN} more" if len(words) > SHOWN else "")
