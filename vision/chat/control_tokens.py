"""Takes the power from control tokens that people write: what ends a turn, begins another's, or stands for a
picture in the prompt of a chat model. Loads no torch."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

SHAPE = re.compile(r"<(?=[|/]?[A-Za-z_0-9\-]+[|]?>)")  # how nearly all of them look, whoever made the model
INSTEAD = {"<": "‹", ">": "›", "[": "⁅", "]": "⁆", "|": "¦", "｜": "¦"}


class ControlTokens:
    """The control tokens of one tokenizer. more: texts that the model's processor takes for pictures."""

    def __init__(self, tokenizer: Any, more: Collection[str] = ()) -> None:
        self._tokenizer = tokenizer
        added = tokenizer.added_tokens_decoder
        texts = {token.content for token in added.values() if _has_power(token)}
        texts |= {*tokenizer.all_special_tokens, *more} - {""}
        known = tokenizer.convert_tokens_to_ids(sorted(texts))
        self.ids = {i for i in known if i is not None}
        others = [text for name, text in tokenizer.special_tokens_map.items() if name != "unk_token"]
        if tokenizer.unk_token not in others:  # it stands for signs that the model doesn't know
            self.ids -= {tokenizer.unk_token_id}
        self._texts = re.compile("|".join(map(re.escape, sorted(texts, key=len, reverse=True))) or r"(?!)")

    def count(self, ids: Collection[int]) -> int:
        """Return how many of ``ids`` are control tokens."""
        return sum(i in self.ids for i in ids)

    def neutralise(self, text: str) -> str:
        """Return the text as near to what was written as it can be without a control token in it: signs such
        as ``<`` are replaced by others that look alike.

        What the tokenizer makes of the result is looked at, since it may see one where no pattern does, such
        as in full-width letters that it takes for plain ones.
        """
        text = text.encode("utf-8", "replace").decode()  # half of a surrogate pair is no text
        text = SHAPE.sub(INSTEAD["<"], text)
        while (changed := self._texts.sub(_disarmed, text)) != text:
            text = changed
        if self._hidden(text):
            text = "".join(INSTEAD.get(sign, sign) for sign in text)
        if self._hidden(text):
            text = re.sub(r"[^\w\s.,;:!?'\"()+\-=/*%€$£&#@]", " ", text, flags=re.ASCII)
        if self._hidden(text):
            text = " ".join(re.findall(r"[^\W_]", text))
        return text if not self._hidden(text) else ""

    def _hidden(self, text: str) -> int:
        return self.count(self._tokenizer(text, add_special_tokens=False)["input_ids"])


def _has_power(token: Any) -> bool:
    """Return whether an added token is more than a longer word: whitespace and plain words aren't."""
    return token.special or bool(re.search(r"[^\w\s]", token.content))


def _disarmed(match: re.Match[str]) -> str:
    """Return a control token's text with its signs replaced; with spaces in it where it has none."""
    text = match.group()
    other = "".join(INSTEAD.get(sign, sign) for sign in text)
    return other if other != text else " ".join(text) if len(text) > 1 else ""
