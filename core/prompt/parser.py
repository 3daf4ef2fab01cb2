"""The prompt grammar: pictures and words first, then ``--flags``. Pure: text in, a frozen ``Prompt`` or a
``PromptError`` out.

    <picture>::2 <picture> words::2 other words::-0.5 --flag value --flag

Midjourney's grammar (https://docs.midjourney.com/hc/en-us/articles/32859204029709-Parameter-List), softened:
names in any case, links anywhere among the words, ``\\`` before a character that would mean something,
nothing inside "double quotes" means anything. Sets in braces come first: ``a {red, blue} {cat, dog}`` is four
prompts, counted before they are written out; ``\\,`` is a plain comma, and sets may nest. The table of flags
is made from the fields of ``Prompt``; the formatter, ``/help`` and the docs read it.
"""

import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Any, NamedTuple

from core import limits
from core.errors import PromptError
from core.job import Lane
from core.prompt import values
from core.prompt.parameters import (
    Flag,
    Parameters,
    Reach,
    VideoParameters,
    field_names,
    flags_of,
    param,
    parameters,
)

MAX_JOBS = 40  # of one prompt, https://docs.midjourney.com/hc/en-us/articles/32761322355597-Permutations
MAX_DEPTH = 20
_MARKS = re.compile(r"[{},]")
_Sequence = list[
    "str | list[_Sequence]"
]  # texts in a row, and sets: each has a sequence for every alternative


def count_prompts(source: str) -> int:
    """Return how many prompts ``source`` stands for, quickly however many they are.

    Raises PromptError for braces without partners.
    """
    return _count(_read_sets(source))


def expand_sets(source: str, limit: int = MAX_JOBS) -> list[str]:
    """Return every prompt that ``source`` stands for, the last set changing fastest.

    Raises PromptError for braces without partners, and before writing any if they are more than ``limit``.
    """
    sequence = _read_sets(source)
    number = _count(sequence)
    if number > limit:
        many = f"{number:,}" if number < 10**12 else f"more than 10^{len(str(number)) - 1}"
        raise PromptError(f"The sets in braces make {many} prompts; the limit is {limit} at once.")
    return [" ".join(text.split()) if len(sequence) > 1 else text for text in _texts(sequence)]


def _count(sequence: _Sequence) -> int:
    return prod(sum(map(_count, item)) for item in sequence if isinstance(item, list))


def _texts(sequence: _Sequence) -> Iterator[str]:
    choices = [
        [item] if isinstance(item, str) else [text for alternative in item for text in _texts(alternative)]
        for item in sequence
    ]
    return ("".join(chosen) for chosen in product(*choices))


def _read_sets(source: str) -> _Sequence:
    """Return the sequence that ``source`` is. Commas count inside braces only."""
    current, begin = _Sequence(), 0  # what takes the next text
    open_sets: list[tuple[_Sequence, list[_Sequence]]] = []  # where each stands, and its alternatives so far
    for mark in _MARKS.finditer(values.mask_quoted(source)):
        if mark[0] == "," and not open_sets:
            continue
        current += filter(None, [source[begin : mark.start()]])
        begin = mark.end()
        if mark[0] == "{":
            if len(open_sets) == MAX_DEPTH:
                raise PromptError(f"Sets in braces are nested more than {MAX_DEPTH} levels deep.")
            open_sets.append((current, [_Sequence()]))
            current = open_sets[-1][1][0]
            continue
        if not open_sets:
            raise PromptError("A `}` closes nothing. Write `\\}` for the character itself.")
        if current and isinstance(current[0], str):  # an alternative has no spaces around it
            current[0] = current[0].lstrip()
        if current and isinstance(current[-1], str):
            current[-1] = current[-1].rstrip()
        if mark[0] == ",":
            current = _Sequence()
            open_sets[-1][1].append(current)
        else:
            current, alternatives = open_sets.pop()
            current.append(alternatives)
    if open_sets:
        raise PromptError("A `{` is never closed. Write `\\{` for the character itself.")
    return [*current, *filter(None, [source[begin:]])]


