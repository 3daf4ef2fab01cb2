"""Turns a parsed prompt into the fields of a request, and a request back into the prompt, for messages,
windows and ``/show``; and adds a member's own settings and options to prompts.

Pictures have numbers in prompts, ``<1>`` for the first, and SHA-256 in requests. Pure; ``storage.members``
keeps the settings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from core.errors import PromptError, UserError
from core.job import Lane
from core.limits import GRID, MAX_SEED, SHEET, Weighted
from core.prompt.parameters import Parameters, VideoParameters, parameters
from core.prompt.parser import (
    BY_NAME,
    MAX_JOBS,
    OF_CHANGES,
    REFERENCES,
    SUPPORTED,
    VIDEO_ONLY,
    VIDEOS_HAVE,
    Prompt,
    expand_sets,
    is_style_code,
    one_sheet,
    parse_prompt,
    split_flags,
)
from core.prompt.values import short
from core.requests import GenerateRequest, ImagineRequest
from core.requests.video import VideoRequest, usual_clips

_SHARED, _VIDEO = parameters(Parameters), parameters(VideoParameters)
_HD, _SD = 720, 480  # px of a video's shorter side that --hd and --sd ask for
NEW_SHEET = "`--sheet` draws new pictures from words with `/imagine`; leave it out here."
_NOT_FOR_VIDEOS = tuple(name for name in (*_SHARED, "taste") if name not in VIDEOS_HAVE)
_OPEN = {
    item.name: item.default
    for item in fields(Prompt)
    if item.name not in ("text", "parts", "choices", "images")
}


def fields_of(prompt: Prompt, pictures: Mapping[str, str] | None = None, *, code: int = 0) -> dict[str, Any]:
    """Return the fields of the request that a prompt asks for; without the seed where it names none.

    pictures: what the prompt calls a picture (link, ``<n>``) → SHA-256. code: the style code of the first
    ``--sref random``; others count on from there. Raises PromptError for a picture that isn't there, and for
    a sheet, which only an /imagine is.
    """
    if prompt.sheet:
        raise PromptError(NEW_SHEET)
    found = pictures or {}
    given = {name: _asked(prompt, name) for name in _SHARED if name != "seed" or prompt.seed is not None}
    given |= {name: _named(getattr(prompt, name), found) for name in REFERENCES}
    images = _named(prompt.images, found)
    start = int(bool(images) and prompt.strength is not None)  # whether the first is what to start from
    width, height = prompt.size or (None, None)
    return given | {
        "prompt": prompt.text,
        "prompt_parts": prompt.parts,
        "width": width,
        "height": height,
        "style_codes": _codes(prompt.style_references, code),
        "image": images[0][0] if start else None,
        "image_prompts": images[start:],
        "unsupported": (*prompt.unsupported, *_typed(prompt, ("video", *VIDEO_ONLY, *OF_CHANGES))),
    }


def imagine_fields_of(
    prompt: Prompt, pictures: Mapping[str, str] | None = None, *, code: int = 0
) -> dict[str, Any]:
    """Return the same for an /imagine: a grid of pictures, or a sheet of drafts, of which each has a style of
    its own where a random one is asked for."""
    styles = prompt.style_references
    each = prompt.sheet and any(what == "random" for what, _ in styles)
    kept = tuple(pair for pair in styles if pair[0] != "random") if each else styles
    given = fields_of(replace(prompt, sheet=False, choices=(), style_references=kept), pictures, code=code)
    given |= {"num_images": SHEET if prompt.sheet else GRID, "choices": prompt.choices}
    given["taste"] = prompt.taste
    given |= {"sheet_styles": tuple((code + i) % (MAX_SEED + 1) for i in range(SHEET)) if each else ()}
    return given | ({"draft": True} if prompt.sheet else {})


def change_fields_of(
    prompt: Prompt, pictures: Mapping[str, str] | None = None, *, code: int = 0
) -> dict[str, Any]:
    """Return the same for a change of the pictures that ``--edit`` names: one new picture, unless ``--n``
    says more."""
    given = fields_of(prompt, pictures, code=code)
    first, *others = (sha256 for sha256, _ in _named(prompt.edit, pictures or {}))
    return given | {
        "image": first,
        "images": tuple(others),
        "num_images": prompt.count or 1,
        "unsupported": (*without_changes(prompt, given["unsupported"]), *_typed(prompt, ("taste",))),
    }


def without_changes(prompt: Prompt, unsupported: Sequence[str]) -> tuple[str, ...]:
    """Return what has no effect on a change by words: not what says how many pictures it makes."""
    typed = _typed(prompt, OF_CHANGES)
    return tuple(one for one in unsupported if one not in typed)


def video_fields_of(
    prompt: Prompt, pictures: Mapping[str, str] | None = None, operation: str = "new"
) -> dict[str, Any]:
    """Return the same for a video that is made by ``operation``. What has no effect on videos is kept as
    unsupported.

    Raises PromptError for a picture that isn't there, and for several to start from.
    """
    if prompt.sheet:
        raise PromptError(NEW_SHEET)
    found = pictures or {}
    given = {name: _asked(prompt, name) for name in VIDEOS_HAVE if name != "seed" or prompt.seed is not None}
    given |= {name: getattr(prompt, name) for name in _VIDEO}
    if prompt.hd is not None and prompt.resolution is None:
        given["resolution"] = _HD if prompt.hd else _SD
    images = _named(prompt.images, found)
    if len(images) > 1:
        raise PromptError(
            f"There are {len(images)} pictures; a video starts from one. Name its last one with `--end <2>`."
        )
    end = _named(((prompt.end, 1.0),) if prompt.end else (), found)
    width, height = prompt.size or (None, None)
    return given | {
        "hd": None,
        "prompt": prompt.text,
        "prompt_parts": prompt.parts,
        "width": width,
        "height": height,
        "image": images[0][0] if images else None,
        "end_image": end[0][0] if end else None,
        "num_images": prompt.clips or usual_clips(given["resolution"], operation),
        "unsupported": (*prompt.unsupported, *_typed(prompt, (*_NOT_FOR_VIDEOS, *OF_CHANGES))),
    }


def _typed(prompt: Prompt, names: Sequence[str]) -> tuple[str, ...]:
    """Return the flags of a prompt that set these fields, as they are typed."""
    named = [(flag, getattr(prompt, flag.field)) for flag in SUPPORTED if flag.field in names]
    return tuple(flag.typed(value) for flag, value in named if flag.value.writes(value))


def prompt_of(request: GenerateRequest, *, seed: bool = False) -> Prompt:
    """Return the prompt as the request's author would type it, without what the model chose.

    ``<n>`` in it is the n-th of ``references``. seed: with ``--seed``.
    """
    numbers = {sha256: f"<{n}>" for n, sha256 in enumerate(references(request), 1)}
    given = {name: getattr(request, name) for name in _SHARED}
    given |= {name: _numbered(given[name], numbers) for name in REFERENCES}
    given["style_references"] += tuple((str(code), weight) for code, weight in request.style_codes)
    given["seed"] = request.seed if seed else None
    if isinstance(request, ImagineRequest):
        given["taste"] = request.taste
    if isinstance(request, VideoRequest):
        given |= {name: getattr(request, name) for name in _VIDEO}
        usual = request.num_images == usual_clips(request.resolution, request.operation)
        given["clips"] = None if usual else request.num_images
    if isinstance(request, ImagineRequest) and request.is_sheet:
        given |= {"sheet": True, "draft": False, "choices": request.choices}
        given["style_references"] += (("random", 1.0),) if request.sheet_styles else ()
    return Prompt(
        text=request.prompt,
        parts=request.prompt_parts,
        images=_numbered(_start(request) + request.image_prompts, numbers),
        size=(request.width, request.height) if request.width and request.height else None,
        **given,
    )


def references(request: GenerateRequest) -> tuple[str, ...]:
    """Return the SHA-256 of the pictures that the request's words can name, in the order of their numbers.

    The picture that it varies or extends isn't among them.
    """
    named = [*_start(request), *request.image_prompts]
    named += [pair for name in REFERENCES for pair in getattr(request, name)]
    return tuple(dict.fromkeys(sha256 for sha256, _ in named))


def numbered_plainly(words: str) -> str:
    """Return words for a change of several pictures in which ``<2>`` is "picture 2": a prompt takes ``<2>``
    out of its words."""
    return re.sub(r"<([1-4])>", r"picture \1", words)


def numbered(pictures: tuple[str, ...]) -> dict[str, str]:
    """Return the pictures by their numbers: ``<n>`` → SHA-256."""
    return {f"<{n}>": sha256 for n, sha256 in enumerate(pictures, 1)}


def with_defaults(prompt: Prompt, defaults: Prompt) -> Prompt:
    """Return ``prompt`` with what it leaves open taken from ``defaults``.

    Of the defaults' own words only those after ``--no`` are used, besides the prompt's.
    """
    taken = {name: getattr(defaults, name) for name, value in _OPEN.items() if getattr(prompt, name) == value}
    if prompt.size or prompt.aspect_ratio:
        taken = {name: value for name, value in taken.items() if name not in ("size", "aspect_ratio")}
    unwanted = (prompt.negative_prompt, defaults.negative_prompt)
    return replace(prompt, **taken | {"negative_prompt": ", ".join(words for words in unwanted if words)})


def _asked(prompt: Prompt, name: str) -> Any:
    value = getattr(prompt, name)
    return None if value == _SHARED[name].unset else value


def _start(request: GenerateRequest) -> Weighted:
    """The picture that an /imagine starts from, as the first of its prompt."""
    return ((request.image, 1.0),) if request.kind == "imagine" and request.image else ()


def _codes(references: Weighted, first: int) -> tuple[tuple[int, float], ...]:
    codes = []
    for what, weight in references:
        if what == "random":
            codes.append((first % (MAX_SEED + 1), weight))
            first += 1
        elif what.isdigit():
            codes.append((int(what), weight))
    return tuple(codes)


def _named(weighted: Weighted, pictures: Mapping[str, str]) -> Weighted:
    """The pictures among ``weighted`` by their SHA-256."""
    named = tuple((what, weight) for what, weight in weighted if not is_style_code(what))
    for what, _ in named:
        if what not in pictures:
            known = ", ".join(name for name in pictures if name.startswith("<")) or "you attached none"
            raise PromptError(f"There is no picture `{short(what)}`: {known}.")
    return tuple((pictures[what], weight) for what, weight in named)


def _numbered(weighted: Weighted, numbers: Mapping[str, str]) -> Weighted:
    return tuple((numbers[sha256], weight) for sha256, weight in weighted)


MAX_OPTIONS = 20  # https://docs.midjourney.com/hc/en-us/articles/32894521590669-Discord-Command-List
DASHES = "-\u2014\u2013"  # that a flag begins with, braces written out
MAX_VALUE = 1000  # characters of an option, and of the suffix
STYLIZE = {"low": 50, "med": 100, "high": 250, "very high": 750}  # Midjourney's four buttons
_RENAMED = {"stealth": "private"}  # fields of rows that older versions stored
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")


@dataclass(frozen=True, kw_only=True)
class Preferences:
    """A member's settings; None = not chosen.

    strong: V varies strongly, else subtly. suffix: flags that are added to each new prompt, in the place of
    stylize, raw, model and version. sticky: the codes of the last --sref are used again. adult: they say that
    they are of age, and see on the web what age-restricted channels have made. shown_away: others see what
    they ask for where the bot isn't. language: a code of ``core.language``, "" = as Discord or the browser
    says.
    """

    lane: Lane | None = None
    private: bool = False
    remix: bool = False
    strong: bool = True
    auto_dm: bool = False
    raw: bool = False
    stylize: int | None = None
    model: str | None = None
    version: str | None = None
    suffix: str = ""
    sticky: bool = False
    adult: bool = False
    shown_away: bool = False
    taste: bool = True
    language: str = ""
    not_so: tuple[str, ...] = ()

    @property
    def defaults(self) -> Prompt:
        """The settings as a prompt without words, for ``core.convert.with_defaults``."""
        own = (
            parse_prompt(self.suffix)
            if self.suffix
            else Prompt(raw=self.raw, stylize=self.stylize, model=self.model, version=self.version)
        )
        return with_defaults(own, Prompt(lane=self.lane, private=self.private or None))

    @classmethod
    def of_json(cls, text: str) -> Preferences:
        """Return the preferences that ``to_json`` wrote in any version; unknown fields are left out."""
        known = {f.name for f in fields(cls)}
        stored = {_RENAMED.get(name, name): value for name, value in json.loads(text).items()}
        data = {name: value for name, value in stored.items() if name in known}
        lane = Lane(data["lane"]) if data.get("lane") else None
        return cls(**data | {"lane": lane, "not_so": tuple(data.get("not_so", ()))})

    def to_json(self) -> str:
        """Return the settings that differ from the defaults, as a JSON object."""
        return json.dumps(
            {name: value for name, value in asdict(self).items() if value != getattr(Preferences(), name)},
            ensure_ascii=False,
        )

    def changed(self, **values: Any) -> Preferences:
        """Return a copy with these settings changed."""
        return replace(self, **values)


def check_suffix(text: str) -> str:
    """Return ``text`` in single spaces.

    Raises PromptError for a wrong flag and for anything but flags, UserError for a text that is too long.
    """
    text = " ".join(text.split())
    if len(text) > MAX_VALUE:
        raise UserError(f"The suffix has {len(text):,} characters; up to {MAX_VALUE:,} fit.")
    prompt = parse_prompt(text)
    named = prompt.text or prompt.parts or prompt.images or prompt.pictures
    if named or prompt.video or prompt.sheet or prompt.seed is not None:
        raise PromptError(
            "A suffix takes only flags, such as `--ar 3:2 --s 250`: no words, pictures, --video, --sheet or"
            " --seed. Save words with `/prefer option set` instead."
        )
    return text


def check_option(name: str, value: str | None) -> tuple[str, str]:
    """Return (name in small letters, value in single spaces); an empty value removes the option.

    Raises UserError for a name that can't be one or a value that is too long, PromptError for a wrong flag.
    """
    name = name.strip().lower().lstrip("-\u2014\u2013")
    if not _NAME.fullmatch(name):
        raise UserError(
            f"`{short(name)}` can't be a name; it takes up to 32 small letters, digits, `-` and `_`, a letter"
            " first."
        )
    if name in BY_NAME:
        raise UserError(f"`--{name}` is already a flag; choose another name.")
    value = " ".join((value or "").split())
    if len(value) > MAX_VALUE:
        raise UserError(f"The value has {len(value):,} characters; up to {MAX_VALUE:,} fit.")
    if value and "{" not in value:
        parse_prompt(value)
    return name, value


def may_name_options(source: str) -> bool:
    """Return whether ``source`` can have a flag, and with it an own option; plain words can't."""
    return any(dash in source for dash in DASHES)


