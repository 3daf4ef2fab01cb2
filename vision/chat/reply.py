"""An answer while it is written: its tokens so far, how the next is chosen, and when it is over."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from transformers import DynamicCache

from core.events import ChatAnswer, Ended
from vision.chat.prompt import Prompt

TELL_EVERY = 0.15  # seconds


@dataclass(eq=False)
class Reply:
    """An answer to ``prompt``.

    job_id: under which its cache is kept, "" = not at all. known: jobs whose caches may hold the beginning of
    the prompt. temperature: 0 = always the likeliest token. tell: called with the reply when a part of the
    prompt is read or there are new words, at most every TELL_EVERY seconds; the first come at once.

    The rest is the decoder's. read: tokens of the prompt that are in ``cache``; cached: those that were kept
    from an earlier turn. tokens: of the answer. written_before: of them, how many are part of ``prompt``
    since the answer was begun anew. ended: how it is over, None = it isn't. error: what broke it.
    """

    prompt: Prompt
    max_tokens: int
    job_id: str = ""
    known: tuple[str, ...] = ()
    temperature: float = 0.0
    seed: int = 0
    tell: Callable[[Reply], None] = lambda reply: None
    read: int = 0
    cached: int = 0
    cache: DynamicCache | None = None
    tokens: list[int] = field(default_factory=list)
    written_before: int = 0
    ended: Ended | None = None
    error: BaseException | None = None
    _told: float = float("-inf")
    _generator: torch.Generator | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be written."""
        return self.ended is not None or self.error is not None

    @property
    def in_cache(self) -> list[int]:
        """The ids of what is in its cache once it is written: all but the last token."""
        fresh = self.tokens[self.written_before :]
        return [*self.prompt.ids, *fresh[:-1]]

    def choose(self, logits: torch.Tensor) -> int:
        """Return the next token for the logits (V,): the likeliest, or one by the reply's own random
        numbers, whoever else is answered beside it."""
        if not self.temperature:
            return int(logits.argmax())
        if self._generator is None:
            self._generator = torch.Generator().manual_seed(self.seed)
        shares = torch.softmax(logits.cpu() / self.temperature, dim=-1)
        return int(torch.multinomial(shares, 1, generator=self._generator))

    def take(self, token: int, ends: frozenset[int]) -> None:
        """Take in the next token; the answer may be over with it."""
        self.tokens.append(token)
        if token in ends:
            self.ended = "end"
        elif len(self.tokens) >= self.max_tokens:
            self.ended = "length"
        if self.ended is None:
            self.report(at_once=len(self.tokens) == 1)

    def report(self, *, at_once: bool = False) -> None:
        """Tell how far it is, if it is time: a sign of life also while a long prompt is read."""
        now = time.monotonic()
        if at_once or now - self._told >= TELL_EVERY:
            self._told = now
            self.tell(self)

    def begin_anew(self) -> None:
        """Give up the cache; what is written so far is read again as part of the prompt."""
        self.prompt = self.prompt.extended(self.tokens[self.written_before :])
        self.written_before, self.cache, self.read = len(self.tokens), None, 0

    def answer(self, text: str) -> ChatAnswer:
        """Return the answer for the person who asked. text: of its tokens."""
        prompt = self.prompt
        return ChatAnswer(
            text,
            self.ended or "stopped",
            tokens_in=len(prompt.ids) - self.written_before,
            tokens_cached=self.cached,
            tokens_out=len(self.tokens),
            pictures=prompt.seen,
            turns_dropped=prompt.dropped,
        )
