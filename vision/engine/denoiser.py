"""Stands in for a pipeline's denoiser: looks the same, and hands every evaluation to the engine.

Gives each request a First-Block-Cache state of its own: what diffusers' hooks remember of a step is kept
and dropped by context name.

diffusers expects one request at a time: its pipelines reset all states at their end, and interleaved requests
would be compared with each other. With a context for each request a batched step skips exactly the blocks
that it would have skipped unbatched."""

import hashlib
import inspect
import itertools
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, get_args, get_type_hints

import torch
from diffusers import FirstBlockCacheConfig
from diffusers.utils import BaseOutput

from vision.engine import collate


def enable(module: Any, threshold: float) -> bool:
    """Make ``module`` skip its other blocks where the first one's output changed by less than ``threshold``
    (relative, mean). Return False if ``module`` can't do that."""
    if not hasattr(module, "enable_cache"):
        return False
    module.enable_cache(FirstBlockCacheConfig(threshold=threshold))
    return True


def is_on(module: Any) -> bool:
    """Return whether ``module`` keeps states from step to step."""
    return bool(getattr(module, "is_cache_enabled", False))


def forget_shared(module: torch.nn.Module, prefix: str) -> int:
    """Drop the states of all contexts whose names begin with ``prefix``, and return how many."""
    gone = 0
    for part in module.modules():
        for hook in getattr(getattr(part, "_diffusers_hook", None), "hooks", {}).values():
            states = getattr(getattr(hook, "state_manager", None), "_state_cache", {})
            for name in [name for name in states if name.startswith(prefix)]:
                states.pop(name)
                gone += 1
    return gone


Adapt = Callable[[list[Any]], AbstractContextManager[None]]
# of a pipeline that hold its denoiser, or its two: one for the high noise and one for the low (Wan 2.2 A14B)
ATTRIBUTES = ("transformer", "transformer_2", "unet")
MOST_TOKENS = 16_384  # of a row: beyond, a pass fills any card by itself, and joining it only makes all wait
ALONE = " alone"  # ends the kind of passes that nobody joins for that
TEXT_ARGUMENTS = {
    *("encoder_hidden_states", "encoder_hidden_states_mask", "encoder_attention_mask"),
    *("pooled_projections", "txt_ids", "img_mask"),
}


@dataclass
class Call:
    """One evaluation of ``module`` that a pipeline waits for.

    arguments: by name. count: rows (with guidance, two for each picture). key: calls with equal keys can be
    joined. kind: what the duration depends on besides the rows, as text that is the same in every process.
    context: the cache context it was made in, None = none, and where: what the pipeline told it of the step.
    adapt: the argument "adapters", one entry for each row → the context manager for the evaluation; None =
    the module has no adapters. folded: arguments that the module takes with several entries for each row, one
    after the other; here they are (B, entries, …).
    """

    module: Any
    arguments: dict[str, Any]
    count: int
    key: tuple[Any, ...]
    kind: str = ""
    context: str | None = None
    adapt: Adapt | None = None
    where: dict[str, Any] = field(default_factory=dict)
    folded: tuple[str, ...] = ()


