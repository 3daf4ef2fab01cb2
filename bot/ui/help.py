"""The text of ``/help``: one entry for each command and for what is in the browser alone, and the prompt
grammar with an example of every flag."""

from collections.abc import Sequence
from typing import NamedTuple

from bot.ui.messages import cut_text
from core.convert import MAX_OPTIONS
from core.language import N_, _, n_
from core.prompt.parser import FLAGS, MAX_JOBS
from core.prompt.values import hint

OVERVIEW = N_("""**Atelier**
Just say what you want, in a DM, by a mention or with `/talk`: *a red house*, then *make it blue*, \
*go back*, *make it move* (`/help topic:talk`).
`/imagine` draws four pictures from your words. **U** posts one on its own, **V** varies it, 🔄 tries again
`/variation` · `/upscale` · `/region` · `/outpaint` · `/edit` · `/cutout` start from a picture you \
attach, or one made here · `/video` makes videos
`/blend` mixes two to five pictures · `/describe` finds prompts for a picture · `/shorten` finds the words \
that matter · `/classify` says what a picture shows · `/read` reads its text · \
`/ask` answers questions about it · `/examples` learns from a few of your own
`/inspect` trains a model on your own pictures: it finds defects or objects, or says which of your labels \
fits · `/style` trains a style to draw in
`/show` brings a job back · `/favourites` shows those you saved · `/info` shows \
your usage and jobs · `/queue mine`, `/queue cancel`
`/search` finds pictures by the words of their prompts, by what they show, or like another one
`/web` opens all of it in your browser, with folders for pictures that belong together, links that share \
them, and a trash for what you don't want (`/help topic:folders`, `shares`, `trash`)
`/settings` and `/prefer` set your defaults · `/fast` `/relax` `/turbo` · `/stealth` `/public` · `/privacy` \
shows what is stored about you
Reactions: ✉️ sends you the picture, ❌ cancels or deletes your own, ⭐ saves it (❤️ in `/favourites` \
removes it); under an answer ✅ and ❌ say whether it is right. A message's menu (Apps) has Describe, Ask, \
Add to project, Inspect, Vary and more.
Send me a picture alone in a DM to get buttons for Describe, Classify, Read text, Vary, Outpaint and Cut \
out. `/help topic:prompt` explains how to write a prompt, `/help topic:flags` every flag.""")

WELCOME = N_("""**Welcome to Atelier.** This page is a small Discord on your own machine, with the real bot.
Type `/imagine`, press Enter, write what you want to see, and press Enter again. {examples}

`/help` shows everything else. At the top you can look at the channel as a guest, too.""")

GRAMMAR = N_("""\
**How to write a prompt:** words first, flags last: `a red house in the snow --ar 3:2 --seed 5`
**Weights** `field::2 river:: sky::-0.5` counts the field twice and leaves out the sky; the weights must add \
up to more than 0. `--no sky` means `sky::-0.5`
**Sets** `a {{red, blue}} {{house, boat --ar 1:2}}` makes a job for each combination, up to {MAX_JOBS}; \
I ask you first. Sets can be nested, and `\\,` is an ordinary comma
**Pictures** attach them to `/imagine` and refer to them as `<1>`, `<2>`: `<1>::2 <2> a boat --sref <1>`; or \
start with a link to a Discord attachment
**Quotes** nothing inside "double quotes" is a flag; write `\\` before `--`, `::`, `{{` or `}}` to use the \
characters themselves
**Your own options** `/prefer option set` makes `--mine` stand for words and flags; you can have up to \
{MAX_OPTIONS}. `/prefer suffix` adds flags to every prompt
An em dash counts as `--`. If you give a flag twice, the first one counts, except that `--no`, `--sref`, \
`--cref`, `--oref` and `--lora` add up.""")

BEGIN = N_("**Examples** the buttons fill in what your model is good at; `/settings` chooses another model.")