def spell_out(source: str, options: Mapping[str, str]) -> str:
    """Return ``source`` with own options written out: flags in their place, words behind the prompt's."""
    body, typed = split_flags(source, options)
    if not any(flag.name in options for flag in typed):
        return source
    words, flags = [body], []
    for flag in typed:
        if flag.name in options:
            own_words, own_flags = split_flags(options[flag.name])
            words.append(own_words)
            flags += ["".join(own.typed + own.text for own in own_flags), flag.text]
        else:
            flags.append(flag.typed + flag.text)
    pieces = (piece.strip() for piece in (*words, *flags))
    return " ".join(piece for piece in pieces if piece)


def prompts_of(
    source: str, options: Mapping[str, str], limit: int = MAX_JOBS, faults: list[str] | None = None
) -> list[Prompt]:
    """Return every prompt that ``source`` stands for: sets in braces and own options are written out.

    ``--repeat`` isn't, but counts. faults: as ``parse_prompt`` takes them. Raises PromptError for more than
    ``limit`` jobs.
    """
    found = []
    for written_out in expand_sets(source, limit):
        with_options = spell_out(written_out, options)
        texts = expand_sets(with_options, limit) if with_options != written_out else [written_out]
        found += [parse_prompt(text, faults) for text in texts]
    if len(found) > 1 and any(prompt.sheet for prompt in found):
        found = [one_sheet(found)]
    jobs = sum(prompt.repeat or 1 for prompt in found)
    if jobs > limit:
        raise PromptError(
            f"Sets in braces and `--repeat` make {jobs} jobs together; the limit is {limit} at once."
        )
    return found
