"""Tables in pages of docs/ that programs write, each between two marks."""

from __future__ import annotations

from core.settings import ROOT


def read_table(name: str, page: str = "models.md") -> str:
    """Return the lines between the marks called ``name``."""
    return _cut(name, page)[1]


def write_table(name: str, lines: str, page: str = "models.md") -> None:
    """Put ``lines``, the last with its end, between the marks called ``name``."""
    before, _, after = _cut(name, page)
    (ROOT / "docs" / page).write_text(before + lines + after, encoding="utf-8")


def _cut(name: str, page: str) -> tuple[str, str, str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    begin = text.index(mark := f"<!-- {name} -->\n") + len(mark)
    end = text.index(f"<!-- end of {name} -->\n", begin)
    return text[:begin], text[begin:end], text[end:]
