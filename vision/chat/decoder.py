"""Writes the answers of one chat model together: a slice is a piece of somebody's prompt or a token of every
answer under way, over joined caches that are kept, in memory only, for the next turn of each conversation."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from cachetools import Cache, LRUCache
from torch import Tensor
from transformers import DynamicCache, TopKLogitsWarper, TopPLogitsWarper
from transformers.cache_utils import LinearAttentionLayer

from core.events import ChatAnswer, Ended
from vision import devices
from vision.chat.model import ChatModel, Layers, State, layers_of, states_of
from vision.chat.prompt import Place, Prompt


class JoinedCaches:
    """Caches of rows that come and go between tokens. They are padded on the left, to end at one column;
    states are of one size. lengths: tokens of each row. deltas: of each, see Prompt."""

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self.deltas: list[int] = []
        self.cache = DynamicCache()

    @property
    def has_states(self) -> bool:
        """Whether some of it can't be taken back after a call that failed half-way."""
        return any(self.cache.is_linear)

    def add(self, cache: DynamicCache, length: int, delta: int) -> None:
        """Take in one more row, the last from now on."""
        if not self.lengths:
            self.cache = cache
        else:
            width = max(length, *self.lengths)
            for mine, new in zip(self.cache.layers, cache.layers, strict=True):
                if isinstance(mine, LinearAttentionLayer):
                    for name in ("conv_states", "recurrent_states"):
                        states, more = getattr(mine, name), getattr(new, name)
                        states[0] = states[0] if more[0] is None else torch.cat([states[0], more[0]])
                    continue
                mine.keys = torch.cat([_padded(mine.keys, width), _padded(new.keys, width)])
                mine.values = torch.cat([_padded(mine.values, width), _padded(new.values, width)])
        self.lengths.append(length)
        self.deltas.append(delta)

    def wrote(self) -> None:
        """Note that each row has one token more in the cache."""
        self.lengths = [length + 1 for length in self.lengths]

    def restore(self) -> None:
        """Take off what a call that failed half-way has left in some of the layers, but for states."""
        width = max(self.lengths)
        for layer in self.cache.layers:
            if not isinstance(layer, LinearAttentionLayer):
                layer.keys, layer.values = layer.keys[:, :, :width], layer.values[:, :, :width]

    def row(self, place: int) -> Layers:
        """Return a copy of what one row has in the cache, without its states."""
        begin = self.cache.get_seq_length() - self.lengths[place]
        part = slice(place, place + 1), slice(None), slice(begin, None)
        return [(keys[part].clone(), values[part].clone()) for keys, values in layers_of(self.cache)]

    def keep(self, places: Sequence[int]) -> None:
        """Let all rows but those at ``places`` go, and the columns that only the others needed."""
        if len(places) == len(self.lengths):
            return
        self.lengths = [self.lengths[place] for place in places]
        self.deltas = [self.deltas[place] for place in places]
        if not self.lengths:
            self.cache = DynamicCache()
            return
        begin = self.cache.get_seq_length() - max(self.lengths)
        for layer in self.cache.layers:
            if isinstance(layer, LinearAttentionLayer):
                layer.reorder_cache(torch.tensor(places))
            else:
                layer.keys = layer.keys[places][:, :, begin:]
                layer.values = layer.values[places][:, :, begin:]


def _padded(states: Tensor, width: int) -> Tensor:
    """Return (B, heads, length, size) with zeros on the left up to ``width``."""
    return torch.nn.functional.pad(states, (0, 0, width - states.shape[2], 0))


