"""The configured models and this machine's devices, described for the host; what could crash is tried in
another process: ``python -m vision.describe_models devices`` and ``… load JSON`` print JSON lines. Loads no
torch otherwise."""

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.errors import ModelError
from core.settings import ROOT
from vision.families import FAMILIES, Family
from vision.video.families import FAMILIES as VIDEO_FAMILIES
from vision.weights import card as identify
from vision.weights import files, hub, packaged

MISSING = {"hub": "isn't downloaded yet", "package": "isn't downloaded yet", "program": "isn't installed"}
ENDED_EARLY = "the process that tried it ended early; the log above may say why."


@dataclass(frozen=True)
class ModelInfo:
    """One line of ``atelier models``. path: where the model lies, "" when it isn't on this machine. bytes: of
    its weights. problem: "" when none is seen. float16: it can be held in that."""

    role: str
    spec: str
    name: str
    kind: str
    path: str = ""
    family: str = ""
    bytes: int = 0
    notes: tuple[str, ...] = ()
    problem: str = ""
    float16: bool = True


def describe_models(models: Mapping[str, str], cache_dir: Path) -> list[ModelInfo]:
    """Describe the configured models without loading or fetching anything. models: role → spec; the role
    "image v6" is one of IMAGE_MODELS, "tiny flux" the decoder for that family's drafts."""
    return [_describe(role, spec, cache_dir) for role, spec in models.items()]


def _describe(role: str, spec: str, cache_dir: Path) -> ModelInfo:
    try:
        source = files.parse(spec)
        kind, _, family_name = role.partition(" ")
        known = [one.name for one in FAMILIES[:-1]]
        if kind == "tiny" and family_name not in known:
            raise ModelError(f"There is no family {family_name}; it takes one of: {', '.join(known)}.")
    except ModelError as error:
        return ModelInfo(role, spec, spec, "?", problem=str(error))
    info = ModelInfo(role, spec, source.name, source.kind)
    try:
        path = hub.find_downloaded(source, cache_dir)
        if path is None:
            return replace(info, problem=MISSING.get(source.kind, "no such file or folder"))
        if source.kind == "program":
            return replace(info, path=str(path), family="OCR", bytes=packaged.program_size(source.id, path))
        info = replace(info, path=str(path), bytes=files.size(path))
        if source.kind == "package":
            packaged.verify(path)
            family = packaged.MODELS[source.id].notice.partition(",")[0]
            return replace(info, bytes=packaged.packaged_size(path), family=family)
        if path.is_dir():
            files.check_folder(path)
        card = identify.host_file(source.id, cache_dir)
        more = files.read_json(card) if source.kind == "hub" else {}
        family, notes, float16 = _family_and_notes(role, path, more)
        notes += (f"with DATA_DIR/cards/{card.name}",) if more else ()
        return replace(info, family=family, notes=notes, float16=float16)
    except ModelError as error:
        return replace(info, problem=str(error))


def _family_and_notes(role: str, path: Path, more: Mapping[str, Any]) -> tuple[str, tuple[str, ...], bool]:
    kind = role.partition(" ")[0]
    if kind == "tiny":
        channels = files.tiny_config(path).get("latent_channels", 4)
        return "AutoencoderTiny", (f"decodes --draft; latents of {channels} channels",), True
    if kind == "video":
        path = files.gguf_folder(path) or path
        configs = {part.parent.name: files.read_json(part) for part in path.glob("*/config.json")}
        index = files.read_json(path / "model_index.json")
        video = next((one for one in VIDEO_FAMILIES if one.belongs(index, configs)), None)
        return ("?", (), True) if video is None else (video.title, (), video.float16)
    if kind not in ("image", "edit"):
        return str(files.read_json(path / "config.json").get("model_type", "?")), (), True
    family, card = identify.family_and_card(path, more)
    return family.title, tuple(_notes(path, family, card)), family.float16


def _notes(path: Path, family: Family, card: identify.Card) -> Iterator[str]:
    yield f"{card.native_size} px, {card.num_inference_steps} steps, guidance {card.guidance_scale:g}"
    if card.output_scale > 1:
        yield f"enlarged {card.output_scale}×"
    if card.negative == "none":
        yield "no negative prompt"
    if family.shares_steps:
        yield "jobs share steps"
    else:
        yield "jobs run one after another: nobody knows whether these could share steps"
    if card.base:
        size = sum(file.stat().st_size for file in (path / "transformer").glob("*.safetensors"))
        on = card.base.partition("@")[0]
        yield f"styles are learned on {on}, of which {size / 1e9:.1f} GB are downloaded for the first one"
    if family is FAMILIES[-1]:
        name = files.read_json(path / "model_index.json").get("_class_name")
        yield f"{name} is none of the families known here; AutoPipeline is tried"


# In a process of its own


