"""Measures on a real card what this repository only reckons without one, and writes a table.

    python -m tools.card_check [MEASUREMENT …] [--real] [--out DIR] [--minutes 30]

Models are of full size with random weights, written once below ``--out`` and drawn with by the program's own
loader, store and engine; ``--real`` takes the true ones from the hub. Each measurement is a process of its
own, so one that fails, hangs or loses the card stops no other. What was measured is kept: a second run goes
on where the first was.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from core.errors import AtelierError, first_line
from core.requests import ImagineRequest, Request, UpscaleRequest, VariationRequest
from core.requests.chat import AskRequest, ClassifyRequest
from core.requests.video import VideoRequest
from tools import full_size, memory_needs
from vision import devices
from vision.capabilities import capability
from vision.engine.engine import Engine
from vision.engine.fiber import Fiber
from vision.families import Mode
from vision.images import encode
from vision.protocol import WorkerConfig
from vision.reporter import Reporter
from vision.store import Models
from vision.weights import memory
from vision.weights.files import read_json

IMAGE, OTHER, CHAT, LABELS, FILM = "flux2-klein-4b", "z-image-turbo", "qwen3-vl-2b", "vit", "wan-2.2-ti2v-5b"
LARGE = ("stable-diffusion-xl", IMAGE, OTHER)  # whose memory is measured
PICTURE = "0" * 64  # stands for the SHA-256 of the picture that requests name
PROMPT = "a red house on a hill, morning light"
LONGEST = 600  # seconds that a measurement may take
REPEATS = 3
GB = 1e9


@dataclass(frozen=True)
class Row:
    """A line of the table. expected: in words, "" where nobody knows. ok: None where nobody can tell."""

    what: str
    measured: str
    expected: str = ""
    ok: bool | None = None


@dataclass(frozen=True)
class Card:
    """What is measured on. models: the folder with their folders. real: whether the true ones are taken.
    pixels: sides of pictures, 0 = the models' own."""

    device: str
    out: Path
    models: Path
    real: bool = False
    found: list[Row] = field(default_factory=list)

    def spec(self, name: str) -> str:
        """Return a model as the settings name it; one with random weights is written first. Raises
        AtelierError where the disk has no room for it."""
        known = full_size.read_architectures()[name]
        if self.real:
            return str(known["repository"])
        folder = self.models / name
        if not folder.is_dir():
            parts = known.get("parts", {"": known})
            needed = 2 * sum(part.get("weights") or 0 for part in parts.values())
            free = shutil.disk_usage(self.models).free
            if needed > 0.95 * free:
                raise AtelierError(
                    f"{name} takes {needed / GB:.0f} GB of disk; {self.models} has {free / GB:.0f} GB free."
                )
            with tempfile.TemporaryDirectory(dir=self.models) as half:
                full_size.write_model(name, Path(half) / name, fill="random")
                write_processor(Path(half) / name)
                if name == IMAGE:  # styles are learned on the same weights
                    (Path(half) / name / "atelier.json").write_text(json.dumps({"base": name}))
                (Path(half) / name).rename(folder)
        return str(folder)

    def open(self, models: Mapping[str, str], **more: Any) -> Models:
        """Return a worker's models. models: role → name."""
        specs = {role: self.spec(name) for role, name in models.items()}
        return Models(
            WorkerConfig(self.device, specs, str(self.out / "cache"), allow_download=self.real, **more)
        )

    def tell(self, what: str, measured: str, expected: str = "", ok: bool | None = None) -> None:
        """Add a line."""
        self.found.append(Row(what, measured, expected, ok))


def write_processor(folder: Path) -> None:
    """Write what a model that reads pictures needs beside its weights, where it has no such file."""
    import transformers

    kind = read_json(folder / "config.json").get("model_type")
    if kind == "qwen3_vl":
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        size = {"patch_size": 16, "temporal_patch_size": 2, "merge_size": 2}
        transformers.Qwen3VLProcessor(
            transformers.Qwen2VLImageProcessor(**size),
            tokenizer,
            transformers.Qwen3VLVideoProcessor(**size),
            chat_template=tokenizer.chat_template,
        ).save_pretrained(folder)
    elif kind == "vit":
        transformers.ViTImageProcessor().save_pretrained(folder)


