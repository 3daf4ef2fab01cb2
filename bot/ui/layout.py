"""How a message is laid out in components: its words, its pictures in a gallery, its buttons and menus, and
its small print below them, within Discord's limits
(https://discord.com/developers/docs/components/reference)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import discord
from discord import ui

from bot.ui.buttons import Rows
from bot.ui.messages import cut_text, fit_message

MOST_COMPONENTS = 40  # of a message, those inside of others included; items of a gallery don't count
MOST_CHARACTERS = 4000  # of all its texts
MOST_PICTURES = 10  # of a gallery
MAX_ALT = 1024  # characters of a picture's alternative text
SMALL_PRINT = "-# "  # begins a line of it
CALM, GOOD, BAD = 0x5865F2, 0x3BA55D, 0xD83C3E  # colours of the bar at the left


class Picture(NamedTuple):
    """A file of a message. spoiler: it is veiled until somebody presses it."""

    data: bytes
    name: str
    alt_text: str
    spoiler: bool = False

    @property
    def file_name(self) -> str:
        """The name that Discord leaves as it is, so that a component can name the file."""
        return re.sub(r"[^A-Za-z0-9._-]+", "_", self.name)


def numbered_words(words: Iterable[Sequence[str]], first: int = 1) -> str:
    """Return the alternative text of pictures that are shown as one, each with its number."""
    said = (f"{number}: {', '.join(one)}" for number, one in enumerate(words, first))
    return cut_text("; ".join(said), MAX_ALT)


def parts_of(text: str) -> tuple[str, str]:
    """Return a message's words, and the small print that they end with."""
    lines = text.split("\n")
    end = len(lines)
    while end and lines[end - 1].startswith(SMALL_PRINT):
        end -= 1
    return "\n".join(lines[:end]), "\n".join(lines[end:])


def layout(
    text: str,
    media: Sequence[Picture] = (),
    rows: Rows = (),
    files: Sequence[Picture] = (),
    accent: int | None = None,
) -> ui.LayoutView:
    """Return a message of these parts. Of a text that is too long the middle gives way, never its end, which
    has the job's id. accent: the colour of its bar."""
    head, foot = parts_of(fit_message(text, MOST_CHARACTERS))
    gallery: ui.MediaGallery[Any] = ui.MediaGallery(
        *(
            discord.MediaGalleryItem(
                f"attachment://{one.file_name}",
                description=cut_text(one.alt_text, MAX_ALT) or None,
                spoiler=one.spoiler,
            )
            for one in media[:MOST_PICTURES]
        )
    )
    return layout_of(
        *([ui.TextDisplay(head)] if head else []),
        *([gallery] if media else []),
        *(ui.File(f"attachment://{one.file_name}") for one in files),
        *(ui.ActionRow(*row) for row in rows),
        *([ui.TextDisplay(foot)] if foot else []),
        accent=accent,
    )


def layout_of(*items: ui.Item[Any], accent: int | None = None) -> ui.LayoutView:
    """Return a message of ``items``, each below the other. It works after a restart too."""
    view = Layout(timeout=None)
    return view.add_item(ui.Container(*items, accent_colour=accent))


class Layout(ui.LayoutView):
    """What is sent of a message's components, without what Discord takes as given where it isn't said."""

    def to_components(self) -> list[dict[str, Any]]:
        """Return the components as Discord is told them."""
        return _shortened(super().to_components())


# Keys of components, and of their emoji and options, that say nothing with these values
_GIVEN = {
    "accent_color": None,
    "default": False,
    "disabled": False,
    "id": None,
    "max_values": 1,
    "min_values": 1,
    "required": True,
    "spoiler": False,
}


def _shortened(part: Any) -> Any:
    if isinstance(part, list):
        return [_shortened(one) for one in part]
    if not isinstance(part, dict):
        return part
    said = {key: value for key, value in part.items() if key not in _GIVEN or value != _GIVEN[key]}
    return {key: _shortened(value) for key, value in said.items()}


def inside(components: Iterable[discord.Component]) -> Iterator[discord.Component]:
    """Yield components with those inside of others, from top to bottom."""
    for one in components:
        yield one
        accessory = getattr(one, "accessory", None)
        yield from inside([*getattr(one, "children", ()), *([accessory] if accessory else [])])


def ids_of(components: Iterable[discord.Component]) -> list[str]:
    """Return the custom_ids of the buttons and menus among components."""
    return [own for one in inside(components) if (own := getattr(one, "custom_id", None))]


def texts_of(components: Iterable[discord.Component]) -> list[str]:
    """Return the texts among components, those inside of others included."""
    return [one.content for one in inside(components) if isinstance(one, discord.TextDisplay)]
