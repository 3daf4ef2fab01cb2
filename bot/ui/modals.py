"""Windows with fields. Submissions are read as they come from Discord, so a window that was open during a
restart still works.

``custom_id``: ``mo:<what>:<job id>:<index>:<more>``. what: caption, short and draw (imagine it), remix (more:
the button), edit, zoom, region (more: the chosen fields as hexadecimal bits), more and question (ask), teach,
menu and example (about a message: a draft's id stands in the place of the job's), examples (a set's id stands
there), blend, and try (of help; more: the topic). Those of ``bot.projects`` begin with pj; a project's id, a
job's or a draft's stands in the place of the job's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import discord

from bot.discord_api import private_api
from bot.ui.buttons import options_of
from bot.ui.messages import cut_text
from core.language import N_, _
from core.limits import MAX_PROMPT, MAX_QUESTION

FORMS = {
    "free": N_("In words"),
    "short": N_("In a few words"),
    "table": N_("As a table, of a chart or table"),
    "boxes": N_("As boxes around objects"),
    "text": N_("The text in the picture"),
}
NO_JOB = "a" * 12  # where a window's id has a job's
MOST_RADIO = 10  # choices of a group, of which there are 2 at least
LIFE = 900.0  # seconds that discord.py keeps a window, of which nobody says that it was dismissed
_CUSTOM_ID = re.compile(
    r"mo:(?P<what>[a-z]+):(?P<job>[a-z2-9]{12}):(?P<index>[0-9]{1,2}):(?P<more>[a-z0-9]*)"
)
_OLD_CAPTION = re.compile(
    r"at:(?P<what>caption):(?P<job>[a-z2-9]{12}):(?P<index>[0-9]{1,2})(?P<more>)"
)  # of windows opened by an older version


class Window(discord.ui.Modal):
    """A window about a job's picture."""

    def __init__(self, title: str, what: str, job_id: str, index: int, more: str = "") -> None:
        super().__init__(
            title=cut_text(_(title), 45), custom_id=f"mo:{what}:{job_id}:{index}:{more}", timeout=LIFE
        )

    def add_text(
        self,
        label: str,
        name: str,
        value: str = "",
        *,
        long: bool = False,
        required: bool = True,
        hint: str = "",
        most: int = MAX_PROMPT,
    ) -> Window:
        """Add a text field of at most ``most`` characters. ``hint`` stands in it while it is empty."""
        style = discord.TextStyle.paragraph if long else discord.TextStyle.short
        box: discord.ui.TextInput[Window] = discord.ui.TextInput(
            style=style,
            custom_id=name,
            default=cut_text(value, most) or None,
            required=required,
            max_length=most,
            placeholder=cut_text(_(hint), 100) or None,
        )
        return self._add(label, box)

    def add_choice(
        self, label: str, name: str, options: Mapping[str, str], *, chosen: str | None = None
    ) -> Window:
        """Add a field for one of ``options``, value → what it is; ``chosen`` (None: the first) is chosen. Few
        are all in sight, more are in a menu."""
        made = options_of(options, next(iter(options)) if chosen is None else chosen)
        if 2 <= len(made) <= MOST_RADIO:
            shown = [
                discord.RadioGroupOption(label=one.label, value=one.value, default=one.default)
                for one in made
            ]
            group: discord.ui.RadioGroup[Window] = discord.ui.RadioGroup(
                custom_id=name, options=shown, required=False
            )
            return self._add(label, group)
        select: discord.ui.Select[Window] = discord.ui.Select(custom_id=name, options=made, required=False)
        return self._add(label, select)

    def add_upload(self, label: str, name: str, description: str, *, least: int = 0, most: int = 1) -> Window:
        """Add a field for ``least`` to ``most`` files."""
        upload: discord.ui.FileUpload[Window] = discord.ui.FileUpload(
            custom_id=name, required=least > 0, min_values=least, max_values=most
        )
        return self._add(label, upload, description)

    def add_tick(self, label: str, name: str, description: str, *, ticked: bool = False) -> Window:
        """Add a box to tick."""
        box: discord.ui.Checkbox[Window] = discord.ui.Checkbox(custom_id=name, default=ticked)
        return self._add(label, box, description)

    def _add(self, label: str, component: discord.ui.Item[Window], description: str = "") -> Window:
        about = cut_text(_(description), 100) or None
        self.add_item(discord.ui.Label(text=cut_text(_(label), 45), description=about, component=component))
        return self