COMMANDS: dict[str, str] = {
    "talk": (
        "`/talk words [image…]`: a conversation. It draws, changes, animates, upscales, cuts out, extends,"
        " answers and searches, as you say: `/talk words:make it blue`. The same works in a DM, in a message"
        " or reply that mentions me, and in a thread. Each answer says what I understood; **No, I meant …**"
        " puts it right, **Undo** goes back, **Changes** lists what was changed and takes one out. `new`"
        " starts over."
    ),
    "imagine": (
        "`/imagine prompt [image…]`: draws four pictures. `/imagine a red house --ar 3:2`. Attached pictures"
        " guide it; with `--strength 0.4` it starts from the first. Under the four: **U** posts one on its"
        " own, **V** makes four more like it, 🔄 tries again."
    ),
    "video": (
        "`/video [prompt] [image] [end] [clip] [clip2] [source] [do] …`: makes videos: from words, from a"
        " first picture (and a last one), or from a video. `/video prompt:a red boat sails to the left`. A"
        " video alone is extended, with words it is redrawn (remix), two are blended; `do` says"
        " otherwise. `source` takes a message link, or a job id and number. Several come as one video:"
        " **U** sends one alone, with Extend, Loop, Remix, Blend, Cut, Last frame and GIF below it."
        " **Animate** under a picture makes one, too; so does `--video` in `/imagine`."
    ),
    "variation": (
        "`/variation [image | source] [strength] [prompt]`: makes four pictures like one. "
        "`/variation source:abcd2345efgh 2 strength:subtle`"
    ),
    "outpaint": (
        "`/outpaint [image | source] [direction | aspect | zoom] [prompt]`: adds more around a picture and"
        " keeps the picture itself. `/outpaint aspect:16:9`"
    ),
    "upscale": (
        "`/upscale [image | source] [factor] [mode] [prompt]`: makes a picture 2 or 4 times as wide. *subtle*"
        " keeps it as it is, *creative* redraws the detail."
    ),
    "edit": (
        "`/edit prompt [image…4 | source]`: changes what you name and leaves the rest: `make the house blue`,"
        " `add a red ball`, `remove the star`, `at night`. With more pictures: `put the cat of 2 next to the"
        " house`. `--n 4` makes four. Also the button **Words**, and `--edit <1>` in `/imagine`."
    ),
    "cutout": (
        "`/cutout [image | source]`: removes the background of a picture and makes it transparent. Also the"
        " button **Cut out**."
    ),
    "region": (
        "`/region prompt what|mask|fields [image | source]`: redraws a part of a picture and leaves every"
        " other pixel alone. `/region prompt:a blue boat what:the red boat`. The button **Region**"
        " shows the numbered fields."
    ),
    "ask": (
        "`/ask question [image…] [link] [answer]`: answers a question about pictures or a video in words, or"
        " as a table, boxes or the text in it (`answer`). **Ask more**"
        " under the answer lets anyone continue; 🔄 writes a new answer, *Imagine this* draws the"
        " answer, *Stop* keeps what there is. A message's menu has *Ask*, too. `/ask question:How many?`"
    ),
    "taste": (
        "`/taste`: what I learned from your ❤️, for `--p`. `show` says how well I know you, `code` keeps a"
        " taste to use or share, `forget` takes a code back, `learn` turns it off. `nine` shows pictures to"
        " rate; `strong` trains a LoRA that you then choose blind."
        " `server` shows what members like together, for `--p server`, and forgets you in it;"
        " `duel` lets them vote on pairs, and `trial` on whether it fits."
    ),
    "examples": (
        "`/examples`: teaches me by a few labelled pictures. `new name:mushrooms`, then `add` pictures under"
        " labels, then `try` it on another picture: it says which label fits, and how often it is right."
        " `show`, `forget`, `share` with the server, `export`. A message's menu has *Add as example*; *Teach*"
        " under an answer of `/ask` keeps the right one."
    ),
    "inspect": (
        "`/inspect new name:boards`: a custom model, and buttons that guide you: **Add pictures** (20 good"
        " parts are fine, a ZIP too), **Train**, **Try**. It finds defects, and where they are; with `finds:"
        " sort by label` it sorts pictures by your labels, with `finds: find objects` it draws boxes around"
        " objects. *Wrong?* under a verdict improves the next version; *Stricter* and *Looser* move the"
        " limit. `label` goes through pictures one by one, `report` says how good it is, `share` sets who"
        " may use it, `export` downloads it, `watch` judges what a camera sees. A message's menu has *Add to"
        " project* and *Inspect*; `/classify labels:@trees` asks your own labels, too."
    ),
    "style": (
        "`/style new name:woodcut`: trains a style from 5 to 40 pictures: **Add pictures**, **Train**,"
        " then `/imagine prompt:a boat --lora woodcut`. `samples` shows what was drawn on the way."
        " `/style wall words:mist` finds a number for `--sref`, `/style code` makes one of your pictures."
    ),
    "blend": (
        "`/blend [dimensions]`: opens a window for two to five pictures, and mixes them into four, without"
        " words."
    ),
    "describe": (
        "`/describe image | link`: suggests four prompts for a picture. Press a number to edit one; 🎉"
        " imagines all."
    ),
    "shorten": (
        "`/shorten prompt`: shows strong words in bold, strikes out weak ones, and offers shorter prompts by"
        " number. *Show details* shows the weights."
    ),
    "classify": (
        "`/classify image | link [labels]`: says what a picture shows. `/classify labels:cat, dog, boat`"
        " chooses among your own words, `labels:@trees` asks a model trained with `/inspect`. *Why?* under"
        " the answer shows where in the picture it was seen."
    ),
    "read": (
        "`/read image… | link`: reads the text in a picture, draws a box around each line, and sends it as"
        " .txt and .json. A message's menu has *Read text*, too."
    ),
    "show": (
        "`/show job`: brings one of your jobs back with working buttons, in any channel. You find its id"
        " under every picture."
    ),
    "search": (
        "`/search words [image]`: finds pictures whose prompt has the words, then others that show it, the"
        " best first; only you see them. `/search words:red boat kind:imagine from:2026-11` also takes"
        " `model:` `seed:` `to:` `ar:3:2` `fav:yes` `folder:` `by:me` and `like:` a job id. A number opens"
        " its picture."
    ),
    "favourites": (
        "`/favourites`: shows the pictures you saved with ❤️ or ⭐, one at a time. `--p` uses their style."
    ),
    "web": (
        "`/web`: gives you a link that opens the studio in your browser, once and within ten minutes."
        " `/web sign_out:True` ends all your sessions there."
    ),
    "info": "`/info`: shows your usage this month and in all, your modes and limits, and links to your jobs.",
    "settings": (
        "`/settings`: sets your model, RAW, Stylize, speed, Stealth, Remix, what V does, Sticky Style and DM"
        " results. A flag that you type overrides them."
    ),
    "prefer": (
        "`/prefer option set mine cinematic --ar 3:2` makes `--mine`; leave out the value to remove it."
        " `/prefer option list` shows your options. `/prefer suffix --ar 3:2` adds flags to every prompt."
        " `/prefer remix`, `variability` and `auto_dm` turn a setting on or off."
    ),
    "fast": "`/fast`: puts your new jobs into the normal queue; `--fast` does so for one job.",
    "relax": "`/relax`: lets everybody else's jobs go before your new ones; `--relax` does so for one job.",
    "turbo": "`/turbo`: puts your new jobs first; `--turbo` does so for one job.",
    "stealth": "`/stealth`: lets only you see and use your new jobs; `--stealth` does so for one job.",
    "public": "`/public`: lets everybody in the channel see your new jobs; `--public` does so for one job.",
    "queue": (
        "`/queue mine` shows your jobs; `/queue cancel` stops one, even while it runs. For managers: show,"
        " pause, resume, drain, clear, front."
    ),
    "studio": "`/studio`: a server's rules, for managers: ban, unban, allow, disallow, limit, rules, audit.",
    "moderation": "`/moderation`: sets what members may make and see in a server, for managers.",
    "privacy": "`/privacy show`, `export`, `delete`: shows, copies or deletes what is stored about you.",
    "help": "`/help [topic]`: shows this; a topic is *prompt*, *flags*, or a command.",
}

