"""The buttons and menus under messages. Their ``custom_id`` is all their state, so they work for ever.

``at:<job id>:<action>:<index>`` for jobs, ``up:<sha256>:<action>`` for pictures sent in a DM, ``dr:<draft
id>:<answer>`` to confirm several jobs at once, ``st:<setting>:<value>`` and the menus ``sm:<setting>`` of
``/settings``, ``rg:<job id>:<index>`` for the numbered fields of Vary (Region), ``fv:<offset>:<side>`` to
turn the pages of favourites.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import discord

from bot.discord_api.interactions import press_key
from bot.ui.messages import cut_text
from core.job import Job
from core.requests.custom_models import ProjectRequest
from storage.job_queries import StoredPicture
from studio.new_job import GRID
from studio.requests import actions
from studio.texts import plain

MOST_IN_ROW, MOST_OPTIONS = 5, 25  # buttons of a row; entries of a menu
Style = discord.ButtonStyle
Secondary, Success, Danger = Style.secondary, Style.success, Style.danger


@dataclass(frozen=True)
class ButtonStyle:
    """How a button looks. ``label``: "{n}" stands for the number of its picture, from 1."""

    label: str | None = None
    emoji: str | None = None
    style: discord.ButtonStyle = Secondary


BUTTONS: dict[str, ButtonStyle] = {
    "upscale": ButtonStyle("U{n}"),
    "vary": ButtonStyle("V{n}"),
    "again": ButtonStyle(None, "🔄"),
    "three": ButtonStyle("Three more", "➕"),
    "subtle": ButtonStyle("Vary (Subtle)", "🪄"),
    "strong": ButtonStyle("Vary (Strong)", "🪄"),
    "region": ButtonStyle("Vary (Region)", "🖌️"),
    "remix": ButtonStyle("Remix", "✏️"),
    "edit": ButtonStyle("Edit by words", "✍️"),
    "up2s": ButtonStyle("Upscale 2x (Subtle)", "⏫"),
    "up2c": ButtonStyle("Upscale 2x (Creative)", "⏫"),
    "up4s": ButtonStyle("Upscale 4x (Subtle)", "⏫"),
    "up4c": ButtonStyle("Upscale 4x (Creative)", "⏫"),
    "hd": ButtonStyle("Run as HD"),
    "zoom20": ButtonStyle("Zoom Out 2x", "🔍"),
    "zoom15": ButtonStyle("Zoom Out 1.5x", "🔍"),
    "zoom": ButtonStyle("Custom Zoom", "🔍"),
    "square": ButtonStyle("Make Square", "↔️"),
    "left": ButtonStyle(None, "⬅️"),
    "right": ButtonStyle(None, "➡️"),
    "up": ButtonStyle(None, "⬆️"),
    "down": ButtonStyle(None, "⬇️"),
    "favourite": ButtonStyle(None, "❤️"),
    "cutout": ButtonStyle("Cut out", "✂️"),
    "describe": ButtonStyle("Describe", "💬"),
    "ask": ButtonStyle("Ask", "❓"),
    "classify": ButtonStyle("Classify", "🏷️"),
    "read": ButtonStyle("Read text", "🔤"),
    "why": ButtonStyle("Why?", "🔎"),
    "anihigh": ButtonStyle("Animate (High)", "🎞️"),
    "anilow": ButtonStyle("Animate (Low)", "🎞️"),
    "exthigh": ButtonStyle("Extend (High)", "⏩"),
    "extlow": ButtonStyle("Extend (Low)", "⏩"),
    "extback": ButtonStyle("Extend back", "⏪"),
    "loop": ButtonStyle("Loop", "🔁"),
    "vremix": ButtonStyle("Remix", "✏️"),
    "vblend": ButtonStyle("Blend…", "🔀"),
    "cut": ButtonStyle("Cut", "✂️"),
    "lastframe": ButtonStyle("Last frame", "🖼️"),
    "gif": ButtonStyle("GIF", "📽️"),
    "details": ButtonStyle("Details", "📋"),
    "dm": ButtonStyle("DM me", "✉️"),
    "delete": ButtonStyle("Delete", "🗑️"),
    "caption": ButtonStyle("{n}"),
    "all": ButtonStyle("Imagine all", "🎉"),
    "short": ButtonStyle("{n}"),
    "weights": ButtonStyle("Show details"),
    "cancel": ButtonStyle("Cancel", None, Danger),
    "stop": ButtonStyle("Stop", "⏹️", Danger),
    "question": ButtonStyle("Ask", "❓"),
    "more": ButtonStyle("Ask more", "💬", Success),
    "draw": ButtonStyle("Imagine this", "🎨"),
    "thread": ButtonStyle("Thread", "🧵"),
    "teach": ButtonStyle("Teach", "🎓"),
    "isright": ButtonStyle("Right", "✅"),
    "iswrong": ButtonStyle("Wrong?", "❌"),
    "verdict": ButtonStyle("Details", "📋"),
    "project": ButtonStyle("Project", "🗂️"),
    "variation": ButtonStyle("Vary", "🪄"),
    "outpaint": ButtonStyle("Outpaint", "🔍"),
}


def _button(custom_id: str, action: str, index: int, row: int | None) -> discord.ui.Button[Any]:
    look = BUTTONS.get(action, ButtonStyle(action))
    label = look.label.format(n=index + 1) if look.label else None
    return discord.ui.Button(label=label, emoji=look.emoji, style=look.style, custom_id=custom_id, row=row)


NUMBERS = ("index", "offset", "page", "user_id")  # groups of templates that are numbers


class KeptItem(discord.ui.DynamicItem[Any], template="(?!)"):
    """A button or menu whose ``custom_id`` is all its state: its template's groups are what it is made of."""

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str]
    ) -> Self:
        """Make the item of a message that may be older than this process."""
        made: dict[str, Any] = match.groupdict()
        return cls(**{name: int(value) if name in NUMBERS else value for name, value in made.items()})

    async def interaction_check(self, interaction: discord.Interaction[Any], /) -> bool:
        """Return whether a press is to be done; who may not is told."""
        client = interaction.client
        return bool(await client.answers.lets_in(interaction))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Do what the press asks for; what goes wrong is said to the one who pressed."""
        client = interaction.client
        await client.answers.guarded(interaction, self._press(client, interaction))

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        """What a press, or a choice in a menu, asks for. Raises UserError."""
        raise NotImplementedError


class JobButton(KeptItem, template=r"at:(?P<job_id>[a-z2-9]{12}):(?P<action>[a-z0-9]+):(?P<index>[0-9])"):
    """A button of a job."""

    def __init__(self, job_id: str, action: str, index: int = 0, row: int | None = None) -> None:
        super().__init__(_button(f"at:{job_id}:{action}:{index}", action, index, row))
        self.job_id, self.action, self.index = job_id, action, index

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        await client.job_buttons.on_press(interaction, self.job_id, self.action, self.index)


class UploadButton(KeptItem, template=r"up:(?P<sha256>[0-9a-f]{64}):(?P<action>[a-z]+)"):
    """A button of a picture that came in a DM."""

    def __init__(self, sha256: str, action: str) -> None:
        super().__init__(_button(f"up:{sha256}:{action}", action, 0, None))
        self.sha256, self.action = sha256, action

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        if self.action == "ask":
            await client.answers.guarded(interaction, client.questions.open_sent(interaction, self.sha256))
            return
        build = partial(client.cogs["Sent"].job_of, interaction, self.sha256, self.action)
        await client.answers.ask(interaction, build, press_key=press_key(interaction))


class TryButton(KeptItem, template=r"hx:(?P<topic>[a-z]*):(?P<index>[0-9])"):
    """Tries an example of a help page."""

    def __init__(self, topic: str, index: int, label: str = "Try it") -> None:
        custom_id = f"hx:{topic}:{index}"
        super().__init__(discord.ui.Button(label=label, emoji="✏️", custom_id=custom_id))
        self.topic, self.index = topic, index

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        await client.cogs["Help"].try_it(interaction, self.topic, self.index)


class DraftButton(KeptItem, template=r"dr:(?P<draft_id>[a-z2-9]{12}):(?P<answer>yes|no)"):
    """Answers whether several jobs are meant."""

    def __init__(self, draft_id: str, answer: str, label: str | None = None) -> None:
        style = Success if answer == "yes" else Secondary
        super().__init__(
            discord.ui.Button(label=label or answer.title(), style=style, custom_id=f"dr:{draft_id}:{answer}")
        )
        self.draft_id, self.answer = draft_id, answer

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        await client.asking.on_draft(interaction, self.draft_id, self.answer == "yes")


class SettingButton(KeptItem, template=r"st:(?P<setting>[a-z_]+):(?P<value>[a-z0-9 ]+)"):
    """Changes one of the presser's own settings."""

    def __init__(
        self, setting: str, value: str, label: str | None = None, *, on: bool = False, row: int | None = None
    ) -> None:
        style = Success if on else Secondary
        super().__init__(
            discord.ui.Button(label=label or value, style=style, custom_id=f"st:{setting}:{value}", row=row)
        )
        self.setting, self.value = setting, value

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        await client.cogs["Settings"].on_change(interaction, self.setting, self.value)