@dataclass(frozen=True)
class Kept:
    """What is kept of a conversation. ids: of the tokens, one for each column of ``layers``. places: of the
    pictures among them. jobs: whose turns it holds. states: those of the first ``settled`` tokens, from
    behind which alone it can be gone on; 0 = it has none."""

    ids: tuple[int, ...]
    places: tuple[Place, ...]
    layers: Layers
    jobs: frozenset[str] = frozenset()
    settled: int = 0
    states: Sequence[State] = ()

    @property
    def bytes(self) -> int:
        """Of keys and values, and states."""
        found = [one for held in (*self.layers, *self.states) for one in held if one is not None]
        return sum(one.numel() * one.element_size() for one in found)

    def common(self, prompt: Prompt) -> int:
        """Return how many tokens at the beginning of ``prompt`` are the same here, and show the same
        pictures. At least one is left over, and none of a picture alone."""
        most = min(len(self.ids), len(prompt.ids) - 1)
        same = next((i for i in range(most) if self.ids[i] != prompt.ids[i]), most)
        for number, place in enumerate(prompt.places):
            known = number < len(self.places) and self.places[number] == place
            if place.begin < same and not (known and place.end <= same):
                same = place.begin
        if self.settled:
            return self.settled if self.settled <= same else 0
        return same


