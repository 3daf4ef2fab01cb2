"""What a pipeline has in place of its denoiser: it looks the same and hands every evaluation to somebody else."""

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


@dataclass
class Call:
    """One evaluation of ``module`` that somebody waits for. arguments: by name. count: rows (with guidance, two for each picture).

    key: calls with the same one can be one call. kind: what its duration depends on besides the rows, the same in every process.
    context: the cache context it was made in, None = none. adapt: the argument "adapters", one entry for each row → what
    has to be entered for the evaluation; None = the module has no adapters.
    """

    module: Any
    arguments: dict[str, Any]
    count: int
    key: tuple[Any, ...]
    kind: str = ""
    context: str | None = None
    adapt: Adapt | None = None


@dataclass
class Denoiser:
    """Stands for ``module`` in one job's pipeline. evaluate: Call → what the module returns for it. label: of the weights, see Call.kind.

    adapt, adapters: see Call, and the job's own.

    Everything but the evaluation is the module's own. ``forward`` may be replaced on the instance, as on a module.
    """

    module: Any
    evaluate: Callable[[Call], Any]
    label: str = ""
    adapt: Adapt | None = None
    adapters: Any = ()
    _context: str | None = None
    _serial: int = field(default_factory=itertools.count().__next__)
    _digests: dict[int, tuple[torch.Tensor, bytes]] = field(default_factory=dict)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        arguments = dict(_signature(type(self.module)).bind(self.module, *args, **kwargs).arguments)
        arguments.pop("self")
        count = rows.count(arguments)
        key = (id(self.module), *rows.key(arguments, count, self._digest))
        if self.adapt is not None:
            arguments["adapters"] = [self.adapters] * count
        kind, context = f"{self.label} {rows.size(arguments)}", self._context
        if cache.is_on(self.module):  # decides for all rows of a pass at once, by what it remembers of this request
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
        """Of its contents (of a batch of positions, of the first); a pipeline hands in the same tensors at every step, so it is made once."""
        known = self._digests.get(id(tensor))
        if known is None or known[0] is not tensor:
            data = (tensor[0] if tensor.ndim == 3 else tensor).contiguous().cpu().view(torch.uint8).numpy().tobytes()
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