class GuidancePairs:
    """Joins the two calls a step that some pipelines make for guidance (with ``true_cfg_scale``: FLUX.1 and
    Qwen-Image; the undistilled FLUX.2; all of Wan's) and that differ in the text only. From the second step
    on both are evaluated with the first. What was evaluated ahead is returned for a call with the very same
    arguments only; any other call is evaluated as it comes."""

    def __init__(
        self, evaluate: Callable[[dict[str, Any]], Any], digest: Callable[[torch.Tensor], bytes]
    ) -> None:
        self._evaluate, self._digest = evaluate, digest
        self._before: dict[str, Any] = {}
        self._texts: dict[str, Any] = {}  # of a step's second call
        self._ahead: tuple[dict[str, Any], Any] | None = None  # a second call, and what it gets

    def evaluate(self, arguments: dict[str, Any]) -> Any:
        """Return the module's output for ``arguments``."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None and not _differing(arguments, ahead[0]):
            return ahead[1]
        before, self._before = self._before, arguments
        if ahead is not None or not self._texts:
            self._texts = self._learnt(before, arguments)
            return self._evaluate(arguments)
        second, count = arguments | self._texts, collate.count(arguments)
        both = collate.outputs(self._evaluate(collate.join([(arguments, count), (second, count)])))
        self._ahead = second, collate.cut_outputs(both, count, 2 * count)
        return collate.cut_outputs(both, 0, count)

    def _learnt(self, first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
        """The texts of ``second``, if it is the other call of the step in which ``first`` was; else none."""
        texts = {name: second[name] for name in _differing(second, first)}
        # what is in dictionaries may change
        plain = not any(isinstance(value, dict) and value for value in second.values())
        if not texts or not texts.keys() <= TEXT_ARGUMENTS or not plain:
            return {}
        keys = [collate.key(call, collate.count(call), self._digest) for call in (first, second)]
        return texts if keys[0] == keys[1] else {}


def _differing(arguments: dict[str, Any], others: dict[str, Any]) -> set[str]:
    """The names of what isn't the same as in another call: an object, or as many numbers. No pipeline asks
    for one tensor of latents at two times, and to compare those a card would have to be waited for."""
    names = set()
    for name, value in arguments.items():
        other = others.get(name)
        if name in collate.TIMES and isinstance(value, torch.Tensor) and isinstance(other, torch.Tensor):
            same = value.device.type != "cpu" or torch.equal(value, other)
        else:
            same = collate.value_key(value) == collate.value_key(other)
        if not same:
            names.add(name)
    return names


def _no_adapters(count: int, timestep: Any) -> list[Any]:
    return [()] * count


@dataclass
class Denoiser:
    """Stands for ``module`` in one job's pipeline.

    evaluate: Call → what the module returns for it. label: of the weights, for Call.kind. adapt: see Call.
    adapters: (rows of a call, its timestep) → the job's own, one entry for each of its rows. control: what
    else each of the job's rows gets (1, …), for a module that takes it. apart: what jobs must have in common
    to share passes. pictures: of the job, 0 = unknown; picture *i* has the rows *i*, *pictures* + *i* and so
    on. left: numbers of pictures that aren't drawn on: passes have no rows for them, and they get zeros.

    Everything but the evaluation is the module's own. ``forward`` may be replaced on the instance, as on a
    module.
    """

    module: Any
    evaluate: Callable[[Call], Any]
    label: str = ""
    adapt: Adapt | None = None
    adapters: Callable[[int, Any], list[Any]] = _no_adapters
    control: torch.Tensor | None = None
    apart: Any = None
    pictures: int = 0
    left: Collection[int] = ()
    _context: str | None = None
    _where: dict[str, Any] = field(default_factory=dict)
    _serial: int = field(default_factory=itertools.count().__next__)
    _digests: dict[int, tuple[torch.Tensor, bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._signature = inspect.signature(type(self.module).forward)
        self._pairs = GuidancePairs(self._evaluate, self._digest)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return what ``evaluate`` returns for the call with these arguments of the module's ``forward``."""
        arguments = dict(self._signature.bind(self.module, *args, **kwargs).arguments)
        arguments.pop("self")
        pairs = not is_on(self.module) and not self._is_large(arguments)
        output = self._pairs.evaluate(arguments) if pairs else self._evaluate(arguments)
        wants_class = arguments.get("return_dict", True) and isinstance(output, tuple)
        return self._output_class(*output) if wants_class and self._output_class else output

    @cached_property
    def _output_class(self) -> type | None:
        """What ``forward`` returns instead of a tuple, by its type hints; None for other modules."""
        try:
            hint = get_type_hints(type(self.module).forward).get("return")
        except (NameError, TypeError):  # it names what isn't there at run time
            return None
        kinds = [kind for kind in (*get_args(hint), hint) if isinstance(kind, type)]
        return next((kind for kind in kinds if issubclass(kind, BaseOutput)), None)

    def _is_large(self, arguments: dict[str, Any]) -> bool:
        patch = getattr(getattr(self.module, "config", None), "patch_size", None)
        return collate.tokens(arguments, patch) > MOST_TOKENS

    def _evaluate(self, arguments: dict[str, Any]) -> Any:
        count = collate.count(arguments)
        folded = _folded(arguments, count)
        for name in folded:
            arguments = {**arguments, name: arguments[name].unflatten(0, (count, -1))}
        if self.control is not None:
            arguments = {**arguments, "control": self.control.expand(count, *self.control.shape[1:])}
        adapters = [] if self.adapt is None else self.adapters(count, arguments.get("timestep"))
        # what a cache keeps from step to step is about all rows
        left = () if is_on(self.module) else self.left
        rows = [i for i in range(count) if not left or i % self.pictures not in left]
        total, is_part = count, 0 < len(rows) < count
        if is_part:
            arguments, count = collate.taken(arguments, rows, count), len(rows)
            adapters = [adapters[i] for i in rows] if adapters else []
        key = (id(self.module), self.apart, *collate.key(arguments, count, self._digest))
        if self.adapt is not None:
            arguments = {**arguments, "adapters": adapters}
        kind, context = f"{self.label} {collate.size(arguments)}", self._context
        if self._is_large(arguments):
            key, kind = (*key, self._serial), f"{kind}{ALONE}"
        # the cache decides for all rows of a pass at once, by its states of this request
        if is_on(self.module):
            key, kind, context = (*key, self._serial), f"{kind} cached", f"{self._serial}:{context}"
        output = self.evaluate(
            Call(self.module, arguments, count, key, kind, context, self.adapt, self._where, folded)
        )
        return collate.spread_outputs(collate.outputs(output), rows, total) if is_part else output

    def forget(self) -> None:
        """Drop what caches remember of this request, when it has ended."""
        if is_on(self.module):
            forget_shared(self.module, f"{self._serial}:")

    @contextmanager
    def cache_context(self, name: str, **where: Any) -> Iterator[None]:
        """Note the context ``name`` for the calls inside the ``with`` block, and ``where`` in the loop they
        are. The evaluation enters it: by then the module's own context may be another job's."""
        before, self._context, self._where = (self._context, self._where), name, where
        try:
            yield
        finally:
            self._context, self._where = before

    def _reset_stateful_cache(self, recurse: bool = True) -> None:
        """Do nothing: the end of one pipeline call is not the end of the other jobs' caches."""

    def _digest(self, tensor: torch.Tensor) -> bytes:
        """SHA-256 of a tensor's contents (of positions (B, N, D), of the first row). Made once for each
        tensor, since a pipeline passes the same ones at every step."""
        known = self._digests.get(id(tensor))
        if known is None or known[0] is not tensor:
            own = tensor[0] if tensor.ndim == 3 else tensor
            data = own.contiguous().cpu().view(torch.uint8).numpy().tobytes()
            known = self._digests[id(tensor)] = (tensor, hashlib.sha256(data).digest())
        return known[1]

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "module"), name)