class KeptCaches(LRUCache[str, Kept]):
    """What is left of conversations, by the job that ended there, the latest used. max_bytes: of all."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(max_bytes, getsizeof=lambda kept: kept.bytes)

    def keep(self, job_id: str, kept: Kept) -> None:
        """Keep what the job has left, unless it is too large for all the room there is."""
        self.pop(job_id, None)
        if job_id and kept.bytes <= self.maxsize:
            self[job_id] = kept

    def best(self, prompt: Prompt, job_ids: Iterable[str]) -> tuple[int, Layers, Sequence[State]]:
        """Return the longest beginning of ``prompt`` that one of the jobs has left, its keys and values, and
        its states; (0, [], ()) when there is none."""
        found: tuple[int, Layers, Sequence[State]] = (0, [], ())
        for job_id in job_ids:
            if job_id not in self:
                continue
            same = Cache.__getitem__(self, job_id).common(prompt)  # without counting as a use
            if same > found[0]:
                kept = self[job_id]
                found = same, [(k[:, :, :same], v[:, :, :same]) for k, v in kept.layers], kept.states
        return found

    def forget(self, job_ids: Collection[str]) -> None:
        """Give up what these jobs have left, and all conversations that went on from there."""
        gone = set(job_ids)
        for job_id in [name for name, kept in self.items() if name in gone or kept.jobs & gone]:
            del self[job_id]


TELL_EVERY = 0.15  # seconds


@dataclass(eq=False)
class Reply:
    """An answer to ``prompt``.

    job_id: under which its cache is kept, "" = not at all. known: jobs whose caches may hold the beginning of
    the prompt. temperature: 0 = always the likeliest token. top_k, top_p: of how many tokens it is sampled, 0
    and 1 = of all. spare: tokens that it may have beyond max_tokens if it ``is_thinking`` until there. tell:
    called when a part of the prompt is read or there are new words, at most every TELL_EVERY seconds.

    The rest is the decoder's. read: tokens of the prompt that are in ``cache``; cached: those that were kept
    from an earlier turn. states: of its layers where the prompt is settled. tokens: of the answer.
    written_before: of them, how many are part of ``prompt`` since the answer was begun anew. ended: how it is
    over, None = it isn't. error: what broke it.
    """

    prompt: Prompt
    max_tokens: int
    job_id: str = ""
    known: tuple[str, ...] = ()
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    spare: int = 0
    is_thinking: Callable[[Sequence[int]], bool] = lambda tokens: False
    tell: Callable[[Reply], None] = lambda reply: None
    read: int = 0
    cached: int = 0
    cache: DynamicCache | None = None
    states: list[State] = field(default_factory=list)
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

    def choose(self, logits: Tensor) -> int:
        """Return the next token for the logits (V,): the likeliest, or one by the reply's own random
        numbers, whoever else is answered beside it."""
        if not self.temperature:
            return int(logits.argmax())
        if self._generator is None:
            self._generator = torch.Generator().manual_seed(self.seed)
        scores = logits.cpu()[None] / self.temperature
        if self.top_k:
            scores = TopKLogitsWarper(self.top_k)(None, scores)
        if self.top_p < 1:
            scores = TopPLogitsWarper(self.top_p)(None, scores)
        shares = torch.softmax(scores[0], dim=-1)
        return int(torch.multinomial(shares, 1, generator=self._generator))

    def take(self, token: int, ends: frozenset[int]) -> None:
        """Take in the next token; the answer may be over with it."""
        self.tokens.append(token)
        if token in ends:
            self.ended = "end"
        elif len(self.tokens) >= self.max_tokens:
            more, self.spare = self.spare if self.is_thinking(self.tokens) else 0, 0
            self.max_tokens += more
            self.ended = None if more else "length"
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
        assert reply.cache is not None  # its prompt has been read
        if reply.is_over:
            self._keep(reply, layers_of(reply.cache))
            return
        self._rows.add(reply.cache, reply.read, reply.prompt.delta)
        reply.cache = None
        self._writing.append(reply)

    def _read_piece(self, reply: Reply) -> Tensor:
        prompt = reply.prompt
        if reply.cache is None:
            self.model.locate(prompt)
            reply.read, layers, states = self.kept.best(prompt, reply.known)
            reply.cached = reply.cached or reply.read
            reply.cache = self.model.cache_of(layers, states)
        if reply.read == prompt.settled > 0:
            reply.states = states_of(reply.cache)
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

    # Tokens

    def _write_tokens(self) -> None:
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
        alone, is_full = len(self._writing) == 1, devices.is_out_of_memory(error)
        if devices.is_sticky(error) or (alone and not (is_full and len(self.kept))):
            for reply in self._writing:
                reply.error = error
            self._leave()
            return
        log.warning("%d answers can't be written at once: %s", len(self._writing), error)
        self.kept.clear()
        self.max_rows = max(1, len(self._writing) - 1) if is_full else 1
        waiting = self._writing[-1:] if is_full and not self._rows.has_states else self._writing
        for reply in reversed(waiting):
            reply.begin_anew()
            self.line.appendleft(reply)
        self._leave(set(waiting))
        devices.release()

    def _leave(self, waiting: set[Reply] | frozenset[Reply] = frozenset()) -> None:
        """Let the rows go that are over, or wait for their turn again."""
        staying = []
        for place, reply in enumerate(self._writing):
            if reply not in waiting and not reply.is_over:
                staying.append(place)
            elif reply not in waiting and reply.error is None:
                self._keep(reply, self._rows.row(place))
        self._rows.keep(staying)
        self._writing = [self._writing[place] for place in staying]

    def _keep(self, reply: Reply, layers: Layers) -> None:
        reply.cache = None
        prompt = reply.prompt
        if reply.job_id and (reply.states or not prompt.settled):
            ids, jobs = tuple(reply.in_cache), frozenset((reply.job_id, *reply.known))
            kept = Kept(ids, prompt.places, layers, jobs, prompt.settled, reply.states)
            self.kept.keep(reply.job_id, kept)


def _tried(work: Callable[[], Tensor]) -> tuple[Tensor, Exception | None]:
    """Return what ``work`` returns, or the error that it raises, when what it had in memory is free again."""
    try:
        return work(), None
    except Exception as error:
        problem = error
    if devices.is_out_of_memory(problem):
        problem.__traceback__ = None  # which holds tensors
    return torch.empty(0), problem


def piece_end(prompt: Prompt, begin: int) -> int:
    """Return where a slice's piece ends: after PIECE tokens, but with one picture at most, as a whole."""
    end, pictures = min(begin + PIECE, len(prompt.ids)), 0
    if begin < prompt.settled < end:
        end = prompt.settled
    for place in prompt.places:
        if begin <= place.begin < end:
            if pictures:
                return place.begin
            pictures, end = 1, max(end, place.end)
    return end
