"""The page of the buttons and reactions under Atelier's messages."""

from __future__ import annotations

from collections.abc import Mapping

from bot.cogs.messages import CROSSES, ENVELOPES, STARS
from bot.projects.views import LOOKS
from bot.ui.buttons import BUTTONS, ButtonStyle
from studio.authority import TABLE
from studio.requests.actions import RIGHTS
from tools.docs.markdown import page, sentence, table
from tools.docs.rights import roles

INTRO = """\
Every button keeps working for as long as its message exists, also after a restart. *Who* says who can \
press it under a picture that others see; under a private one it is the author alone. \
[Rights](rights.md) has the whole table.

With Remix on (`/settings`), the buttons that draw again first open a window in which you edit the prompt."""
JOB = {
    "upscale": "posts one picture alone, with more buttons",
    "vary": "makes four pictures like this one",
    "again": "runs the prompt again, with another seed; under a failed or cancelled job, tries it again",
    "three": "makes three more videos of the same prompt, to choose from",
    "next": "makes another sheet of 24 drafts, whose seeds continue those of this one",
    "others": "draws what a taste didn't choose, by their seeds, up to four at once",
    "full": "draws this draft in full, from its picture: what it shows stays where it is",
    "seed": "draws the words and the seed of this draft in full, which gives another picture",
    "subtle": "makes four pictures close to this one",
    "strong": "makes four pictures further from this one",
    "region": "redraws a part: choose fields of a grid, name it in words, or send a mask",
    "remix": "opens a window with the prompt, to draw this picture again with other words",
    "edit": "opens a window for what to change; the rest of the picture stays as it is",
    "up2s": "doubles width and height and keeps the picture",
    "up2c": "doubles width and height and redraws detail",
    "up4s": "makes it four times as wide and high and keeps the picture",
    "up4c": "makes it four times as wide and high and redraws detail",
    "hd": "draws the prompt again with `--hd`, at twice the size",
    "zoom20": "zooms out: draws around the picture until it is twice as wide and high",
    "zoom15": "zooms out: draws around the picture until it is 1.5 times as wide and high",
    "zoom": "opens a window for the factor, the shape and other words",
    "square": "extends the picture to a square",
    "left": "extends the picture to the left",
    "right": "extends the picture to the right",
    "up": "extends the picture upwards",
    "down": "extends the picture downwards",
    "favourite": "keeps the picture among your favourites, or lets it go again",
    "cutout": "removes the background",
    "describe": "suggests four prompts for the picture",
    "ask": "opens a window for a question about the picture that you sent",
    "classify": "says what the picture shows",
    "read": "reads the text in the picture",
    "why": "shows where in the picture the label was seen",
    "anihigh": "makes a video from the picture, with much motion",
    "anilow": "makes a video from the picture, with little motion",
    "exthigh": "extends the video at its end, with much motion",
    "extlow": "extends the video at its end, with little motion",
    "extback": "extends the video before its start",
    "loop": "makes the end lead to the start",
    "vremix": "draws the video again with other words",
    "vblend": "blends this video into another one",
    "cut": "cuts a part out of the video",
    "lastframe": "makes a picture of the last frame",
    "gif": "sends the video as a GIF",
    "details": "shows prompt, seed, model and parameters",
    "dm": "sends the result to you as a direct message",
    "delete": "deletes the message; `/show` brings the job back",
    "caption": "opens a window with that prompt, to edit and draw it",
    "all": "draws all four prompts",
    "short": "opens a window with that shorter prompt",
    "weights": "shows how much each word matters",
    "cancel": "cancels the job",
    "stop": "ends the answer and keeps what is there",
    "question": "opens a window for a question about the picture",
    "more": "opens a window for the next question of the conversation",
    "draw": "draws the answer as a prompt",
    "thread": "continues the conversation in a thread",
    "teach": "opens a window to keep the right answer as an example",
    "isright": "says that the verdict of a custom model is right",
    "iswrong": "says that the verdict is wrong, and asks for the right label",
    "falsealarm": "says that a camera's alarm was none, and adds the picture to the good ones",
    "snooze": "posts no alarms of that camera for an hour; for managers of the project",
    "verdict": "shows the verdict with its numbers as JSON",
    "project": "shows the project that the job belongs to",
    "variation": "makes four pictures like the one that you sent",
    "outpaint": "extends the picture that you sent",
}
PROJECT = {
    "show": "shows the project and its next step",
    "add": "opens a window to add pictures, or a ZIP file of them",
    "label": "opens the labelling queue",
    "train": "trains a version on the labelled pictures",
    "try": "opens a window for a picture to try the model on",
    "report": "shows how good the version is",
    "use": "uses this version from now on",
    "stricter": "shows what changes if more pictures count as defects",
    "looser": "shows what changes if fewer pictures count as defects",
    "usual": "shows what changes with the usual limit",
    "fewest": "shows what changes with the limit that makes the fewest errors",
    "bundle": "packs the version as a program that runs without Atelier",
    "chart": "shows a chart of the report",
    "describe": "lets the studio write the captions of your pictures in a style",
    "captions": "shows what the pictures of a style are said to show, and changes it",
    "compare": "compares two versions",
    "forget": "deletes the project and everything in it, after a question",
    "skip": "shows another picture; this one comes again later",
    "back": "undoes the last label",
    "leave": "excludes the picture from training and shows the next one",
    "newlabel": "opens a window for a label that isn't in the list yet",
    "done": "ends labelling",
    "cameras": "shows the project's cameras",
    "watchon": "watches the camera from now on",
    "watchoff": "stops watching the camera",
    "watchend": "forgets the camera and its pictures; labelled ones stay in the project",
    "look": "lets the model look at unlabelled pictures first, and shows the uncertain ones first",
}
KEEP = "keep"  # actions that begin so keep a limit that was shown
REACTIONS = (
    (ENVELOPES, "sends you the pictures as a direct message"),
    (CROSSES, "cancels your job while it runs, and deletes its message afterwards"),
    (STARS, "adds the pictures to your favourites"),
    (("✅",), "under an answer, says that it is right"),
    (("❌",), "under an answer, says that it is wrong"),
)