@dataclass(frozen=True, kw_only=True)
class Prompt(VideoParameters, Parameters):
    """A parsed prompt: the parameters of its flags, and what only a prompt has. None = not asked for.

    text: the words, of positive parts only. parts: words with weights, negative ones too; empty where
    ``text`` is all there is. images: links, or ``<n>`` for the n-th picture given along, with weights. size:
    px. taste: what chooses among more drawings, see ``values.Tastes``. repeat: so many jobs. video: videos,
    of which ``clips`` are made and ``end`` (a link or ``<n>``) is the last picture. edit: pictures that are
    changed as the words say, into ``count`` ones. sheet: many drafts at once, over which ``choices`` (of a
    set in braces) are spread; ``text`` tells them all.
    """

    text: str = ""
    parts: limits.Weighted = ()
    choices: tuple[str, ...] = ()
    images: limits.Weighted = ()
    size: tuple[int, int] | None = param(
        None,
        Flag(
            "size",
            f"size in px, {limits.MIN_SIDE} to {limits.MAX_SIDE} a side",
            "a red house --size 768x512",
            values.Size(limits.MIN_SIDE, limits.MAX_SIDE),
        ),
        reach=Reach.SHAPE,
    )
    taste: limits.Weighted = param(
        (),
        Flag(
            "p",
            "choose among more drawings by what you like: your hearts, or folders and codes with weights",
            "a red house --p",
            values.Tastes(),
            ("profile", "personalize"),
        ),
        reach=Reach.FIRST,
    )
    repeat: int | None = param(
        None,
        Flag(
            "repeat",
            "how many times to run the prompt",
            "a red house --r 4",
            values.Whole(1, MAX_JOBS),
            ("r",),
        ),
    )
    sheet: bool = param(
        False,
        Flag(
            "sheet",
            f"{limits.SHEET} quick drafts on one sheet; press those that you want in full",
            "a {red, blue} house --sheet",
        ),
    )
    lane: Lane | None = param(
        None,
        Flag("turbo", "first in the queue", "a red house --turbo", values.Switch(Lane.TURBO)),
        Flag("fast", "the normal queue", "a red house --fast", values.Switch(Lane.FAST)),
        Flag("relax", "run when nobody else is waiting", "a red house --relax", values.Switch(Lane.RELAX)),
    )
    private: bool | None = param(
        None,
        Flag("stealth", "only you can see it", "a red house --stealth"),
        Flag("public", "everybody here can see it", "a red house --public", values.Switch(False)),
    )
    video: bool = param(
        False,
        Flag(  # Midjourney's messages write it with the number of its video model
            "video",
            "a video, from words or from one picture",
            "a red boat sails to the left --video",
            values.Switch(same="1"),
        ),
    )
    end: str | None = param(
        None,
        Flag("end", "the last picture of a video", "<1> a boat --video --end <2>", values.Reference()),
        moderated=False,
    )
    clips: int | None = param(
        None, Flag("bs", "how many videos", "a red boat --video --bs 2", values.OneNumberOf(limits.CLIPS))
    )

    edit: limits.Weighted = param(
        (),
        Flag(
            "edit",
            "up to four pictures to change as the words say; the first is the one that changes",
            "make it night --edit <1>",
            values.References(),
        ),
        moderated=False,
    )
    count: int | None = param(
        None, Flag("n", "how many pictures a change makes", "make it night --n 4", values.Whole(1, 4))
    )

    @property
    def pictures(self) -> tuple[str, ...]:
        """Every link and ``<n>`` in it, each once."""
        named = (*self.images, *self.edit, *(pair for name in REFERENCES for pair in getattr(self, name)))
        found = [what for what, _ in named if not is_style_code(what)]
        return tuple(dict.fromkeys((*found, *((self.end,) if self.end else ()))))


REFERENCES = field_names(Parameters, lambda parameter: isinstance(parameter.value, values.References))


def is_style_code(what: str) -> bool:
    """Return whether a reference of ``--sref`` is a code or "random" instead of a picture."""
    return what.isdigit() or what == "random" or values.OWN_STYLE.fullmatch(what) is not None


_ONE_STYLE = "not available here: there is only one way to read a style"
_NO_PREVIEW = "not needed here: a picture is shown while it is drawn"
_OLD_UPSCALER = "no longer exists; use the Upscale buttons"
_OLD_MODEL = "no longer exists, nor does its model; choose a model with `--model`"


def _unsupported(why: str, name: str, about: str) -> Flag:
    return Flag(name, about, f"a red house --{name}", unsupported=why, field="unsupported")


