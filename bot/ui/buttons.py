"""The buttons and menus under messages. Their ``custom_id`` is all their state, so they work for ever.

``at:<job id>:<action>:<index>`` for jobs, ``mn:<job id>:<index>:<group>`` for menus of the same,
``sh:<job id>:<action>`` for menus of a sheet's drafts,
``up:<sha256>:<action>`` for pictures sent in a DM, ``dr:<draft id>:<answer>`` to confirm several jobs at
once, ``st:<setting>:<value>`` and the menus ``sm:<setting>`` of ``/settings``, ``rg:<job id>:<index>`` for
the numbered fields of Vary (Region), ``fv:<offset>:<side>`` to turn the pages of favourites, ``pg:<path>`` to
open a page of the web inside Discord.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self
from urllib.parse import urlsplit

import discord

from bot.discord_api.interactions import press_key
from bot.ui.messages import cut_text
from core.job import Job
from core.language import N_, _
from core.requests import ImagineRequest
from core.requests.custom_models import ProjectRequest
from storage.job_queries import StoredPicture
from studio.new_job import FIELDS
from studio.requests import actions
from studio.texts import plain

MOST_IN_ROW, MOST_OPTIONS = 5, 25  # buttons of a row; entries of a menu
Style = discord.ButtonStyle
Secondary, Success, Danger = Style.secondary, Style.success, Style.danger


@dataclass(frozen=True)
class ButtonStyle:
    """How a button looks. ``label``: "{n}" stands for the number of its picture, from 1. ``short``: its label
    below a single picture, where phones have room for a few words a line."""

    label: str | None = None
    emoji: str | None = None
    style: discord.ButtonStyle = Secondary
    short: str = ""


BUTTONS: dict[str, ButtonStyle] = {
    "upscale": ButtonStyle("U{n}"),
    "vary": ButtonStyle("V{n}"),
    "again": ButtonStyle(None, "🔄"),
    "three": ButtonStyle(N_("Three more"), "➕"),
    "next": ButtonStyle(N_("24 more"), "➕"),
    "others": ButtonStyle(N_("The others"), "👀"),
    "full": ButtonStyle(N_("Draw in full"), "🖼️", short=N_("In full")),
    "seed": ButtonStyle(N_("Draw by seed"), "🌱"),
    "subtle": ButtonStyle(N_("Vary (Subtle)"), "🪄", short=N_("Subtle")),
    "strong": ButtonStyle(N_("Vary (Strong)"), "🪄", short=N_("Strong")),
    "region": ButtonStyle(N_("Vary (Region)"), "🖌️", short=N_("Region")),
    "remix": ButtonStyle(N_("Remix"), "✏️"),
    "edit": ButtonStyle(N_("Edit by words"), "✍️", short=N_("Words")),
    "up2s": ButtonStyle(N_("Upscale 2x (Subtle)"), "⏫", short=N_("2x")),
    "up2c": ButtonStyle(N_("Upscale 2x (Creative)"), "⏫", short=N_("2x creative")),
    "up4s": ButtonStyle(N_("Upscale 4x (Subtle)"), "⏫"),
    "up4c": ButtonStyle(N_("Upscale 4x (Creative)"), "⏫"),
    "hd": ButtonStyle(N_("Run as HD")),
    "zoom20": ButtonStyle(N_("Zoom Out 2x"), "🔍"),
    "zoom15": ButtonStyle(N_("Zoom Out 1.5x"), "🔍"),
    "zoom": ButtonStyle(N_("Custom Zoom"), "🔍"),
    "square": ButtonStyle(N_("Make Square"), "↔️"),
    "left": ButtonStyle(None, "⬅️"),
    "right": ButtonStyle(None, "➡️"),
    "up": ButtonStyle(None, "⬆️"),
    "down": ButtonStyle(None, "⬇️"),
    "favourite": ButtonStyle(None, "❤️"),
    "cutout": ButtonStyle(N_("Cut out"), "✂️"),
    "describe": ButtonStyle(N_("Describe"), "💬"),
    "ask": ButtonStyle(N_("Ask"), "❓"),
    "classify": ButtonStyle(N_("Classify"), "🏷️"),
    "read": ButtonStyle(N_("Read text"), "🔤"),
    "why": ButtonStyle(N_("Why?"), "🔎"),
    "anihigh": ButtonStyle(N_("Animate (High)"), "🎞️", short=N_("Animate")),
    "anilow": ButtonStyle(N_("Animate (Low)"), "🎞️"),
    "exthigh": ButtonStyle(N_("Extend (High)"), "⏩"),
    "extlow": ButtonStyle(N_("Extend (Low)"), "⏩"),
    "extback": ButtonStyle(N_("Extend back"), "⏪"),
    "loop": ButtonStyle(N_("Loop"), "🔁"),
    "vremix": ButtonStyle(N_("Remix"), "✏️"),
    "vblend": ButtonStyle(N_("Blend…"), "🔀"),
    "cut": ButtonStyle(N_("Cut"), "✂️"),
    "lastframe": ButtonStyle(N_("Last frame"), "🖼️"),
    "gif": ButtonStyle(N_("GIF"), "📽️"),
    "details": ButtonStyle(N_("Details"), "📋"),
    "dm": ButtonStyle(N_("DM me"), "✉️"),
    "delete": ButtonStyle(N_("Delete"), "🗑️"),
    "caption": ButtonStyle("{n}"),
    "all": ButtonStyle(N_("Imagine all"), "🎉"),
    "short": ButtonStyle("{n}"),
    "weights": ButtonStyle(N_("Show details")),
    "cancel": ButtonStyle(N_("Cancel"), None, Danger),
    "stop": ButtonStyle(N_("Stop"), "⏹️", Danger),
    "question": ButtonStyle(N_("Ask"), "❓"),
    "more": ButtonStyle(N_("Ask more"), "💬", Success),
    "draw": ButtonStyle(N_("Imagine this"), "🎨"),
    "thread": ButtonStyle(N_("Thread"), "🧵"),
    "teach": ButtonStyle(N_("Teach"), "🎓"),
    "isright": ButtonStyle(N_("Right"), "✅"),
    "iswrong": ButtonStyle(N_("Wrong?"), "❌"),
    "falsealarm": ButtonStyle(N_("False alarm"), "❌"),
    "snooze": ButtonStyle(N_("Snooze 1 h"), "💤"),
    "verdict": ButtonStyle(N_("Details"), "📋"),
    "project": ButtonStyle(N_("Project"), "🗂️"),
    "variation": ButtonStyle(N_("Vary"), "🪄"),
    "outpaint": ButtonStyle(N_("Outpaint"), "🔍"),
}


def _button(
    custom_id: str, action: str, index: int, row: int | None = None, *, short: bool = False
) -> discord.ui.Button[Any]:
    look = BUTTONS.get(action, ButtonStyle(action))
    words = look.short or look.label if short else look.label
    label = _(words, n=index + 1) if words else None
    return discord.ui.Button(label=label, emoji=look.emoji, style=look.style, custom_id=custom_id, row=row)


MENUS = {
    "enlarge": N_("⏫ Enlarge …"),
    "frame": N_("🔍 Zoom and pan …"),
    "more": N_("More …"),
}  # group → what it says
PANS = {"left": N_("Pan left"), "right": N_("Pan right"), "up": N_("Pan up"), "down": N_("Pan down")}
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
        await client.speak(interaction)
        await client.answers.guarded(interaction, self._press(client, interaction))

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        """What a press, or a choice in a menu, asks for. Raises UserError."""
        raise NotImplementedError


class JobButton(
    KeptItem, template=r"at:(?P<job_id>[a-z2-9]{12}):(?P<action>[a-z0-9]+):(?P<index>[0-9]{1,2})"
):
    """A button of a job. short: with the label that it has below a single picture."""

    def __init__(
        self,
        job_id: str,
        action: str,
        index: int = 0,
        row: int | None = None,
        *,
        short: bool = False,
        disabled: bool = False,
    ) -> None:
        super().__init__(_button(f"at:{job_id}:{action}:{index}", action, index, row, short=short))
        self.item.disabled = disabled
        self.job_id, self.action, self.index = job_id, action, index

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        await client.job_buttons.on_press(interaction, self.job_id, self.action, self.index)


class JobMenu(KeptItem, template=r"mn:(?P<job_id>[a-z2-9]{12}):(?P<index>[0-9]{1,2}):(?P<group>[a-z]+)"):
    """Some of a job's buttons as the entries of a menu."""

    def __init__(self, job_id: str, index: int, group: str, offered: Sequence[str] = ()) -> None:
        looks = {action: BUTTONS.get(action, ButtonStyle(action)) for action in offered}
        options = [
            discord.SelectOption(label=_(look.label or PANS.get(one, one)), value=one, emoji=look.emoji)
            for one, look in looks.items()
        ]
        menu: discord.ui.Select[Any] = discord.ui.Select(
            custom_id=f"mn:{job_id}:{index}:{group}",
            options=options or [discord.SelectOption(label="-")],
            placeholder=_(MENUS.get(group, MENUS["more"])),
        )
        super().__init__(menu)
        self.job_id, self.index = job_id, index

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        action = next(iter(chosen_in(interaction)), "")
        await client.job_buttons.on_press(interaction, self.job_id, action, self.index)


