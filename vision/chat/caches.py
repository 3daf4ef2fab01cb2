"""The caches of answers: those of several as one, so that a token of each is one call of the model, and what
is kept of a conversation until its next turn, in memory only."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import torch
from transformers import DynamicCache

from vision.chat.prompt import Place, Prompt

Layers = list[tuple[torch.Tensor, torch.Tensor]]  # keys and values (B, heads, length, size) of each layer


def layers_of(cache: DynamicCache) -> Layers:
    """Return keys and values of each layer."""
    return [(layer.keys, layer.values) for layer in cache.layers]


def cache_of(layers: Layers) -> DynamicCache:
    """Return a cache that begins with ``layers``, which it never changes."""
    cache = DynamicCache()
    for number, (keys, values) in enumerate(layers):
        cache.update(keys, values, number)
    return cache


@dataclass
class _Row:
    """length: tokens in the cache. delta: see Prompt."""

    length: int
    delta: int


class JoinedCaches:
    """Caches of rows that may come and go between any two tokens. They are padded on the left, so that all
    end at the same column."""

    def __init__(self) -> None:
        self.rows: list[_Row] = []
        self.cache = DynamicCache()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row."""
        return [row.length for row in self.rows]

    @property
    def deltas(self) -> list[int]:
        """The delta of each row, see Prompt."""
        return [row.delta for row in self.rows]

    def add(self, cache: DynamicCache, length: int, delta: int) -> None:
        """Take in one more row, the last from now on."""
        if not self.rows:
            self.cache = cache
        else:
            width = max(length, *self.lengths)
            for mine, new in zip(self.cache.layers, cache.layers, strict=True):
                mine.keys = torch.cat([_padded(mine.keys, width), _padded(new.keys, width)])
                mine.values = torch.cat([_padded(mine.values, width), _padded(new.values, width)])
        self.rows.append(_Row(length, delta))

    def wrote(self) -> None:
        """Note that each row has one token more in the cache."""
        for row in self.rows:
            row.length += 1

    def restore(self) -> None:
        """Take off what a call that failed half-way has left in some of the layers."""
        width = max(self.lengths)
        for layer in self.cache.layers:
            layer.keys, layer.values = layer.keys[:, :, :width], layer.values[:, :, :width]

    def row(self, place: int) -> Layers:
        """Return a copy of what one row has in the cache."""
        begin = self.cache.get_seq_length() - self.rows[place].length
        return [
            (keys[place : place + 1, :, begin:].clone(), values[place : place + 1, :, begin:].clone())
            for keys, values in layers_of(self.cache)
        ]

    def keep(self, places: Sequence[int]) -> None:
        """Let all rows but those at ``places`` go, and the columns that only the others needed."""
        if len(places) == len(self.rows):
            return
        self.rows = [self.rows[place] for place in places]
        if not self.rows:
            self.cache = DynamicCache()
            return
        begin = self.cache.get_seq_length() - max(self.lengths)
        for layer in self.cache.layers:
            layer.keys = layer.keys[places][:, :, begin:]
            layer.values = layer.values[places][:, :, begin:]


def _padded(states: torch.Tensor, width: int) -> torch.Tensor:
    """Return (B, heads, length, size) with zeros on the left up to ``width``."""
    return torch.nn.functional.pad(states, (0, 0, width - states.shape[2], 0))


@dataclass(frozen=True)
class Kept:
    """What is kept of a conversation. ids: of the tokens, one for each column of ``layers``. places: of the
    pictures among them. jobs: whose turns it holds."""

    ids: tuple[int, ...]
    places: tuple[Place, ...]
    layers: Layers
    jobs: frozenset[str] = frozenset()

    @property
    def bytes(self) -> int:
        """Of keys and values."""
        return sum(states.numel() * states.element_size() for layer in self.layers for states in layer)

    def common(self, prompt: Prompt) -> int:
        """Return how many tokens at the beginning of ``prompt`` are the same here, and show the same
        pictures. At least one is left over, and none of a picture alone."""
        most = min(len(self.ids), len(prompt.ids) - 1)
        same = next((i for i in range(most) if self.ids[i] != prompt.ids[i]), most)
        for number, place in enumerate(prompt.places):
            if place.begin < same and (number >= len(self.places) or self.places[number] != place):
                return place.begin
            if place.begin < same < place.end:
                return place.begin
        return same


class KeptCaches:
    """What is left of conversations, by the job that ended there; the least recently used is given up first.
    max_bytes: of all together."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes, self.bytes = max_bytes, 0
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._kept

    def keep(self, job_id: str, kept: Kept) -> None:
        """Keep what the job has left, unless it is too large for all the room there is."""
        self._drop(job_id)
        if not job_id or kept.bytes > self.max_bytes:
            return
        self._kept[job_id] = kept
        self.bytes += kept.bytes
        while self.bytes > self.max_bytes:
            self._drop(next(iter(self._kept)))

    def best(self, prompt: Prompt, job_ids: Iterable[str]) -> tuple[int, Layers]:
        """Return the longest beginning of ``prompt`` that one of the jobs has left, and its keys and values;
        (0, []) when there is none."""
        found: tuple[int, Layers] = (0, [])
        for job_id in job_ids:
            if (kept := self._kept.get(job_id)) is None:
                continue
            if (same := kept.common(prompt)) > found[0]:
                self._kept.move_to_end(job_id)
                found = same, [(k[:, :, :same], v[:, :, :same]) for k, v in kept.layers]
        return found

    def forget(self, job_ids: Collection[str]) -> None:
        """Give up what these jobs have left, and all conversations that went on from there."""
        gone = set(job_ids)
        for job_id in [name for name, kept in self._kept.items() if name in gone or kept.jobs & gone]:
            self._drop(job_id)

    def _drop(self, job_id: str) -> None:
        if (kept := self._kept.pop(job_id, None)) is not None:
            self.bytes -= kept.bytes

    def clear(self) -> None:
        """Give up everything."""
        self._kept.clear()
        self.bytes = 0
