"""Measures what a model needs beside its weights: for its words, for a pass and for its decoder, at native
size.

    python -m tools.memory_needs [FAMILY …] [--write] [--plans]

Each model is written hollow, loaded and drawn with by the program's own code on a card that isn't there.
Prints JSON of bytes; --write puts it into ``vision/weights/needs.json``, which plans are made by. --plans
draws once more for each way to hold a model and prints, as a table, what the plan asks beside what was taken;
with --write that goes into ``memory_taken.json``, and from there into docs/reference/image-models.md.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import logging
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import psutil
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from core.requests.images import EditRequest, ImagineRequest, VariationRequest
from core.requests.video import VideoRequest
from tools import full_size
from tools.hollow_card import HollowCard
from vision import families, loader
from vision.capabilities import edit, imagine, variation
from vision.diffusion import model as image_model
from vision.protocol import WorkerConfig
from vision.reporter import Reporter
from vision.store import Models
from vision.video.families import FAMILIES as VIDEO_FAMILIES
from vision.video.reader import open_sources
from vision.video.request import prepare
from vision.weights import card as identify
from vision.weights import copies, memory
from vision.worker.main import quiet_libraries

DRAWING = tuple(name for name, known in full_size.read_architectures().items() if "pipeline" in known)
TAKEN = Path(__file__).with_name("memory_taken.json")  # model → way → GiB that are asked, and taken
PICTURE = " from a picture"  # ends the names of ways in which a picture is begun at
WAYS = {  # column → how a model is held
    "on the card": memory.Plan("off", "none"),
    "part by part": memory.Plan("off", "model"),
    "layer by layer": memory.Plan("off", "group"),
    "int8": memory.Plan("int8", "none"),
    f"on the card{PICTURE}": memory.Plan("off", "none"),
    f"part by part{PICTURE}": memory.Plan("off", "model"),
}
Shares = dict[str, dict[str, tuple[float, float]]]  # model → way → GiB that are asked, and taken
PROMPT, STEPS = "a red house on a hill", 2
SHA = "a" * 64
GIB, ROUND = 2**30, 16 * 2**20


def measure(family: str, folder: Path) -> dict[str, int]:
    """Return the bytes that the model in ``folder`` needs: weights and those of its vae, as the files have
    them, and over those text, step and decode, each rounded up to whole ROUNDs with what the allocator adds
    to each tensor. A decoder that is held in float32 is larger than in the files, at any time. Of a model
    that draws from words the more is taken of that and of beginning at a picture; and flops are noted: the
    floating-point operations of all steps that it usually takes, without those of attention between
    positions, which are few beside them."""
    sizes, flops = memory.sizes(folder, 2)["off"], dict[str, int]()
    weights, found = sizes.total, dict.fromkeys(("text", "step", "decode"), 0)
    for begins in (False, True) if draws_from_words(family) else (False,):
        with hollow_card() as card:
            pipe, draw = load(family, folder, begins=begins, quantize="off", offload="none")
            with watched(card, pipe) as seen, counted(pipe) as passes:
                draw()
        found = {what: max(size, seen[what]) for what, size in found.items()}
        if draws_from_words(family) and not begins:
            steps = identify.family_and_card(folder)[1].num_inference_steps
            flops["flops"] = max(1, len(passes) // STEPS) * steps * sum(passes) // len(passes)
    over = {what: size - weights + 2**20 for what, size in found.items()}
    return {
        "weights": weights,
        "vae": sizes.parts["vae"],
        **{what: -(-size // ROUND) * ROUND for what, size in over.items()},
        **flops,
    }


def draws_from_words(family: str) -> bool:
    """Return whether a model draws pictures from words, and so at a picture, too."""
    pipeline = full_size.read_architectures()[family]["pipeline"]
    return any(pipeline == one.text for one in families.FAMILIES)


def peak(family: str, folder: Path, way: str) -> int:
    """Return the bytes that are in use at most while the model in ``folder`` is loaded and draws. way: one of
    ``WAYS``."""
    plan = WAYS[way]
    with hollow_card() as card:
        how = {"quantize": plan.quantize, "offload": plan.offload}
        _, draw = load(family, folder, begins=way.endswith(PICTURE), **how)
        draw()
    return card.peak


def load(family: str, folder: Path, *, begins: bool = False, **how: Any) -> tuple[Any, Callable[[], Any]]:
    """Load the model in ``folder``; return its pipeline, and what draws a picture or video of native size.
    begins: at a picture, of a model that draws from words. how: quantize and offload, as in the settings."""
    name = full_size.read_architectures()[family]["pipeline"]
    data = str(folder.parent / "data")
    if any(name in one.pipelines for one in VIDEO_FAMILIES):
        models = Models(WorkerConfig("cuda:0", {"video": str(folder)}, data, **how))
        request = VideoRequest(prompt=PROMPT, seed=7, num_inference_steps=STEPS)
        videos = prepare(request, open_sources(request, {}), models, Reporter())
        return models.video(None, Reporter()).pipe, lambda: list(videos.draw(0).chunks)
    if any(one.has_pipeline(name) for one in families.FAMILIES):
        models = Models(WorkerConfig("cuda:0", {"image": str(folder)}, data, **how))
        if begins:
            side = models.image(None).card.native_size
            other = VariationRequest(
                prompt=PROMPT, image=SHA, seed=7, num_images=1, num_inference_steps=STEPS
            )
            pictures = {SHA: Image.new("RGB", (side, side), "grey")}
            return models.image(None)._base, lambda: variation.run(other, pictures, models, Reporter())
        picture = ImagineRequest(prompt=PROMPT, seed=7, num_images=1, num_inference_steps=STEPS)
        return models.image(None)._base, lambda: imagine.run(picture, {}, models, Reporter())
    models = Models(WorkerConfig("cuda:0", {"edit": str(folder)}, data, **how))
    change = EditRequest(prompt=PROMPT, image=SHA, seed=7, num_images=1, num_inference_steps=STEPS)
    pictures = {SHA: Image.new("RGB", (1024, 1024), "grey")}
    return models.editor(None, Reporter())._base, lambda: edit.run(change, pictures, models, Reporter())


@contextlib.contextmanager
def hollow_card(capacity: int = 1 << 60) -> Iterator[HollowCard]:
    """A card for the program's own loader, in a machine with memory for anything: nothing is read ahead
    or kept, weights are hollow before they become INT8, and no picture is taken for a black one."""
    ample = SimpleNamespace(available=1 << 60, total=1 << 60)
    with (
        HollowCard(capacity) as card,
        quantizing(card),
        mock.patch.object(psutil, "virtual_memory", lambda: ample),
        mock.patch.object(loader, "_read_ahead", lambda *args: None),
        mock.patch.object(image_model, "_is_blank", lambda decoded: False),
        mock.patch.object(copies, "write", lambda *args: None),
    ):
        yield card


@contextlib.contextmanager
def quantizing(card: HollowCard) -> Iterator[None]:
    """Have torchao quantise large weights without their values, where it is installed."""
    if "int8" not in memory.installed("cpu"):
        yield
        return
    from torchao.quantization import quant_api

    quantize = quant_api._int8_weight_only_quantize_tensor
    with mock.patch.object(
        quant_api,
        quantize.__name__,
        lambda weight, config: quantize(card.hollowed(weight), config),
    ):
        yield


@contextlib.contextmanager
def watched(card: HollowCard, pipe: Any) -> Iterator[dict[str, int]]:
    """Yield what → the bytes in use at most: text and step, while those parts of the pipeline work, and
    decode, all the time outside of them."""
    found = dict.fromkeys(("text", "step", "decode"), 0)

    def noted(what: str) -> None:
        found[what] = max(found[what], card.peak)
        card.reset()

    def watching(what: str, work: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(work)
        def call(*args: Any, **kwargs: Any) -> Any:
            noted("decode")
            try:
                return work(*args, **kwargs)
            finally:
                noted(what)

        return call

    with contextlib.ExitStack() as stack:
        for name, part in pipe.components.items():
            if isinstance(part, torch.nn.Module) and (name in memory.DENOISERS or "encoder" in name):
                what = "step" if name in memory.DENOISERS else "text"
                stack.enter_context(mock.patch.object(part, "forward", watching(what, part.forward)))
        yield found
        noted("decode")


@contextlib.contextmanager
def counted(pipe: Any) -> Iterator[list[int]]:
    """Yield a list to which each pass of the pipeline's denoisers adds its floating-point operations."""
    passes = list[int]()

    def counting(work: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(work)
        def call(*args: Any, **kwargs: Any) -> Any:
            with FlopCounterMode(display=False) as counter:
                made = work(*args, **kwargs)
            passes.append(counter.get_total_flops())
            return made

        return call

    with contextlib.ExitStack() as stack:
        for part in (pipe.components.get(name) for name in memory.DENOISERS):
            if part is not None:
                stack.enter_context(mock.patch.object(part, "forward", counting(part.forward)))
        yield passes


def asked(family: str, folder: Path) -> dict[str, int]:
    """Return, for each way to hold the model in ``folder`` and to draw with it, the bytes that plans ask."""
    known = memory.sizes(folder, 2)
    return {
        way: known[plan.quantize].held(plan.offload) + known[plan.quantize].working(plan.offload)
        for way, plan in WAYS.items()
        if (draws_from_words(family) or not way.endswith(PICTURE))
        and plan.quantize in ("off", *memory.installed("cpu"))
    }


def plans(family: str, folder: Path) -> Iterator[tuple[str, float, float]]:
    """Yield, for each of these ways: its name, what the plan asks and what is taken, in GiB."""
    for way, size in asked(family, folder).items():
        yield way, size / GIB, peak(family, folder, way) / GIB


def published() -> Shares:
    """Return what was taken the last time that each was measured."""
    known = json.loads(TAKEN.read_text(encoding="utf-8"))
    return {
        family: {way: (asked, taken) for way, (asked, taken) in ways.items()}
        for family, ways in known.items()
    }


def main() -> None:
    """Print the needs of the models that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("families", nargs="*", default=DRAWING, metavar="FAMILY", help=", ".join(DRAWING))
    parser.add_argument("--write", action="store_true", help=f"put them into {memory.NEEDS}")
    parser.add_argument("--plans", action="store_true", help="compare plans with what is taken")
    given = parser.parse_args()
    quiet_libraries()
    logging.disable(logging.WARNING)
    needs = json.loads(memory.NEEDS.read_text(encoding="utf-8"))
    for family in given.families:
        with tempfile.TemporaryDirectory() as root:
            folder = Path(root) / family
            full_size.write_model(family, folder)
            if given.plans:
                found = {}
                for way, *pair in plans(family, folder):
                    found[way] = pair[0], pair[1]
                    print("{}, {}: {:.2f} / {:.2f} GiB".format(family, way, *pair), flush=True)
                if given.write:
                    full_size.write_rows(TAKEN, {**published(), family: found})
                continue
            known = full_size.read_architectures()[family]
            named = {"repository": known["repository"], "pipeline": known["pipeline"]}
            needs[family] = {**named, **measure(family, folder)}
            print(json.dumps({family: needs[family]}), flush=True)
        if given.write:
            memory.NEEDS.write_text(json.dumps(needs, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
