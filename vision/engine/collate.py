"""Joins the arguments of several denoiser calls along the batch, and takes the outputs apart again. Knows
diffusers' argument names, those of pictures and of videos."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

SAMPLES = ("sample", "hidden_states", "x")  # the first of these that a call has says how many rows there are
ROWS = frozenset(  # one entry for each row; behind the first four lines those of videos
    (
        *SAMPLES,
        *"timestep t encoder_hidden_states pooled_projections guidance class_labels timestep_cond".split(),
        *"attention_mask encoder_attention_mask encoder_hidden_states_mask".split(),
        *"added_cond_kwargs cap_feats adapters control text_bth text_lens".split(),
        *"encoder_hidden_states_image encoder_hidden_states_2 encoder_attention_mask_2 image_embeds".split(),
        *"control_hidden_states video_coords sigma audio_sigma audio_hidden_states audio_timestep".split(),
        *"audio_encoder_hidden_states audio_encoder_attention_mask audio_coords".split(),
    )
)
# may come as one number for all rows; videos have one for each token of a row, too: (B, N)
TIMES = ("timestep", "t", "guidance", "audio_timestep", "sigma", "audio_sigma")
# positions, and where pictures are among the words: the transformers read the first row's
IDS = ("img_ids", "txt_ids", "position_ids", "img_mask")
SCALES = ("control_hidden_states_scale",)  # one for each layer, the same for all rows
# a list with one entry for each row; of cap_feats, the lengths may differ
LISTS = ("x", "cap_feats", "adapters")
PADDED = "text_bth"  # (B, T, D), T of any length: ``text_lens`` says how much of a row counts (ERNIE-Image)
Arguments = dict[str, Any]


def samples(arguments: Arguments) -> Any:
    """Return the noisy latents of a call, as a tensor or a list of rows. Raises StopIteration for a module
    that takes none of SAMPLES."""
    return arguments[next(name for name in SAMPLES if name in arguments)]


def count(arguments: Arguments) -> int:
    """Return the rows of a call."""
    return len(samples(arguments))


def device(arguments: Arguments) -> torch.device:
    """Return the device that the rows are on."""
    return samples(arguments)[0].device


def size(arguments: Arguments) -> str:
    """Return the shapes of one row's picture and text, as text."""
    words, shape = arguments.get("encoder_hidden_states"), tuple(samples(arguments)[0].shape)
    return f"{shape} {tuple(words.shape[1:])}" if isinstance(words, torch.Tensor) else f"{shape}"


def tokens(arguments: Arguments, patch: Any = None) -> int:
    """Return how many tokens a transformer sees of one row; 0 for a UNet, which attends within a frame.
    patch: the module's patch size, in latents: one number for both sides, or (frames, h, w)."""
    first = samples(arguments)[0]
    if first.ndim == 2:  # (N, C): packed
        return len(first)
    if patch is None or "sample" in arguments:
        return 0
    sides = patch[-2:] if isinstance(patch, (tuple, list)) else (patch, patch)
    frames = patch[0] if isinstance(patch, (tuple, list)) and len(patch) == 3 else 1
    return first[0].numel() // (sides[0] * sides[1] * frames) if first.ndim >= 3 else 0


def key(arguments: Arguments, count: int, digest: Callable[[torch.Tensor], bytes]) -> tuple[Any, ...]:
    """Return a key that two calls share if they can be joined: rows of the same shapes, and the same values
    of what has no rows. Arguments that aren't known here get a key of their own, so such a call is never
    joined."""
    parts: list[tuple[Any, ...]] = []
    for name, value in sorted(arguments.items()):
        if _empty(value):
            continue
        if name in ROWS:
            parts.append((name, _shape(value, count, name)))
        elif name in IDS:
            parts.append((name, tuple(value.shape[-2:]), digest(value)))
        elif name in SCALES:
            parts.append((name, digest(value)))
        else:
            parts.append((name, value_key(value)))
    return tuple(parts)


