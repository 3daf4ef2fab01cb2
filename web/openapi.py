"""The description of all routes, made from their table: an OpenAPI 3.1 document, and a page without scripts.

https://spec.openapis.org/oas/v3.1.1.html
"""

import asyncio
import re
from collections.abc import Collection, Iterator
from functools import cache
from typing import Any

import msgspec

from studio.programs import SCOPES
from web.call import MCP, Answer, Body, Call, Html, Json, Route
from web.routes import LOOK

PART = re.compile(r"\{(\w+)(?::((?:[^{}]|\{[^}]*\})*))?\}")  # of a path: its name and what it matches
_SCOPES = "; ".join(f"{name}: {text}" for name, text in SCOPES.items())
_SCHEMA = "#/components/schemas/{name}"
ENDS = {"minimum": "from", "maximum": "to", "maxLength": "of at most", "pattern": "as"}
_PROBLEM = {  # RFC 9457, with what this studio adds
    "type": "object",
    "required": ["status", "title", "detail"],
    "properties": {
        "status": {"type": "integer"},
        "title": {"type": "string"},
        "detail": {"type": "string"},
        "retry_after": {"type": "number"},
    },
}


def describe_routes(routes: Collection[Route]) -> dict[str, Any]:
    """Return the description of ``routes``."""
    paths: dict[str, dict[str, Any]] = {}
    taken = dict.fromkeys(route.takes for route in routes if route.takes)
    _, shapes = msgspec.json.schema_components(taken, ref_template=_SCHEMA)
    for route in routes:
        paths.setdefault(PART.sub(r"{\1}", route.path), {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Atelier's studio on the web", "version": "1"},
        "paths": paths,
        "components": {
            "schemas": {**shapes, "Problem": _PROBLEM},
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": "__Host-atelier"},
                "token": {"type": "http", "scheme": "bearer", "description": _SCOPES},
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    described: dict[str, Any] = {
        "summary": (route.handler.__doc__ or "").strip().partition("\n")[0],
        "parameters": [
            *_of_path(route),
            *({"name": name, "in": "query", "schema": {"type": "string"}} for name in route.query),
        ],
        "responses": _answers(route),
    }
    if not route.everybody:
        token = [{"token": list(route.scopes)}] if route.scopes else []
        described["security"] = [{"session": []}, *token]
    if route.body is not Body.NONE:
        described["requestBody"] = {"required": True, "content": _content(route)}
    return described


def _of_path(route: Route) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", **({"pattern": f"^(?:{pattern})$"} if pattern else {})},
        }
        for name, pattern in PART.findall(route.path)
    ]


def _content(route: Route) -> dict[str, Any]:
    if route.body is Body.PICTURE:
        return {"image/*": {"schema": {"type": "string", "format": "binary"}}}
    if route.body is Body.FILES:
        parts = {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}}
        sent = {"type": "object", "properties": parts, "additionalProperties": {"type": "string"}}
        return {route.body.value: {"schema": sent}}
    if route.body is Body.FORM:
        words = {"type": "object", "additionalProperties": {"type": "string"}}
        return {route.body.value: {"schema": words}}
    named = {"$ref": _SCHEMA.format(name=route.takes.__name__)} if route.takes else {"type": "object"}
    return {route.body.value: {"schema": named}}


def _answers(route: Route) -> dict[str, Any]:
    """What a route answers: pages are read by people, so of them the kind is all that there is to say."""
    kind = "text/html" if route.is_page else "application/problem+json"
    wrong = {"schema": {"type": "string"} if route.is_page else {"$ref": _SCHEMA.format(name="Problem")}}
    content: dict[str, Any] = {kind: wrong}
    if route.path == MCP or route.path.startswith("/v1/"):  # which have forms of their own
        content["application/json"] = {"schema": {"type": "object"}}
    return {
        "2XX": {"description": "It is done."},
        "3XX": {"description": "The page to continue with."},
        "4XX": {"description": "It isn't done; the answer says why.", "content": content},
    }


def calls_of(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return what programs can call, by the beginning of its address, as the page shows it."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            scopes = [one["token"] for one in operation.get("security", ()) if "token" in one]
            if scopes:
                call = {"method": method.upper(), "path": path, "summary": operation["summary"]}
                call |= {"scopes": ", ".join(scopes[0]), "fields": list(_fields(operation, document))}
                groups.setdefault("/".join(path.split("/")[:3]), []).append(call)
    return dict(sorted(groups.items()))


def _fields(operation: dict[str, Any], document: dict[str, Any]) -> Iterator[dict[str, str]]:
    for one in operation["parameters"]:
        where = f" in the {one['in']}" if one["in"] == "query" else ""
        yield {"name": one["name"], "kind": f"{_kind(one['schema'])}{where}"}
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        name = content["schema"].get("$ref", "").rpartition("/")[2]
        shape = document["components"]["schemas"].get(name, content["schema"])
        yield {"name": "Content-Type", "kind": media}
        for field, schema in shape.get("properties", {}).items():
            left = "" if field in shape.get("required", ()) else ", can be left out"
            yield {"name": field, "kind": f"{_kind(schema)}{left}"}


def _kind(schema: Any) -> str:
    """Return in words what a value is."""
    if not isinstance(schema, dict):
        return "anything"
    if "anyOf" in schema:
        return " or ".join(map(_kind, schema["anyOf"]))
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    said = schema.get("type") or schema.get("$ref", "anything").rpartition("/")[2]
    if said == "array":
        return f"list of {_kind(schema.get('items'))}"
    ends = [f"{word} {schema[name]}" for name, word in ENDS.items() if name in schema]
    return " ".join([said, *ends])


def with_description(routes: tuple[Route, ...]) -> tuple[Route, ...]:
    """Return ``routes`` with two more, which describe them all."""

    @cache  # ten milliseconds, too long for the event loop
    def known() -> dict[str, Any]:
        return describe_routes(found)

    async def show(call: Call) -> Answer:
        """Return this document."""
        return Json(await asyncio.to_thread(known))

    async def page(call: Call) -> Answer:
        """Every call that programs can make, with what it takes."""
        return Html("calls", {"groups": calls_of(await asyncio.to_thread(known))}, tab="/settings")

    own = (
        Route("GET", "/programs/calls", page),
        Route("GET", "/api/openapi.json", show, scopes=LOOK),
    )
    found = (*routes, *own)
    return found
