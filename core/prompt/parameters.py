"""The table of generation parameters: each is written once, as a field of ``Parameters``, or of
``VideoParameters`` where only videos have it.

A prompt (``core.prompt.parser``) and a request (``core.requests``) both inherit these fields. What else the
program must know of a parameter stands beside it in ``param(…)``: its flags with their values, examples and
help; whether pictures made from another keep it; whether moderation reads it; whether the result reports it.
The parser, ``/help``, range checks, ``core.convert``, moderation and the buttons read it from there.
"""

import enum
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any

from core.limits import (
    IMAGE_WEIGHT_CAP,
    MAX_ASPECT,
    MAX_FPS,
    MAX_IMAGE_WEIGHT,
    MAX_SECONDS,
    MAX_SEED,
    MAX_STYLIZE,
    MIN_FPS,
    QUALITIES,
    RESOLUTIONS,
    STYLIZE_CAP,
    Weighted,
)
from core.prompt.values import (
    Aspect,
    Choice,
    Loras,
    Name,
    OneNumberOf,
    Real,
    References,
    Style,
    Switch,
    Value,
    Version,
    Whole,
    Words,
    decimal,
)

SAMPLERS = ("ddim", "ddpm", "deis", "dpm++", "dpm++sde", "euler", "euler_a", "heun", "lcm", "pndm", "unipc")
# versions to suggest, October 2026; any other number is read as well
VERSIONS = ("1", "2", "3", "4", "5", "5.1", "5.2", "6", "6.1", "7", "8", "8.1", "8.2")
NIJI = ("4", "5", "6", "7")
STYLES = ("raw", "4a", "4b", "4c", "cute", "scenic", "expressive", "original")  # names of Midjourney's
SEED = Whole(0, MAX_SEED)
SWITCH = Switch()


class Reach(enum.Enum):
    """How far a parameter reaches beyond the job that it was asked for."""

    KEPT = "pictures made from this one keep it"
    FIRST = "it acts on first pictures only"
    GRID = "it acts on first pictures and, if it is typed again, on variations"
    SHAPE = "the same, where other pictures take their shape from this one or from the button"
    JOB = "it belongs to this job alone"


@dataclass(frozen=True)
class Flag:
    """One ``--name`` that sets a parameter.

    ``about`` says in a few words what it does; ``unsupported`` says why it has no effect here, and is empty
    for all others. ``field`` is the prompt's field that it sets; ``flags_of`` fills it in.
    """

    name: str
    about: str
    example: str
    value: Value = SWITCH
    aliases: tuple[str, ...] = ()
    unsupported: str = ""
    field: str = ""

    @property
    def help(self) -> str:
        """What the flag does, with the range of its values."""
        return self.about + self.value.bounds

    def typed(self, value: Any) -> str:
        """Return the flag as its author types it for ``value``."""
        return f"--{self.name} {self.value.write(value)}".strip()


@dataclass(frozen=True)
class Parameter:
    """What the program knows of one field of a prompt or a request, besides its name, type and default.

    unset: a value that means the same as not asking. reported: the result's parameters say what was asked.
    moderated: moderation reads it, as it reads every field that nothing is known of. avoided: what its words
    name is to be left out, and moderation reads them as such.
    """

    flags: tuple[Flag, ...] = ()
    value: Value = Value()
    reach: Reach = Reach.KEPT
    unset: Any = None
    reported: bool = False
    moderated: bool = True
    avoided: bool = False


def param(default: Any, *flags: Flag, value: Value | None = None, **known: Any) -> Any:
    """Return a dataclass field with all that is known of it; ``known`` are fields of ``Parameter``.

    ``default`` is MISSING where there is none; ``value`` is that of the first flag unless given.
    """
    value = value or (flags[0].value if flags else Value())
    return field(default=default, metadata={"parameter": Parameter(flags, value, **known)})


def parameters(cls: type) -> Mapping[str, Parameter]:
    """Return what is known of each field of a dataclass, by the field's name."""
    return _parameters(cls)


@cache
def _parameters(cls: Any) -> dict[str, Parameter]:
    return {item.name: item.metadata.get("parameter", Parameter()) for item in fields(cls)}


def field_names(cls: type, chosen: Callable[[Parameter], bool]) -> tuple[str, ...]:
    """Return the names of those fields of a dataclass whose parameter is ``chosen``."""
    return tuple(name for name, parameter in parameters(cls).items() if chosen(parameter))