class SettingMenu(KeptItem, template=r"sm:(?P<setting>[a-z_]+)"):
    """Changes one of the presser's own settings by a list. ``choices``: (value, label), at most 25."""

    def __init__(
        self, setting: str, choices: Sequence[tuple[str, str]] = (), chosen: str = "", row: int | None = None
    ) -> None:
        options = options_of(dict(choices), chosen) or [discord.SelectOption(label="-")]
        super().__init__(discord.ui.Select(custom_id=f"sm:{setting}", options=options, row=row))
        self.setting = setting

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        value = next(iter(chosen_in(interaction)), "")
        await client.cogs["Settings"].on_change(interaction, self.setting, value)


class RegionMenu(KeptItem, template=r"rg:(?P<job_id>[a-z2-9]{12}):(?P<index>[0-9])"):
    """Chooses among the numbered fields of a picture, several at once."""

    def __init__(self, job_id: str, index: int) -> None:
        options = [discord.SelectOption(label=f"Field {n}", value=str(n)) for n in range(1, GRID * GRID + 1)]
        menu: discord.ui.Select[Any] = discord.ui.Select(
            custom_id=f"rg:{job_id}:{index}",
            options=options,
            min_values=1,
            max_values=len(options),
            placeholder="Fields to redraw",
            row=0,
        )
        super().__init__(menu)
        self.job_id, self.index = job_id, index

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        cells = tuple(sorted(int(value) for value in chosen_in(interaction) if value.isdigit()))
        await client.job_buttons.on_region(interaction, self.job_id, self.index, cells)


