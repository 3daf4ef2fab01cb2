"""The OpenAPI 3.1 document of all routes, written from their table and the types of what they take.

https://spec.openapis.org/oas/v3.1.1.html
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection
from functools import cache
from typing import Any

import msgspec

from web.call import Answer, Body, Call, Json, Route

PART = re.compile(r"\{(\w+)(?::((?:[^{}]|\{[^}]*\})*))?\}")  # of a path: its name and what it matches
_SCHEMA = "#/components/schemas/{name}"
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


def document(routes: Collection[Route]) -> dict[str, Any]:
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
            "securitySchemes": {"session": {"type": "apiKey", "in": "cookie", "name": "__Host-atelier"}},
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    described: dict[str, Any] = {
        "summary": (route.handler.__doc__ or "").strip().partition("\n")[0],
        "parameters": [*_of_path(route), *_of_query(route)],
        "responses": _answers(route),
    }
    if not route.everybody:
        described["security"] = [{"session": []}]
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


def _of_query(route: Route) -> list[dict[str, Any]]:
    return [{"name": name, "in": "query", "schema": {"type": "string"}} for name in route.query]


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
    return {
        "2XX": {"description": "It is done."},
        "3XX": {"description": "The page to go on with."},
        "4XX": {"description": "It isn't done; the answer says why.", "content": {kind: wrong}},
    }


def described(routes: tuple[Route, ...]) -> tuple[Route, ...]:
    """Return ``routes`` with one more, which describes them all."""

    @cache  # ten milliseconds, too long for the event loop
    def known() -> dict[str, Any]:
        return document(found)

    async def show(call: Call) -> Answer:
        """Return this document."""
        return Json(await asyncio.to_thread(known))

    found = (*routes, Route("GET", "/api/openapi.json", show))
    return found
