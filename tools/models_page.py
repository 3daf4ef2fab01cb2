"""Tables in docs/models.md that programs write, each between two marks."""

from __future__ import annotations

from core.settings import ROOT

PAGE = ROOT / "docs" / "models.md"


def read_table(name: str) -> str:
    """Return the lines between the marks called ``name``."""
    return _cut(name)[1]


def write_table(name: str, lines: str) -> None:
    """Put ``lines``, the last with its end, between the marks called ``name``."""
    before, _, after = _cut(name)
    PAGE.write_text(before + lines + after, encoding="utf-8")


def _cut(name: str) -> tuple[str, str, str]:
    text = PAGE.read_text(encoding="utf-8")
    begin = text.index(mark := f"<!-- {name} -->\n") + len(mark)
    end = text.index(f"<!-- end of {name} -->\n", begin)
    return text[:begin], text[begin:end], text[end:]
