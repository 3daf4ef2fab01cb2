"""Every capability, and at which doors it is. What is at one door alone has its reason here; a test compares
the table with the bot's commands and the web's routes."""

from __future__ import annotations

from dataclasses import dataclass


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
    Capability("films", ("video",), ("/api/clips", "/api/jobs")),
    Capability("see what came of a job", ("show", "Details"), ("/pictures", "/files", "/previews")),
    Capability("stop or delete a job", ("Cancel", "queue cancel"), ("/api/jobs",)),
    Capability("favourites", ("favourites",), ("/api/favourites",)),
    Capability("find pictures", ("search",), ("/pictures", "/explore", "/api/pictures", "/api/explore")),
    Capability("ask about pictures", ("ask", "Ask"), ("/ask", "/talk", "/api/talk", "/api/films")),
    Capability("sets of examples", ("examples", "Add as example"), ("/examples", "/api/examples")),
    Capability(
        "own models and styles",
        ("inspect", "style", "Add to project", "Inspect"),
        ("/projects", "/api/projects", "/api/verdicts", "/files/projects"),
    ),
    Capability("settings", ("settings", "prefer", "info"), ("/settings", "/api/settings")),
    Capability("speed and secrecy", ("fast", "relax", "turbo", "stealth", "public"), ("/settings",)),
    Capability("one's own data", ("privacy",), ("/privacy", "/api/privacy")),
    Capability(
        "sign in and out",
        ("web",),
        ("/in", "/sessions", "/api/session", "/api/sessions", "/api/sign-in"),
    ),
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
    Capability("months", web=("/api/months",), alone=ON_A_PAGE),
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