class RealCard:
    """The device with the names that ``tools.memory_needs`` uses for the card that isn't there."""

    def reset(self) -> None:
        """Forget the peak so far."""
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    @property
    def peak(self) -> int:
        """The most bytes that tensors had since; 0 off CUDA."""
        return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0

    @property
    def live(self) -> int:
        """The bytes that tensors have."""
        return torch.cuda.memory_allocated() if torch.cuda.is_available() else 0


def picture() -> Image.Image:
    """Return the picture that requests name: soft patches."""
    patches = np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize((512, 512), Image.Resampling.BICUBIC)


def run(request: Request, models: Models, reporter: Reporter | None = None, **more: Any) -> tuple[float, Any]:
    """Return the seconds that a request took, and what came out."""
    devices.settle()
    begun = time.perf_counter()
    pictures = more.pop("pictures", {PICTURE: picture()})
    output = capability(request.kind)(request, pictures, models, reporter or Reporter(), **more)
    devices.settle()
    return time.perf_counter() - begun, output


def imagine(count: int = 1, **more: Any) -> ImagineRequest:
    """Return a request for ``count`` pictures."""
    return ImagineRequest(prompt=PROMPT, seed=7, num_images=count, **more)


def drawing(request: Request, models: Models, reporter: Reporter) -> Any:
    """Run a request as a job of ``together``."""
    return run(request, models, reporter)


def together(work: Sequence[Callable[[Reporter], Any]]) -> list[float]:
    """Run jobs beside each other on one engine, and return the seconds until each ended. Raises what one
    raised."""
    engine, ended, errors = Engine(), [0.0] * len(work), list[BaseException]()
    begun = time.perf_counter()
    for number, job in enumerate(work):

        def begin(fiber: Fiber, job: Callable[[Reporter], Any] = job) -> Any:
            reporter = Reporter()
            reporter.fiber = fiber
            return job(reporter)

        def done(result: Any, error: BaseException | None, number: int = number) -> None:
            ended[number] = time.perf_counter() - begun
            if error is not None:
                errors.append(error)

        engine.begin(f"job {number}", begin, done=done)
    engine.run()
    engine.stop()
    if errors:
        raise errors[0]
    return ended


# The measurements


def stays(card: Card) -> None:
    """Whether the image model is still there after a picture was looked at."""
    models, loaded = card.open({"image": IMAGE, "vit": LABELS}), list[str]()
    load = models.loader.load

    def counted(role: str, *args: Any, **more: Any) -> Any:
        loaded.append(role)
        return load(role, *args, **more)

    with mock.patch.object(models.loader, "load", counted):
        first, _ = run(imagine(), models)
        run(ClassifyRequest(image=PICTURE), models)
        second, _ = run(imagine(), models)
    times = loaded.count("image")
    card.tell("imagine, classify, imagine: loads of the image model", str(times), "1", times == 1)
    card.tell("the same: seconds of the first and the second drawing", f"{first:.1f}, {second:.1f}")


def speed(card: Card) -> None:
    """Seconds a picture at 1, 4 and 8 rows, plain and quantised, eager and compiled."""
    kinds = [("off", "off"), ("int8", "off"), ("int8", "on"), ("nf4", "off")]
    for quantize, compiled in kinds:
        name = f"{quantize if quantize != 'off' else 'as it is'}{', compiled' if compiled == 'on' else ''}"
        if quantize != "off" and quantize not in memory.installed(card.device):
            card.tell(f"{IMAGE} {name}", "not here: it needs the extra quantize, and nf4 a card")
            continue
        models, found = card.open({"image": IMAGE}, quantize=quantize, compile=compiled), list[str]()
        run(imagine(), models)
        for each in ((1,), (4,), (4, 4)):  # pictures of each job
            jobs = [partial(drawing, imagine(count), models) for count in each]
            found.append(f"{min(max(together(jobs)) for _ in range(REPEATS)) / sum(each):.2f}")
        card.tell(f"{IMAGE} {name}: s a picture at 1, 4, 8", ", ".join(found))
        del models
        devices.release()