SHEETS = {"full": N_("Draw in full …"), "upscale": N_("Show one …")}  # action of a menu → what it says
MOST_IN_FULL = 4  # drafts that one choice draws


class SheetMenu(KeptItem, template=r"sh:(?P<job_id>[a-z2-9]{12}):(?P<action>[a-z]+)"):
    """Chooses among the drafts of a sheet: what is drawn in full, or shown alone. labels: by place (from
    0)."""

    def __init__(self, job_id: str, action: str, labels: Mapping[int, str] | None = None) -> None:
        options = options_of({str(place): label for place, label in (labels or {}).items()})
        menu: discord.ui.Select[Any] = discord.ui.Select(
            custom_id=f"sh:{job_id}:{action}",
            options=options or [discord.SelectOption(label="-")],
            max_values=min(MOST_IN_FULL, len(options) or 1) if action == "full" else 1,
            placeholder=_(SHEETS.get(action, MENUS["more"])),
        )
        super().__init__(menu)
        self.job_id, self.action = job_id, action

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        places = tuple(sorted(int(value) for value in chosen_in(interaction) if value.isdigit()))
        await client.job_buttons.on_sheet(interaction, self.job_id, self.action, places)


class UploadButton(KeptItem, template=r"up:(?P<sha256>[0-9a-f]{64}):(?P<action>[a-z]+)"):
    """A button of a picture that came in a DM."""

    def __init__(self, sha256: str, action: str) -> None:
        super().__init__(_button(f"up:{sha256}:{action}", action, 0))
        self.sha256, self.action = sha256, action

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        if self.action == "ask":
            await client.answers.guarded(interaction, client.questions.open_sent(interaction, self.sha256))
            return
        build = partial(client.cogs["Sent"].job_of, interaction, self.sha256, self.action)
        await client.answers.ask(interaction, build, press_key=press_key(interaction))


