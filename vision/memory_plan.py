"""Chooses how an image model is held on a device: quantised or as it is, kept there or moved in part by part.
Decides from what is free and how large the model is; loads no torch."""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from core.errors import ModelError
from vision.weights.sizes import QUANTIZED, Sizes

# weights × this must fit: activations, the decoder and the allocator's slack want room
MARGIN = 1.25


WAYS = {
    "none": "all of it on the device",
    "model": "each part on the device while it is needed",
    "sequential": "each layer on the device while it is needed",
}


@dataclass(frozen=True)
class Plan:
    """How a model is held. quantize: off, int8, fp8 or nf4. offload: none, model (each part visits the card
    when it is needed) or sequential (each layer does)."""

    quantize: str = "off"
    offload: str = "none"

    def __str__(self) -> str:
        kind = "as it is" if self.quantize == "off" else f"quantised to {self.quantize}"
        return f"{kind}, {WAYS[self.offload]}"


# What "auto" tries, best first. INT8's pictures differ by less than the eye sees, so that it comes before
# moving parts about; NF4's are other pictures, so that it comes after. FP8 is as large as INT8 and further
# from the original.
ORDER = (
    Plan("off", "none"),
    Plan("int8", "none"),
    Plan("off", "model"),
    Plan("int8", "model"),
    Plan("nf4", "none"),
    Plan("nf4", "model"),
    Plan("off", "sequential"),
)


def installed(device: str) -> frozenset[str]:
    """Return the kinds of quantising that can be had on ``device``: int8 and fp8 with torchao; nf4 with
    bitsandbytes, through which diffusers loads on cards only."""
    kinds = {"int8", "fp8"} if importlib.util.find_spec("torchao") else set()
    if device.startswith("cuda") and importlib.util.find_spec("bitsandbytes"):
        kinds.add("nf4")
    return frozenset(kinds)


def choose(
    device: str,
    free: int,
    sizes: Mapping[str, Sizes],
    *,
    quantize: str = "auto",
    offload: str = "auto",
    installed: Collection[str] = (),
) -> Plan:
    """Return the first plan of ``ORDER`` that the settings allow and that fits into ``free`` bytes; if none
    does, the last that they allow.

    sizes: see ``sizes.sizes``; a model whose weights can't be quantised has "off" only. quantize, offload:
    the settings, "auto" = free choice. installed: kinds of quantising whose library is there. Raises
    ModelError when what QUANTIZE names can't be had.
    """
    if quantize in QUANTIZED and quantize not in installed:
        raise ModelError(
            f"QUANTIZE={quantize} can't be had here: it needs `make setup EXTRAS=quantize`"
            f"{' and a graphics card' if quantize == 'nf4' else ''}."
        )
    kind = quantize if quantize in sizes else "off"
    if not device.startswith("cuda"):
        is_resident = device == "cpu" or device.startswith("mps") or offload == "auto"
        return Plan("off" if quantize == "auto" else kind, "none" if is_resident else offload)
    allowed = [
        plan
        for plan in _plans(quantize, kind)
        if offload in ("auto", plan.offload)
        and (plan.quantize == "off" or plan.quantize in installed)
        and plan.quantize in sizes
    ]
    return next((plan for plan in allowed if _needed(plan, sizes) <= free), allowed[-1])


def _plans(quantize: str, kind: str) -> tuple[Plan, ...]:
    if quantize == "auto":
        return ORDER
    ways = ("none", "model", "sequential") if kind == "off" else ("none", "model")
    return tuple(Plan(kind, way) for way in ways)


def _needed(plan: Plan, sizes: Mapping[str, Sizes]) -> float:
    """Return the bytes that must be free on the card; of a sequential plan, next to nothing."""
    size = sizes[plan.quantize]
    return MARGIN * {"none": size.total, "model": size.largest}.get(plan.offload, 0)
