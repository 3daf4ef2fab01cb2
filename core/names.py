"""What people may call a thing of theirs, such as a folder or a document."""

from __future__ import annotations

from core.errors import UserError

LONGEST_NAME = 80  # characters
_JOINERS = "\u200c\u200d"  # nothing is seen of them, but emoji and some scripts are written with them


def name_of(text: str, what: str, *, needed: bool = False) -> str:
    """Return a name as it is kept, with single spaces between its words; "" where nothing can be seen of it.
    what: whose name it is, such as "A folder". needed: whether it has to have one.

    Raises UserError, which says what is wrong with it.
    """
    name = " ".join(text.split())
    hidden = next((one for one in name if not one.isprintable() and one not in _JOINERS), None)
    if hidden is not None:
        raise UserError(f"The name has a character that can't be seen (U+{ord(hidden):04X}). Take it out.")
    if len(name) > LONGEST_NAME:
        raise UserError(f"{what}'s name takes up to {LONGEST_NAME} characters; this one has {len(name)}.")
    name = name if name.strip(_JOINERS) else ""
    if needed and not name:
        raise UserError(f"{what}'s name takes 1 to {LONGEST_NAME} characters.")
    return name
