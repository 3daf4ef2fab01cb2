"""The page of what members can do with each profile.

Nothing is typed by hand: which family a profile's models belong to follows from their repositories'
configurations (``tools/architectures.json``) or, of the demo's, from their folders; what a family can, from
``vision.families``, from the recipes of styles and from what the chat model's layers are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from core.profiles import PACKAGED, PROFILES
from core.settings import ROOT, Settings, load_settings
from tools.docs.markdown import code, page, table
from vision.chat.model import JOINED_LAYERS
from vision.families import EDITORS, FAMILIES, Family
from vision.lora_training.config import LARGE, MOST, transformer_memory, usual_settings
from vision.lora_training.families import RECIPES
from vision.video.families import FAMILIES as VIDEO_FAMILIES
from vision.video.families import Operation
from vision.weights import card as cards
from vision.weights import files, memory

INTRO = """\
`MODEL_PROFILE` names a set of models for a card. `demo` needs no card; `small` is for 8 GB, `medium` \
for 12, `large` for 16 and `xlarge` for 24. Each model is pinned to a commit. A setting of your own \
replaces a part of the profile, and *none* leaves it out. A model is downloaded when it is first needed. \
[Choose models](../host/choose-models.md) helps to decide."""
ARCHITECTURES = ROOT / "tools" / "architectures.json"
YES, PARTLY, NO = "yes", "partly", "no"


@dataclass(frozen=True)
class Answer:
    """Whether something can be done, and how, or why not."""

    what: str
    how: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.how}" if self.how else self.what


@dataclass(frozen=True)
class Drawer:
    """A model that draws. flag: how a prompt names it, "" = it needn't be named."""

    flag: str
    family: Family
    card: cards.Card

    @property
    def is_guided(self) -> bool:
        """Whether its usual drawing goes away from a negative prompt."""
        return self.card.negative == "true_cfg" or (
            self.card.negative == "prompt" and self.card.guidance_scale > 1
        )


def configurations(spec: str) -> dict[str, Any]:
    """Return what ``tools/architectures.json`` has of a hub's model, else {}."""
    known = json.loads(ARCHITECTURES.read_text(encoding="utf-8")).values()
    name = files.parse(spec).name
    return next((one for one in known if one["repository"] == name), {})


def drawer(spec: str, flag: str = "") -> Drawer:
    """Return the family and card of a model by its spec. Raises KeyError for a hub's model without a
    configuration."""
    source = files.parse(spec)
    if source.path is not None:
        return Drawer(flag, *cards.family_and_card(source.path))
    known = configurations(spec)
    families = [one for one in (*FAMILIES, *EDITORS) if one.has_pipeline(known["pipeline"])]
    family = (families or [FAMILIES[-1]])[0]
    configs: dict[str, Any] = {name: part["config"] for name, part in known["parts"].items()}
    return Drawer(flag, family, cards.make_card(family, configs | {"model_index": known["settings"]}, {}))


class Profile:
    """A profile's models, and what follows from them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.settings: Settings = load_settings({"MODEL_PROFILE": name}, Path("/nowhere"))
        extras = {**PACKAGED, "ocr": "rapidocr"}  # `make setup` and the container bring them
        self.models = {**self.settings.models, **extras}

    @cached_property
    def drawers(self) -> Sequence[Drawer]:
        """The image models, the usual one first."""
        others = self.settings.image_models.items()
        named = [drawer(spec, f"`--model {name}`") for name, spec in others]
        return [drawer(self.models["image"]), *named]

    @cached_property
    def scores(self) -> bool:
        """Whether the chat model tells how likely answers are, which rules in sentences need."""
        if "ask" not in self.models:
            return False
        path = files.parse(self.models["ask"]).path
        config = configurations(self.models["ask"]).get("config") if path is None else None
        text = (config or files.read_json((path or ROOT) / "config.json")).get("text_config", {})
        return set(text.get("layer_types") or ["full_attention"]) <= JOINED_LAYERS

    def by_drawer(self, can: Callable[[Drawer], bool], why: str, otherwise: str = NO) -> Answer:
        """Return yes where the usual model can, else which others can, or ``why`` none does."""
        usual, *others = self.drawers
        if can(usual):
            return Answer(YES)
        able = [one.flag for one in others if can(one)]
        return Answer(PARTLY, ", ".join(able)) if able else Answer(otherwise, why)

    def by_role(self, role: str, why: str, otherwise: str = NO) -> Answer:
        """Return yes where the profile has a model for ``role``."""
        return Answer(YES) if role in self.models else Answer(otherwise, why)


def references(profile: Profile) -> Answer:
    """Return whether pictures can be shown beside the words."""
    usual = profile.drawers[0].family
    if usual.references:
        return Answer(YES, f"up to {usual.references}")
    return Answer(PARTLY, "drawing begins at their mean" + (", or by `IP_ADAPTER`" if usual.adapts else ""))


def videos(profile: Profile) -> Answer:
    """Return which videos there are."""
    if "video" not in profile.models:
        return Answer(PARTLY, "sketches by the image model")
    name = configurations(profile.models["video"])
    index = {"_class_name": name["pipeline"], **name["settings"]}
    parts = {part: one["config"] for part, one in name["parts"].items()}
    family = next(one for one in VIDEO_FAMILIES if one.belongs(index, parts))
    refused = [one for one in Operation if one in family.refusals]
    if Operation.WORDS in refused or Operation.FIRST in refused:
        return Answer(PARTLY, f"{family.title}, not {', '.join(refused)}")
    return Answer(YES, family.title + (f"; not {', '.join(refused)}" if refused else ""))


def keeps_shapes(profile: Profile) -> Answer:
    """Return how the editor keeps shapes and changes the look."""
    able = [one for one in profile.drawers if one.family.adapts]
    how = "image-to-image"
    if able:
        named = f" for {able[0].flag}" if able[0].flag else ""
        how += f"; `CONTROLNET_MODEL`{named} keeps edges"
    return Answer(PARTLY, how)


CARDS = {"small": 8, "medium": 12, "large": 16, "xlarge": 24}  # profile → GiB of its card
TAKEN = 0.6  # of them by the driver and torch itself


def learns(profile: Profile) -> Answer:
    """Return whether a style can be taught, and how the model that learns is held on the profile's card."""
    usual = profile.drawers[0]
    if usual.family.name not in RECIPES:
        return Answer(NO, f"{usual.family.title} has no recipe")
    if profile.name not in CARDS:
        return Answer(YES)
    part = configurations(profile.models["image"])["parts"]["transformer"]  # its base has the same shapes
    config, settings = part["config"] | {"_class_name": part["class"]}, usual_settings("style", MOST, LARGE)
    card = (CARDS[profile.name] - TAKEN) * 2**30
    for kind, each in {"off": 2.0, **memory.QUANTIZED}.items():
        needed = transformer_memory(config, settings, 2, round(each * part["weights"]))
        if kind != "fp8" and usual.card.base and needed and needed.total <= card:
            return Answer(YES, "" if kind == "off" else f"its base in {kind}")
    return Answer(PARTLY, "where the card holds it in 16 bits")


