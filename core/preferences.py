"""A member's settings for all their prompts, and their own options. Pure; ``storage.members`` keeps them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from core.errors import PromptError, UserError
from core.grammar.flags import BY_NAME
from core.grammar.permutations import MAX_JOBS, expand_sets
from core.grammar.prompt import Prompt, parse_prompt, split_flags
from core.grammar.spelling import short
from core.job import Lane
from core.wording import with_defaults

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
    they are of age, and see on the web what age-restricted channels have made.
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

    @property
    def defaults(self) -> Prompt:
        """The settings as a prompt without words, for ``core.wording.with_defaults``."""
        own = (
            parse_prompt(self.suffix)
            if self.suffix
            else Prompt(raw=self.raw, stylize=self.stylize, model=self.model, version=self.version)
        )
        return with_defaults(own, Prompt(lane=self.lane, private=self.private or None))

    @classmethod
    def of_json(cls, text: str) -> Preferences:
        """Return the preferences that ``to_json`` wrote, also in an older version; fields that this one
        doesn't know are left out."""
        known = {f.name for f in fields(cls)}
        stored = {_RENAMED.get(name, name): value for name, value in json.loads(text).items()}
        data = {name: value for name, value in stored.items() if name in known}
        return cls(**data | {"lane": Lane(data["lane"]) if data.get("lane") else None})

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
    if named or prompt.video or prompt.seed is not None:
        raise PromptError(
            "A suffix takes only flags, such as `--ar 3:2 --s 250`: no words, pictures, --video or --seed."
            " Save words with `/prefer option set` instead."
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
    """Return ``source`` with each own option written out: its flags in its place, its words and pictures
    behind the prompt's own."""
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


def prompts_of(source: str, options: Mapping[str, str], limit: int = MAX_JOBS) -> list[Prompt]:
    """Return every prompt that ``source`` stands for: sets in braces and own options are written out.

    ``--repeat`` isn't, but counts. Raises PromptError for more than ``limit`` jobs.
    """
    found = []
    for written_out in expand_sets(source, limit):
        with_options = spell_out(written_out, options)
        texts = expand_sets(with_options, limit) if with_options != written_out else [written_out]
        found += [parse_prompt(text) for text in texts]
    jobs = sum(prompt.repeat or 1 for prompt in found)
    if jobs > limit:
        raise PromptError(
            f"Sets in braces and `--repeat` make {jobs} jobs together; the limit is {limit} at once."
        )
    return found
