"""Replaces secrets in text that is logged or shown: tokens by their shape, and known values. Pure."""

import logging
import re
from collections import Counter
from collections.abc import Iterable

GONE = "[redacted]"
SHORTEST = 6  # characters of a known value; shorter ones would take words apart
_SHAPES = (
    re.compile(r"(/(?:webhooks|interactions)/\d+/)[^\s/?#'\"]+"),  # tokens in addresses of Discord's API
    re.compile(r"[\w-]{23,30}\.[\w-]{6,7}\.[\w-]{27,}"),  # a bot's token
    re.compile(r"(aW50ZXJhY3Rpb246)[\w-]{10,}"),  # an interaction's token: base64 of "interaction:"
    re.compile(r"([?&](?:ex|is|hm)=)[0-9a-f]+"),  # a signed address
    re.compile(r"(?:hf|api_org)_[A-Za-z0-9]{20,}"),  # Hugging Face
    re.compile(r"(://[^\s:/@]*:)[^\s/]+(?=@)"),  # a password in an address
    re.compile(r"([?&](?:api_?|access_?)?(?:key|token|secret|password)=)[^\s&#'\"]+", re.IGNORECASE),
    re.compile(
        r"((?:authorization|x-api-key)['\"]?\s*[:=]\s*['\"]?(?:bot |bearer )?)[^\s'\",}]+", re.IGNORECASE
    ),
)


class Redactor:
    """Replaces known values, such as the host's tokens, and whatever looks like a token."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values: Counter[str] = Counter()  # value -> how many have added it and not dropped it
        self.add(values)

    def add(self, values: Iterable[str]) -> None:
        """Redact values until each is dropped as often as it was added; those below SHORTEST are ignored."""
        self._values.update(value for value in values if len(value) >= SHORTEST)

    def drop(self, values: Iterable[str]) -> None:
        """Show these values again, unless somebody else has added them too."""
        self._values -= Counter(value for value in values if len(value) >= SHORTEST)

    def __call__(self, text: str) -> str:
        for value in sorted(self._values, key=len, reverse=True):
            text = text.replace(value, GONE)
        for shape in _SHAPES:
            text = shape.sub(lambda match: (match[1] if match.re.groups else "") + GONE, text)
        return text


class RedactingFormatter(logging.Formatter):
    """Formats log records and redacts the finished text, tracebacks included."""

    def __init__(self, form: str, redact: Redactor) -> None:
        super().__init__(form)
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's text without secrets."""
        return self._redact(super().format(record))
