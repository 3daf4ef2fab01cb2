"""The page of the editor's document, from the types that read it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from studio.editor import document
from tools.docs.markdown import code, fields_of, first_sentence, page, sentence, table

INTRO = """\
The editor stores what you work on as a document: pictures on a canvas, a mask and words. Programs send \
the same document to `POST /api/edits`, see [HTTP API](http-api.md). It is JSON of at most 256 kB; a \
field that isn't listed here is refused."""
MASKS = """\
## Masks as files

Send a mask to `POST /api/masks` as a PNG of one bit a pixel, white = painted: `IHDR` (depth 1, colour \
type 0, not interlaced), any number of `IDAT`, `IEND`, and nothing else. Each row has filter 0, and the \
unused bits of a row's last byte are 0. A mask is kept as it was sent, so you know its SHA-256 before.

Coordinates and radii of strokes are whole numbers of ⅛ px; the centre of pixel (x, y) is at (8x + 4, \
8y + 4). `tests/studio/editor/reference.py` shows, line by line, which pixels a stroke sets."""
NAMES = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
}


def _takes(shape: Mapping[str, Any]) -> str:
    """Return in words what a JSON Schema admits."""
    if "$ref" in shape:
        name = shape["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in shape:
        return code(*(json.dumps(one) for one in shape["enum"]))
    if "anyOf" in shape:
        kinds = {one.get("type") for one in shape["anyOf"]}
        either = [one for one in shape["anyOf"] if one.get("type") != "integer" or "number" not in kinds]
        return " or ".join(_takes(one) for one in either)
    if shape["type"] == "array":
        low, high = shape.get("minItems", 0), shape["maxItems"]
        return f"{low if low == high else f'{low} to {high:,}'} × {_takes(shape['items'])}"
    said = NAMES[shape["type"]]
    if "minimum" in shape:
        return f"{said} {shape['minimum']:,} to {shape['maximum']:,}"
    return said + (f" up to {shape['maxLength']:,}" if "maxLength" in shape else "")


def _rows(shape: Mapping[str, Any], about: str | None) -> Iterator[tuple[str, str, str, str]]:
    properties, required = shape["properties"], shape["required"]
    said = fields_of(about, list(properties))
    for name, one in properties.items():
        what = "Which tool it is." if name == "tool" else sentence(said.get(name), f"{shape['title']}.{name}")
        default = (
            code(json.dumps(one["default"])) if "default" in one else "required" if name in required else ""
        )
        yield code(name), _takes(one), default, what


def editor_document_page() -> str:
    """Return the page. Raises ValueError for a field that nothing is said of."""
    shapes = msgspec.json.schema(document.Document)["$defs"]
    parts = []
    for name, shape in shapes.items():
        about = getattr(document, name).__doc__
        fields = table(("field", "takes", "default", "what it is"), _rows(shape, about))
        parts.append(f"## {name}\n\n{first_sentence(about, name)}\n\n{fields}")
    return page("Editor document", INTRO, *parts, MASKS)
