"""What is offered while somebody types, as Discord takes it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from discord import app_commands

from bot.ui.messages import cut, length

# https://discord.com/developers/docs/interactions/application-commands#application-command-object
MOST, LONGEST = 25, 100  # choices; characters of each


def choices(offered: Iterable[tuple[str, str]]) -> list[app_commands.Choice[str]]:
    """Return the first (name, value) that Discord takes: it would refuse all for one. Names are cut; what has
    a longer value is left out."""
    fits = ((name, value) for name, value in offered if length(value) <= LONGEST)
    return [app_commands.Choice(name=cut(name, LONGEST), value=value) for name, value in islice(fits, MOST)]
