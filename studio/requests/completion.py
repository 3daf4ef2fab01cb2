"""What is offered while a prompt is typed, and told before it is sent: prompts that go on from it, words that
its model has never learned, and flags that are wrong or have no effect here."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.errors import ModelError, PromptError
from core.limits import MAX_PROMPT
from core.profiles import DEMO, conditions
from core.prompt.parameters import NIJI, SAMPLERS, VERSIONS
from core.prompt.parser import (
    BY_NAME,
    FLAGS,
    REFERENCES,
    VIDEO_ONLY,
    Prompt,
    TypedFlag,
    blank_marks,
    is_told,
    parse_prompt,
    split_flags,
    why_unsupported,
)
from core.prompt.values import closest
from core.settings import Settings
from storage.members import Members
from studio.authority import Actor
from studio.projects.inference import configured
from studio.requests.prompts import model_of_version, pictures_by_number, remix_text
from vision.weights import card, files, hub


@dataclass(frozen=True)
class Hints:
    """Words of the demo world, from the pack's own ``examples.json``; empty with other models."""

    objects: tuple[str, ...] = ()
    colours: tuple[str, ...] = ()
    backgrounds: tuple[str, ...] = ()
    styles: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> Hints:
        """Return the hints of the demo pack if the settings name its image model, else empty ones."""
        path = DEMO / "examples.json"
        if settings.models["image"] != str(DEMO / "stable-diffusion") or not path.is_file():
            return cls()
        data = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{name: tuple(data.get(name, ())) for name in cls.__dataclass_fields__})

    def text(self) -> str:
        """Return a word about the demo models, with examples to try."""
        examples = "\n".join(f"> /imagine {text}" for text in self.prompts[:3])
        return (
            "**A word about the demo models.** They are tiny, run anywhere, and draw simple scenes"
            f" only:\n**objects** {', '.join(self.objects)}\n**colours**"
            f" {', '.join(self.colours)}\n**places**"
            f" {', '.join(b for b in self.backgrounds if ' ' not in b)}, or any colour as"
            f" background\n**styles** {', '.join(self.styles)}\nOther words spoil a picture; its message"
            f" names them. Try:\n{examples}"
        )


MOST = 25  # suggestions
Tells = Callable[[Actor], Awaitable[list[str]]]
SHAPES = ("1:1", "3:2", "2:3", "4:3", "3:4", "16:9", "9:16", "4:5", "5:4", "2:1", "1:2", "21:9")
VALUES: dict[str, tuple[str, ...]] = {
    "ar": SHAPES,
    "aspect": SHAPES,
    "sampler": SAMPLERS,
    "v": VERSIONS[::-1],
    "version": VERSIONS[::-1],
    "niji": NIJI[::-1],
    "style": ("raw",),
    "q": ("0.25", "0.5", "1", "2", "4"),
    "quality": ("0.25", "0.5", "1", "2", "4"),
    "s": ("50", "100", "250", "750"),
    "stylize": ("50", "100", "250", "750"),
    "chaos": ("0", "25", "50", "100"),
    "c": ("0", "25", "50", "100"),
    "sref": ("random",),
}
_END = re.compile(
    r"(?P<before>.*)(?<!\S)(?:--|—)(?:(?P<flag>[A-Za-z]+) +(?P<value>\S*)|(?P<name>[A-Za-z0-9_-]*))$",
    re.DOTALL,
)


@dataclass(frozen=True)
class Mark:
    """A part of a prompt that won't do what its author may think, from character ``begin`` to ``end``.

    kind: "word" that the model has never learned; "flag" without effect here; "fault", for which the prompt
    would be refused. why: a sentence; empty for words. instead: known words that may be meant.
    grows: it may be the beginning of a known word.
    """

    begin: int
    end: int
    kind: Literal["word", "flag", "fault"]
    text: str
    why: str = ""
    instead: tuple[str, ...] = ()
    grows: bool = False


@dataclass(frozen=True)
class ImageModel:
    """An image model to choose among. name: what ``--model`` takes. usual: what draws the member's prompts
    that name none. about: a few words, "" where nothing is known. seconds: how long four pictures take here,
    None while nobody has asked it for any."""

    name: str
    usual: bool
    about: str
    seconds: float | None


