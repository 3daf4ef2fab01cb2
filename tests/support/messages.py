"""What a message says and offers, whatever it is built of: a plain one with rows, or components with texts,
pictures and rows among them; of discord.py, simcord or the wire."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ROW, BUTTON, MENUS, TEXT, GALLERY = 1, 2, (3, 5, 6, 7, 8), 10, 12  # kinds of components
COMPONENTS = 1 << 15  # flag of a message that is made of components alone


@dataclass(frozen=True)
class Item:
    """A button or a menu. ``name``: its label, else its emoji. ``values``: of a menu's entries, of which
    ``most`` may be chosen at once."""

    custom_id: str
    name: str
    url: str
    disabled: bool
    is_menu: bool
    values: tuple[str, ...]
    most: int


def parts_of(components: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Each component with those inside of it, as Discord writes them."""
    for one in components:
        part = one if isinstance(one, dict) else one.to_dict()
        yield part
        accessory = [part["accessory"]] if part.get("accessory") else []
        yield from parts_of([*part.get("components", ()), *accessory])


def _item(part: Mapping[str, Any]) -> Item:
    emoji = (part.get("emoji") or {}).get("name") or ""
    own, name = part.get("custom_id") or "", part.get("label") or emoji
    values = tuple(option["value"] for option in part.get("options", ()))
    is_menu, disabled = part["type"] in MENUS, bool(part.get("disabled"))
    most = part.get("max_values", 1)
    return Item(own, name, part.get("url") or "", disabled, is_menu, values, most)


def text_of(message: Any) -> str:
    """The words of a message, from top to bottom."""
    texts = [part["content"] for part in parts_of(message.components) if part["type"] == TEXT]
    return "\n".join([message.content, *texts] if message.content else texts)


def items_of(message: Any) -> list[Item]:
    """The buttons and menus of a message, from top to bottom."""
    return [_item(part) for part in parts_of(message.components) if part["type"] in (BUTTON, *MENUS)]


def rows_of(message: Any) -> list[list[Item]]:
    """The same by rows."""
    rows = [part["components"] for part in parts_of(message.components) if part["type"] == ROW]
    return [[_item(part) for part in row] for row in rows]


def veils_of(message: Any) -> list[bool]:
    """Whether each picture of a message's gallery is veiled."""
    return [bool(item.get("spoiler")) for item in _shown_in(message)]


def alts_of(message: Any) -> list[str]:
    """The descriptions of the pictures of a message's gallery."""
    return [item.get("description") or "" for item in _shown_in(message)]


def _shown_in(message: Any) -> list[Mapping[str, Any]]:
    galleries = [part["items"] for part in parts_of(message.components) if part["type"] == GALLERY]
    return [item for items in galleries for item in items]


def actions_of(message: Any) -> list[str]:
    """The actions of a job's buttons and menus."""
    own = [item for item in items_of(message) if item.custom_id[:3] in ("at:", "mn:")]
    return [action for item in own for action in item.values or [item.custom_id.split(":")[2]]]


async def act(person: Any, message: Any, action: str) -> Any:
    """Press the button of a job, or choose it in a menu of its message."""
    for item in items_of(message):
        if f":{action}:" in item.custom_id:
            return await person.click(message, custom_id=item.custom_id)
        if action in item.values:
            return await person.select(message, [action], custom_id=item.custom_id)
    raise LookupError(action)


def ids_of(message: Any) -> list[str]:
    """The custom_ids of a message's buttons and menus."""
    return [item.custom_id for item in items_of(message) if item.custom_id]


def names_of(message: Any) -> list[str]:
    """What its buttons say."""
    return [item.name for item in items_of(message) if not item.is_menu]


def said_first(window: Mapping[str, Any]) -> dict[str, Any]:
    """What the fields of a window say before anybody touches them, by their custom_id; those that say nothing
    are left out."""
    found: dict[str, Any] = {}
    for part in (one["component"] for one in window["components"]):
        chosen = [option["value"] for option in part.get("options", ()) if option.get("default")]
        if part["type"] in MENUS:
            found[part["custom_id"]] = chosen
        elif chosen:  # of a group, in which one is chosen
            [found[part["custom_id"]]] = chosen
        elif part.get("value") or part.get("default"):
            found[part["custom_id"]] = part.get("value") or part["default"]
    return found


async def send_window(person: Any, shown: Any, **values: Any) -> Any:
    """Send off a window that somebody was shown, with what its fields say first but for ``values``."""
    return await person.submit_modal(shown, {**said_first(shown.modal), **values})