def _shown(look: ButtonStyle) -> str:
    label = (look.label or "").replace("{n}", "1")
    return f"**{' '.join(part for part in (look.emoji, label) if part)}**"


def _who(action: str) -> str:
    return roles(TABLE[RIGHTS[action]].public) if action in RIGHTS else "the sender"


def buttons_page() -> str:
    """Return the page. Raises ValueError for a button that nothing is said of."""
    looks: Mapping[str, ButtonStyle] = {key: look for key, look in LOOKS.items() if not key.startswith(KEEP)}
    if missing := (BUTTONS.keys() ^ JOB.keys()) | (looks.keys() ^ PROJECT.keys()):
        raise ValueError(f"buttons without a sentence, or the other way round: {missing}")
    jobs = [(_shown(look), sentence(JOB[key], key), _who(key)) for key, look in BUTTONS.items()]
    projects = [(_shown(look), sentence(PROJECT[key], key)) for key, look in looks.items()]
    reactions = [(" ".join(emoji), sentence(what, what)) for emoji, what in REACTIONS]
    return page(
        "Buttons and menus",
        INTRO,
        "## Under pictures, videos and answers\n\nA number stands for the number of its picture.",
        table(("button", "what it does", "who"), jobs),
        "## Under the messages of a project\n\nWho may press them: `/inspect share`.",
        table(("button", "what it does"), projects),
        "## Reactions\n\nAdd one of these to a message of Atelier.",
        table(("reaction", "what it does"), reactions),
        "The menu of a message (**Apps**) has more: see [Commands](commands.md#message-menus).",
    )
