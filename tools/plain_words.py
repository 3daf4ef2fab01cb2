"""Words that texts for people do without, each with what to say instead."""

from __future__ import annotations

import re
from collections.abc import Mapping

BANNED = {
    r"told|tells": "shown, reported, says",
    r"anew": "again",
    r"(?:go|goes|went|going) on": "continue",
    r"films?": "video",
    r"things?": "object",
    r"voices?": "vote",
    r"taught": "trained",
    r"strange(?:st)?": "unusual",
    r"likeliest": "most likely",
    r"mend(?:s|ed)?": "fix",
    r"asker": "author",
    r"anybody": "anyone",
    r"whoever|whomever": "anyone who",
    r"sound (?:backup|database)s?": "intact",
    r"piles?": "labelling queue",
    r"book of labels": "label list",
    r"be had": "available",
    r"fetch(?:es|ed|ing)?": "download",
    r"take[sn]? away|took away": "remove, export",
    r"tak(?:e|es|ing|en) back": "revoke, undo",
    r"of age": "adult",
    r"by lot": "at random",
    r"rightly": "correctly",
    r"anyhow": "anywhere",
    r"by halves": "partly",
    r"isn't fit": "isn't allowed",
    r"(?:you|they|I) may not": "can't, don't have permission",
}
AS_IT_IS = re.compile(r"`[^`]*`|“[^”]*”|\{\w*\}|--[a-z-]+|\w+://\S+")  # typed, quoted, a value or an address


def banned_words(words: str, banned: Mapping[str, str] = BANNED) -> list[str]:
    """Return what a text shouldn't say, each with what to say instead."""
    plain = AS_IT_IS.sub("", words)
    return [
        f"{found[0]!r}: say {instead}"
        for pattern, instead in banned.items()
        if (found := re.search(rf"\b(?:{pattern})\b", plain, re.IGNORECASE))
    ]