def peaks(card: Card) -> None:
    """Peak memory against what the plan asks for, and against the card that isn't there."""
    for name in LARGE:
        for quantize in ("off", "int8", "nf4"):
            if quantize != "off" and quantize not in memory.installed(card.device):
                continue
            with _told(card, f"{name} {quantize}"):
                models, real = card.open({"image": name}, quantize=quantize), RealCard()
                loaded = models.image(None)
                weights, reckoned = real.live, next(iter(models.held.values())).found.held
                with memory_needs.watched(real, loaded._base) as seen:  # type: ignore[arg-type]
                    run(imagine(num_inference_steps=2), models)
                over = [f"{what} {(size - weights) / GB:.2f}" for what, size in sorted(seen.items())]
                card.tell(
                    f"{name} {quantize}, offload {loaded.offload}: GB of weights, and over them",
                    ", ".join((f"{weights / GB:.2f}", *over)),
                    f"{reckoned / GB:.2f}",
                    abs(reckoned - weights) <= 0.1 * weights
                    if weights and loaded.offload == "none"
                    else None,
                )
                del models, loaded
            devices.release()


def reckoned(card: Card) -> None:
    """What the peaks should be by the card that isn't there."""
    for name in LARGE:
        with _told(card, name), tempfile.TemporaryDirectory() as folder:
            full_size.write_model(name, Path(folder) / name)
            needs = memory_needs.measure(name, Path(folder) / name)
            over = [f"{what} {size / GB:.2f}" for what, size in needs.items() if what != "weights"]
            told = ", ".join((f"{needs['weights'] / GB:.2f}", *over))
            card.tell(f"{name} without a card: GB of weights, and over them", told)


def half(card: Card) -> None:
    """What DTYPE=float16 does to a family that overflows in it."""
    try:
        _, output = run(imagine(), card.open({"image": OTHER}, dtype="float16"))
        card.tell(f"{OTHER} in float16", f"{len(output.pictures)} picture", "refused by name", False)
    except AtelierError as error:
        card.tell(f"{OTHER} in float16", first_line(error), "refused by name", "float16" in str(error))


def write_lora(model: Any, path: Path, seed: int) -> None:
    """Write a LoRA of rank 16 for the attention of an image model, with random weights."""
    pipe, numbers, tensors = model.pipeline(Mode.TEXT), torch.Generator().manual_seed(seed), {}
    part = "unet" if getattr(pipe, "unet", None) is not None else "transformer"
    for name, layer in pipe.components[part].named_modules():
        if name.endswith(("to_q", "to_k", "to_v")) and hasattr(layer, "in_features"):
            for end, shape in (("A", (16, layer.in_features)), ("B", (layer.out_features, 16))):
                drawn = 0.01 * torch.randn(shape, generator=numbers)
                tensors[f"{part}.{name}.lora_{end}.weight"] = drawn.half()
    save_file(tensors, path)


def styles(card: Card) -> None:
    """What two members with different LoRAs cost beside two with the same."""
    files = {name: str(card.out / f"{name}.safetensors") for name in ("ink", "rust")}
    models = card.open({"image": IMAGE}, loras=files)
    for seed, path in enumerate(files.values()):
        write_lora(models.image(None), Path(path), seed)
    took = {}
    for what, names in (("none", ("", "")), ("the same", ("ink", "ink")), ("different", ("ink", "rust"))):
        asked = [imagine(loras=((name, 1.0),) if name else ()) for name in names]
        jobs = [partial(drawing, one, models) for one in asked]
        together(jobs)  # loads them
        took[what] = min(max(together(jobs)) for _ in range(REPEATS))
    told = ", ".join(f"{what} {seconds:.2f}" for what, seconds in took.items())
    ok = took["different"] <= 1.25 * took["the same"]
    card.tell("two drawings beside each other, by their LoRAs: s", told, "different ≤ 1.25 × the same", ok)


def large(card: Card) -> None:
    """Whether one picture that is too large leaves the model as it was."""
    models = card.open({"image": IMAGE})
    model = models.image(None)
    before = model.shares_steps, model.offload, run(imagine(), models)[0]
    side = 2 * model.card.native_size
    try:
        run(imagine(width=side, height=side), models)
        came = "drawn"
    except AtelierError as error:
        came = first_line(error)
    seconds = run(imagine(), models)[0]
    now, told = (model.shares_steps, model.offload), f"{side} × {side}, then as before: shares steps, offload"
    card.tell(told, f"{came}; {now}", str(before[:2]), now == before[:2])
    card.tell("seconds of a drawing before and after it", f"{before[2]:.1f}, {seconds:.1f}")