class TryButton(KeptItem, template=r"hx:(?P<topic>[a-z]*):(?P<index>[0-9]{1,2})"):
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
            discord.ui.Button(
                label=label or (_("Yes") if answer == "yes" else _("No")),
                style=style,
                custom_id=f"dr:{draft_id}:{answer}",
            )
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
            discord.ui.Button(
                label=_(label or value), style=style, custom_id=f"st:{setting}:{value}", row=row
            )
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


class RegionMenu(KeptItem, template=r"rg:(?P<job_id>[a-z2-9]{12}):(?P<index>[0-9]{1,2})"):
    """Chooses among the numbered fields of a picture, several at once."""

    def __init__(self, job_id: str, index: int) -> None:
        options = [
            discord.SelectOption(label=_("Field {n}", n=n), value=str(n)) for n in range(1, FIELDS**2 + 1)
        ]
        menu: discord.ui.Select[Any] = discord.ui.Select(
            custom_id=f"rg:{job_id}:{index}",
            options=options,
            min_values=1,
            max_values=len(options),
            placeholder=_("Fields to redraw"),
            row=0,
        )
        super().__init__(menu)
        self.job_id, self.index = job_id, index

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        cells = tuple(sorted(int(value) for value in chosen_in(interaction) if value.isdigit()))
        await client.job_buttons.on_region(interaction, self.job_id, self.index, cells)


class RegionButton(KeptItem, template=r"rw:(?P<job_id>[a-z2-9]{12}):(?P<index>[0-9]{1,2})"):
    """Opens the other two ways to choose a part: by words, or by a mask."""

    def __init__(self, job_id: str, index: int) -> None:
        label, custom_id = _("By words or with a mask"), f"rw:{job_id}:{index}"
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


