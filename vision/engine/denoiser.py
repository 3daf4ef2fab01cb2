"""What a pipeline has in place of its denoiser: it looks the same and hands every evaluation to somebody
else."""

from __future__ import annotations

import functools
import hashlib
import inspect
import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch

from vision.engine import cache, rows

Adapt = Callable[[list[Any]], AbstractContextManager[None]]
NAMES = ("transformer", "unet")  # of a pipeline's denoiser
WORDS = {"encoder_hidden_states", "pooled_projections", "txt_ids"}


@dataclass
class Call:
    """One evaluation of ``module`` that somebody waits for. arguments: by name. count: rows (with guidance,
    two for each picture).

    key: calls with the same one can be one call. kind: what its duration depends on besides the rows, the
    same in every process.
    context: the cache context it was made in, None = none. adapt: the argument "adapters", one entry for each
    row → what has to be entered for the evaluation; None = the module has no adapters.
    """

    module: Any
    arguments: dict[str, Any]
    count: int
    key: tuple[Any, ...]
    kind: str = ""
    context: str | None = None
    adapt: Adapt | None = None


class Pairs:
    """Guidance by two calls a step that differ in words only (``true_cfg_scale``): from the second step on
    both are evaluated with the first.

    What was evaluated ahead is handed out for the very same tensors only; anything else is evaluated as it
    comes.
    """

    def __init__(
        self, evaluate: Callable[[dict[str, Any]], Any], digest: Callable[[torch.Tensor], bytes]
    ) -> None:
        self._evaluate, self._digest = evaluate, digest
        self._before: dict[str, Any] = {}
        self._words: dict[str, tuple[Any, Any]] = {}  # name → of the first call, of the second
        self._ahead: tuple[dict[str, Any], Any] | None = None  # a second call, and what it gets

    def evaluate(self, arguments: dict[str, Any]) -> Any:
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            if all(_same(name, value, ahead[0].get(name)) for name, value in arguments.items()):
                return ahead[1]
            self._words = {}
        second, count = self._second(arguments), rows.count(arguments)
        if second is None:
            return self._evaluate(arguments)
        both = self._evaluate(rows.join([(arguments, count), (second, count)]))[0]
        self._ahead = second, (both[count:],)
        return (both[:count],)

    def _second(self, arguments: dict[str, Any]) -> dict[str, Any] | None:
        """The call that will follow on this one, as far as the step before tells."""
        before, self._before = self._before, arguments
        if self._words and all(arguments.get(name) is first for name, (first, _) in self._words.items()):
            return arguments | {name: second for name, (_, second) in self._words.items()}
        if not any(name in arguments and arguments[name] is before.get(name) for name in rows.SAMPLES):
            return None
        words = {
            name: (before.get(name), value)
            for name, value in arguments.items()
            if not _same(name, value, before.get(name))
        }
        plain = not any(
            isinstance(value, (dict, list)) and value for value in arguments.values()
        )  # what is in those may change
        if words.keys() <= WORDS and plain and self._key(before) == self._key(arguments):
            self._words = words
        return None

    def _key(self, arguments: dict[str, Any]) -> tuple[Any, ...]:
        return rows.key(arguments, rows.count(arguments), self._digest)


def _same(name: str, value: Any, other: Any) -> bool:
    """Pipelines make the timestep anew for each call; everything else is the same object, or isn't the
    same."""
    tensors = isinstance(value, torch.Tensor) and isinstance(other, torch.Tensor)
    return value is other or (name in rows.TIMES and tensors and torch.equal(value, other))


@dataclass
class Denoiser:
    """Stands for ``module`` in one job's pipeline. evaluate: Call → what the module returns for it. label: of
    the weights, see Call.kind.

    adapt, adapters: see Call, and the job's own.

    Everything but the evaluation is the module's own. ``forward`` may be replaced on the instance, as on a
    module.
    """

    module: Any
    evaluate: Callable[[Call], Any]
    label: str = ""
    adapt: Adapt | None = None
    adapters: Any = ()
    _context: str | None = None
    _serial: int = field(default_factory=itertools.count().__next__)
    _digests: dict[int, tuple[torch.Tensor, bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._pairs = Pairs(self._evaluate, self._digest)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        arguments = dict(_signature(type(self.module)).bind(self.module, *args, **kwargs).arguments)
        arguments.pop("self")
        return self._evaluate(arguments) if cache.is_on(self.module) else self._pairs.evaluate(arguments)

    def _evaluate(self, arguments: dict[str, Any]) -> Any:
        count = rows.count(arguments)
        key = (id(self.module), *rows.key(arguments, count, self._digest))
        if self.adapt is not None:
            arguments = {**arguments, "adapters": [self.adapters] * count}
        kind, context = f"{self.label} {rows.size(arguments)}", self._context
        if cache.is_on(
            self.module
        ):  # decides for all rows of a pass at once, by what it remembers of this request
            key, kind, context = (*key, self._serial), f"{kind} cached", f"{self._serial}:{context}"
        return self.evaluate(Call(self.module, arguments, count, key, kind, context, self.adapt))

    def forget(self) -> None:
        """The request has ended, and with it what caches remember of it."""
        if cache.is_on(self.module):
            cache.forget(self.module, f"{self._serial}:")

    @contextmanager
    def cache_context(self, name: str) -> Iterator[None]:
        """The module's own would be wrong by the time the call is made; who makes it enters the right one."""
        before, self._context = self._context, name
        try:
            yield
        finally:
            self._context = before

    def _reset_stateful_cache(self, recurse: bool = True) -> None:
        """The end of one pipeline call is not the end of the others' caches."""

    def _digest(self, tensor: torch.Tensor) -> bytes:
        """Of its contents (of a batch of positions, of the first); a pipeline hands in the same tensors at
        every step, so it is made once."""
        known = self._digests.get(id(tensor))
        if known is None or known[0] is not tensor:
            data = (
                (tensor[0] if tensor.ndim == 3 else tensor)
                .contiguous()
                .cpu()
                .view(torch.uint8)
                .numpy()
                .tobytes()
            )
            known = self._digests[id(tensor)] = (tensor, hashlib.sha256(data).digest())
        return known[1]

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "module"), name)


@functools.cache
def _signature(cls: type) -> inspect.Signature:
    return inspect.signature(cls.forward)


def direct(call: Call) -> Any:
    """The evaluation at once and alone."""
    arguments = {name: value for name, value in call.arguments.items() if name != "adapters"}
    adapted = nullcontext() if call.adapt is None else call.adapt(call.arguments["adapters"])
    with adapted, nullcontext() if call.context is None else call.module.cache_context(call.context):
        return call.module(**arguments)


def name_of(pipe: Any) -> str | None:
    """The attribute that holds ``pipe``'s denoiser; None for pipelines that are built otherwise."""
    return next((name for name in NAMES if isinstance(getattr(pipe, name, None), torch.nn.Module)), None)
