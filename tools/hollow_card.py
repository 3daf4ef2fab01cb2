"""A card that isn't there: ``cuda:0`` of any size, without CUDA, that counts every byte and runs out as a
card does.

Within ``HollowCard`` a tensor on ``cuda:0`` with more than KEPT elements is hollow: it has a shape and a
dtype, and its data lies on torch's meta device. Smaller ones keep their values on the host, so that
schedules, ids and masks work as they do. So a whole pipeline of full size runs in seconds, and tells what a
card would tell: the peak of its memory, what happens when that is spent, and where the host waits for the
card.

What it can't tell: how long anything takes, what a picture looks like, whether float16 overflows, and what
CUDA itself needs beside the tensors (its context, the workspaces of its libraries). There is no backward
pass.
"""

from __future__ import annotations

import collections
import contextlib
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map

KEPT = 65_536  # elements: up to here a tensor keeps its values
RESULT_KEPT = 16 * KEPT  # of what is computed from such
BLOCK = 512  # bytes: CUDA's allocator rounds up to these
DEVICE = torch.device("cuda:0")
ACCELERATOR: dict[str, Any] = {  # what ``torch.accelerator`` says of the card
    "current_accelerator": lambda check_available=False: torch.device("cuda"),
    "device_count": lambda: 1,
    "synchronize": lambda *device: None,
}
SET_DATA = torch.Tensor.data.__set__  # type: ignore[attr-defined]
aten = torch.ops.aten


def _nonzero(tensor: torch.Tensor, *, as_tuple: bool = False) -> Any:
    found = aten.nonzero.default(tensor)
    return found.unbind(1) if as_tuple else found


GUARDED: dict[Any, Any] = {  # methods that want a device's guard before they come to ATen
    torch.Tensor.nonzero: _nonzero,
    torch.Tensor.__rsub__: aten.rsub.Scalar,
    torch.Tensor.__invert__: aten.bitwise_not.default,
}


class NoValueError(RuntimeError):
    """The program asked for the value of a tensor that has none."""