class RegionButton(KeptItem, template=r"rw:(?P<job_id>[a-z2-9]{12}):(?P<index>[0-9])"):
    """Opens the other two ways to choose a part: by words, or by a mask."""

    def __init__(self, job_id: str, index: int) -> None:
        label, custom_id = "By words or with a mask", f"rw:{job_id}:{index}"
        super().__init__(discord.ui.Button(label=label, emoji="🖌️", custom_id=custom_id, row=1))
        self.job_id, self.index = job_id, index

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        await client.job_buttons.on_region(interaction, self.job_id, self.index, ())


class FavouritesPageButton(KeptItem, template=r"fv:(?P<offset>[0-9]{1,5}):(?P<side>[lr])"):
    """Turns the pages of the presser's favourites."""

    def __init__(self, offset: int, side: str, *, disabled: bool = False) -> None:
        emoji = "◀️" if side == "l" else "▶️"
        super().__init__(
            discord.ui.Button(emoji=emoji, custom_id=f"fv:{offset}:{side}", disabled=disabled, row=0)
        )
        self.offset = offset

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        await client.cogs["Favourites"].turn_to(interaction, self.offset)


DYNAMIC_ITEMS = (
    JobButton,
    UploadButton,
    DraftButton,
    SettingButton,
    SettingMenu,
    RegionMenu,
    RegionButton,
    FavouritesPageButton,
)


def options_of(labels: Mapping[str, str], chosen: str | None = None) -> list[discord.SelectOption]:
    """Return the first entries of a menu, value → label, with the ``chosen`` one preselected."""
    shown = list(labels.items())[:MOST_OPTIONS]
    return [
        discord.SelectOption(label=cut_text(label, 100), value=value, default=value == chosen)
        for value, label in shown
    ]


def chosen_in(interaction: discord.Interaction[Any]) -> Sequence[str]:
    """Return the values chosen in a menu."""
    data: Mapping[str, Any] = interaction.data or {}
    return data.get("values", ())


def view_of(*items: discord.ui.Item[Any]) -> discord.ui.View:
    """Return a view of ``items``. It works after a restart too: a press is found by its custom_id."""
    view = discord.ui.View(timeout=None)
    for item in items:
        view.add_item(item)
    return view


def for_captions(job: Job, count: int) -> discord.ui.View:
    """Return a number for each of ``count`` captions, which opens a window with it; again, and all at
    once."""
    picks = [JobButton(job.id, "caption", i, row=0) for i in range(count)]
    return view_of(*picks, JobButton(job.id, "again", row=1), JobButton(job.id, "all", row=1))


def for_shortened(job: Job, count: int) -> discord.ui.View:
    """Return a number for each of ``count`` shorter prompts, which opens a window with it; the weights."""
    return view_of(
        *(JobButton(job.id, "short", i, row=0) for i in range(count)), JobButton(job.id, "weights", row=1)
    )


def for_favourite(job_id: str, position: int, offset: int, count: int) -> discord.ui.View:
    """Return the pages' arrows and the actions of one favourite. ``offset``: its place among ``count``."""
    return view_of(
        FavouritesPageButton(max(0, offset - 1), "l", disabled=offset == 0),
        FavouritesPageButton(offset + 1, "r", disabled=offset + 1 >= count),
        JobButton(job_id, "upscale", position, row=0),
        JobButton(job_id, "favourite", position, row=0),
        JobButton(job_id, "details", position, row=0),
    )


