"""The text of ``/help``: one entry for each command, and the prompt grammar with an example of every flag."""

from __future__ import annotations

from collections.abc import Sequence

from core.grammar.flags import FLAGS
from core.grammar.permutations import MAX_JOBS
from core.grammar.spelling import hint
from core.preferences import MAX_OPTIONS

OVERVIEW = """**Atelier**
`/imagine` four pictures from your words. **U** sends one alone, **V** varies it, 🔄 rolls again
`/variation` · `/upscale` · `/region` · `/outpaint` from a picture you attach, or one made here
`/blend` two to five pictures · `/describe` prompts from a picture · `/shorten` which words count · \
`/classify` what is in it
`/show` bring a job back · `/favourites` what you kept · `/info` your usage and jobs · `/queue mine`, \
`/queue cancel`
`/settings` and `/prefer` your own choices · `/fast` `/relax` `/turbo` · `/stealth` `/public` · `/privacy` \
what is kept of you
Reactions: ✉️ sends it to you, ❌ ends or deletes your own, ⭐ keeps it. A message's menu (Apps) has \
Describe, Classify, Vary, Cancel and more.
Send me a picture in a DM to do any of it without commands. `/help topic:prompt` tells how to write a \
prompt, `/help topic:flags` every flag."""

GRAMMAR = f"""**How to write a prompt:** words first, flags last: `a red house in the snow --ar 3:2 --seed 5`
**Weights** `field::2 river:: sky::-0.5` counts the field twice and wants no sky; the sum must be over 0. \
`--no sky` is `sky::-0.5`
**Sets** `a {{red, blue}} {{house, boat --ar 1:2}}` makes a job for each way, up to {MAX_JOBS}; you are \
asked first. Sets nest, `\\,` is a plain comma
**Pictures** attach them to `/imagine` and call them `<1>`, `<2>`: `<1>::2 <2> a boat --sref <1>`; or paste \
a link to a Discord attachment first
**Quotes** what stands in "double quotes" is never a flag; `\\` before `--`, `::`, `{{` or `}}` makes it \
plain, too
**Own options** `/prefer option set` lets `--mine` stand for words and flags, up to {MAX_OPTIONS} of them; \
`/prefer suffix` adds flags to each prompt
An em dash is `--`; of a flag given twice the first counts, but `--no`, `--sref`, `--cref`, `--oref` and \
`--lora` add up."""

COMMANDS: dict[str, str] = {
    "imagine": (
        "`/imagine prompt [image…]`: four pictures. `/imagine a red house --ar 3:2`. Attached pictures guide"
        " it; with `--strength 0.4` it starts from the first. Under the four: **U** one alone, **V** four"
        " like it, 🔄 the same anew."
    ),
    "variation": (
        "`/variation [image | source] [strength] [prompt]`: four pictures like one. "
        "`/variation source:abcd2345efgh 2 strength:subtle`"
    ),
    "outpaint": (
        "`/outpaint [image | source] [direction | aspect | zoom] [prompt]`: more around a picture, itself"
        " kept. `/outpaint aspect:16:9`"
    ),
    "upscale": (
        "`/upscale [image | source] [factor] [mode] [prompt]`: 2 or 4 times as wide. *subtle* keeps it,"
        " *creative* redraws detail."
    ),
    "region": (
        "`/region prompt what|mask|fields [image | source]`: a part drawn anew, all else stays pixel by"
        " pixel. `/region prompt:a blue boat what:the red boat`. The button **Vary (Region)** shows the"
        " numbered fields."
    ),
    "blend": "`/blend image1 image2 [image3…5] [dimensions]`: four pictures between yours, without words.",
    "describe": (
        "`/describe image | link`: four prompts that could have made it. A number opens one to be changed; 🎉"
        " imagines all."
    ),
    "shorten": (
        "`/shorten prompt`: strong words bold, weak ones struck out, and shorter prompts by number. *Show"
        " details* has the weights."
    ),
    "classify": (
        "`/classify image | link [labels]`: what is in it. `/classify labels:cat, dog, boat` chooses among"
        " your own words."
    ),
    "show": (
        "`/show job`: brings one of your jobs back with live buttons, also into another channel. Its id"
        " stands under every picture."
    ),
    "favourites": (
        "`/favourites`: the pictures you kept with ❤️ or ⭐, one at a time. `--p` takes their style."
    ),
    "info": "`/info`: what you used this month and ever, your modes and limits, and your jobs, linked.",
    "settings": (
        "`/settings`: model, RAW, Stylize, speed, Stealth, Remix, what V does, Sticky Style, DM results. A"
        " flag you type goes first."
    ),
    "prefer": (
        "`/prefer option set mine cinematic --ar 3:2` makes `--mine`; without a value it is taken away;"
        " `/prefer option list` shows them. `/prefer suffix --ar 3:2` adds flags to each prompt. `/prefer"
        " remix`, `variability`, `auto_dm` switch on and off."
    ),
    "fast": "`/fast`: your new jobs go into the normal queue; `--fast` for one job.",
    "relax": "`/relax`: your new jobs wait until nobody else does; `--relax` for one job.",
    "turbo": "`/turbo`: your new jobs go first; `--turbo` for one job.",
    "stealth": "`/stealth`: only you see your new jobs, nobody else can use them; `--stealth` for one job.",
    "public": "`/public`: everybody in the channel sees your new jobs; `--public` for one job.",
    "queue": (
        "`/queue mine` your jobs, `/queue cancel` stops one, also a running one. For managers: show, pause,"
        " resume, drain, clear, front."
    ),
    "studio": "`/studio`: a server's rules, for managers: ban, unban, allow, disallow, limit, rules, audit.",
    "moderation": "`/moderation`: what may be made and shown in a server, for managers.",
    "privacy": "`/privacy show`, `export`, `delete`: what is kept of you, a copy, and its deletion.",
    "help": "`/help [topic]`: this; a topic is *prompt*, *flags*, or a command.",
}


def topics() -> list[str]:
    """Return the names that ``lines`` knows, flags left out."""
    return ["prompt", "flags", *COMMANDS]


def lines(topic: str | None) -> Sequence[str]:
    """Return the text of a topic, which may be broken between its lines; of an unknown one, a hint."""
    name = (topic or "").strip().lower().lstrip("/-")
    if not name:
        return [OVERVIEW]
    if name == "prompt":
        return [GRAMMAR]
    if name == "flags":
        return [
            "**Flags**, at the end of a prompt; `<1>` is the first picture attached to it",
            *(_flag_line(flag) for flag in FLAGS),
        ]
    if name in COMMANDS:
        return [COMMANDS[name]]
    flag = next((flag for flag in FLAGS if name in (flag.name, *flag.aliases)), None)
    if flag is not None:
        return [_flag_line(flag)]
    return [f"There is no such topic.{hint(name, topics())} Topics: {', '.join(topics())}."]


def _flag_line(flag) -> str:
    names = ", ".join(f"`--{name}`" for name in (flag.name, *flag.aliases))
    told = f" ({flag.unsupported})" if flag.unsupported else ""
    return f"{names} {flag.help}{told}: `{flag.example}`"
