"""The table of flags: names, aliases, values, help and an example of each. The parser, the formatter,
``/help`` and the docs read it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from core.errors import PromptError
from core.grammar.permutations import MAX_JOBS
from core.grammar.quoting import escape, plain
from core.job import Lane
from core.limits import (
    MAX_ASPECT,
    MAX_IMAGE_WEIGHT,
    MAX_SEED,
    MAX_SIDE,
    MAX_STYLIZE,
    MIN_SIDE,
    MOST_IMAGE_WEIGHT,
    MOST_STYLIZE,
    QUALITIES,
    Weighted,
)

SAMPLERS = ("ddim", "ddpm", "deis", "dpm++", "dpm++sde", "euler", "euler_a", "heun", "lcm", "pndm", "unipc")
VERSIONS = ("1", "2", "3", "4", "5", "5.1", "5.2", "6", "6.1", "7", "8", "8.1")
NIJI = ("4", "5", "6", "7")
STYLES = (
    "raw",
    "4a",
    "4b",
    "4c",
    "cute",
    "scenic",
    "expressive",
    "original",
)  # names of Midjourney's; other values are codes
_NUMBER = r"-?(?:\d+(?:\.\d+)?|\.\d+)(?:e-?\d+)?"
_WEIGHTED = re.compile(rf"(?P<what>\S*?[^\s:])(?:::(?P<weight>{_NUMBER}))?", re.ASCII)
_LORA = re.compile(rf"(?P<what>[\w.+-]{{1,64}})(?::(?P<weight>{_NUMBER}))?", re.ASCII)
_LINK = re.compile(r"https?://[^\s<>]+|<\d{1,2}>", re.IGNORECASE)
_STYLE_CODE = re.compile(
    r"random(-\d+){0,2}|(raw-)?[A-Za-z0-9]*\d[A-Za-z0-9]*(-[A-Za-z0-9]+)*", re.IGNORECASE
)

Reader = Callable[[str, str], Any]


def short(text: str) -> str:
    """At most 40 characters of somebody's text, safe between backticks."""
    text = text.replace("`", "'")
    return text if len(text) <= 40 else text[:39] + "…"


def decimal(number: float) -> str:
    """The shortest plain decimal that is read back as the same number: 2, 0.1, 0.0000001."""
    return str(int(number)) if number == int(number) else format(Decimal(repr(number)), "f")


def closest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known name that ``word`` was probably meant for. Only names of about its length are looked at:
    comparing all takes milliseconds."""
    near = [name for name in known if abs(len(name) - len(word)) <= 2]
    return next(iter(difflib.get_close_matches(word, near, 1, cutoff)), None)


def hint(word: str, known: Iterable[str], before: str = "", cutoff: float = 0.6) -> str:
    """ " Did you mean `--seed`?", or nothing."""
    close = closest(word, known, cutoff)
    return f" Did you mean `{before}{close}`?" if close else ""


def _number(low: float, high: float, convert: Callable[[str], Any] = int) -> Reader:
    form = re.compile(r"-?\d{1,20}" if convert is int else _NUMBER, re.ASCII)

    def read(flag: str, value: str) -> Any:
        number = convert(value) if form.fullmatch(value) else None
        if number is None or not low <= number <= high:
            whole = "a whole number" if convert is int else "a number"
            raise PromptError(
                f"`--{flag}` is `{short(value)}`; it takes {whole} from {low:g} to {high:.10g}."
            )
        return number

    return read


def _pair(separators: str, low: int, high: int, example: str) -> Reader:
    form = re.compile(rf"(\d{{1,5}})[{separators}](\d{{1,5}})", re.ASCII)

    def read(flag: str, value: str) -> tuple[int, int]:
        match = form.fullmatch(value.lower())
        if not match or not all(low <= int(n) <= high for n in match.groups()):
            raise PromptError(
                f"`--{flag}` is `{short(value)}`; write it like `--{flag} {example}`, with {low} to {high}."
            )
        return int(match[1]), int(match[2])

    return read


def _aspect(flag: str, value: str) -> tuple[int, int]:
    w, h = _pair(":x", 1, 10_000, "3:2")(flag, value)
    if max(w / h, h / w) > MAX_ASPECT:
        raise PromptError(f"`--{flag}` is `{w}:{h}`; it takes 1:{MAX_ASPECT} to {MAX_ASPECT}:1.")
    return w, h


def _choice(*allowed: str, prefix: str = "") -> Reader:
    def read(flag: str, value: str) -> str:
        if value.lower() not in allowed:
            raise PromptError(
                f"`--{flag}` is `{short(value)}`; it takes"
                f" {', '.join(allowed)}.{hint(value.lower(), allowed)}"
            )
        return prefix + value.lower()

    return read


def _quality(flag: str, value: str) -> float:
    number = _number(min(QUALITIES), max(QUALITIES), float)(flag, value)
    if number not in QUALITIES:
        raise PromptError(f"`--{flag}` is `{short(value)}`; it takes {', '.join(map(decimal, QUALITIES))}.")
    return number


def _style(flag: str, value: str) -> str:
    if value.lower() in STYLES:
        return value.lower()
    close = hint(value.lower(), STYLES, cutoff=0.75)
    if close or not _STYLE_CODE.fullmatch(value):
        raise PromptError(
            f"`--{flag}` is `{short(value)}`; it takes {', '.join(STYLES)}, or a style code.{close}"
        )
    return value


def _words(flag: str, value: str) -> str:
    return plain(value)


def _code(flag: str, value: str) -> str:
    return " ".join(value.replace("`", "").split())[:200]


def weighted(token: str) -> tuple[str, float] | None:
    """(what, weight) of ``what::2``; weight 1 when there is none. None for a weight that can't be read."""
    match = _WEIGHTED.fullmatch(token)
    return (match["what"], float(match["weight"] or 1)) if match else None


