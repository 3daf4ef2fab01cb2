"""Marks the texts of pages' templates as they are read, so that they are translated: those between tags, and
those of attributes that are shown. A template says its texts in plain English, with Jinja's expressions in
them; Jinja's ``i18n`` extension does the rest.
"""

import re
from collections.abc import Iterator, Sequence

from jinja2.ext import InternationalizationExtension

_JINJA = r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}"
_TAG = rf"<(?:{_JINJA}|\"(?:{_JINJA}|[^\"])*\"|[^<>\"])*>"
_PARTS = re.compile(rf"({_TAG}|{_JINJA})", re.DOTALL)
_SHOWN = re.compile(  # attributes whose values are read
    r"(?<![\w-])((?:title|placeholder|aria-label|alt|label)=\")((?:\{\{.*?\}\}|[^\"{])*)\"", re.DOTALL
)
_INLINE = re.compile(r"</?(?:a|b|code|em|kbd|strong)(?: href=\"[^\"{]*\")?>")  # stays within its sentence
_UNREAD = re.compile(  # scripts, styles, texts that are typed, blocks of attributes
    r"<(script|style)\b.*?</\1>|<(code|kbd)>[^<]*</\2>"
    r"|\{% block (?:frame|first|place) %\}.*?\{% endblock %\}",
    re.DOTALL,
)
_CALL = re.compile(r"\{\{-?\s*(?!counted\()[\w.]+\(")  # of a macro, which makes a picture or a form
_WORD, _NAME = re.compile(r"[A-Za-z]{2}"), re.compile(r"[A-Za-z]\w*")
_CHOSEN = re.compile(r"(?<=\{\{ )\"[^\"]+\"(?= if )|(?<= else )\"[^\"]+\"|(?<= or )\"[^\"]+\"(?= )")
_FILTERS = frozenset("capitalize default int join length lower replace round string title truncate".split())


class PageTexts(InternationalizationExtension):
    """The extension of Jinja's ``i18n`` that the templates are read with."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Return the template with its texts marked."""
        return marked(source)


def marked(source: str) -> str:
    """Return a template with ``{% trans %}`` around each of its texts."""
    unread = [found.span() for found in _UNREAD.finditer(source)]
    out, run, at, in_trans = list[str](), list[str](), 0, False
    for part in _PARTS.split(source):
        hidden = any(begin <= at < end for begin, end in unread)
        at += len(part)
        if in_trans := "trans" in part and bool(re.match(r"\{%[-+]?\s*trans\b", part)) or in_trans:
            in_trans = "endtrans" not in part
        stays = _INLINE.fullmatch(part) or (hidden and run and not part.startswith(("<s", "</s", "{%")))
        ends = part.startswith(("<", "{%", "{#")) or _CALL.match(part) or hidden or in_trans
        if stays or not ends:
            run.append(part)
            continue
        out += _marked_run(run)
        run = []
        out.append(
            _SHOWN.sub(lambda found: f'{found[1]}{"".join(_marked_run(_PARTS.split(found[2])))}"', part)
            if part.startswith("<") and not hidden
            else part
        )
    return "".join([*out, *_marked_run(run)])


def _marked_run(parts: Sequence[str]) -> Iterator[str]:
    """Yield texts and expressions that stand beside each other, as one text if there are words in it."""
    words = "".join(part for part in parts if not part.startswith(("{{", "<")))
    text = "".join(_CHOSEN.sub(r"_(\g<0>)", part) if part.startswith("{{") else part for part in parts)
    if not _WORD.search(re.sub(r"<(code|kbd)>.*?</\1>", "", text) and words):
        yield text
        return
    parts = _PARTS.split(text)
    first, end = 0, len(parts)
    while parts[first].startswith("<") or not parts[first].strip():
        first += 1
    while parts[end - 1].startswith("<") or not parts[end - 1].strip():
        end -= 1
    while first and _open(parts[first:end]) < 0:  # a tag that ends within the text begins with it
        first -= 1
    while end < len(parts) and _open(parts[first:end]) > 0:
        end += 1
    values: dict[str, str] = {}
    yield "".join(parts[:first])
    body = "".join(
        f"{{{{ {_named(part[2:-2].strip('-+ '), values)} }}}}" if part.startswith("{{") else part
        for part in parts[first:end]
    )
    left, right = len(body) - len(body.lstrip()), len(body.rstrip())
    given = ", ".join(f"{name}=({expression})" for name, expression in values.items())
    yield f"{body[:left]}{{%+ trans {given} %}}{' '.join(body.split())}{{% endtrans +%}}{body[right:]}"
    yield "".join(parts[end:])


def _open(parts: Sequence[str]) -> int:
    """Return how many tags are open at the end of ``parts``."""
    return sum(-1 if part.startswith("</") else 1 for part in parts if part.startswith("<"))


def _named(expression: str, values: dict[str, str]) -> str:
    """Return the name that an expression has in its text, and note it in ``values``."""
    bare = re.sub(r"\"[^\"]*\"|\([^()]*\)", "", expression.removeprefix("counted("))
    found = [name for name in _NAME.findall(bare.partition(" if ")[0]) if name not in _FILTERS]
    base = name = found[-1] if found else "value"
    count = 1
    while values.setdefault(name, expression) != expression:
        count += 1
        name = f"{base}{count}"
    return name