def _shape(value: Any, count: int, name: str) -> Any:
    if name in TIMES and not _is_per_token(value):
        return ()
    if name == PADDED:
        return tuple(value.shape[2:]), value.dtype
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


def _is_per_token(times: Any) -> bool:
    return isinstance(times, torch.Tensor) and times.ndim > 1


def _empty(value: Any) -> bool:
    return value is None or isinstance(value, dict) and not value


def value_key(value: Any) -> Any:
    """Return what is equal for numbers and texts that are, in lists too, and for one and the same object."""
    if isinstance(value, (list, tuple)):  # img_shapes: the sizes of what the rows show
        return tuple(map(value_key, value))
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
    if name in TIMES and not _is_per_token(first):
        return torch.cat([_times(value, n) for value, n in values])
    if name in LISTS:
        return [row for value, _ in values for row in value]
    if name == PADDED:
        longest = max(value.shape[1] for value, _ in values)
        pad = torch.nn.functional.pad
        return torch.cat([pad(value, (0, 0, 0, longest - value.shape[1])) for value, _ in values])
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
    last row is repeated. Tensors are made contiguous, whatever the call's own strides: a channels-last
    picture takes other kernels and so other last bits."""
    return taken(arguments, [min(i, total - 1) for i in range(begin, end)], total)


def taken(arguments: Arguments, rows: list[int], total: int) -> Arguments:
    """Return the arguments for some ``rows``, at least one, of a call of ``total`` rows."""
    return {name: _take(name, value, rows, total) for name, value in arguments.items()}


def _take(name: str, value: Any, rows: list[int], total: int) -> Any:
    if name not in ROWS or _empty(value):
        return value[0] if name in IDS and value is not None and value.ndim == 3 else value
    if name in LISTS:
        return [value[i] for i in rows]
    is_time = name in TIMES and not _is_per_token(value)
    return _pick(_times(value, total) if is_time else value, rows)


def _pick(value: Any, rows: list[int]) -> Any:
    if isinstance(value, torch.Tensor):
        near = rows[-1] - rows[0] == len(rows) - 1
        return (
            value[rows[0] : rows[-1] + 1] if near else value[torch.tensor(rows, device=value.device)]
        ).contiguous()
    if isinstance(value, dict):
        return {inner: _pick(v, rows) for inner, v in value.items()}
    return [_pick(v, rows) for v in value]


def outputs(output: Any) -> tuple[Any, ...]:
    """Return all that a module returned, be it a tuple or a class of its own: tensors, or lists of rows."""
    return output.to_tuple() if hasattr(output, "to_tuple") else tuple(output)


def cut_outputs(output: tuple[Any, ...], begin: int, end: int) -> tuple[Any, ...]:
    """Return what of an ``output`` belongs to the rows ``begin`` to ``end``."""
    return tuple(value[begin:end] for value in output)


def spread_outputs(output: tuple[Any, ...], rows: list[int], total: int) -> tuple[Any, ...]:
    """Return an ``output`` for ``total`` rows, of which it has only ``rows``; the others are 0."""
    spread = []
    for value in output:
        own = dict(zip(rows, value, strict=True))
        whole = [own[row] if row in own else torch.zeros_like(value[0]) for row in range(total)]
        spread.append(torch.stack(whole) if isinstance(value, torch.Tensor) else whole)
    return tuple(spread)


def cat_outputs(parts: list[tuple[tuple[Any, ...], int]]) -> tuple[Any, ...]:
    """Join the outputs of parts, each with how many of its first rows count, into one."""
    kept = [cut_outputs(output, 0, n) for output, n in parts]
    return kept[0] if len(kept) == 1 else tuple(_cat_rows(values) for values in zip(*kept, strict=True))


def _cat_rows(values: Sequence[Any]) -> Any:
    if isinstance(values[0], torch.Tensor):
        return torch.cat(list(values))
    return [row for rows_of_part in values for row in rows_of_part]
