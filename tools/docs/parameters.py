"""The page of a prompt's parameters, from the tables of ``core.prompt``."""

from __future__ import annotations

from core.limits import MAX_PARTS, MAX_PROMPT
from core.prompt import parser
from core.prompt.parameters import Flag, Parameters, Reach, VideoParameters, parameters
from tools.docs.markdown import code, page, sentence, table

INTRO = """\
Parameters go behind the words of a prompt: `a red house --ar 3:2 --seed 5`. They work the same in \
`/imagine`, on the web and through the HTTP API. The names and ranges are those of Midjourney where \
Midjourney has them.

A parameter that a model can't follow is reported under the picture; the rest of the prompt is drawn. \
[Profiles](profiles.md) shows which models follow which parameters, and [What parameters \
do](../explanation/what-parameters-do.md) what each one changes."""
GRAMMAR = f"""\
## Grammar

| what you type | what it means |
| --- | --- |
| `field::2 river:: sky::-0.5` | parts with weights; they must add up to more than 0 |
| `{{red, blue}} house` | a job for each combination, up to {parser.MAX_JOBS}; Atelier asks you first |
| `"--no flag here"` | nothing inside double quotes is a parameter |
| `<1>`, `<2>` | the attached pictures, in order; a link to a Discord attachment counts, too |
| `--mine` | an option of your own, made by `/prefer option set` |

A prompt has up to {MAX_PROMPT:,} characters and {MAX_PARTS} parts. An em dash counts as `--`. If you \
repeat a parameter, the first one counts, except that `--no`, `--sref`, `--cref`, `--oref` and `--lora` \
add up."""
ELSEWHERE = {  # what other programs call it → the parameter
    "negative prompt": "no",
    "aspect ratio": "ar",
    "random seed": "seed",
    "guidance scale, CFG scale": "cfg",
    "sampling steps": "steps",
    "scheduler": "sampler",
    "denoising strength": "strength",
    "image prompt weight": "iw",
    "style reference": "sref",
    "character reference": "cref",
    "checkpoint": "model",
    "batch count": "repeat",
    "seamless pattern, texture": "tile",
}
KEPT = {
    Reach.KEPT: "yes",
    Reach.FIRST: "no, first pictures only",
    Reach.GRID: "if you type it again",
    Reach.SHAPE: "except in another shape",
    Reach.JOB: "no",
}


def _names(flag: Flag) -> str:
    return code(*(f"--{name}" for name in (flag.name, *flag.aliases)))


def _acts_on(flag: Flag) -> str:
    if flag.field in (*parser.VIDEO_ONLY, "video"):
        return "videos"
    if flag.field in parameters(Parameters) or flag.field == "taste":
        return "both" if flag.field in parser.VIDEOS_HAVE else "pictures"
    return "both"


def _kept(flag: Flag) -> str:
    of_result = flag.field in parameters(Parameters) or flag.field in parameters(VideoParameters)
    return KEPT[parameters(parser.Prompt)[flag.field].reach] if of_result or flag.field == "size" else "no"


def parameters_page() -> str:
    """Return the page."""
    head = ("parameter", "what it does", "example", "acts on", "kept by what you make from it")
    rows = [
        (
            _names(flag),
            sentence(flag.help, f"--{flag.name}"),
            code(flag.example),
            _acts_on(flag),
            _kept(flag),
        )
        for flag in parser.SUPPORTED
    ]
    gone = [
        (_names(flag), sentence(flag.about, flag.name), sentence(flag.unsupported, flag.name))
        for flag in parser.UNSUPPORTED
    ]
    gone += [
        (code(f"--{name} …"), "With a value of Midjourney's own.", sentence(why, name))
        for name, why in parser.WITHOUT_EFFECT.items()
        if name in ("style", "p")
    ]
    others = [(name, code(f"--{meant}")) for name, meant in ELSEWHERE.items()]
    others += [(code(f"--{name}"), code(f"--{meant}")) for name, meant in parser.OTHER_NAMES.items()]
    return page(
        "Parameters",
        INTRO,
        table(head, rows),
        GRAMMAR,
        "## Midjourney's parameters without effect here",
        table(("parameter", "in Midjourney", "here"), gone),
        "## Names from elsewhere\n\n`--w` means `--weird`. For width and height use `--size`.",
        table(("if you are used to", "type"), others),
    )