IN_THE_BROWSER: dict[str, str] = {
    "folders": (
        "**Folders** are in the studio in your browser (`/web`): select pictures there and put them into"
        ' one. A smart folder saves a search and fills automatically. `/search folder:"its name"` looks'
        " into one."
    ),
    "shares": (
        "**Shares** are links to a picture, all pictures of a job, or a folder, that open without sign-in."
        " You make them in the studio in your browser (`/web`), and can revoke each there at any time."
    ),
    "trash": (
        "**Trash** is in the studio in your browser (`/web`): what you move there is hidden at once and"
        " deleted for good after the days that its page shows. Until then you can restore it."
    ),
}


class Example(NamedTuple):
    """What a help page's button does: ``command``, with ``text`` as its option ``option`` after a look at it
    in a window, or at once where there is none. others: further options."""

    command: str
    option: str = ""
    text: str = ""
    others: dict[str, str] = {}

    @property
    def label(self) -> str:
        """The command as it would be typed, in as many characters as a button takes."""
        typed = [f"{self.option}:{self.text}"] if self.text else []
        others = [f"{name}:{value}" for name, value in self.others.items()]
        return cut_text(f"/{' '.join([self.command, *typed, *others])}", 80)


DRAWN = (  # shown by the first page; the pictures are web/static/drawn/1.webp and so on
    Example("imagine", "prompt", "a red house in the snow"),
    Example("imagine", "prompt", "a yellow star at night"),
    Example("imagine", "prompt", "a blue boat at sea"),
)
EXAMPLES: dict[str, Example] = {  # topic → its button; those about a picture take the member's last one
    "imagine": Example("imagine", "prompt", "a red house in the snow --ar 3:2"),
    "talk": Example("talk", "words", "a red house"),
    "video": Example("video", "prompt", "a red boat sails to the left"),
    "variation": Example("variation"),
    "outpaint": Example("outpaint", others={"aspect": "16:9"}),
    "upscale": Example("upscale"),
    "edit": Example("edit", "prompt", "make the house blue"),
    "blend": Example("blend"),
    "cutout": Example("cutout"),
    "region": Example("region", "prompt", "a blue boat", {"what": "the boat"}),
    "ask": Example("ask", "question", "What is in the picture?"),
    "taste": Example("taste show"),
    "examples": Example("examples new", "name", "mushrooms"),
    "inspect": Example("inspect new", "name", "boards"),
    "style": Example("style new", "name", "woodcut"),
    "describe": Example("describe"),
    "shorten": Example("shorten", "prompt", "a small old red house with a blue door in the deep white snow"),
    "classify": Example("classify", "labels", "cat, dog, boat"),
    "read": Example("read"),
    "show": Example("show", "job", ""),
    "search": Example("search", "words", "red boat"),
    **{name: Example(name) for name in ("favourites", "web", "info", "settings", "fast", "relax", "turbo")},
    **{name: Example(name) for name in ("stealth", "public")},
    "prefer": Example("prefer option list"),
    "queue": Example("queue mine"),
    "studio": Example("studio setup"),
    "moderation": Example("moderation show"),
    "privacy": Example("privacy show"),
    "help": Example("help", others={"topic": "prompt"}),
    "prompt": Example("imagine", "prompt", "field::2 river:: sky::-0.5 --ar 3:2"),
    "flags": Example("imagine", "prompt", "a red house in the snow --ar 3:2 --no sky --seed 5"),
}