def _folded(arguments: dict[str, Any], count: int) -> tuple[str, ...]:
    """The names of arguments with several entries for each of ``count`` rows: AnimateDiff's words, one for
    each frame, and the two pictures of Wan's first-and-last-frame weights."""
    found, sample = [], arguments.get("sample")
    frames = sample.shape[2] if sample is not None and sample.ndim == 5 else None  # of (B, C, F, h, w)
    for name in ("encoder_hidden_states", "encoder_hidden_states_image"):
        value = arguments.get(name)
        if not isinstance(value, torch.Tensor) or len(value) == count or len(value) % count:
            continue
        if name.endswith("_image") or frames == len(value) // count:
            found.append(name)
    return tuple(found)


def evaluate_now(call: Call) -> Any:
    """Return what the module of ``call`` returns for it, evaluated at once."""
    arguments = {name: value for name, value in call.arguments.items() if name != "adapters"}
    for name in call.folded:
        arguments[name] = arguments[name].flatten(0, 1)
    adapted = nullcontext() if call.adapt is None else call.adapt(call.arguments["adapters"])
    with (
        adapted,
        nullcontext() if call.context is None else call.module.cache_context(call.context, **call.where),
    ):
        return call.module(**arguments)


def denoiser_attributes(pipe: Any) -> tuple[str, ...]:
    """Return the names of the attributes that hold ``pipe``'s denoisers; none for other pipelines."""
    return tuple(name for name in ATTRIBUTES if isinstance(getattr(pipe, name, None), torch.nn.Module))


def denoiser_attribute(pipe: Any) -> str | None:
    """Return the name of the attribute that holds ``pipe``'s denoiser, the first if it has two; None for
    pipelines that are built otherwise."""
    return next(iter(denoiser_attributes(pipe)), None)


def denoiser_of(pipe: Any) -> Any:
    """Return ``pipe``'s denoiser; None for pipelines that are built otherwise."""
    name = denoiser_attribute(pipe)
    return None if name is None else getattr(pipe, name)