UNGUIDED = "its models draw without guidance"
ROWS: Mapping[str, Callable[[Profile], Answer]] = {
    "pictures from words (`/imagine`)": lambda p: p.by_drawer(lambda d: bool(d.family.text), "none draws"),
    "vary, upscale, zoom, pan": lambda p: p.by_drawer(lambda d: bool(d.family.image), "no image-to-image"),
    "a part that is marked (`/region`, the editor)": lambda p: p.by_drawer(
        lambda d: bool(d.family.inpaint), "no inpainting"
    ),
    "a part that is named by words": lambda p: p.by_role("segment", "CLIP finds it, less precisely", PARTLY),
    "changes by words (`/edit`)": lambda p: p.by_role("edit", "no model edits"),
    "pictures as references": references,
    "blend": lambda p: p.by_role("caption", "no words for the pictures", PARTLY),
    "questions about pictures (`/ask`)": lambda p: p.by_role("ask", "no chat model"),
    "rules in sentences (`/moderation`)": lambda p: (
        Answer(YES) if p.scores else Answer(NO, "no chat model that scores answers")
    ),
    "teach by examples (`/examples`)": lambda p: (
        Answer(YES) if p.scores else Answer(PARTLY, "by what CLIP sees alone")
    ),
    "text in pictures (`/read`)": lambda p: p.by_role("ocr", "nothing reads"),
    "prompts for a picture (`/describe`)": lambda p: p.by_role("caption", "no captioner"),
    "what it shows (`/classify`), and why": lambda p: p.by_role("vit", "no classifier"),
    "words that matter (`/shorten`), search": lambda p: p.by_role("clip", "no CLIP"),
    "cut out (`/cutout`)": lambda p: p.by_role("cutout", "nothing cuts"),
    "videos (`/video`)": videos,
    "weights (`a::2 b`), `--chaos`, `--weird`": lambda p: p.by_drawer(
        lambda d: d.family.encode is not None, "its models read one sentence"
    ),
    "`--sref` with a number": lambda p: (
        Answer(YES)
        if p.drawers[0].family.encode is not None
        else Answer(PARTLY, "its words are added, without a weight")
    ),
    "`--no`": lambda p: p.by_drawer(lambda d: d.is_guided, UNGUIDED),
    "`--stylize`": lambda p: p.by_drawer(
        lambda d: d.card.guidance_scale > 1 or bool(d.card.style.words or d.card.style.lora), UNGUIDED
    ),
    "`--exp`": lambda p: p.by_drawer(lambda d: d.card.guidance_scale > 1, UNGUIDED),
    "`--sampler`": lambda p: p.by_drawer(lambda d: d.card.samplers == "any", "they have their own"),
    "`--tile`": lambda p: p.by_drawer(lambda d: d.family.unpack is not None, "they decode themselves"),
    "`--lora`": lambda p: p.by_drawer(lambda d: d.family.shares_steps, "their family isn't known"),
    "teach a style (`/style`)": learns,
    "keep shapes, change the look": keeps_shapes,
    "models of one's own (`/inspect`)": lambda p: p.by_role("clip", "no CLIP"),
}


def answers() -> dict[str, dict[str, Answer]]:
    """Return row → profile → whether it can be done there."""
    profiles = [Profile(name) for name in PROFILES]
    return {row: {profile.name: ask(profile) for profile in profiles} for row, ask in ROWS.items()}


def profiles_page() -> str:
    """Return the page."""
    settings = list(dict.fromkeys(name for models in PROFILES.values() for name in models))
    models = [(code(name), *(_shown(PROFILES[one].get(name, "")) for one in PROFILES)) for name in settings]
    abilities = [(row, *(found[name] for name in PROFILES)) for row, found in answers().items()]
    names = [code(name) for name in PROFILES]
    return page(
        "Profiles",
        INTRO,
        "## Models",
        table(("setting", *names), models),
        "## What members can do\n\n*Partly* comes with what there is instead.",
        table(("what", *names), abilities),
    )


def _shown(models: str) -> str:
    """The models of a setting, without their commits."""
    names = (files.parse(one.rpartition("=")[2]) for one in models.split(",") if one)
    return "<br>".join(code(name.path.name if name.path else name.name) for name in names)