def asking(card: Card) -> None:
    """How eight people who ask and one who draws slow each other down."""
    models = card.open({"image": IMAGE, "ask": CHAT})
    path = card.out / "asked.png"
    path.write_bytes(encode.png(picture()).data)
    question = AskRequest(question="What is this?", images=(PICTURE,))

    def ask(reporter: Reporter) -> Any:
        return run(question, models, reporter, pictures={PICTURE: str(path)})

    draw = partial(drawing, imagine(), models)
    together([draw])
    together([ask])  # both are loaded now
    alone, one = together([draw])[0], together([ask])[0]
    every = together([draw, *[ask] * 8])
    card.tell("a drawing alone, and beside eight who ask: s", f"{alone:.1f}, {every[0]:.1f}")
    card.tell(
        "an answer alone, and the last of eight beside a drawing: s", f"{one:.1f}, {max(every[1:]):.1f}"
    )


def film(card: Card) -> None:
    """How long a film takes, and at which peak."""
    models, real = card.open({"video": FILM}), RealCard()
    with tempfile.TemporaryDirectory() as folder:
        real.reset()
        seconds, output = run(VideoRequest(prompt=PROMPT, seed=7), models, pictures={}, folder=Path(folder))
        for number, video in enumerate(output.videos if card.real else ()):
            shutil.copy(video.path, card.out / f"film-{number}.mp4")
    card.tell(f"{FILM}: s, GB at the peak", f"{seconds:.0f}, {real.peak / GB:.1f}", "look at it, with --real")


def looks(card: Card) -> None:
    """Draws what only eyes can judge: subtle variations and enlarged pictures of every image model."""
    if not card.real:
        card.tell("variations and enlarged pictures to look at", "left out", "--real")
        return
    for name in LARGE:
        with _told(card, f"{name}: pictures to look at"):
            models = card.open({"image": name})
            _, first = run(imagine(), models)
            made = Image.open(io.BytesIO(first.pictures[0].data)).convert("RGB")
            asked: list[Request] = [
                VariationRequest(prompt=PROMPT, image=PICTURE, variation="subtle", num_images=1)
            ]
            asked.append(UpscaleRequest(image=PICTURE, prompt=PROMPT))
            for number, request in enumerate(asked):
                _, output = run(request, models, pictures={PICTURE: made})
                (card.out / f"{name}-{number}.png").write_bytes(output.pictures[0].data)
            card.tell(f"{name}: pictures to look at", f"{name}-0.png, {name}-1.png", "like the first")


def teaching(card: Card) -> None:
    """How long a step of a style on the base of the image model takes, and at which peak."""
    from vision.custom_models.steps import Store
    from vision.lora_training import train
    from vision.lora_training.config import LARGE as MANY
    from vision.lora_training.config import usual_settings

    with tempfile.TemporaryDirectory(dir=card.out) as folder:
        models, real = card.open({"image": IMAGE}), RealCard()
        examples = tuple(train.Example(picture(), f"a house {number}") for number in range(5))
        settings = replace(usual_settings("ink", 5, MANY), steps=10, checkpoints=1)
        plan = train.Plan(None, examples, ("a house",), settings)
        times = list[float]()

        class Timed(Reporter):
            def step(self, step: int, total: int, preview: Any = None) -> None:
                devices.settle()
                times.append(time.perf_counter())

        real.reset()
        made = train.learn_style(plan, models, Store(Path(folder)), Timed())
        steps = sorted(after - before for before, after in zip(times, times[1:], strict=False))
        bases = [one.found for one in models.held.values() if one.found.trains]
        reckoned = max((one.held + one.working for one in bases), default=0)
        card.tell(
            f"a style on {made.about.get('learned_on', IMAGE)}: s a step, GB at the peak",
            f"{steps[len(steps) // 2]:.2f}, {real.peak / GB:.2f}",
            f"{reckoned / GB:.2f} GB" if reckoned else "",
            real.peak <= reckoned if real.peak and reckoned else None,
        )


MEASUREMENTS: dict[str, Callable[[Card], None]] = {
    one.__name__: one
    for one in (stays, large, peaks, reckoned, speed, half, styles, teaching, asking, film, looks)
}


@contextlib.contextmanager
def _told(card: Card, what: str) -> Iterator[None]:
    """Turn what goes wrong inside into a line of the table."""
    try:
        yield
    except Exception as error:
        card.tell(what, f"{type(error).__name__}: {first_line(error)}", ok=False)


# The run