def flags_of(cls: type) -> Iterator[Flag]:
    """Yield every flag of a dataclass' fields, in their order."""
    for name, parameter in parameters(cls).items():
        yield from (replace(flag, field=name) for flag in parameter.flags)


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What can be asked of a picture besides its words. None = not asked for: the model's card decides.

    Field names are diffusers' own where it has one. Pictures are links or ``<n>`` in a prompt and SHA-256 in
    a request. ``unsupported``: flags as typed that have no effect here, which the message tells.
    """

    aspect_ratio: tuple[int, int] | None = param(
        None,
        Flag(
            "ar", f"shape, width:height, up to {MAX_ASPECT}:1", "a red house --ar 3:2", Aspect(), ("aspect",)
        ),
        reach=Reach.SHAPE,
    )
    seed: int | None = param(
        None,
        Flag("seed", "same seed and words, same picture", "a red house --seed 7", SEED, ("sameseed",)),
        reach=Reach.JOB,
    )
    negative_prompt: str = param(
        "",
        Flag(
            "no",
            "what to leave out; the same as a part with weight -0.5",
            "a red house --no trees, snow",
            Words(),
        ),
        avoided=True,
    )
    chaos: int | None = param(
        None,
        Flag("chaos", "how different the four pictures are", "a red house --chaos 60", Whole(0, 100), ("c",)),
        reach=Reach.GRID,
        unset=0,
        reported=True,
    )
    stylize: int | None = param(
        None,
        Flag(
            "stylize",
            f"how strong the house style is; the default is 100, and over {STYLIZE_CAP} counts as"
            f" {STYLIZE_CAP}",
            "a red house --s 250",
            Whole(0, MAX_STYLIZE),
            ("s",),
        ),
        reported=True,
    )
    raw: bool = param(
        False,
        Flag("raw", "no house style, closer to the words", "a red house --raw"),
        Flag(
            "style",
            "`raw` means --raw; Midjourney's own styles are not available here",
            "a red house --style raw",
            Style(STYLES),
        ),
        reported=True,
    )
    weird: int | None = param(
        None,
        Flag("weird", "how unusual it may get", "a red house --weird 500", Whole(0, 3000), ("w",)),
        unset=0,
        reported=True,
    )
    exp: int | None = param(
        None,
        Flag(
            "exp",
            "more detail and contrast; high values outweigh --stylize",
            "a red house --exp 20",
            Whole(0, 100),
        ),
        unset=0,
        reported=True,
    )
    stop: int | None = param(
        None,
        Flag("stop", "stop after this percentage of the steps", "a red house --stop 70", Whole(10, 100)),
        reported=True,
    )
    tile: bool = param(
        False,
        Flag("tile", "a seamless pattern whose opposite edges meet", "a red house --tile"),
        reported=True,
    )
    quality: float | None = param(
        None,
        Flag(
            "quality",
            f"how long to spend: {', '.join(map(decimal, QUALITIES))}",
            "a red house --q 2",
            OneNumberOf(QUALITIES),
            ("q",),
        ),
        reported=True,
    )
    draft: bool = param(False, Flag("draft", "fewer steps: quicker and rougher", "a red house --draft"))
    hd: bool | None = param(
        None,
        Flag("hd", "a second pass at twice the size", "a red house --hd"),
        Flag("sd", "no second pass, even if your settings include --hd", "a red house --sd", Switch(False)),
        reach=Reach.FIRST,
        unset=False,
        reported=True,
    )
    think: bool | None = param(
        None,
        Flag(
            "think",
            "look at each picture, and fix or replace what misses a part of the words; it takes about half as"
            " long again",
            "a red house and a blue boat --think",
            aliases=("thinking",),
        ),
        reach=Reach.FIRST,
        unset=False,
        reported=True,
    )
    image_weight: float | None = param(
        None,
        Flag(
            "iw",
            f"how much image prompts count against the words; over {IMAGE_WEIGHT_CAP} counts as"
            f" {IMAGE_WEIGHT_CAP}",
            "<1> a red house --iw 2",
            Real(0, MAX_IMAGE_WEIGHT),
        ),
        reach=Reach.FIRST,
        reported=True,
    )
    style_references: Weighted = param(
        (),
        Flag(
            "sref",
            "pictures whose style to use, a style code, or `random`",
            "a red house --sref 1234",
            References(codes=True),
        ),
        moderated=False,
    )
    style_weight: int | None = param(
        None,
        Flag(
            "sw",
            "how strong --sref is; the default is 100",
            "a red house --sref 1234 --sw 300",
            Whole(0, 1000),
        ),
        reported=True,
    )
    character_references: Weighted = param(
        (),
        Flag("cref", "pictures of a person or character to include", "a hero --cref <1>", References()),
        moderated=False,
    )
    character_weight: int | None = param(
        None,
        Flag(
            "cw", "how much of --cref to use; 0 is only the face", "a hero --cref <1> --cw 0", Whole(0, 100)
        ),
        reported=True,
    )
    omni_references: Weighted = param(
        (),
        Flag("oref", "a picture of an object to include", "a lake --oref <1>", References()),
        moderated=False,
    )
    omni_weight: int | None = param(
        None,
        Flag("ow", "how strong --oref is; the default is 100", "a lake --oref <1> --ow 200", Whole(0, 1000)),
        reported=True,
    )
    loras: Weighted = param(
        (),
        Flag(
            "lora",
            "a LoRA that the operator has set up, with a weight from -2 to 2",
            "a red house --lora ink:0.8",
            Loras(),
        ),
        moderated=False,
    )
    model: str | None = param(
        None,
        Flag("model", "a model that the operator has set up", "a red house --model v6", Name()),
        moderated=False,
    )
    version: str | None = param(  # "7" or "niji 6": the model of Midjourney's that was asked for
        None,
        Flag(
            "v",
            "a version of Midjourney, if the operator has given a model that name",
            "a red house --v 6",
            Version(VERSIONS),
            ("version",),
        ),
        Flag(
            "niji",
            "the anime model, if the operator has given a model that name",
            "a red house --niji 6",
            Version(NIJI, prefix="niji "),
        ),
        moderated=False,
    )
    num_inference_steps: int | None = param(
        None, Flag("steps", "number of denoising steps", "a red house --steps 20", Whole(1, 100))
    )
    guidance_scale: float | None = param(
        None,
        Flag("cfg", "how strictly to follow the words", "a red house --cfg 4", Real(0, 30), ("guidance",)),
    )
    sampler: str | None = param(
        None,
        Flag("sampler", f"one of {', '.join(SAMPLERS)}", "a red house --sampler euler", Choice(SAMPLERS)),
        moderated=False,
    )
    strength: float | None = param(  # 0 keeps the picture, 1 ignores it
        None,
        Flag(
            "strength",
            "how far to move away from the first picture",
            "<1> a red house --strength 0.4",
            Real(0, 1),
        ),
        reach=Reach.GRID,
    )
    unsupported: tuple[str, ...] = ()


MOTIONS = ("low", "high")


@dataclass(frozen=True, kw_only=True)
class VideoParameters:
    """None = not asked for: the model's card and the operation decide.

    motion: "low" (subtle) or "high" (the object and the camera). loop: the last frame leads to the first.
    seconds: of what is drawn. fps: frames a second. resolution: px of the shorter side. sound: with the
    model's own sound.
    """

    motion: str | None = param(
        None,
        Flag("motion", "how much moves in a video", "<1> a boat --video --motion high", Choice(MOTIONS)),
        moderated=False,
    )
    loop: bool = param(
        False, Flag("loop", "a video whose end leads to its start", "<1> a boat --video --loop")
    )
    seconds: float | None = param(
        None,
        Flag("seconds", "how long a video is", "a red boat --video --seconds 4", Real(0.5, MAX_SECONDS)),
        reported=True,
    )
    fps: int | None = param(
        None,
        Flag("fps", "frames a second of a video", "a red boat --video --fps 16", Whole(MIN_FPS, MAX_FPS)),
        reported=True,
    )
    resolution: int | None = param(
        None,
        Flag("res", "px of a video's shorter side", "a red boat --video --res 720", OneNumberOf(RESOLUTIONS)),
        reach=Reach.SHAPE,
    )
    sound: bool | None = param(
        None,
        Flag("sound", "a video with sound, where its model makes any", "a red boat --video --sound"),
        Flag("silent", "a video without sound", "a red boat --video --silent", Switch(False)),
    )