class HollowCard:
    """Use as a context manager. capacity: bytes. bfloat16: whether it computes in that.

    live, peak: bytes that tensors hold now, and held at most since ``reset``. host: bytes of modules that
    were moved off it. peak_at: where that was. waits: how often the host waited for it, by place. copies: how
    often data went to it, by place.
    """

    def __init__(self, capacity: int = 1 << 60, *, bfloat16: bool = True) -> None:
        self.capacity, self.bfloat16 = capacity, bfloat16
        self.live = self.peak = self.host = 0
        self._torch_peak = 0  # since the program itself last asked torch to begin anew
        self.cached = 0  # bytes that the allocator holds and doesn't use, for tests that set it
        self.peak_at = ""
        self.waits: collections.Counter[str] = collections.Counter()
        self.copies: collections.Counter[str] = collections.Counter()
        self.moves = threading.local()  # is set while a module is moved
        self._storages: dict[tuple[int, bool], weakref.ref[Any]] = {}
        self._lock = threading.RLock()
        self._open = contextlib.ExitStack()

    def __enter__(self) -> HollowCard:
        for module, said in ((torch.cuda, self._cuda()), (torch.accelerator, ACCELERATOR)):
            for name, value in said.items():
                self._open.enter_context(mock.patch.object(module, name, value))
        torch._C._ensureCUDADeviceGuardSet()
        swap = (
            torch.__future__.get_swap_module_params_on_conversion()
        )  # keeps hollow parameters, tied ones too
        torch.__future__.set_swap_module_params_on_conversion(True)
        self._open.callback(torch.__future__.set_swap_module_params_on_conversion, swap)
        self._open.enter_context(
            mock.patch.object(threading.Thread, "run", self._with_modes(threading.Thread.run))
        )
        self._open.enter_context(
            mock.patch.object(torch.nn.Module, "_apply", self._moving(torch.nn.Module._apply))
        )
        self._open.enter_context(self._modes())
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def reset(self) -> None:
        """Forget the peak, the waits and the copies so far."""
        self.peak, self.peak_at = self.live, ""
        self.waits.clear()
        self.copies.clear()

    def place(self, module: torch.nn.Module) -> torch.nn.Module:
        """Put a module that was made on the meta device onto the card; returns it."""
        placed: dict[int, Any] = {}
        for part in module.modules():
            for box in (part._parameters, part._buffers):
                for name, value in box.items():
                    if value is None:
                        continue
                    if id(value) not in placed:
                        hollow = _Hollow(value.detach(), self)
                        is_weight = isinstance(value, torch.nn.Parameter)
                        placed[id(value)] = (
                            torch.nn.Parameter(hollow, requires_grad=False) if is_weight else hollow
                        )
                    box[name] = placed[id(value)]
        return module.eval()

    def hollowed(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return a tensor of the host without its values, or one that is small or hollow as it is."""
        if isinstance(tensor, _Hollow) or tensor.numel() <= KEPT:
            return tensor
        return _Hollow(tensor.detach().to("meta"), self, on_card=False)

    def count(self, storage: Any, *, on_card: bool) -> None:
        """Count a storage until it is gone. Raises torch.OutOfMemoryError where the card can't hold it."""
        key = (storage._cdata, on_card)
        with self._lock:
            if key in self._storages:
                return
            size = -(-storage.nbytes() // BLOCK) * BLOCK
            if on_card and self.live + size > self.capacity:
                raise torch.OutOfMemoryError(
                    f"CUDA out of memory. Tried to allocate {size / 2**20:.0f} MiB;"
                    f" {self.live / 2**20:.0f} of {self.capacity / 2**20:.0f} MiB are in use"
                )
            self._storages[key] = weakref.ref(storage, lambda _: self._forget(key, size))
            if not on_card:
                self.host += size
                return
            self.live += size
            self._torch_peak = max(self._torch_peak, self.live)
            if self.live > self.peak:
                self.peak, self.peak_at = self.live, caller()

    def _forget(self, key: tuple[int, bool], size: int) -> None:
        with self._lock:
            del self._storages[key]
            if key[1]:
                self.live -= size
            else:
                self.host -= size

    def waited(self, why: str) -> None:
        """Note that the host has to wait here until the card has a value."""
        self.waits[f"{why} at {caller()}"] += 1

    @contextlib.contextmanager
    def _modes(self) -> Iterator[None]:
        with torch.no_grad(), _Functions(self), _Factories(self):
            yield

    def _with_modes(self, run: Callable[[Any], None]) -> Callable[[Any], None]:
        def run_in_thread(thread: threading.Thread) -> None:
            with self._modes():
                run(thread)

        return run_in_thread

    def _moving(self, apply: Callable[..., Any]) -> Callable[..., Any]:
        def apply_to_module(module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
            before, self.moves.on = getattr(self.moves, "on", False), True
            try:
                return apply(module, *args, **kwargs)
            finally:
                self.moves.on = before

        return apply_to_module

    def _cuda(self) -> dict[str, Any]:
        """What ``torch.cuda`` says of the card."""

        def empty_cache() -> None:
            self.cached = 0

        def reset_peak(*device: Any) -> None:
            self._torch_peak = self.live

        return {
            "_lazy_init": lambda: None,
            "is_available": lambda: True,
            "is_initialized": lambda: True,
            "current_device": lambda: 0,
            "device_count": lambda: 1,
            "synchronize": lambda *device: None,
            "get_device_name": lambda *device: "a hollow card",
            "is_bf16_supported": lambda *args, **kwargs: self.bfloat16,
            "get_device_capability": lambda *device: (8, 9) if self.bfloat16 else (7, 5),
            "empty_cache": empty_cache,
            "mem_get_info": lambda *device: (self.capacity - self.live - self.cached, self.capacity),
            "memory_reserved": lambda *device: self.live + self.cached,
            "memory_allocated": lambda *device: self.live,
            "max_memory_allocated": lambda *device: self._torch_peak,
            "reset_peak_memory_stats": reset_peak,
            "Event": _Event,
            "Stream": _Stream,
            "stream": lambda stream: contextlib.nullcontext(),
            "current_stream": _Stream,
        }

    def run(self, function: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Run an operation of ATen of which hollow tensors, or this card, are part."""
        name, leaves = function._schema.name, tree_leaves((args, kwargs))
        hollow = [leaf for leaf in leaves if isinstance(leaf, _Hollow)]
        if hollow and name in (
            "aten::_local_scalar_dense",
            "aten::equal",
            "aten::is_nonzero",
            "aten::nonzero",
        ):
            self.waited(name)
            if not all(tensor.has_values for tensor in hollow):
                return self._value(name, hollow)
        if name == "aten::to":  # of a quantised weight's parts
            is_there = args[0].device == kwargs["device"] and args[0].dtype == kwargs["dtype"]
            return args[0] if is_there else self._copy(aten._to_copy.default, args, kwargs)
        if name == "aten::_to_copy":
            return self._copy(function, args, kwargs)
        if name == "aten::copy_" and isinstance(args[1], _Hollow) and not isinstance(args[0], _Hollow):
            self.waited("copy_ to the host")
            if args[1].has_values:
                args[0].copy_(args[1].inner)
            return args[0]
        if name == "aten::copy_" and not isinstance(args[1], _Hollow):
            self.copies[f"copy_ {tuple(args[1].shape)} at {caller()}"] += 1
        return self._compute(function, args, kwargs, hollow, leaves)

    def _value(self, name: str, hollow: list[_Hollow]) -> Any:
        """Answer for a value that nobody knows: everything is finite, and nothing is anything else."""
        if name == "aten::equal":
            return hollow[0] is hollow[-1] if len(hollow) > 1 else False
        if name == "aten::_local_scalar_dense" and hollow[0].dtype is torch.bool:
            return True
        if name == "aten::_local_scalar_dense" and hollow[0].is_floating_point():
            return 0.0
        raise NoValueError(f"{name} of a hollow tensor at {caller(6)}")

    def _copy(self, function: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Copy a tensor to the card, from it, or on it to another dtype."""
        [source, *_], device = args, kwargs.get("device")
        if not isinstance(source, _Hollow):  # from the host to the card
            self.copies[f"{tuple(source.shape)} at {caller()}"] += 1
            kept = source.device.type == "cpu" and source.numel() <= KEPT
            return _Hollow(function(*args, **{**kwargs, "device": "cpu" if kept else "meta"}), self)
        if device is None or is_card(device):
            inner = function(source.inner, *args[1:], **{**kwargs, "device": source.inner.device})
            return _Hollow(inner, self, on_card=device is not None or source.device.type == "cuda")
        if torch.device(device).type == "meta":
            return function(source.inner, *args[1:], **kwargs)
        if source.device.type == "cuda":
            self.waited("to the host")
        if source.has_values:
            return function(source.inner, *args[1:], **kwargs)
        if (
            getattr(self.moves, "on", False) or source.device.type == "cpu"
        ):  # a module's weights: they stay hollow
            inner = function(source.inner, *args[1:], **{**kwargs, "device": "meta"})
            return _Hollow(inner, self, on_card=False)
        dtype = kwargs.get("dtype") or source.dtype
        if dtype.is_floating_point:
            return torch.rand(source.shape).to(
                dtype
            )  # noise: what is all zeros would be taken for a black picture
        return torch.zeros(source.shape, dtype=dtype)

    def _compute(
        self,
        function: Any,
        args: Sequence[Any],
        kwargs: dict[str, Any],
        hollow: list[_Hollow],
        leaves: list[Any],
    ) -> Any:
        makes = is_card(kwargs.get("device"))
        tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
        meta = any((t.inner if isinstance(t, _Hollow) else t).device.type == "meta" for t in tensors)
        given = dict(kwargs)
        if makes:
            given["device"] = "meta" if meta or not hollow else "cpu"
        if makes and not tensors:
            made = function(*args, **given)
            return _Hollow(
                function(*args, **{**given, "device": "cpu"}) if made.numel() <= KEPT else made, self
            )
        if meta and function._schema.is_mutable:
            for argument, value in zip(function._schema.arguments, args, strict=False):
                written = argument.alias_info is not None and argument.alias_info.is_write
                if written and isinstance(value, _Hollow) and value.has_values:
                    value.empty()
        inner = function(
            *tree_map(lambda leaf: bare(leaf, meta), args), **tree_map(lambda leaf: bare(leaf, meta), given)
        )
        if kwargs.get("out") is not None:
            return kwargs["out"]
        if function._schema.is_mutable and function._schema.name.endswith("_"):
            return args[0]
        on_card = makes or any(tensor.device.type == "cuda" for tensor in hollow)
        return tree_map(lambda leaf: self._result(leaf, on_card), inner)

    def _result(self, leaf: Any, on_card: bool) -> Any:
        if not isinstance(leaf, torch.Tensor) or isinstance(leaf, _Hollow):
            return leaf
        keeps = leaf.device.type == "meta" or leaf.numel() <= RESULT_KEPT
        return _Hollow(leaf if keeps else leaf.to("meta"), self, on_card=on_card)


class _Hollow(torch.Tensor):
    """A tensor on the card, or moved off it with its module. inner: a real one on the host, or one on the
    meta device."""

    inner: torch.Tensor  # type: ignore[assignment]  # hides a product
    card: HollowCard
    # a quantised weight answers for the product with it, as beside any other tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, inner: torch.Tensor, card: HollowCard, on_card: bool = True) -> _Hollow:
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            layout=inner.layout,
            device=DEVICE if on_card else torch.device("cpu"),
        )
        made.inner, made.card = inner, card
        card.count(inner.untyped_storage(), on_card=on_card)
        return made

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    @property
    def has_values(self) -> bool:
        return self.inner.device.type == "cpu"

    def empty(self) -> None:
        """Lose its values: something hollow was written into it."""
        like = self.inner
        self.inner = torch.empty_strided(like.size(), like.stride(), dtype=like.dtype, device="meta")
        self.card.count(self.inner.untyped_storage(), on_card=self.device.type == "cuda")

    def __repr__(self, **kwargs: Any) -> str:  # type: ignore[override]
        return f"Hollow({tuple(self.shape)}, {self.dtype}, {'with' if self.has_values else 'without'} values)"

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        [first, *_] = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, _Hollow)]
        return first.card.run(function, args, kwargs or {})


PLAIN = (torch.Tensor, torch.nn.Parameter, torch.nn.Buffer, _Hollow)


class _Factories(TorchDispatchMode):
    """Sees what makes tensors on the card, or copies them to it, without any that lies there."""

    def __init__(self, card: HollowCard) -> None:
        super().__init__()
        self._card = card

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, leaves = kwargs or {}, tree_leaves((args, kwargs))
        if any(isinstance(leaf, torch.Tensor) and type(leaf) not in PLAIN for leaf in leaves):
            return NotImplemented  # a quantised weight says itself what is done with its parts
        if is_card(kwargs.get("device")) or any(isinstance(leaf, _Hollow) for leaf in leaves):
            return self._card.run(function, args, kwargs)
        return function(*args, **kwargs)


class _Functions(TorchFunctionMode):
    """Answers what wants a CUDA device's guard, which a build of torch without CUDA has not, or would count
    too much."""

    def __init__(self, card: HollowCard) -> None:
        super().__init__()
        self._card = card

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        first = args[0] if args else kwargs.get("query")
        if function in (torch.tensor, torch.as_tensor, torch.asarray) and is_card(kwargs.get("device")):
            given = {name: value for name, value in kwargs.items() if name != "device"}
            made = first if isinstance(first, torch.Tensor) else function(*args, **given)
            return made.to(DEVICE, **({"dtype": given["dtype"]} if given.get("dtype") else {}))
        if function is torch.tensor and any(isinstance(leaf, _Hollow) for leaf in tree_leaves(first)):
            values = tree_map(lambda leaf: leaf.item() if isinstance(leaf, _Hollow) else leaf, first)
            return function(values, *args[1:], **kwargs)
        if function is torch.Tensor.to:  # "cuda" alone would ask CUDA which card is meant
            args, kwargs = tree_map(_with_index, (tuple(args), dict(kwargs)))
        if function is torch.Tensor.pin_memory:  # needs CUDA; all host memory is as good here
            return first
        if function is torch.Tensor.is_pinned:
            return True
        if function == SET_DATA and (isinstance(first, _Hollow) or isinstance(args[1], _Hollow)):
            return _swap(first, args[1])
        if not isinstance(first, _Hollow):
            return function(*args, **kwargs)
        if function is F.scaled_dot_product_attention:
            return self._attention(*args, **kwargs)
        if function is torch.Tensor.new_tensor:
            return torch.tensor(args[1], dtype=kwargs.get("dtype", first.dtype)).to(DEVICE)
        if function in GUARDED:
            return GUARDED[function](*args, **kwargs)
        if function is torch.Tensor.__getitem__:
            return self._item(first, args[1])
        if function is torch.Tensor.__setitem__:
            return self._set_item(first, args[1], args[2])
        if function is torch.Tensor.contiguous:
            form = kwargs.get("memory_format", args[1] if len(args) > 1 else torch.contiguous_format)
            if first.inner.is_contiguous(memory_format=form):
                return first
            return aten.clone.default(first, memory_format=form)
        numbers = {
            torch.Tensor.__float__: float,
            torch.Tensor.__int__: int,
            torch.Tensor.__bool__: bool,
            torch.Tensor.__index__: int,
        }
        if function in numbers:
            return numbers[function](first.item())
        if function in (torch.Tensor.tolist, torch.Tensor.numpy, torch.Tensor.__array__):
            self._card.waited(function.__name__)
            if not first.has_values:
                raise NoValueError(f"{function.__name__} of a hollow tensor at {caller(6)}")
            with plainly():
                return function(first.inner)
        return function(*args, **kwargs)

    def _attention(self, query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Return what a fused kernel gives, laid out as flash attention does: without the N × N matrix."""
        *batch, length = query.shape[:-1]
        with plainly():
            if len(batch) == 2:
                shape = (batch[0], length, batch[1], value.shape[-1])
                inner = torch.empty(shape, dtype=query.dtype, device="meta").transpose(1, 2)
            else:
                inner = torch.empty((*batch, length, value.shape[-1]), dtype=query.dtype, device="meta")
            return _Hollow(inner, self._card)

    def _item(self, tensor: _Hollow, index: Any) -> Any:
        masks = [
            one for one in tree_leaves(index) if isinstance(one, torch.Tensor) and one.dtype is torch.bool
        ]
        for mask in masks:
            if isinstance(mask, _Hollow):
                self._card.waited("an index by a mask")
                if not mask.has_values:
                    raise NoValueError(f"an index by a hollow mask at {caller(6)}")
        meta = self._is_hollow(tensor, index)
        with plainly():
            if meta and masks:  # on the meta device nobody knows how many are true
                index = tuple(
                    place
                    for one in (index if isinstance(index, tuple) else (index,))
                    for place in (
                        bare(one, False).nonzero().unbind(1) if any(one is mask for mask in masks) else (one,)
                    )
                )
            return _Hollow(bare(tensor, meta)[tree_map(lambda one: bare(one, meta), index)], self._card)

    def _set_item(self, tensor: _Hollow, index: Any, value: Any) -> None:
        meta = self._is_hollow(tensor, index) or (isinstance(value, _Hollow) and not value.has_values)
        with plainly():
            if meta and tensor.has_values:
                tensor.empty()
            if not meta:
                tensor.inner[tree_map(lambda one: bare(one, False), index)] = bare(value, False)

    @staticmethod
    def _is_hollow(tensor: _Hollow, index: Any) -> bool:
        return any(isinstance(one, _Hollow) and not one.has_values for one in [tensor, *tree_leaves(index)])


def _swap(tensor: torch.Tensor, data: torch.Tensor) -> None:
    """Put ``data`` into ``tensor``, which is of another class."""
    with plainly():
        made = data.detach() if isinstance(data, _Hollow) else data.view_as(data)
        if isinstance(tensor, torch.nn.Parameter):
            made = torch.nn.Parameter(made, requires_grad=False)
        torch.utils.swap_tensors(tensor, made)


class _Event:
    """An event on the card, which is always over; each second of it took 1 ms."""

    def __init__(self, **kwargs: Any) -> None:
        pass

    def record(self, *stream: Any) -> None:
        pass

    def query(self) -> bool:
        return True

    def synchronize(self) -> None:
        pass

    def elapsed_time(self, other: _Event) -> float:
        return 1.0


class _Stream:
    """A queue of work on the card; all of it is done in order of asking."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def synchronize(self) -> None:
        pass


def is_card(device: Any) -> bool:
    """Return whether a factory's ``device`` is the card."""
    return device is not None and torch.device(device).type == "cuda"


def _with_index(value: Any) -> Any:
    return DEVICE if (isinstance(value, torch.device) or value == "cuda") and is_card(value) else value


def bare(value: Any, meta: bool) -> Any:
    """Return the real tensor behind a hollow one, on the meta device where ``meta``; all else as it is."""
    if isinstance(value, _Hollow):
        value = value.inner
    if meta and isinstance(value, torch.Tensor) and value.device.type != "meta":
        return value.to("meta")
    return value


@contextlib.contextmanager
def plainly() -> Iterator[None]:
    """Work on real tensors, unseen by any mode."""
    with torch._C.DisableTorchFunction(), _disable_current_modes():
        yield


def caller(depth: int = 3) -> str:
    """Return where in the program this is: so many lines of the stack that aren't torch's or this
    module's."""
    found: list[str] = []
    for frame in reversed(traceback.extract_stack()):
        if frame.filename == __file__ or "/torch/" in frame.filename:
            continue
        found.append(f"{frame.filename.rpartition('site-packages/')[2]}:{frame.lineno}")
        if len(found) == depth:
            break
    return " < ".join(found)