class PageButton(KeptItem, template=r"pg:(?P<path>[a-z0-9/]{1,80})"):
    """Opens a page of the studio on the web inside Discord, as an Activity."""

    def __init__(self, path: str, label: str = "Web") -> None:
        super().__init__(discord.ui.Button(label=label, custom_id=f"pg:{path}"))
        self.path = path

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        await client.launch(interaction, f"/{self.path}")


DYNAMIC_ITEMS = (
    JobButton,
    JobMenu,
    SheetMenu,
    PageButton,
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
        discord.SelectOption(label=cut_text(_(label), 100), value=value, default=value == chosen)
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


Row = tuple[discord.ui.Item[Any], ...]
Rows = tuple[Row, ...]


def rows_of(*items: discord.ui.Item[Any]) -> Rows:
    """Return ``items`` by the row that each names; those that name none follow each other, a menu in a row of
    its own."""
    rows: dict[int, list[discord.ui.Item[Any]]] = {}
    for item in items:
        row = item.row
        if row is None:
            row = max(rows, default=0)
            if sum(one.width for one in rows.get(row, ())) + item.width > MOST_IN_ROW:
                row += 1
        rows.setdefault(row, []).append(item)
    return tuple(tuple(rows[row]) for row in sorted(rows))


def for_captions(job: Job, count: int) -> Rows:
    """Return a number for each of ``count`` captions, which opens a window with it; again, and all at
    once."""
    picks = [JobButton(job.id, "caption", i, row=0) for i in range(count)]
    return rows_of(*picks, JobButton(job.id, "again", row=1), JobButton(job.id, "all", row=1))


def for_shortened(job: Job, count: int) -> Rows:
    """Return a number for each of ``count`` shorter prompts, which opens a window with it; the weights."""
    return rows_of(
        *(JobButton(job.id, "short", i, row=0) for i in range(count)), JobButton(job.id, "weights", row=1)
    )


def for_favourite(job_id: str, position: int, offset: int, count: int) -> Rows:
    """Return the pages' arrows and the actions of one favourite. ``offset``: its place among ``count``."""
    return rows_of(
        FavouritesPageButton(max(0, offset - 1), "l", disabled=offset == 0),
        FavouritesPageButton(offset + 1, "r", disabled=offset + 1 >= count),
        JobButton(job_id, "upscale", position, row=0),
        JobButton(job_id, "favourite", position, row=0),
        JobButton(job_id, "details", position, row=0),
    )


def after_end(job: Job) -> Rows:
    """Return the button that asks again for a job that failed or was cancelled; of one of a project, that
    shows it."""
    of_project = isinstance(job.request, ProjectRequest)
    return rows_of(JobButton(job.id, "project" if of_project else "again"))


def for_grid(
    job: Job,
    count: int,
    web: str = "",
    *,
    videos: bool = False,
    gone: Collection[int] = (),
    others: bool = False,
) -> Rows:
    """Return U and V for each of ``count`` pictures (``videos``: U alone), and re-roll. web: the address of
    the studio on the web, which then is a link away. gone: numbers (from 0) of what isn't shown there.
    others: a taste has left some out."""
    links = [link_button(_("Web"), f"{web}/pictures/{job.id}/1")] if web else []
    upscales = (JobButton(job.id, "upscale", i, disabled=i in gone) for i in range(count))
    varies = [JobButton(job.id, "vary", i, disabled=i in gone) for i in range(count) if not videos]
    second = ((*varies, *links),) if varies or links else ()
    third = ((JobButton(job.id, "others"),),) if others else ()
    return ((*upscales, JobButton(job.id, "again")), *second, *third)


def for_sheet(job: Job, pictures: Sequence[StoredPicture], web: str = "") -> Rows:
    """Return menus of the drafts that may be drawn in full or shown alone; more of them, and a re-roll. web:
    as for ``for_grid``."""
    labels = {one.index: _draft_label(job, one) for one in pictures}
    links = [link_button(_("Web"), f"{web}/pictures/{job.id}/1")] if web else []
    presses = (JobButton(job.id, "next"), JobButton(job.id, "again"), *links)
    return (*((SheetMenu(job.id, action, labels),) for action in SHEETS), presses)


def _draft_label(job: Job, picture: StoredPicture) -> str:
    """Return what names a draft: its number and its words or style, where it has its own, or its seed."""
    request, own = job.request, ""
    if isinstance(request, ImagineRequest) and picture.seed is not None and job.worded:
        one = request.of_seed(picture.seed)
        styles = [f"--sref {code}" for code, _weight in one.style_codes] if request.sheet_styles else []
        own = " ".join([*([one.prompt] if request.choices else []), *styles])
    return f"{picture.index + 1} · {plain(own) or _('seed {seed}', seed=picture.seed)}"


# Where the actions of a picture stand: the usual ones in rows, the others in menus, so that none gives way to
# another. What is named nowhere is in the last menu.
PICTURE_ROWS = (
    ("up2s", "up2c", "subtle", "strong", "region"),
    ("remix", "edit", "anihigh", "favourite", "again"),
    ("question",),
)
PICTURE_MENUS = {
    "enlarge": ("full", "seed", "up4s", "up4c", "hd"),
    "frame": ("zoom20", "zoom15", "zoom", "square", "left", "right", "up", "down"),
}
VIDEO_ROWS = (
    ("exthigh", "extlow", "extback", "loop"),
    ("vremix", "vblend", "again", "three"),
    ("cut", "lastframe", "gif", "favourite"),
)


def for_single(
    job: Job,
    index: int,
    picture: StoredPicture,
    web: str = "",
    *,
    asks: bool = False,
    videos: bool = False,
    edits: bool = False,
) -> Rows:
    """Return what can be done with picture ``index`` (from 0) at its size. web: as for ``for_grid``. asks:
    whether anything here answers questions. videos: whether they are made here. edits: whether pictures are
    changed as words say."""
    offered = [action for group in actions.for_picture(job, picture) for action in group]
    offered += [*(actions.ANIMATES if videos else ()), *(actions.EDITS if edits else ())]
    offered += ["question"] if asks else []
    links = ((_("Edit"), "edit"), (_("Web"), "pictures")) if web else ()
    addresses = [link_button(label, f"{web}/{page}/{job.id}/{index + 1}") for label, page in links]
    return _arranged(job, index, offered, PICTURE_ROWS, PICTURE_MENUS, addresses)


def for_video(job: Job, index: int, web: str = "") -> Rows:
    """Return what can be done with video ``index`` (from 0). web: as for ``for_grid``."""
    offered = [action for group in actions.for_video(job) for action in group]
    links = [link_button(_("Web"), f"{web}/pictures/{job.id}/{index + 1}")] if web else []
    return _arranged(job, index, offered, VIDEO_ROWS, {}, links)


def _arranged(
    job: Job,
    index: int,
    offered: Sequence[str],
    rows: Sequence[Sequence[str]],
    menus: Mapping[str, Sequence[str]],
    links: Sequence[discord.ui.Item[Any]],
) -> Rows:
    """Return the actions that are ``offered`` in their places; links end the last row."""
    named = [action for group in (*rows, *menus.values()) for action in group]
    filled: list[list[discord.ui.Item[Any]]] = [
        [JobButton(job.id, one, index, short=True) for one in row if one in offered] for row in rows
    ]
    filled[-1] += links
    groups = {**menus, "more": [action for action in offered if action not in named]}
    chosen = {group: [one for one in inside if one in offered] for group, inside in groups.items()}
    boxes = [(JobMenu(job.id, index, group, inside),) for group, inside in chosen.items() if inside]
    return (*(tuple(row) for row in filled if row), *boxes)


INSIDE = "activity+"  # before the address of a studio whose pages open inside Discord


def link_button(label: str, address: str) -> discord.ui.Item[Any]:
    """Return a button that leads to a page of the studio on the web, inside Discord where that is on."""
    if address.startswith(INSIDE):
        return PageButton(urlsplit(address.removeprefix(INSIDE)).path.strip("/"), label)
    return discord.ui.Button(label=_(label), url=address)


ASKED = (
    N_("Why {}?"),
    N_("Why not {}?"),
    N_("Why not {}?"),
)  # of the best label, and of those that come next
MAX_LABEL = 60  # characters on a button, which takes 80


def for_labels(job: Job, labels: Sequence[str]) -> Rows:
    """Return the buttons for labels, the best first."""
    asked = []
    for place, (label, words) in enumerate(zip(labels, ASKED, strict=False)):
        button = JobButton(job.id, "why", place)
        button.item.label = _(words).format(cut_text(plain(label), MAX_LABEL) or "…")
        asked.append(button)
    return rows_of(*asked)
