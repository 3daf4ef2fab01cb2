"""Values as JSON, and cards of jobs as HTML, each drawn once: most jobs of a page are as they were."""

from collections.abc import Mapping
from typing import Any

import msgspec
from cachetools import LRUCache
from jinja2.runtime import Macro
from markupsafe import Markup

from core.language import own_language

KEPT = 1000  # cards, some 3 kB each
_ENCODER = msgspec.json.Encoder(enc_hook=Markup.__str__)  # a text of a template is one


def to_json(value: Any, **_: Any) -> str:
    """Return a value as JSON. Its keywords are those of ``json.dumps`` that Jinja gives."""
    return _ENCODER.encode(value).decode()


class Cards:
    """Draws cards, of which those that were asked for last are kept."""

    def __init__(self) -> None:
        self._kept = LRUCache[bytes, Markup](KEPT)

    def draw(self, macro: Macro, job: Mapping[str, Any], *shown: Any) -> Markup:
        """Return what ``macro`` makes of a job and ``shown``, which is all that its card tells."""
        key = _ENCODER.encode((macro.name, own_language(), job, *shown))
        return self._kept.get(key) or self._kept.setdefault(key, Markup(macro(job, *shown)))