def picture(token: str) -> tuple[str, float] | None:
    """(link, or ``<n>`` for the n-th picture given along; weight) of a token of a prompt; None for any other
    word."""
    if not token.startswith(("<", "h", "H")):
        return None
    found = weighted(token)
    if found is None:
        return None
    what = found[0][1:-1] if found[0].startswith("<http") and found[0].endswith(">") else found[0]
    return (what, found[1]) if _LINK.fullmatch(what) else None


def _pictures(codes: bool) -> Reader:
    takes = (
        "links to Discord attachments, or numbers such as `<1>` of pictures given"
        f" along{', a code or random' if codes else ''}"
    )

    def read(flag: str, value: str) -> Weighted:
        found = []
        for token in value.replace(", ", " ").split():
            one = picture(token)
            if (
                one is None
                and codes
                and (coded := weighted(token))
                and re.fullmatch(r"\d{1,10}|random", coded[0], re.ASCII | re.IGNORECASE)
            ):
                if coded[0].isdigit() and int(coded[0]) > MAX_SEED:
                    raise PromptError(
                        f"`--{flag}` is `{short(coded[0])}`; a style code goes from 0 to {MAX_SEED}."
                    )
                one = (str(int(coded[0])) if coded[0].isdigit() else "random", coded[1])
            if one is None:
                raise PromptError(
                    f"`--{flag}` has `{short(token)}`; it takes {takes}, each with `::2` if wanted."
                )
            found.append(one)
        return tuple(found)

    return read


def _loras(flag: str, value: str) -> Weighted:
    found = []
    for token in value.replace(",", " ").split():
        match = _LORA.fullmatch(token)
        weight = float(match["weight"] or 1) if match else 0.0
        if match is None or not -2 <= weight <= 2:
            raise PromptError(
                f"`--{flag}` has `{short(token)}`; write it like `--{flag} ink:0.8`, with a weight from -2"
                " to 2."
            )
        found.append((match["what"], weight))
    return tuple(found)


def _name(flag: str, value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][\w.+-]{0,63}", value):
        raise PromptError(f"`--{flag}` is `{short(value)}`; it takes a name that the host has set up.")
    return value


def write_weighted(pairs: Weighted, sign: str = "::") -> str:
    return " ".join(what if weight == 1 else f"{what}{sign}{decimal(weight)}" for what, weight in pairs)


@dataclass(frozen=True)
class Flag:
    """One ``--name``. ``read`` turns the text behind it into a value, None = it takes none and means
    ``constant``; ``bare``: the value of the name alone, where one may follow. ``many``: repeated flags add
    up, else the first wins. ``unmet``: why it means nothing here, which the message tells; "" for what is
    drawn. ``shows``: which values of ``field`` this flag writes."""

    name: str
    field: str
    help: str
    example: str
    aliases: tuple[str, ...] = ()
    read: Reader | None = None
    constant: Any = True
    bare: Any = None
    many: bool = False
    unmet: str = ""
    write: Callable[[Any], str] = str
    shows: Callable[[Any], bool] = bool


def _set(value: Any) -> bool:
    return value is not None


def _whole(name: str, field: str, help: str, example: str, low: int, high: int, *aliases: str) -> Flag:
    return Flag(name, field, f"{help}, {low} to {high}", example, aliases, _number(low, high), shows=_set)


def _real(name: str, field: str, help: str, example: str, low: float, high: float, *aliases: str) -> Flag:
    return Flag(
        name,
        field,
        f"{help}, {low:g} to {high:g}",
        example,
        aliases,
        _number(low, high, float),
        write=decimal,
        shows=_set,
    )


def _switch(name: str, field: str, help: str, constant: Any = True) -> Flag:
    return Flag(
        name, field, help, f"a red house --{name}", constant=constant, shows=lambda value: value is constant
    )


