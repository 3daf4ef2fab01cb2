"""The table of capabilities names all that the bot and the web offer, and why something is at one alone."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from discord import app_commands

from bot.discord_api import private_api
from tests.bot.conftest import Studio
from web.auth import Visitors
from web.handlers.account import Account
from web.routes import route_table


@dataclass(frozen=True)
class Capability:
    """Something that people can do. discord: commands, those of a group by its name, and menus. web: paths of
    routes, with all below them. alone: why it is at one door only."""

    name: str
    discord: tuple[str, ...] = ()
    web: tuple[str, ...] = ()
    alone: str = ""


ON_A_PAGE = "many pictures are sorted on a page, not in messages"
IN_A_SERVER = "it is about a server, whose managers are on Discord with its roles and channels"
CAPABILITIES = (
    Capability("draw from words", ("imagine",), ("/", "/api/jobs", "/api/drafts", "/api/complete")),
    Capability(
        "make something from a picture",
        ("variation", "upscale", "outpaint", "cutout", "describe", "classify", "read", "blend")
        + ("Vary", "Describe", "Classify", "Read text"),
        ("/api/jobs", "/api/uploads", "/files/uploads"),
    ),
    Capability("redraw a part of a picture", ("edit", "region"), ("/edit", "/api/edits", "/api/masks")),
    Capability("videos", ("video",), ("/api/clips", "/api/jobs")),
    Capability("see what came of a job", ("show", "Details"), ("/pictures", "/files", "/previews")),
    Capability("stop or delete a job", ("Cancel", "queue cancel"), ("/api/jobs",)),
    Capability("favourites", ("favourites",), ("/api/favourites",)),
    Capability("find pictures", ("search",), ("/pictures", "/explore", "/api/pictures", "/api/explore")),
    Capability("ask about pictures", ("ask", "Ask"), ("/ask", "/talk", "/api/talk", "/api/videos")),
    Capability("talk to the studio", ("talk",), ("/talk", "/api/talk")),
    Capability("tastes", ("taste",), ("/taste", "/api/taste")),
    Capability("sets of examples", ("examples", "Add as example"), ("/examples", "/api/examples")),
    Capability(
        "own models and styles",
        ("inspect", "style", "Add to project", "Inspect"),
        (
            "/projects",
            "/api/projects",
            "/api/verdicts",
            "/files/projects",
            "/wall",
            "/api/wall",
            "/files/wall",
        ),
    ),
    Capability("settings", ("settings", "prefer", "info"), ("/settings", "/api/settings")),
    Capability("speed and secrecy", ("fast", "relax", "turbo", "stealth", "public"), ("/settings",)),
    Capability("one's own data", ("privacy",), ("/privacy", "/api/privacy")),
    Capability(
        "sign in and out", ("web",), ("/in", "/sessions", "/api/session", "/api/sessions", "/api/sign-in")
    ),
    Capability("tokens for programs", ("web",), ("/programs", "/api/tokens")),
    Capability("agents", web=("/mcp",), alone="it is for agents, which speak it"),
    Capability("webhooks", ("web",), ("/api/webhooks",)),
    Capability("OpenAI's form", web=("/v1",), alone="it is for programs that speak it"),
    Capability("see what waits", ("queue show", "queue mine"), ("/queue", "/api/queues")),
    Capability("help", ("help",), ("/keys",)),
    Capability("shorter prompts", ("shorten",), alone="it answers with buttons for the next command"),
    Capability("get a picture as a message", ("DM results",), alone="on the web it is downloaded"),
    Capability("check a message", ("Check",), alone=IN_A_SERVER),
    Capability("order the queue", ("queue",), alone=IN_A_SERVER),
    Capability("rules of a server", ("studio", "moderation"), alone=IN_A_SERVER),
    Capability("folders", web=("/folders", "/api/folders"), alone=ON_A_PAGE),
    Capability("trash", web=("/trash", "/api/trash"), alone=ON_A_PAGE),
    Capability("zip files", web=("/api/zip",), alone=ON_A_PAGE),
    Capability("days and months", web=("/api/days", "/api/months"), alone=ON_A_PAGE),
    Capability("app of a phone", web=("/share", "/offline", "/api/push"), alone="Discord has its own"),
    Capability("components of the pages", web=("/_components",), alone="it is for who builds the pages"),
    Capability("links for strangers", web=("/shares", "/s", "/api/shares", "/files/s"), alone=ON_A_PAGE),
    Capability(
        "documents of the editor",
        web=("/documents", "/api/documents", "/api/selects"),
        alone="they are painted, which a message can't be",
    ),
    Capability(
        "post a picture to a channel",
        web=("/api/channels", "/api/posts"),
        alone="on Discord it is in a channel already",
    ),
)


def below(names: Iterable[str], end: str, there: Collection[str]) -> set[str]:
    """Which of ``there`` are one of ``names``, or below it."""
    return {one for one in there for name in names if one == name or one.startswith(f"{name}{end}")}


async def test_every_command_and_route_belongs_to_a_capability_and_each_is_there(studio: Studio) -> None:
    tree, settings = studio.bot.tree, studio.built.settings
    groups = (app_commands.Group,)
    commands = {one.qualified_name for one in tree.walk_commands() if not isinstance(one, groups)}
    commands |= {name for name, _, _ in private_api.context_menus(tree)}
    own = Account(Visitors(studio.built.web.sessions))
    paths = {route.path for route in route_table(settings, own)}
    for side, end, there in (("discord", " ", commands), ("web", "/", paths)):
        named = [name for one in CAPABILITIES for name in getattr(one, side)]
        assert there - below(named, end, there) == set(), side
        assert [name for name in named if not below([name], end, there)] == [], side


def test_what_is_at_one_door_alone_has_its_reason() -> None:
    assert len({one.name for one in CAPABILITIES}) == len(CAPABILITIES)
    for one in CAPABILITIES:
        assert bool(one.alone) is not (bool(one.discord) and bool(one.web)), one.name
        assert one.discord or one.web, one.name