def caption_window(job_id: str, index: int, text: str, what: str = "caption") -> Window:
    """Return the window with a caption to edit and imagine."""
    return Window(_("Imagine prompt {index}", index=index + 1), what, job_id, index).add_text(
        _("Prompt"), "prompt", text, long=True
    )


def question_window(
    what: str, job_id: str, index: int, title: str, *, upload: str = "", hint: str = ""
) -> Window:
    """Return the window for a question. upload: the label of a field for one more picture, empty = none."""
    window = Window(title, what, job_id, index)
    window.add_text(_("Question"), "question", long=True, hint=hint, most=MAX_QUESTION)
    window.add_choice(_("Answer"), "answer", FORMS)
    return window.add_upload(upload, "image", _("It comes with the question")) if upload else window


def cell_bits(cells: Sequence[int]) -> int:
    """Return field numbers (from 1) as bits, the first field the lowest."""
    return sum(1 << (cell - 1) for cell in set(cells))


def bits_cells(bits: int) -> tuple[int, ...]:
    """Return the field numbers that ``cell_bits`` made ``bits`` of."""
    return tuple(n + 1 for n in range(bits.bit_length()) if bits >> n & 1)


@dataclass(frozen=True)
class Submission:
    """What a member sent from a window. ``texts``: field → what was typed, or chosen in a group. ``files``:
    field → ids of uploads, or what was chosen in a menu. ``ticked``: fields that were ticked."""

    what: str
    job_id: str
    index: int
    more: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ticked: frozenset[str] = frozenset()

    @classmethod
    def of(cls, interaction: discord.Interaction) -> Submission | None:
        """Return the submission that ``interaction`` is, or None if it is something else."""
        data: Mapping[str, Any] = interaction.data or {}
        if interaction.type is not discord.InteractionType.modal_submit:
            return None
        custom_id = str(data.get("custom_id", ""))
        match = _CUSTOM_ID.fullmatch(custom_id) or _OLD_CAPTION.fullmatch(custom_id)
        if match is None:
            return None
        found = list(_controls(data.get("components", [])))
        texts = {c["custom_id"]: c["value"] for c in found if isinstance(c.get("value"), str)}
        files = {c["custom_id"]: tuple(c["values"]) for c in found if c.get("values")}
        ticked = frozenset(c["custom_id"] for c in found if c.get("value") is True)
        return cls(match["what"], match["job"], int(match["index"]), match["more"], texts, files, ticked)

    def text(self, name: str) -> str:
        """Return what was typed into a field, "" if nothing."""
        return self.texts.get(name, "").strip()

    def chosen(self, name: str) -> str:
        """Return what was chosen in a field for one of several, "" if nothing."""
        return self.text(name) or next(iter(self.files.get(name, ())), "")


def _controls(components: list[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for component in components:
        if "custom_id" in component:
            yield component
        yield from _controls(component.get("components", []))
        if isinstance(component.get("component"), Mapping):
            yield from _controls([component["component"]])


def uploads(interaction: discord.Interaction, sent: Submission, name: str) -> list[discord.Attachment]:
    """Return the files of a field of a submitted window."""
    found = (uploaded(interaction, file_id) for file_id in sent.files.get(name, ()))
    return [file for file in found if file is not None]


def uploaded(interaction: discord.Interaction, file_id: str) -> discord.Attachment | None:
    """Return a file of a submitted window, or None if it isn't there."""
    data: Mapping[str, Any] = interaction.data or {}
    raw = data.get("resolved", {}).get("attachments", {}).get(file_id)
    return private_api.attachment(interaction, raw) if raw else None
