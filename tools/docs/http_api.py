"""The page of the HTTP interface, from the table of routes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import msgspec

from core.settings import load_settings
from tools.docs.markdown import code, first_sentence, page, sentence, table
from web.auth import Visitors
from web.call import Body, Bucket, Route
from web.handlers.account import Account
from web.openapi import PART, with_description
from web.routes import LIVE, route_table

INTRO = f"""\
The web studio's own pages use this interface, and so can your programs. A running studio describes it \
as OpenAPI 3.1 at `/api/openapi.json`, with every field and range. Turn it on with `WEB_PORT`; see [Web \
studio](../host/web-studio.md).

`{{job}}` and `{{turn}}` are ids of a job and of a turn, such as `abcd2345efgh`. `{{n}}` is the number of a \
picture, from 1. A field with `?` can be left out. A call that fails answers with JSON: `status`, `title` \
and `detail`, a sentence that says why. `{LIVE}` is a WebSocket that reports what changes."""
EXAMPLE = """\
## A first call from a script: generate a picture

Make a token in *Settings → Programs* (or type `/web tokens:True` in Discord). Ask for a picture, and \
download it once its `status` is `delivered`:

```sh
STUDIO=http://127.0.0.1:8080
AUTH="Authorization: Bearer atelier_…"
JSON="Content-Type: application/json"
curl -H "$AUTH" -H "$JSON" -d '{"prompt": "a red house in the snow"}' $STUDIO/api/jobs
curl -H "$AUTH" $STUDIO/api/jobs/2dxpvnpi6b6y                # the id that the call before has answered
curl -H "$AUTH" -o house.png $STUDIO/files/2dxpvnpi6b6y/1
```

The column *token* names the scopes that a token needs. Where it is empty, only people do it, signed in in a \
browser: their cookie counts, and calls that change something name the studio's own address as `Origin`. \
See [Programs](../use/programs.md)."""
BUCKETS = {
    Bucket.READ: "reading",
    Bucket.BYTES: "pictures and videos",
    Bucket.ASK: "asking for jobs",
    Bucket.UPLOAD: "uploads",
    Bucket.CHANGE: "changes",
    Bucket.SELECT: "selections in the editor",
    Bucket.PREVIEW: "looking at what is typed",
    Bucket.SIGN_IN: "signing in",
}
GROUPS = {  # a module of web.handlers → what its routes are about
    "pages": "Pages",
    "account": "Signing in, programs, settings and your data",
    "taste_loras": "Tastes made strong",
    "jobs": "Jobs",
    "gallery": "Pictures",
    "collections": "Folders and trash",
    "shares": "Shares and posts",
    "editor": "Editor",
    "talk": "Conversations",
    "chat": "Questions and examples",
    "projects": "Custom models",
    "mcp": "Agents",
    "openai_images": "OpenAI's form: models and pictures",
    "openai_chat": "OpenAI's form: questions and moderation",
    "openai_videos": "OpenAI's form: videos",
    "openapi": "Description",
}


def routes() -> tuple[Route, ...]:
    """Return all routes that a studio with a bot serves."""
    settings = replace(load_settings({}, Path("/nowhere")), discord_token="a bot's")
    return with_description(route_table(settings, Account(Visitors(cast(Any, None)))))


def _takes(route: Route) -> str:
    if route.takes is not None:
        fields = msgspec.structs.fields(route.takes)
        return code(*(f"{one.encode_name}{'' if one.required else '?'}" for one in fields))
    return {Body.PICTURE: "a file", Body.FILES: "a form with files", Body.FORM: "a form"}.get(route.body, "")


def _row(route: Route) -> tuple[str, str, str, str]:
    address = PART.sub(r"{\1}", route.path)
    call = f"{route.method} {address}"
    query = "<br>" + code(*(f"?{name}" for name in route.query)) if route.query else ""
    about = first_sentence(route.handler.__doc__, call)
    who = "everybody" if route.everybody else ", ".join(route.scopes)
    return code(call) + query, about, _takes(route), who


def _of_group(group: str, found: Iterable[Route]) -> list[Route]:
    return [route for route in found if route.handler.__module__.rpartition(".")[2] == group]


def http_api_page() -> str:
    """Return the page. Raises ValueError for a route that nothing is said of, or of no group."""
    found = routes()
    groups = {name: _of_group(name, found) for name in GROUPS}
    if lost := set(found).difference(*groups.values()):
        raise ValueError(f"routes of no group: {[route.path for route in lost]}")
    paces = [(sentence(BUCKETS[bucket], bucket.name).rstrip("."), bucket.value) for bucket in Bucket]
    parts = [
        f"## {GROUPS[name]}\n\n{table(('call', 'what it does', 'takes', 'token'), map(_row, of))}"
        for name, of in groups.items()
        if of
    ]
    return page(
        "HTTP API",
        INTRO,
        EXAMPLE,
        "## Limits\n\nCalls that a person can make in a minute; more get 429 and `Retry-After`.",
        table(("calls", "in a minute"), paces),
        *parts,
    )