class Completion:
    """Suggests whole prompts for the beginning of one, and marks what in one has no effect. styles: tells
    which of those that members have made somebody may use. cache_dir: where models that were fetched lie."""

    def __init__(
        self, members: Members, settings: Settings, hints: Hints, styles: Tells, cache_dir: Path
    ) -> None:
        self._members, self._settings, self._hints = members, settings, hints
        self._styles, self._cache_dir = styles, cache_dir
        self._known: dict[str, frozenset[str]] = {}  # by the spec of a model
        self._prompts: dict[str, tuple[str, ...]] = {}

    async def prompts(self, actor: Actor, current: str, longest: int) -> list[str]:
        """Return at most MOST prompts of at most ``longest`` characters that go on from ``current``."""
        current = current[:MAX_PROMPT].lstrip()
        if not current:
            jobs = await self._members.recent(actor.user_id, limit=15)
            # without those that name pictures by number: the numbers would name nothing
            recent = [remix_text(job) for job in jobs if not pictures_by_number(job)]
            texts = list(dict.fromkeys((*recent, *await self.examples(actor))))
        elif end := _END.match(current):
            texts = await self._endings(actor, end)
        else:
            texts = []
        if current in texts:
            return []
        return [text for text in texts if 0 < len(text) <= longest][:MOST]

    async def _endings(self, actor: Actor, end: re.Match[str]) -> list[str]:
        before, flag = end["before"], end["flag"]
        if flag:
            value = end["value"].lower()
            match flag.lower():
                case "model":
                    settings = self._settings
                    values = [*(settings.video_choices if "--video" in before else settings.image_models)]
                case "lora":
                    values = [*self._settings.loras, *await self._styles(actor)]
                case name:
                    values = [*VALUES.get(name, ())]
            return [f"{before}--{flag} {v}" for v in values if v.lower().startswith(value)]
        own = await self._members.options(actor.user_id)
        names = [*own, *(flag.name for flag in FLAGS if not flag.unsupported)]
        return [f"{before}--{name}" for name in names if name.startswith(end["name"].lower())]

    async def image_models(
        self, actor: Actor, seconds: Callable[[str | None], float | None]
    ) -> list[ImageModel]:
        """Return what the member's prompts may be drawn by. seconds: how long a named model of the host's
        takes, or the studio's own (None), which has no name to type: it is left out where the member's
        settings name another."""
        named, defaults = (
            self._settings.image_models,
            (await self._members.preferences(actor.user_id)).defaults,
        )
        usual = defaults.model or model_of_version(defaults.version, named)
        specs: dict[str | None, str] = {} if usual else {None: self._settings.models["image"]}
        found = []
        for name, spec in (specs | {**named}).items():
            maker, _, model = files.parse(spec).name.rpartition("/")
            words = len(self._known_to(name))
            told = (
                model if name and name.lower() != model.lower() else "",
                f"by {maker}" if maker else "",
                f"knows {words} words and no others" if words else "",
                conditions(f"{maker}/{model}"),
            )
            about = ", ".join(part for part in told if part)
            found.append(ImageModel(name or model, name == usual, about, seconds(name)))
        return found

    async def marks(self, actor: Actor, source: str) -> list[Mark]:
        """Return what in a prompt means nothing to its model, has no effect, or is refused, in its order."""
        source = source[:MAX_PROMPT]
        body, flags = split_flags(source)
        own = await self._members.options(actor.user_id) if flags else {}
        found, at, video = list[Mark](), len(body), any(flag.name == "video" for flag in flags)
        texts, model = [(0, body)], None
        for flag in flags:
            begin, text = at, flag.typed + flag.text
            at += len(text)
            if flag.name in own or "{" in source:  # a set may hold half a flag
                continue
            field = BY_NAME[flag.name].field if flag.name in BY_NAME else ""
            if field == "negative_prompt":
                texts.append((begin + len(flag.typed), flag.text))
            try:
                faults: list[str] = []
                prompt = parse_prompt(f"a {text}", faults)
                model = model or prompt.model or model_of_version(prompt.version, self._settings.image_models)
                why = " ".join(faults)
                kind: Literal["flag", "fault"] = "fault"
                if flag.name not in BY_NAME and is_told(flag.name, flags):
                    why, kind = why_unsupported(flag.name), "flag"
                elif not why:
                    why, kind = await self._without_effect(actor, flag, field, prompt, video=video), "flag"
            except PromptError as error:
                why, kind = str(error), "fault"
            if why:
                found.append(Mark(begin, begin + len(text.rstrip()), kind, text.strip(), why))
        known = frozenset[str]() if video else self._known_to(model)
        words = [mark for place, text in texts for mark in self._words(place, text, known)]
        return sorted((*words, *found), key=lambda mark: mark.begin)

    async def _without_effect(
        self, actor: Actor, flag: TypedFlag, field: str, prompt: Prompt, *, video: bool
    ) -> str:
        """Return why a flag has no effect here, "" if it has one. Raises PromptError for a name of the host's
        that there isn't."""
        if prompt.unsupported:
            return why_unsupported(prompt.unsupported[0], video=video)
        links = any(name.lower().startswith("http") for name in prompt.pictures)
        off = prompt.taste and not (
            self._settings.taste and (await self._members.preferences(actor.user_id)).taste
        )
        if off or (field in REFERENCES and links) or (field in VIDEO_ONLY and not video):
            return why_unsupported(f"{flag.typed} {flag.text}".replace("=", " ").strip(), video=video)
        models = self._settings.video_choices if video else self._settings.image_models
        if prompt.model:
            configured("model", prompt.model, models)
        if prompt.version and model_of_version(prompt.version, models) is None:
            return "not installed here; the default model is used"
        styles = {name: name for name in await self._styles(actor)} if prompt.loras else {}
        for name, _ in prompt.loras:
            configured("LoRA", name, {**self._settings.loras, **styles})
        return ""

    async def examples(self, actor: Actor) -> tuple[str, ...]:
        """Return prompts to begin with, for the model that draws the member's: of its card; none where that
        has none, or the model isn't here yet."""
        named = self._settings.image_models
        defaults = (await self._members.preferences(actor.user_id)).defaults
        usual = defaults.model or model_of_version(defaults.version, named)
        spec = named.get(usual or "") or self._settings.models["image"]
        if self._hints.prompts and spec == self._settings.models["image"]:
            return self._hints.prompts
        if spec not in self._prompts:
            source = files.parse(spec)
            try:
                if (path := hub.find_downloaded(source, self._cache_dir)) is None:
                    return ()
                own = card.host_file(source.id, self._cache_dir)
                more = files.read_json(own) if source.kind == "hub" else {}
                self._prompts[spec] = card.family_and_card(path, more)[1].prompts
            except ModelError:  # the worker says what is wrong with it
                self._prompts[spec] = ()
        return self._prompts[spec]

    def _words(self, place: int, text: str, known: frozenset[str]) -> Iterator[Mark]:
        """Yield the words of a text that aren't ``known``. place: where the text begins in its prompt."""
        told, drawn = set[str](), (*self._hints.objects, *self._hints.colours)
        for word, begin, end in card.vocabulary_words(blank_marks(text)) if known else ():
            if word in known:
                continue
            told.add(word)
            near = [one for one in (word.removesuffix("s"), word.removesuffix("es")) if one in known]
            if not near and len(told) <= card.SHOWN:
                alike = [[one for one in some if one[0] == word[0]] for some in (drawn, known)]
                near = [one for one in (closest(word, some, 0.75) for some in alike) if one]
            grows = any(one.startswith(word) for one in known)
            instead = tuple(near[:1])
            yield Mark(place + begin, place + end, "word", text[begin:end], "", instead, grows)

    def _known_to(self, model: str | None) -> frozenset[str]:
        """Return the words that the host's image model ``model`` (None = the usual) has learned; none where
        any word may mean something to it."""
        spec = self._settings.image_models.get(model or "") or self._settings.models["image"]
        if spec not in self._known:
            if (words := card.vocabulary_of(spec, self._cache_dir)) is None:
                return frozenset()  # not here yet
            self._known[spec] = words
        return self._known[spec]

    def told(self, marks: Sequence[Mark]) -> str:
        """Return what is to be said of words that the model has never learned, with those it has; "" if it
        has learned all."""
        words = list(dict.fromkeys(mark.text for mark in marks if mark.kind == "word"))
        if not words:
            return ""
        known = f" It draws {', '.join(self._hints.objects)}." if self._hints.objects else ""
        return f"This model has never learned: {card.listed(words)}.{known}"