def try_models(
    models: Mapping[str, str], cache_dir: Path, *, timeout: float = 600, **config: Any
) -> Iterator[tuple[str, str | None]]:
    """Load each model in another process. Yields its role and None as soon as it is looked at, its role and
    "" when it has loaded, else why it hasn't. timeout: seconds for all of them. config: further fields of
    ``WorkerConfig``."""
    call = {"models": dict(models), "cache_dir": str(cache_dir), "device": "cpu", **config}
    missing = dict.fromkeys(models)
    for line in _probe(["load", json.dumps(call)], timeout):
        if line["problem"] is not None:
            missing.pop(line["role"], None)
        yield line["role"], line["problem"]
    yield from ((role, ENDED_EARLY) for role in missing)


def probe_devices(timeout: float = 120) -> list[dict[str, Any]]:
    """Return this machine's devices as torch sees them in another process: [{"device", "name", "memory",
    "free", "bfloat16", "flops"}], memory in bytes; whether it computes in bfloat16; how many operations it
    does in a second, a processor in float32, a card in 16 bits. timeout: seconds; [] when it takes longer, or
    torch can't be loaded."""
    return list(_probe(["devices"], timeout))


def _probe(arguments: list[str], timeout: float) -> Iterator[dict[str, Any]]:
    """Yield what this module prints as a program, as it comes, for ``timeout`` seconds at most."""
    search_path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    with subprocess.Popen(
        [sys.executable, "-m", "vision.describe_models", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": search_path},
    ) as run:
        ending = threading.Timer(timeout, run.kill)
        ending.start()
        try:
            assert run.stdout is not None
            yield from (json.loads(line) for line in run.stdout if line.startswith("{"))
        finally:
            ending.cancel()
            run.kill()


def devices() -> list[dict]:
    """Return every device that torch sees here, with its name and its memory in bytes."""
    import torch

    from vision import devices

    names, kind = ["cpu"], torch.accelerator.current_accelerator(check_available=True)
    if kind is not None:  # of which a machine has one; a Mac has one device of it
        count = torch.accelerator.device_count()
        names += ["mps"] if kind.type == "mps" else [f"{kind.type}:{i}" for i in range(count)]
    found = []
    for name in names:
        free, total = devices.memory(name)
        about: dict[str, Any] = {"memory": total, "free": free, "bfloat16": devices.has_bfloat16(name)}
        about |= {"flops": _flops_a_second() if name == "cpu" else card_flops(name)}
        found.append({"device": name, "name": devices.name(name), **about})
    return found


def _flops_a_second() -> float:
    """Multiply matrices for a tenth of a second on one core, in its own time, and reckon with all cores."""
    import time

    import torch

    from vision import devices

    torch.set_num_threads(1)
    matrix, best = torch.rand(1024, 1024), float("inf")
    for _ in range(4):
        begun = time.thread_time()
        matrix @ matrix
        best = min(best, time.thread_time() - begun)
    return 2 * 1024**3 / best * devices.choose_threads(0, devices.SMALL_MODEL)


def card_flops(name: str, side: int = 4096) -> float:
    """Return how many operations a device does in a second, by products in 16 bits; 0 where it can't."""
    import time

    import torch

    from vision import devices

    best = float("inf")
    with contextlib.suppress(RuntimeError):
        dtype = torch.bfloat16 if devices.has_bfloat16(name) else torch.float16
        matrix = torch.rand(side, side, device=name).to(dtype)
        for _ in range(5):
            begun = time.perf_counter()
            (matrix @ matrix)[0, 0].item()  # which waits for the device
            best = min(best, time.perf_counter() - begun)
    return 2 * side**3 / best


def load(call: dict) -> None:
    """Load each configured model; print a line {"role", "problem"} when it is looked at, with None, and when
    its problem is known. call: fields of ``WorkerConfig``; for roles see ``describe.describe_models``."""
    from dataclasses import replace

    from core.errors import AtelierError
    from vision.protocol import WorkerConfig
    from vision.worker.main import prepare_environment, quiet_libraries

    config = WorkerConfig(**call)
    prepare_environment(config)
    quiet_libraries()
    from vision.store import Models

    named = (role.partition(" ") for role in config.models)
    tiny = {family: config.models[f"tiny {family}"] for kind, _, family in named if kind == "tiny"}
    tried = dict.fromkeys(tiny, "no image model of this family loads, so there is nothing to try it with.")
    for role, spec in config.models.items():
        problem, kind = "", role.partition(" ")[0]
        if kind == "tiny":
            continue
        print(json.dumps({"role": role, "problem": None}), flush=True)
        models = Models(replace(config, models={kind: spec}, tiny_vaes=tiny))
        try:
            models.get(kind)
        except AtelierError as error:
            problem = str(error)
        tried |= models.loader.tiny_problems
        print(json.dumps({"role": role, "problem": problem}), flush=True)
    for family, problem in tried.items():
        print(json.dumps({"role": f"tiny {family}", "problem": problem}), flush=True)


def main(arguments: list[str]) -> None:
    """Print the devices, or load the models of the given configuration. arguments: of the command line."""
    if arguments[:1] == ["load"]:
        load(json.loads(arguments[1]))
    else:
        for device in devices():
            print(json.dumps(device))


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # what libraries say of themselves; each problem has its line
    main(sys.argv[1:])