def measure(name: str, card: Card) -> dict[str, Any]:
    """Return what a measurement found, as it is kept."""
    begun = time.monotonic()
    with torch.no_grad(), _told(card, name):
        MEASUREMENTS[name](card)
    return {"seconds": round(time.monotonic() - begun, 1), "rows": [asdict(row) for row in card.found]}


def run_all(
    names: Sequence[str],
    out: Path,
    begin: Callable[[str, float], dict[str, Any]],
    minutes: float,
    device: str,
) -> dict[str, Any]:
    """Take every measurement that ``out`` hasn't yet, and write the table after each. begin: (name, seconds)
    → what was found, or why nothing was. minutes: after which none is begun."""
    path, ends = out / "card-check.json", time.monotonic() + 60 * minutes
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if kept.get("device") != device:
        kept = {"device": device, "found": {}}
    for name in names:
        left = ends - time.monotonic()
        if name in kept["found"]:
            continue
        if left <= 0:
            print(f"{name}: left out, the time is over; run it again to go on", flush=True)
            continue
        print(f"{name} …", flush=True)
        kept["found"][name] = begin(name, min(left, LONGEST))
        half_written = path.with_suffix(".tmp")
        half_written.write_text(json.dumps(kept, indent=1), encoding="utf-8")
        half_written.replace(path)
        (out / "card-check.md").write_text(table(kept), encoding="utf-8")
    return kept


def table(kept: Mapping[str, Any]) -> str:
    """Return what was found, as Markdown."""
    lines = [f"# {kept['device']}", "", "| | what | measured | expected | |", "|---|---|---|---|---|"]
    for name, found in kept["found"].items():
        for row in found["rows"]:
            mark = {True: "ok", False: "**no**", None: ""}[row["ok"]]
            cells = [name, row["what"], row["measured"], row["expected"], mark]
            lines.append(f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def in_a_process(name: str, seconds: float, arguments: Sequence[str], out: Path) -> dict[str, Any]:
    """Return what a measurement finds in a process of its own, which is ended after so many seconds."""
    result = out / f"{name}.json"
    result.unlink(missing_ok=True)
    # the card that isn't there is asked where none is
    seen = {**os.environ, "CUDA_VISIBLE_DEVICES": ""} if name == reckoned.__name__ else None
    command = [sys.executable, "-m", "tools.card_check", "--one", str(result), *arguments, name]
    try:
        with (out / f"{name}.log").open("w", encoding="utf-8") as log:
            code = subprocess.run(
                command, stdout=log, stderr=log, timeout=seconds, check=False, env=seen
            ).returncode
        why = f"its process ended with {code}; see {name}.log"
    except subprocess.TimeoutExpired:
        why = f"not done after {seconds:.0f} s"
    if result.is_file():
        found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return found
    return {"seconds": seconds, "rows": [asdict(Row(name, why, ok=False))]}


def main(given: Sequence[str] | None = None) -> int:
    """Measure what the command line names. Returns 1 where something isn't as expected."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", default=list(MEASUREMENTS), metavar="MEASUREMENT")
    parser.add_argument("--real", action="store_true", help="the hub's models instead of random weights")
    parser.add_argument("--out", type=Path, default=Path("data/card-check"), help="for the table and models")
    parser.add_argument("--models", type=Path, help="a folder that has models already")
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args(given)
    if unknown := set(asked.names) - set(MEASUREMENTS):
        parser.error(f"{', '.join(sorted(unknown))}: it takes {', '.join(MEASUREMENTS)}")
    out, models = asked.out, asked.models or asked.out / "models"
    for folder in (out, models):
        folder.mkdir(parents=True, exist_ok=True)
    card = Card(asked.device, out, models, asked.real)
    if asked.one:
        asked.one.write_text(json.dumps(measure(asked.names[0], card)), encoding="utf-8")
        return 0
    arguments = ["--out", str(out), "--models", str(models), "--device", asked.device]
    arguments += ["--real"] if asked.real else []
    named = f"{devices.name(asked.device)}{', the hub’s models' if asked.real else ', random weights'}"
    kept = run_all(
        asked.names, out, lambda name, left: in_a_process(name, left, arguments, out), asked.minutes, named
    )
    print(table(kept))
    return int(any(row["ok"] is False for found in kept["found"].values() for row in found["rows"]))


if __name__ == "__main__":
    sys.exit(main())
