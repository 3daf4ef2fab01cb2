"""A prompt as it is parsed, and the table of flags that set its fields. The parser, the formatter, ``/help``
and the docs read it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.grammar.films import FilmParameters
from core.grammar.permutations import MAX_JOBS
from core.grammar.references import Reference, References
from core.grammar.spelling import hint, short
from core.grammar.values import Choice, Code, OneNumberOf, Size, Switch, Value, Whole
from core.job import Lane
from core.limits import CLIPS, MAX_SIDE, MIN_SIDE, Weighted
from core.parameters import SWITCH, Flag, Parameters, Reach, field_names, flags_of, param, parameters


@dataclass(frozen=True, kw_only=True)
class Prompt(FilmParameters, Parameters):
    """A parsed prompt: the parameters of its flags, and what only a prompt has. None = not asked for.

    text: the words, of positive parts only. parts: words with weights, negative ones too; empty where
    ``text`` is all there is. images: links, or ``<n>`` for the n-th picture given along, with weights. size:
    px. profile: a code; "" = one's own favourites. repeat: so many jobs. video: films, of which ``clips`` are
    made and ``end`` (a link or ``<n>``) is the last picture.
    """

    text: str = ""
    parts: Weighted = ()
    images: Weighted = ()
    size: tuple[int, int] | None = param(
        None,
        Flag(
            "size",
            f"size in px, {MIN_SIDE} to {MAX_SIDE} a side",
            "a red house --size 768x512",
            Size(MIN_SIDE, MAX_SIDE),
        ),
        reach=Reach.SHAPE,
    )
    profile: str | None = param(
        None, Flag("profile", "the style of your own favourites", "a red house --p", Code(), ("p",))
    )
    repeat: int | None = param(
        None,
        Flag("repeat", "how many times to run the prompt", "a red house --r 4", Whole(1, MAX_JOBS), ("r",)),
    )
    lane: Lane | None = param(
        None,
        Flag("turbo", "first in the queue", "a red house --turbo", Switch(Lane.TURBO)),
        Flag("fast", "the normal queue", "a red house --fast", Switch(Lane.FAST)),
        Flag("relax", "run when nobody else is waiting", "a red house --relax", Switch(Lane.RELAX)),
    )
    private: bool | None = param(
        None,
        Flag("stealth", "only you can see it", "a red house --stealth"),
        Flag("public", "everybody here can see it", "a red house --public", Switch(False)),
    )
    video: bool = param(
        False, Flag("video", "a film, from words or from one picture", "a red boat sails to the left --video")
    )
    end: str | None = param(
        None,
        Flag("end", "the last picture of a film", "<1> a boat --video --end <2>", Reference()),
        moderated=False,
    )
    clips: int | None = param(
        None, Flag("bs", "how many films", "a red boat --video --bs 2", OneNumberOf(CLIPS))
    )

    @property
    def pictures(self) -> tuple[str, ...]:
        """Every link and ``<n>`` in it, each once."""
        named = (*self.images, *(pair for name in REFERENCES for pair in getattr(self, name)))
        found = [what for what, _ in named if not is_style_code(what)]
        return tuple(dict.fromkeys((*found, *((self.end,) if self.end else ()))))


REFERENCES = field_names(Parameters, lambda parameter: isinstance(parameter.value, References))


def is_style_code(what: str) -> bool:
    """Return whether a reference of ``--sref`` is a code or "random" instead of a picture."""
    return what.isdigit() or what == "random"


_ONE_STYLE = "not available here: there is only one way to read a style"
_OLD_UPSCALER = "no longer exists; use the Upscale buttons"
_OLD_MODEL = "no longer exists, nor does its model; choose a model with `--model`"


def _unsupported(why: str, name: str, about: str, text: str = "", value: Value = SWITCH) -> Flag:
    example = f"a red house --{name} {text}".rstrip()
    return Flag(name, about, example, value, unsupported=why, field="unsupported")


UNSUPPORTED = (
    Flag(
        "sv",
        "which version of --sref to use",
        "a red house --sref 1234 --sv 6",
        Choice(("1", "2", "3", "4", "5", "6")),
        unsupported=_ONE_STYLE,
        field="unsupported",
    ),
    _unsupported(_OLD_UPSCALER, "uplight", "an upscaler from 2022"),
    _unsupported(_OLD_UPSCALER, "upbeta", "an upscaler from 2022"),
    _unsupported(_OLD_UPSCALER, "upanime", "an upscaler from 2022"),
    _unsupported(_OLD_MODEL, "creative", "an option of a test model from 2022"),
    _unsupported(_OLD_MODEL, "test", "a test model from 2022"),
    _unsupported(_OLD_MODEL, "testp", "a test model from 2022"),
)
SUPPORTED = tuple(flags_of(Prompt))
FLAGS: tuple[Flag, ...] = (*SUPPORTED, *UNSUPPORTED)
BY_NAME = {name: flag for flag in FLAGS for name in (flag.name, *flag.aliases)}

_ONE_VERSION = "only the first of `--v` and `--niji` counts"
_ONLY_FILMS = "it acts on films alone, which `/video` and `/imagine` with `--video` make"
_NO_FILM = "not available for films"
FILM_ONLY = (*field_names(FilmParameters, lambda parameter: True), "end", "clips")  # fields of a prompt
FILMS_HAVE = frozenset(  # fields of ``Parameters`` that act on films, besides those
    "aspect_ratio seed negative_prompt chaos raw draft hd loras model num_inference_steps guidance_scale"
    " strength unsupported".split()
)
_WITHOUT_EFFECT = {  # values of supported flags, and flags where the reach of their parameter ends
    "style": "a style of Midjourney's own models; use `--sref` with a number or a picture instead",
    "profile": "Midjourney's own codes are not available here. `--p` alone uses the style of your favourites;"
    " `/style` teaches a style, and `--lora` draws in it",
    "v": _ONE_VERSION,
    "niji": _ONE_VERSION,
    Reach.SHAPE: "not available here: the picture and the button set the shape",
    Reach.FIRST: "not available here: it works only on new pictures",
    Reach.GRID: "not available here: it works only on new pictures",
}
_OTHER_NAMES = {
    "width": "size",
    "height": "size",
    "h": "size",
    "resolution": "size",
    "negative": "no",
    "private": "stealth",
    "scale": "cfg",
    "personalize": "profile",
    "moodboard": "profile",
    "variety": "chaos",
}  # the last as Midjourney's pages call them


def why_unsupported(typed: str, *, film: bool = False) -> str:
    """Return the reason why a flag as typed, such as ``--style cute``, has no effect here. film: on a
    film."""
    flag = BY_NAME.get(typed.removeprefix("--").partition(" ")[0])
    if flag is None:  # of an older version
        return "nothing like it exists here"
    if flag.unsupported:
        return flag.unsupported
    if film and flag.field not in FILM_ONLY:
        return _WITHOUT_EFFECT.get(flag.name, _NO_FILM)
    if not film and flag.field in (*FILM_ONLY, "video"):
        return _ONLY_FILMS
    reach = parameters(Prompt)[flag.field].reach
    return _WITHOUT_EFFECT.get(flag.name) or _WITHOUT_EFFECT.get(reach) or "nothing like it exists here"


def unknown_flags(names: Sequence[str]) -> str:
    """Return sentences that name flags which don't exist, with what their author may have meant."""
    wrong = list(dict.fromkeys(names))[:5]
    found = {name: suggest_flag(name) for name in wrong}
    sentences = [f"There is no `--{short(name)}`.{found[name]}" for name in wrong]
    return " ".join(sentences) + ("" if all(found.values()) else " `/help topic:flags` lists every flag.")


def suggest_flag(name: str) -> str:
    """Return " Did you mean `--seed`?" for the name of an unknown flag; empty where nothing is like it."""
    joined = re.match(r"([a-z]+)([\d.:]+)$", name)
    if joined and joined[1] in BY_NAME:
        return f" Did you mean `--{joined[1]} {short(joined[2])}`, with a space?"
    if name == "zoom":
        return " Custom Zoom under a picture takes it, and so does `/outpaint`."
    if name in _OTHER_NAMES:
        return f" Did you mean `--{_OTHER_NAMES[name]}`?"
    return hint(name, BY_NAME, "--")