UNSUPPORTED = (
    Flag(
        "sv",
        "which version of --sref to use",
        "a red house --sref 1234 --sv 6",
        values.Version(("4", "6", "7")),
        unsupported=_ONE_STYLE,
        field="unsupported",
    ),
    _unsupported(_NO_PREVIEW, "preview", "show a sketch first"),
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
_ONLY_VIDEOS = "it acts on videos alone, which `/video` and `/imagine` with `--video` make"
_NO_VIDEO = "not available for videos"
_NO_TASTE = "it acts on new pictures, where neither your settings nor the operator turn tastes off"
_NO_PICTURE = "its link leads to no picture that can be used here; attach the picture itself"
VIDEO_ONLY = (*field_names(VideoParameters, lambda parameter: True), "end", "clips")  # fields of a prompt
OF_CHANGES = ("edit", "count")  # the same, of changes by words alone
VIDEOS_HAVE = frozenset(  # fields of ``Parameters`` that act on videos, besides those
    "aspect_ratio seed negative_prompt chaos raw draft hd loras model num_inference_steps guidance_scale"
    " strength unsupported".split()
)
WITHOUT_EFFECT = {  # values of supported flags, and flags where the reach of their parameter ends
    "style": "a style of Midjourney's own models; use `--sref` with a number or a picture instead",
    "p": "it takes folders of yours, and codes of `/taste` that you may use here, and acts on new"
    " pictures; Midjourney's own codes aren't available",
    "v": _ONE_VERSION,
    "niji": _ONE_VERSION,
    "edit": "it makes a prompt of `/imagine` a change; here the picture is known",
    "n": "it says how many pictures a change by words makes",
    Reach.SHAPE: "not available here: the picture and the button set the shape",
    Reach.FIRST: "not available here: it works only on new pictures",
    Reach.GRID: "not available here: it works only on new pictures",
}
OTHER_NAMES = {
    "width": "size",
    "height": "size",
    "h": "size",
    "resolution": "size",
    "negative": "no",
    "private": "stealth",
    "scale": "cfg",
    "moodboard": "p",
    "variety": "chaos",
}  # the last as Midjourney's pages call them


def why_unsupported(typed: str, *, video: bool = False) -> str:
    """Return why a flag as typed, such as ``--style cute``, has no effect here. video: on a video."""
    flag = BY_NAME.get(typed.removeprefix("--").partition(" ")[0])
    if flag is None:  # told by ``is_told``, or of an older version
        return "not known here"
    if flag.unsupported:
        return flag.unsupported
    if flag.field == "taste" and " " not in typed:
        return _NO_TASTE
    if flag.field in REFERENCES and "http" in typed.lower():
        return _NO_PICTURE
    if video and flag.field not in VIDEO_ONLY:
        return WITHOUT_EFFECT.get(flag.name, _NO_VIDEO)
    if not video and flag.field in (*VIDEO_ONLY, "video"):
        return _ONLY_VIDEOS
    reach = parameters(Prompt)[flag.field].reach
    return WITHOUT_EFFECT.get(flag.name) or WITHOUT_EFFECT.get(reach) or "nothing like it exists here"


def unknown_flags(names: Sequence[str]) -> str:
    """Return sentences that name flags which don't exist, with what their author may have meant."""
    wrong = list(dict.fromkeys(names))[:5]
    found = {name: suggest_flag(name) for name in wrong}
    sentences = [f"There is no `--{values.short(name)}`.{found[name]}" for name in wrong]
    return " ".join(sentences) + ("" if all(found.values()) else " `/help topic:flags` lists every flag.")


def is_told(name: str, flags: Sequence["TypedFlag"]) -> bool:
    """Return whether a flag that is on no list is left out of a prompt with ``flags`` and told, instead of
    refused: another flag is a known one, as in a prompt that was pasted, and none is nearly called so."""
    others = any(flag.name in BY_NAME for flag in flags)
    return others and _NAME.fullmatch(name) is not None and not suggest_flag(name, 0.75)


def suggest_flag(name: str, cutoff: float = 0.6) -> str:
    """Return " Did you mean `--seed`?" for the name of an unknown flag; empty where nothing is like it."""
    joined = re.match(r"([a-z]+)([\d.:]+)$", name)
    if joined and joined[1] in BY_NAME:
        return f" Did you mean `--{joined[1]} {values.short(joined[2])}`, with a space?"
    if name == "zoom":
        return " Custom Zoom under a picture takes it, and so does `/outpaint`."
    if name in OTHER_NAMES:
        return f" Did you mean `--{OTHER_NAMES[name]}`?"
    return values.hint(name, BY_NAME, "--", cutoff)


_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_FLAG = re.compile(rf"(?:(?<!\S)(--|[\u2014\u2013])(?=[A-Za-z])|(?P<glued>{values.GLUED}))([^\s=]+)=?")
_NUMBER = re.compile(r"<\d+>")
_WEIGHT = re.compile(r"::(?:(-?(?:\d+(?:\.\d+)?|\.\d+))(?=[\s,]|$|::))?,?", re.ASCII)


def parse_prompt(source: str, faults: list[str] | None = None) -> Prompt:
    """Return what a prompt without sets in braces asks for.

    Of repeated flags the first wins, but ``--no``, references and LoRAs add up. faults: gets a sentence for
    everything that is wrong, and the rest is returned. Without it, all of them are raised as one PromptError,
    which names each flag, its value and what is allowed.
    """
    if len(source) > limits.MAX_PROMPT:
        raise PromptError(f"The prompt has {len(source):,} characters; it takes up to {limits.MAX_PROMPT:,}.")
    body, flags = split_flags(source)
    found: dict[str, Any] = {}
    wrong: list[str] = [] if faults is None else faults
    told = {flag.name for flag in flags if flag.name not in BY_NAME and is_told(flag.name, flags)}
    if unknown := [flag.name for flag in flags if flag.name not in BY_NAME and flag.name not in told]:
        wrong.append(unknown_flags(unknown))
    for flag in flags:
        try:
            if flag.name in told:
                _leave_out(found, flag.name, values.escape(values.unescape(flag.text)))
            elif flag.name in BY_NAME:
                _set_field(found, flag.name, flag.text)
        except PromptError as error:
            wrong.append(str(error))
    if "edit" in found:  # in its words the pictures keep their places
        order = [name for name, _ in found["edit"]]
        body = _NUMBER.sub(lambda at: f"picture {order.index(at[0]) + 1}" if at[0] in order else at[0], body)
    images, words, parts = _words_of(body)
    if len(parts) > limits.MAX_PARTS:
        wrong.append(f"The prompt has {len(parts)} parts; it takes up to {limits.MAX_PARTS}.")
    if "size" in found and "aspect_ratio" in found:
        wrong.append("`--size` and `--ar` exclude each other; keep one of them.")
    if any(abs(weight) > limits.MAX_WEIGHT for _, weight in (*parts, *images)):
        wrong.append(f"A weight is over {limits.MAX_WEIGHT:g}.")
    total = sum(weight for _, weight in parts) - (
        limits.NEGATIVE_WEIGHT if found.get("negative_prompt") else 0
    )
    if parts and total <= 0:
        wrong.append(
            f"The weights add up to {values.decimal(round(total, 6))} (`--no` counts"
            f" -{limits.NEGATIVE_WEIGHT:g}); the sum must be over 0. Give what you want to see a higher"
            " weight."
        )
    if faults is None:
        raise_faults(wrong)
    return Prompt(text=words, parts=parts, images=images, **found)


def raise_faults(faults: Sequence[str]) -> None:
    """Raise PromptError with each of ``faults`` on a line of its own, if there are any."""
    if faults:
        raise PromptError("\n".join(dict.fromkeys(faults)))


class TypedFlag(NamedTuple):
    """A flag in a prompt: its name in small letters, the name as typed with its dash, the text behind it."""

    name: str
    typed: str
    text: str


def split_flags(source: str, own: Container[str] = ()) -> tuple[str, list[TypedFlag]]:
    """Return what stands before the flags of ``source``, and its flags; together they are ``source`` again.

    A double dash begins a flag, and so does a long dash before a name that is known, nearly known or ``own``.
    Behind a word without a space, a dash begins one before a known name with a number that it takes, and
    before the name of a switch behind which nothing but flags comes.
    """
    flags: list[TypedFlag] = []
    end = len(source)
    for mark in reversed(list(_FLAG.finditer(values.mask_quoted(source)))):
        name, text = mark[3].lower().rstrip(",."), source[mark.end() : end]
        if mark["glued"]:
            begins = _takes_text(name, text)
        else:
            begins = (
                mark[1] == "--"
                or name in BY_NAME
                or name in own
                or values.closest(name, BY_NAME, 0.75) is not None
            )
        if begins:
            flags.append(TypedFlag(name, source[mark.start() : mark.end()], text))
            end = mark.start()
    return source[:end], flags[::-1]


def _takes_text(name: str, text: str) -> bool:
    """Return whether ``name`` is a switch without ``text``, or ``text`` a number among the flag's values."""
    flag = BY_NAME.get(name)
    if flag is None or isinstance(flag.value, values.Tastes | values.Name | values.Words):
        return False
    if values.is_blank(text):
        return isinstance(flag.value, values.Switch)
    try:
        return flag.value.read(name, " ".join(text.split()).rstrip(" ,.")) is not None
    except PromptError:
        return False


def _set_field(found: dict[str, Any], name: str, text: str) -> None:
    """Read one flag into ``found``. A value that is known but has no effect is kept as typed."""
    flag = BY_NAME[name]
    text = "" if values.is_blank(text) else " ".join(text.split())
    if not isinstance(flag.value, values.Words):
        text = text.rstrip(" ,.")
    if flag.field == "end" and text.lower() == "loop":  # as Midjourney writes it
        flag, text = BY_NAME["loop"], ""
    value = flag.value.read(name, text) if text else flag.value.bare
    if value is None and not text:
        raise PromptError(f"`--{name}` needs a value: {flag.help}.")
    second = flag.field == "version" and found.get("version", value) != value
    if flag.unsupported or value is None or second:
        _leave_out(found, name, text)
    else:
        found[flag.field] = flag.value.join(found[flag.field], value) if flag.field in found else value


def _leave_out(found: dict[str, Any], name: str, text: str) -> None:
    typed = f"--{name} {text}".strip()
    found["unsupported"] = tuple(dict.fromkeys((*found.get("unsupported", ()), typed)))


def _words_of(body: str) -> tuple[limits.Weighted, str, limits.Weighted]:
    """Return (pictures, words, parts) of what stands before the flags."""
    images, kept = [], []
    for token in re.finditer(r"\S+", values.mask_quoted(body)):
        written = body[token.start() : token.end()]
        if (image := values.read_picture(written)) is not None:
            images.append(image)
        else:
            kept.append((written, token[0]))
    words, shaped = (" ".join(column) for column in (zip(*kept, strict=True) if kept else ("", "")))
    found, begin = [], 0
    for mark in _WEIGHT.finditer(shaped):
        found.append((values.unescape(words[begin : mark.start()]), float(mark[1] or 1)))
        begin = mark.end()
    found.append((values.unescape(words[begin:]), 1.0))
    parts = tuple((text, weight) for text, weight in found if not values.is_blank(text))
    positive = ", ".join(text for text, weight in parts if weight > 0)
    plainly = not parts or (len(parts) == 1 and parts[0][1] == 1)
    return tuple(images), positive, () if plainly else parts


def blank_marks(body: str) -> str:
    """Return what stands before the flags with spaces in place of pictures and weights, as long as before."""
    pictures = re.sub(
        r"\S+", lambda token: token[0] if values.read_picture(token[0]) is None else " " * len(token[0]), body
    )
    return _WEIGHT.sub(lambda weight: " " * len(weight[0]), pictures)


def format_prompt(prompt: Prompt) -> str:
    """Return the text that ``parse_prompt`` reads as ``prompt``, with flags in the table's order."""
    written = [values.write_weighted(prompt.images)]
    for number, (words, weight) in enumerate(prompt.parts, 1):
        text = values.escape(words)
        if number == len(prompt.parts) > 1 and weight == 1:
            written.append(text)
        else:  # a colon at the end would join the weight's
            text = text[:-1] + "\\:" if text.endswith(":") else text
            written.append(f"{text}::{values.decimal(weight)}")
    # a comma ends words among others in braces
    choices = [values.escape(words).replace(",", "\\,") for words in prompt.choices]
    words = f"{{{', '.join(choices)}}}" if choices else values.escape(prompt.text)
    written += [] if prompt.parts else [words]
    typed = ((flag, getattr(prompt, flag.field)) for flag in SUPPORTED)
    written += [flag.typed(value) for flag, value in typed if flag.value.writes(value)]
    return " ".join(filter(None, (*written, *prompt.unsupported)))


def one_sheet(prompts: Sequence[Prompt]) -> Prompt:
    """Return the prompt of one sheet over whose drafts the words of ``prompts`` are spread, as a set in
    braces makes them. Raises PromptError where more than their words differs."""
    first, words = prompts[0], tuple(prompt.text for prompt in prompts)
    if any(prompt.parts or replace(prompt, text=first.text) != first for prompt in prompts):
        raise PromptError(
            "On a sheet, sets in braces hold words alone. Take weights, pictures and flags out of the braces,"
            " or leave out `--sheet`."
        )
    if len(words) > limits.SHEET:
        raise PromptError(
            f"The sets in braces make {len(words)} prompts; a sheet has {limits.SHEET} drafts for them."
        )
    return replace(first, text=f"{{{', '.join(words)}}}", choices=words)
