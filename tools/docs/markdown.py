"""Headings, tables and cells in Markdown."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

_CODE = re.compile(r"(`[^`]*`)")


def cell(text: object) -> str:
    """Return a text as it stands in a cell: on one line, without what would end the cell or begin HTML."""
    parts = _CODE.split(" ".join(str(text).split()).replace("|", "/"))
    return "".join(one if one.startswith("`") else re.sub("<(?!br>)", "&lt;", one) for one in parts)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table, with its last line's end."""
    lines = [head, ["---"] * len(head), *([cell(one) for one in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def code(*names: object) -> str:
    """Return names as code, with commas between them."""
    return ", ".join(f"`{name}`" for name in names)


def sentence(text: str | None, of: str) -> str:
    """Return what is said of something, as a sentence. Raises ValueError where nothing is."""
    words = " ".join((text or "").split())
    if not re.search(r"\w", words):
        raise ValueError(f"{of} has no sentence that says what it is")
    first = words.partition(" ")[0]
    if re.fullmatch(r"[a-z]+", first):  # what is no plain word keeps its letters
        words = words[0].upper() + words[1:]
    return words + ("" if words[-1] in ".!?…" else ".")


def first_sentence(docstring: str | None, of: str) -> str:
    """Return the first sentence of a docstring. Raises ValueError where there is none."""
    text = " ".join((docstring or "").partition("\n\n")[0].replace("``", "`").split())
    return sentence(re.split(r"(?<=\.) ", text)[0], of)


def fields_of(docstring: str | None, names: Collection[str]) -> dict[str, str]:
    """Return what a docstring says of each field: "name: what it is." or "name, other: what they are."."""
    text = " ".join((docstring or "").replace("``", "`").split())
    one = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    heads = list(re.finditer(rf"(?:^|(?<=[.;] ))((?:{one})(?:, (?:{one}))*): ", text))
    ends = [*(head.start() for head in heads[1:]), len(text)]
    return {
        name: text[head.end() : end].strip().rstrip(".;")
        for head, end in zip(heads, ends, strict=False)
        for name in head[1].split(", ")
    }


def page(title: str, *parts: str) -> str:
    """Return a page of parts with an empty line between them."""
    mark = "<!-- Written by `python -m tools.docs` from the code. -->"
    return "\n\n".join([f"# {title}", mark, *(part.strip("\n") for part in parts)]) + "\n"
