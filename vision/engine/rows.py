"""Joins the arguments of several denoiser calls along the batch, and takes the outputs apart again. Knows
diffusers' argument names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

SAMPLES = ("sample", "hidden_states", "x")  # the first of these that a call has says how many rows there are
ROWS = frozenset(  # one entry for each row
    (
        *SAMPLES,
        "timestep",
        "t",
        "encoder_hidden_states",
        "pooled_projections",
        "guidance",
        "class_labels",
        "timestep_cond",
        "attention_mask",
        "encoder_attention_mask",
        "encoder_hidden_states_mask",
        "added_cond_kwargs",
        "cap_feats",
        "adapters",
        "control",
    )
)
TIMES = ("timestep", "t", "guidance")  # may come as one number for all rows
IDS = ("img_ids", "txt_ids")  # positions: the transformers read the first row's
LISTS = (
    "x",
    "cap_feats",
    "adapters",
)  # a list with one entry for each row; of cap_feats, the lengths may differ
Arguments = dict[str, Any]


def count(arguments: Arguments) -> int:
    """Return the rows of a call. Raises KeyError for a module that takes none of SAMPLES."""
    return len(arguments[next(name for name in SAMPLES if name in arguments)])


def device(arguments: Arguments) -> torch.device:
    """Return the device that the rows are on."""
    first = arguments[next(name for name in SAMPLES if name in arguments)]
    return first[0].device


def size(arguments: Arguments) -> str:
    """Return the shapes of one row's picture and text, as text."""
    first = arguments[next(name for name in SAMPLES if name in arguments)]
    words = arguments.get("encoder_hidden_states")
    shape = tuple(first[0].shape)
    return f"{shape} {tuple(words.shape[1:])}" if isinstance(words, torch.Tensor) else f"{shape}"


def key(arguments: Arguments, count: int, digest: Callable[[torch.Tensor], bytes]) -> tuple[Any, ...]:
    """Return a key that two calls share if they can be joined: rows of the same shapes, and the same values
    of what has no rows.

    Arguments that aren't known here get a key of their own, so such a call is never joined.
    """
    parts: list[tuple[Any, ...]] = []
    for name, value in sorted(arguments.items()):
        if _empty(value):
            continue
        if name in ROWS:
            parts.append((name, _shape(value, count, name)))
        elif name in IDS:
            parts.append((name, tuple(value.shape[-2:]), digest(value)))
        else:
            parts.append((name, _same(value)))
    return tuple(parts)


def _shape(value: Any, count: int, name: str) -> Any:
    if name in TIMES:
        return ()
    if isinstance(value, torch.Tensor) and len(value) == count:
        return tuple(value.shape[1:]), value.dtype
    if name in LISTS:
        return (tuple(value[0].shape) if name in SAMPLES else (), value[0].dtype)
    if isinstance(value, dict):
        return tuple((inner, _shape(v, count, "")) for inner, v in sorted(value.items()))
    if (
        isinstance(value, (list, tuple)) and not name
    ):  # inside of a dictionary: one tensor of rows for each adapter
        return tuple(_shape(v, count, "") for v in value)
    return "?", id(value)


def _empty(value: Any) -> bool:
    return value is None or isinstance(value, dict) and not value


def _same(value: Any) -> Any:
    if isinstance(value, (list, tuple)):  # img_shapes: the sizes of what the rows show
        return tuple(map(_same, value))
    return value if isinstance(value, (bool, int, float, str)) else ("?", id(value))


def join(calls: Sequence[tuple[Arguments, int]]) -> Arguments:
    """Return one call's arguments for all rows of ``calls`` (arguments, rows), which have the same key. A
    single call stays as it is."""
    if len(calls) == 1:
        return calls[0][0]
    return {name: _join(name, [(arguments.get(name), n) for arguments, n in calls]) for name in calls[0][0]}


def _join(name: str, values: list[tuple[Any, int]]) -> Any:
    first = values[0][0]
    if name not in ROWS or _empty(first):
        return first[0] if name in IDS and first.ndim == 3 else first
    if name in TIMES:
        return torch.cat([_times(value, n) for value, n in values])
    if name in LISTS:
        return [row for value, _ in values for row in value]
    return _cat([value for value, _ in values])


def _times(value: Any, n: int) -> torch.Tensor:
    """(n,); whole numbers as float32, as every timestep embedding makes them."""
    times = torch.as_tensor(value).reshape(-1)
    return (times if times.dtype in (torch.float16, torch.bfloat16) else times.float()).expand(n)


def _cat(values: list[Any]) -> Any:
    if isinstance(values[0], torch.Tensor):
        return torch.cat([value.contiguous() for value in values])
    if isinstance(values[0], dict):
        return {inner: _cat([value[inner] for value in values]) for inner in values[0]}
    return [_cat(list(parts)) for parts in zip(*values, strict=True)]


def part(arguments: Arguments, begin: int, end: int, total: int) -> Arguments:
    """Return the arguments for the rows ``begin`` to ``end`` of a call of ``total`` rows; beyond its end, the
    last row is repeated.

    Tensors are made contiguous, whatever the call's own strides: a channels-last picture takes other kernels
    and so other last bits.
    """
    rows = [min(i, total - 1) for i in range(begin, end)]
    return {name: _take(name, value, rows, total) for name, value in arguments.items()}


def _take(name: str, value: Any, rows: list[int], total: int) -> Any:
    if name not in ROWS or _empty(value):
        return value[0] if name in IDS and value is not None and value.ndim == 3 else value
    if name in LISTS:
        return [value[i] for i in rows]
    return _pick(_times(value, total) if name in TIMES else value, rows)


def _pick(value: Any, rows: list[int]) -> Any:
    if isinstance(value, torch.Tensor):
        near = rows[-1] - rows[0] == len(rows) - 1
        return (
            value[rows[0] : rows[-1] + 1] if near else value[torch.tensor(rows, device=value.device)]
        ).contiguous()
    if isinstance(value, dict):
        return {inner: _pick(v, rows) for inner, v in value.items()}
    return [_pick(v, rows) for v in value]


def cat_outputs(parts: list[tuple[Any, int]]) -> Any:
    """Join the outputs of parts, each with how many of its first rows count, into one (tensor, or list of
    rows)."""
    kept = [output[:n] for output, n in parts]
    if len(kept) == 1:
        return kept[0]
    return (
        torch.cat(kept) if isinstance(kept[0], torch.Tensor) else [row for output in kept for row in output]
    )
