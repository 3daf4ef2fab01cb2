"""Reads values out of a body or an address, strictly: what is wrong is named with what is allowed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from core.errors import UserError
from core.requests.chat import FORMS, Form
from storage.collections import Named
from studio.media.uploads import Sent
from web.call import Call, Gone

MOST_PICTURES = 64  # of one job
LONGEST_KEY, LONGEST_ADDRESS = 100, 4000
MOST_CHOSEN = 2000  # pictures that a call can name
_CHOSEN = re.compile(r"([a-z2-9]{12})/([1-9][0-9]?)")
_WHOLE = re.compile("[0-9]{1,19}")
_PAGE = re.compile(r"/(?!in\b|api/|files/|previews/|static/)(?:[!-.0-\[\]-~][!-\[\]-~]*)?")  # never // or \\
T = TypeVar("T")


def field(body: Any, name: str, kind: type[T]) -> T | None:
    """Return a value of a JSON object or form, None when it isn't there. Raises UserError for another
    type."""
    value = body.get(name) if isinstance(body, Mapping) else None
    if value is not None and not isinstance(value, kind):
        raise UserError(f"`{name}` takes {_SPOKEN.get(kind, kind.__name__)}.")
    return value


_SPOKEN: dict[type, str] = {
    str: "a text",
    list: "a list",
    dict: "an object",
    int: "a whole number",
    bool: "true or false",
}


def text_of(body: Any, name: str) -> str:
    """Return a text that has to be there. Raises UserError."""
    value = field(body, name, str)
    if value is None:
        raise UserError(f"`{name}` is missing.")
    return value


def names_of(body: Any, name: str, most: int) -> list[str]:
    """Return a list of at most ``most`` texts, empty when it isn't there. Raises UserError."""
    values = field(body, name, list) or []
    if len(values) > most or not all(isinstance(value, str) and len(value) <= 80 for value in values):
        raise UserError(f"`{name}` takes a list of up to {most} texts.")
    return values


def chosen_of(body: Any) -> list[Named]:
    """Return the pictures that ``pictures`` names, such as "abcd2345efgh/2" for the second of a job: a list
    in JSON, a text with spaces between them in a form. Raises UserError."""
    given = body.get("pictures") if isinstance(body, Mapping) else None
    texts = given.split() if isinstance(given, str) else names_of(body, "pictures", MOST_CHOSEN)
    found = [_CHOSEN.fullmatch(text) for text in texts]
    if not 0 < len(found) <= MOST_CHOSEN or not all(found):
        raise UserError(f"`pictures` takes 1 to {MOST_CHOSEN:,} names such as abcd2345efgh/2.")
    return [(match[1], int(match[2]) - 1) for match in found if match]


def form_of(body: Any) -> Form | None:
    """Return the form that an answer is to have, None when none is named. Raises UserError."""
    named = field(body, "answer", str)
    form = next((form for form in FORMS if form == named), None)
    if named and form is None:
        raise UserError(f"`answer` takes {', '.join(FORMS)}.")
    return form


def key_of(call: Call) -> str | None:
    """Return what makes asking the same again harmless, if the call has a key; the same key with another wish
    is another one. Raises UserError."""
    key = field(call.body, "key", str)
    if key is None:
        return None
    if not 0 < len(key) <= LONGEST_KEY:
        raise UserError(f"`key` takes 1 to {LONGEST_KEY} characters.")
    wish = json.dumps([dict(call.path), call.body], sort_keys=True)
    return f"web:{key}:{hashlib.sha256(wish.encode()).hexdigest()[:16]}"


def whole(text: str) -> int | None:
    """Return a whole number as rows keep them, of at most 63 bits; None of any other text."""
    number = int(text) if _WHOLE.fullmatch(text) else 2**63
    return number if number < 2**63 else None


def page_of(text: str) -> str:
    """Return the address of a page of ours that somebody wants to go on with; "/" for anything else."""
    return text if _PAGE.fullmatch(text) and len(text) <= LONGEST_ADDRESS else "/"


def way_in(page: str) -> str:
    """Return where somebody signs in who then goes on with a page."""
    found = page_of(page)
    return "/in" if found == "/" else f"/in?next={quote(found, safe='/')}"


def number_of(text: str) -> int:
    """Return the number of a picture, from 1. Raises Refused for what can't be one."""
    if not text.isascii() or not text.isdecimal() or not 0 < int(text[:4]) <= MOST_PICTURES:
        raise Gone()
    return int(text[:4])


def sent_picture(call: Call) -> Sent:
    """Return the picture that a call carries, under the name that it gives it."""
    name = unquote(call.headers.get("X-Name", ""))[:200] or "picture"
    sent: Sent = call.body
    return sent.part(name, 0, sent.size)
