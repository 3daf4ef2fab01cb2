"""The table of capabilities names all that the bot and the web offer, and why something is at one alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from discord import app_commands

from bot.discord_api import private_api
from studio.doors import CAPABILITIES
from tests.bot.conftest import Studio
from web.auth import Visitors
from web.handlers.account import PrivacyHandlers, SignIn
from web.handlers.pages import Pages
from web.handlers.settings import SettingsForm
from web.routes import route_table


def below(names: Iterable[str], end: str, there: Collection[str]) -> set[str]:
    """Which of ``there`` are one of ``names``, or below it."""
    return {one for one in there for name in names if one == name or one.startswith(f"{name}{end}")}


async def test_every_command_and_route_belongs_to_a_capability_and_each_of_those_is_there(
    studio: Studio,
) -> None:
    tree, settings = studio.bot.tree, studio.built.settings
    groups = (app_commands.Group,)
    commands = {one.qualified_name for one in tree.walk_commands() if not isinstance(one, groups)}
    commands |= {name for name, _, _ in private_api.context_menus(tree)}
    form, visitors = SettingsForm(()), Visitors(studio.built.web.sessions)
    pages = Pages(visitors, form)
    own = PrivacyHandlers(pages, visitors, lambda user, session: None)
    paths = {route.path for route in route_table(settings, pages, form, SignIn(visitors), own)}
    for side, end, there in (("discord", " ", commands), ("web", "/", paths)):
        named = [name for one in CAPABILITIES for name in getattr(one, side)]
        assert there - below(named, end, there) == set(), side
        assert [name for name in named if not below([name], end, there)] == [], side


def test_what_is_at_one_door_alone_has_its_reason() -> None:
    assert len({one.name for one in CAPABILITIES}) == len(CAPABILITIES)
    for one in CAPABILITIES:
        assert bool(one.alone) is not (bool(one.discord) and bool(one.web)), one.name
        assert one.discord or one.web, one.name