def _unmet(name: str, help: str, why: str, example: str, read: Reader | None = None) -> Flag:
    return Flag(name, "unmet", help, example, read=read, unmet=why)


_FILMS = "not yet, since no model of films is set up here"
_OLD_UPSCALERS = "gone, and the buttons Upscale do it"
_OLD_MODELS = "gone with its model; `--model` chooses among the host's"
_UNDRAWN = {  # flags that are drawn with other values, or of first pictures
    **dict.fromkeys(("ar", "size"), "not here, where the picture and the button give the shape"),
    **dict.fromkeys(("iw", "chaos", "hd", "strength"), "not here; it acts on first pictures only"),
    "style": "a style of Midjourney's own models; `--sref` with a number or a picture sets one here",
    "profile": "not yet, since nothing here learns styles; `--p` alone takes the style of your favourites",
}


_ATTACHED = "<1>"

FLAGS: tuple[Flag, ...] = (
    Flag(
        "ar",
        "aspect_ratio",
        f"shape, width:height, up to {MAX_ASPECT}:1",
        "a red house --ar 3:2",
        ("aspect",),
        _aspect,
        write=lambda v: f"{v[0]}:{v[1]}",
    ),
    Flag(
        "size",
        "size",
        f"size in px, {MIN_SIDE} to {MAX_SIDE} a side",
        "a red house --size 768x512",
        (),
        _pair("x", MIN_SIDE, MAX_SIDE, "768x512"),
        write=lambda v: f"{v[0]}x{v[1]}",
    ),
    _whole(
        "seed", "seed", "same seed and words, same picture", "a red house --seed 7", 0, MAX_SEED, "sameseed"
    ),
    Flag(
        "no",
        "negative",
        "what must not be there; the same as a part with weight -0.5",
        "a red house --no trees, snow",
        (),
        _words,
        many=True,
        write=escape,
    ),
    _whole("chaos", "chaos", "how different the four pictures are", "a red house --chaos 60", 0, 100, "c"),
    _whole(
        "stylize",
        "stylize",
        f"how strong the house style is; 100 is usual, over {MOST_STYLIZE} counts as {MOST_STYLIZE}",
        "a red house --s 250",
        0,
        MAX_STYLIZE,
        "s",
    ),
    _switch("raw", "raw", "less house style, closer to the words"),
    Flag(
        "style",
        "style",
        "`raw` is --raw; styles of Midjourney's are told of, not drawn",
        "a red house --style raw",
        (),
        _style,
        shows=lambda _: False,
    ),
    _whole("weird", "weird", "how unusual it may get", "a red house --weird 500", 0, 3000, "w"),
    _whole(
        "exp",
        "exp",
        "more detail and contrast; high values go before --stylize",
        "a red house --exp 20",
        0,
        100,
    ),
    _whole("stop", "stop", "stop at this per cent of the way", "a red house --stop 70", 10, 100),
    _switch("tile", "tile", "a pattern whose opposite edges meet"),
    Flag(
        "quality",
        "quality",
        f"time spent: {', '.join(map(decimal, QUALITIES))}",
        "a red house --q 2",
        ("q",),
        _quality,
        write=decimal,
    ),
    _switch("draft", "draft", "fewer steps, quicker and rougher"),
    _switch("hd", "hd", "a second pass at twice the size", True),
    _switch("sd", "hd", "no second pass, though your settings say --hd", False),
    _real(
        "iw",
        "image_weight",
        f"image prompts against words; over {MOST_IMAGE_WEIGHT} counts as {MOST_IMAGE_WEIGHT}",
        f"{_ATTACHED} a red house --iw 2",
        0,
        MAX_IMAGE_WEIGHT,
    ),
    Flag(
        "sref",
        "style_references",
        "pictures whose style is taken, a style code, or `random`",
        "a red house --sref 1234",
        (),
        _pictures(True),
        many=True,
        write=write_weighted,
    ),
    _whole(
        "sw",
        "style_weight",
        "how strong --sref is; 100 is usual",
        "a red house --sref 1234 --sw 300",
        0,
        1000,
    ),
    Flag(
        "cref",
        "character_references",
        "pictures of somebody who shall be in it",
        f"a hero --cref {_ATTACHED}",
        (),
        _pictures(False),
        many=True,
        write=write_weighted,
    ),
    _whole(
        "cw",
        "character_weight",
        "how much of --cref; 0 is the face alone",
        f"a hero --cref {_ATTACHED} --cw 0",
        0,
        100,
    ),
    Flag(
        "oref",
        "omni_references",
        "a picture of a thing that shall be in it",
        f"a lake --oref {_ATTACHED}",
        (),
        _pictures(False),
        many=True,
        write=write_weighted,
    ),
    _whole(
        "ow",
        "omni_weight",
        "how strong --oref is; 100 is usual",
        f"a lake --oref {_ATTACHED} --ow 200",
        0,
        1000,
    ),
    Flag(
        "profile",
        "profile",
        "the style of your own favourites",
        "a red house --p",
        ("p",),
        _code,
        bare="",
        shows=_set,
    ),
    Flag(
        "lora",
        "loras",
        "a LoRA of the host's, with a weight from -2 to 2",
        "a red house --lora ink:0.8",
        (),
        _loras,
        many=True,
        write=lambda pairs: write_weighted(pairs, ":"),
    ),
    Flag("model", "model", "a model of the host's", "a red house --model v6", (), _name),
    Flag(
        "v",
        "version",
        "Midjourney's version, where the host has named a model so",
        "a red house --v 6",
        ("version",),
        _choice(*VERSIONS),
        shows=lambda value: bool(value) and not value.startswith("niji"),
    ),
    Flag(
        "niji",
        "version",
        "the anime model, where the host has named one so",
        "a red house --niji 6",
        (),
        _choice(*NIJI, prefix="niji "),
        bare="niji",
        write=lambda value: value.removeprefix("niji").strip(),
        shows=lambda value: bool(value) and value.startswith("niji"),
    ),
    _whole("steps", "steps", "denoising steps", "a red house --steps 20", 1, 100),
    _real("cfg", "cfg", "how strictly the words are followed", "a red house --cfg 4", 0, 30, "guidance"),
    Flag(
        "sampler",
        "sampler",
        "one of " + ", ".join(SAMPLERS),
        "a red house --sampler euler",
        (),
        _choice(*SAMPLERS),
    ),
    _real(
        "strength",
        "strength",
        "how far to move from the picture given first",
        f"{_ATTACHED} a red house --strength 0.4",
        0,
        1,
    ),
    Flag(
        "repeat",
        "repeat",
        f"so many jobs, 1 to {MAX_JOBS}",
        "a red house --r 4",
        ("r",),
        _number(1, MAX_JOBS),
    ),
    _switch("turbo", "lane", "first in the queue", Lane.TURBO),
    _switch("fast", "lane", "the normal queue", Lane.FAST),
    _switch("relax", "lane", "when nobody else waits", Lane.RELAX),
    _switch("stealth", "stealth", "only you see it", True),
    _switch("public", "stealth", "everybody here sees it", False),
    _unmet("video", "a film", _FILMS, "a red house --video"),
    _unmet("motion", "how much moves in a film", _FILMS, "a red house --motion low", _choice("low", "high")),
    _unmet("loop", "a film that ends as it begins", _FILMS, "a red house --loop"),
    _unmet("end", "the last picture of a film", _FILMS, f"a red house --end {_ATTACHED}", _pictures(False)),
    _unmet("bs", "how many films", _FILMS, "a red house --bs 1", _choice("1", "2", "4")),
    _unmet(
        "sv",
        "which of Midjourney's readings of --sref",
        "not here, where a style is read in one way",
        "a red house --sref 1234 --sv 6",
        _choice("1", "2", "3", "4", "5", "6"),
    ),
    _unmet("uplight", "an upscaler of 2022", _OLD_UPSCALERS, "a red house --uplight"),
    _unmet("upbeta", "an upscaler of 2022", _OLD_UPSCALERS, "a red house --upbeta"),
    _unmet("upanime", "an upscaler of 2022", _OLD_UPSCALERS, "a red house --upanime"),
    _unmet("creative", "of a test model of 2022", _OLD_MODELS, "a red house --creative"),
    _unmet("test", "a test model of 2022", _OLD_MODELS, "a red house --test"),
    _unmet("testp", "a test model of 2022", _OLD_MODELS, "a red house --testp"),
)
BY_NAME = {name: flag for flag in FLAGS for name in (flag.name, *flag.aliases)}
_MEANT = {
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


def why_unmet(typed: str) -> str:
    """Why a flag as typed, such as ``--style cute``, means nothing here."""
    name = typed.removeprefix("--").partition(" ")[0]
    return _UNDRAWN.get(name) or (
        BY_NAME[name].unmet if name in BY_NAME else "nothing here corresponds to it"
    )


def meant(name: str) -> str:
    """ " Did you mean `--seed`?" for an unknown name; else, which there are."""
    joined = re.match(r"([a-z]+)([\d.:]+)$", name)
    if joined and joined[1] in BY_NAME:
        return f" Did you mean `--{joined[1]} {short(joined[2])}`, with a space?"
    if name == "zoom":
        return " Custom Zoom under a picture takes it, and so does `/outpaint`."
    if name in _MEANT:
        return f" Did you mean `--{_MEANT[name]}`?"
    return (
        hint(name, BY_NAME, "--") or f" Known here: {', '.join('--' + f.name for f in FLAGS if not f.unmet)}."
    )