def after_end(job: Job) -> discord.ui.View:
    """Return the button that asks again for a job that failed or was cancelled; of one of a project, that
    shows it."""
    of_project = isinstance(job.request, ProjectRequest)
    return view_of(JobButton(job.id, "project" if of_project else "again"))


LINKED = (2, 0, 3)  # rows of a single picture's buttons that may have room for links
ZOOMS, LAST = 2, 4  # the row of the zooms, and the one that looks and ends


def for_grid(job: Job, count: int, web: str = "", *, videos: bool = False) -> discord.ui.View:
    """Return U and V for each of ``count`` pictures (``videos``: U alone), and re-roll. web: the address of
    the studio on the web, which then is a link away."""
    upscale = [JobButton(job.id, "upscale", i, row=0) for i in range(count)]
    vary = [JobButton(job.id, "vary", i, row=1) for i in range(count) if not videos]
    links = [link_button("Web", f"{web}/pictures/{job.id}/1", row=1)] if web else []
    return view_of(*upscale, JobButton(job.id, "again", row=0), *vary, *links)


def for_single(
    job: Job,
    index: int,
    picture: StoredPicture,
    web: str = "",
    *,
    asks: bool = False,
    videos: bool = False,
    edits: bool = False,
) -> discord.ui.View:
    """Return what can be done with picture ``index`` (from 0) at its size, in Midjourney's order. web: as for
    ``for_grid``. asks: whether anything here answers questions; Ask is there where the links leave room.
    videos: whether they are made here. edits: whether pictures are changed as words say."""
    rows, left_out = actions.for_picture(job, picture), {"read"}  # a menu of the message has it
    if videos:  # one beside the zooms, the other in the place of what the message's menu has as well
        zooms, (high, low) = rows[ZOOMS], actions.ANIMATES
        if len(zooms) >= MOST_IN_ROW:
            zooms = tuple(action for action in zooms if action != "cutout")
        rows = (*rows[:ZOOMS], (*zooms, high), *rows[ZOOMS + 1 : LAST], (low, *rows[LAST]))
        left_out.add("classify")
    if edits:  # in the place of what the message's menu has as well
        rows = (*rows[:LAST], (*actions.EDITS, *rows[LAST]))
        left_out.add("describe" if videos else "classify")
    if web and all(len(rows[row]) >= MOST_IN_ROW for row in LINKED):  # a place for the link to the editor
        left_out.add("cutout" if not videos else "dm" if edits else "describe")  # a reaction sends it, too
    rows = tuple(tuple(action for action in actions if action not in left_out) for actions in rows)
    acting = [
        JobButton(job.id, action, index, row=row) for row, actions in enumerate(rows) for action in actions
    ]
    room = [row for row in (*LINKED, LAST) for _ in range(MOST_IN_ROW - len(rows[row]))]
    links = (("Edit", "edit"), ("Web", "pictures")) if web else ()  # the way out of one leads to the other
    addresses = [(label, f"{web}/{page}/{job.id}/{index + 1}") for label, page in links]
    asking = [JobButton(job.id, "question", index, row=row) for row in room[len(addresses) :][:1] if asks]
    linked = [link_button(*one, row) for one, row in zip(addresses, room, strict=False)]
    return view_of(*acting, *linked, *asking)


def for_video(job: Job, index: int, web: str = "") -> discord.ui.View:
    """Return what can be done with video ``index`` (from 0). web: as for ``for_grid``."""
    rows = actions.for_video(job)
    acting = [JobButton(job.id, action, index, row=row) for row, group in enumerate(rows) for action in group]
    links = [link_button("Web", f"{web}/pictures/{job.id}/{index + 1}", row=len(rows) - 1)] if web else []
    return view_of(*acting, *links)


def link_button(label: str, address: str, row: int | None = None) -> discord.ui.Button[Any]:
    """Return a button that leads to a page of the studio on the web."""
    return discord.ui.Button(label=label, url=address, row=row)


ASKED = ("Why {}?", "Why not {}?", "Why not {}?")  # of the best label, and of those that come next
MAX_LABEL = 60  # characters on a button, which takes 80


def for_labels(job: Job, labels: Sequence[str]) -> discord.ui.View:
    """Return the buttons for labels, the best first."""
    asked = []
    for place, (label, words) in enumerate(zip(labels, ASKED, strict=False)):
        button = JobButton(job.id, "why", place)
        button.item.label = words.format(cut_text(plain(label), MAX_LABEL) or "…")
        asked.append(button)
    return view_of(*asked)
