"""What is taken literally in a prompt: text in double quotes, and characters behind a backslash.

``mask_quoted`` hides both from the search for flags, weights and braces; ``escape`` writes any words so that
they are read back unchanged.
"""

from __future__ import annotations

import re

# a dash behind a word, as phones make it: "fish—ar 2:3", or "fish—tile" at the end of the words
GLUED = (
    r"(?<=[^\s\0\\])(?:--|[\u2014\u2013])"
    r"(?=[A-Za-z]+(?:[\s=]+[\d.]|\s*$|\s+(?:--|[\u2014\u2013])[A-Za-z]))"
)
_SPECIAL = r"\\,{}:\-\u2014\u2013\"\u201c<"
_OPENING = r'(?<![^\s(\[{,:])"'
_QUOTED = (
    _OPENING + r'[^"]*"(?=[\s.,;:!?)\]{}\\"<\u2014\u2013-]|$)|\u201c[^\u201c\u201d]*\u201d'
)  # "so" and “so”; not the inches of 5" nails
_PROTECTED = re.compile(rf"{_QUOTED}|\\[{_SPECIAL}]")
_TO_ESCAPE = re.compile(
    rf"(?P<quoted>{_QUOTED})"
    rf"|\\(?=[{_SPECIAL}]|$)"
    rf"|[{{}}\u201c]|{_OPENING}"
    r"|:(?=:)|(?<=http):(?=//)|(?<=https):(?=//)"
    r"|(?<!\S)(?:--|[\u2014\u2013])(?=[A-Za-z])"
    rf"|{GLUED}"
    r"|(?<!\S)<(?=\d|https?:)",
    re.IGNORECASE,
)


def mask_quoted(source: str) -> str:
    """Return ``source`` with every protected character replaced by NUL.

    The length stays the same: an index into one is an index into the other.
    """
    return _PROTECTED.sub(lambda match: "\0" * len(match[0]), source)


def unescape(source: str) -> str:
    """Return the words that are meant: without the backslashes of escapes, with quotes, in single spaces."""
    return " ".join(
        _PROTECTED.sub(lambda match: match[0][1] if match[0][0] == "\\" else match[0], source).split()
    )


def escape(text: str) -> str:
    """Return words in single spaces so that ``unescape`` gives them back and none of them has a meaning."""
    return _TO_ESCAPE.sub(lambda match: match[0] if match["quoted"] else "\\" + match[0], text)
