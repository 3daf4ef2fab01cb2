"""Writes the answers of one chat model, a slice at a time: a piece of somebody's prompt, or a token of every
answer that is under way. Answers join and leave between any two tokens."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Sequence
from functools import partial

import torch
from transformers import DynamicCache

from vision import devices
from vision.chat.caches import JoinedCaches, Kept, KeptCaches, Layers, cache_of, layers_of
from vision.chat.model import ChatModel
from vision.chat.prompt import Prompt
from vision.chat.reply import Reply

log = logging.getLogger(__name__)

MAX_ROWS = 16  # answers that are written at once
PIECE = 512  # tokens of a prompt that are read in one slice, if a picture isn't longer


class Decoder:
    """The answers of one model. For one thread.

    line: replies whose prompt isn't read to its end. kept: what is left of earlier turns. has_writer: whether
    somebody calls ``write_on`` until nothing is left to do.
    """

    def __init__(self, model: ChatModel, kept: KeptCaches, max_rows: int = MAX_ROWS) -> None:
        self.model, self.kept, self.max_rows = model, kept, max_rows
        self.line = deque[Reply]()
        self.has_writer = False
        self._usual_rows = max_rows
        self._writing: list[Reply] = []
        self._rows = JoinedCaches()
        self._read_last = False

    @property
    def is_busy(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.line or self._writing)

    def add(self, reply: Reply) -> None:
        """Take in a reply, which is begun when those before it have been read."""
        self.line.append(reply)

    def stop(self, reply: Reply) -> None:
        """Let go of a reply that is wanted no more; what it has so far stays, and is kept for a next turn."""
        if reply in self.line:
            self.line.remove(reply)
        if reply in self._writing:
            reply.ended = "stopped"
            self._leave()

    def forget(self, job_ids: Collection[str]) -> None:
        """Give up what is kept of these jobs' conversations, and keep nothing of those under way."""
        self.kept.forget(job_ids)
        for reply in (*self.line, *self._writing):
            if not {reply.job_id, *reply.known}.isdisjoint(job_ids):
                reply.job_id = ""

    def fail(self, error: BaseException) -> None:
        """End every reply with ``error``."""
        for reply in (*self.line, *self._writing):
            reply.error = error
        self.line.clear()
        self._writing, self._rows = [], JoinedCaches()

    @torch.no_grad()
    def write_on(self) -> None:
        """Do one slice: prompts and tokens take turns."""
        if not self._writing and not any(reply.written_before for reply in self.line):
            self.max_rows = self._usual_rows  # what there was no room for is over
        room = len(self._writing) < self.max_rows
        if self.line and room and not (self._read_last and self._writing):
            self._read_last = True
            self._read_on(self.line[0])
        elif self._writing:
            self._read_last = False
            self._write_tokens()

    # Prompts

    def _read_on(self, reply: Reply) -> None:
        """Read the next piece of a prompt; after the last one the reply joins the others."""
        logits, error = _tried(partial(self._read_piece, reply))
        if error is not None:
            self._failed_to_read(reply, error)
            return
        if reply.read < len(reply.prompt.ids):
            reply.report()
            return
        self.line.popleft()
        reply.take(reply.choose(logits), self.model.ends)
        if reply.is_over:
            self._keep(reply, layers_of(self._cache(reply)))
            return
        self._rows.add(self._cache(reply), reply.read, reply.prompt.delta)
        reply.cache = None
        self._writing.append(reply)

    def _read_piece(self, reply: Reply) -> torch.Tensor:
        prompt = reply.prompt
        if reply.cache is None:
            self.model.locate(prompt)
            reply.read, layers = self.kept.best(prompt, reply.known)
            reply.cached = reply.cached or reply.read
            reply.cache = cache_of(layers)
        begin, reply.read = reply.read, piece_end(prompt, reply.read)
        return self.model.read(prompt, begin, reply.read, reply.cache)

    def _failed_to_read(self, reply: Reply, error: BaseException) -> None:
        """Try again when there may be more room, or give up."""
        reply.cache, reply.read = None, 0
        if devices.is_out_of_memory(error) and (len(self.kept) or self._writing):
            log.warning("no memory for a question; it is read again with nothing kept for later")
            self.kept.clear()
            self.max_rows = max(1, len(self._writing))
            devices.release()
            return
        self.line.popleft()
        reply.error = error

    def _cache(self, reply: Reply) -> DynamicCache:
        if reply.cache is None:
            raise RuntimeError("the prompt hasn't been read")
        return reply.cache

    # Tokens

    def _write_tokens(self) -> None:
        """Write the next token of every answer."""
        rows, last = self._rows, [reply.tokens[-1] for reply in self._writing]
        logits, error = _tried(partial(self.model.write, last, rows.lengths, rows.deltas, rows.cache))
        if error is not None:
            rows.restore()
            self._failed_to_write(error)
            return
        rows.wrote()
        if all(not reply.temperature for reply in self._writing):  # one call for all
            tokens: Sequence[int] = logits.argmax(-1).tolist()
        else:
            tokens = [reply.choose(row) for reply, row in zip(self._writing, logits, strict=True)]
        for reply, token in zip(self._writing, tokens, strict=True):
            reply.take(token, self.model.ends)
        self._leave()

    def _failed_to_write(self, error: BaseException) -> None:
        """Begin the youngest answer anew when memory is short, later and with fewer beside it; of other
        errors nobody is known to be the cause, so that all begin anew, one by one."""
        alone = len(self._writing) == 1
        if devices.is_sticky(error) or (alone and not devices.is_out_of_memory(error)):
            for reply in self._writing:
                reply.error = error
            self._leave()
            return
        if alone and not len(self.kept):
            self._writing[0].error = error
            self._leave()
            return
        log.warning("%d answers can't be written at once: %s", len(self._writing), error)
        self.kept.clear()
        self.max_rows = max(1, len(self._writing) - 1)
        waiting = self._writing if not devices.is_out_of_memory(error) else self._writing[-1:]
        if not devices.is_out_of_memory(error):
            self.max_rows = 1
        for reply in reversed(waiting):
            reply.begin_anew()
            self.line.appendleft(reply)
        self._leave(set(waiting))
        devices.release()

    def _leave(self, waiting: set[Reply] | frozenset[Reply] = frozenset()) -> None:
        """Let the rows go that are over, or wait for their turn again."""
        staying = []
        for place, reply in enumerate(self._writing):
            if reply in waiting:
                continue
            if not reply.is_over:
                staying.append(place)
            elif reply.error is None:
                self._keep(reply, self._rows.row(place))
        self._rows.keep(staying)
        self._writing = [self._writing[place] for place in staying]

    def _keep(self, reply: Reply, layers: Layers) -> None:
        reply.cache = None
        if reply.job_id:
            jobs = frozenset((reply.job_id, *reply.known))
            kept = Kept(tuple(reply.in_cache), reply.prompt.places, layers, jobs)
            self.kept.keep(reply.job_id, kept)


def _tried(work: Callable[[], torch.Tensor]) -> tuple[torch.Tensor, Exception | None]:
    """Return what ``work`` returns, or the error that it raises, when what it had in memory is free again."""
    try:
        return work(), None
    except Exception as error:
        problem = error
    if devices.is_out_of_memory(problem):
        problem.__traceback__ = None  # which holds tensors
    return torch.empty(0), problem


def piece_end(prompt: Prompt, begin: int) -> int:
    """Return where the piece ends that is read in one slice: after PIECE tokens, but with one picture at
    most, and that as a whole."""
    end, pictures = min(begin + PIECE, len(prompt.ids)), 0
    for place in prompt.places:
        if begin <= place.begin < end:
            if pictures:
                return place.begin
            pictures, end = 1, max(end, place.end)
    return end
