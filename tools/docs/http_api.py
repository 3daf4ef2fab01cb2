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
from web.routes import LIVE, PART, route_table, with_description

INTRO = f"""\
The web studio's own pages use this interface, and so can your programs. A running studio describes it \
as OpenAPI 3.1 at `/api/openapi.json`, with every field and range. Turn it on with `WEB_PORT`; see [Web \
studio](../host/web-studio.md).

`{{job}}` and `{{turn}}` are ids of a job and of a turn, such as `abcd2345efgh`. `{{n}}` is the number of a \
picture, from 1. A field with `?` can be left out. A call that fails answers with JSON: `status`, `title` \
and `detail`, a sentence that says why. `{LIVE}` is a WebSocket that reports what changes."""
EXAMPLE = """\
## A first call from a script: generate a picture

Start the sandbox with `WEB_PORT=8080 .venv/bin/atelier sandbox`. It prints an address that ends in \
`/in#` and a token; on a server, `/web` gives you such a link. Sign in with the token, ask for a \
picture, and download it once its `status` is `delivered`:

```sh
STUDIO=http://127.0.0.1:8080
TOKEN=…  # what is behind /in# in the address
JSON="Content-Type: application/json"
curl -c jar -H "$JSON" -H "Origin: $STUDIO" -d "{\\"token\\": \\"$TOKEN\\"}" $STUDIO/api/session
curl -b jar -H "$JSON" -H "Origin: $STUDIO" -d '{"prompt": "a red house in the snow"}' $STUDIO/api/jobs
curl -b jar $STUDIO/api/jobs/2dxpvnpi6b6y                    # the id that the call before has answered
curl -b jar -o house.png $STUDIO/files/2dxpvnpi6b6y/1
```

A session lasts as long as one in a browser (`SESSION_DAYS`). Every call that changes something has to \
name the studio's own address as `Origin`."""
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
    "account": "Signing in, settings and your data",
    "jobs": "Jobs",
    "gallery": "Pictures",
    "collections": "Folders and trash",
    "shares": "Shares and posts",
    "editor": "Editor",
    "talk": "Conversations",
    "chat": "Questions and examples",
    "projects": "Custom models",
    "routes": "Description",
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
    return code(call) + query, about, _takes(route), "" if route.everybody else "yes"


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
        f"## {GROUPS[name]}\n\n{table(('call', 'what it does', 'takes', 'signed in'), map(_row, of))}"
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