def welcome(examples: Sequence[str], jobs: int) -> str:
    """Return the first message on the page. ``jobs``: of earlier starts; their messages are gone."""
    lines = "\n".join(f"> {example}" for example in examples)
    text = _(WELCOME).format(examples=_("Try one of these:\n{lines}", lines=lines) if examples else "")
    if not jobs:
        return text
    safe = n_("**Your {n:,} job is safe.**", "**Your {n:,} jobs are safe.**", jobs)
    rest = _(
        "This page only forgets its messages at a restart: `/show` lists your jobs and brings one back with"
        " its buttons, `/favourites` shows the pictures you saved."
    )
    return f"{text}\n{safe} {rest}"


def topics() -> list[str]:
    """Return the names that ``lines`` knows, flags left out."""
    return ["prompt", "flags", *COMMANDS, *IN_THE_BROWSER]


def lines(topic: str | None) -> Sequence[str]:
    """Return the text of a topic, which may be broken between its lines; of an unknown one, a hint."""
    name = (topic or "").strip().lower().lstrip("/-")
    if not name:
        return [_(OVERVIEW)]
    if name == "prompt":
        return [_(GRAMMAR, MAX_JOBS=MAX_JOBS, MAX_OPTIONS=MAX_OPTIONS)]
    if name == "flags":
        return [
            _("**Flags** go at the end of a prompt; `<1>` is the first picture you attached"),
            *(_flag_line(flag) for flag in FLAGS),
        ]
    if name in COMMANDS or name in IN_THE_BROWSER:
        return [_((COMMANDS | IN_THE_BROWSER)[name])]
    flag = next((flag for flag in FLAGS if name in (flag.name, *flag.aliases)), None)
    if flag is not None:
        return [_flag_line(flag)]
    return [
        _(
            "There is no topic with that name.{name} Topics: {topics}.",
            name=hint(name, topics()),
            topics=", ".join(topics()),
        )
    ]


def _flag_line(flag) -> str:
    names = ", ".join(f"`--{name}`" for name in (flag.name, *flag.aliases))
    told = f" ({flag.unsupported})" if flag.unsupported else ""
    return f"{names} {_(flag.help)}{told}: `{flag.example}`"
