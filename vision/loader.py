"""Finds the files of configured models, fetches what is missing, checks and loads them."""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from core import profiles
from core.errors import ModelError, UserError
from core.prompt.values import stored_lora
from core.requests.custom_models import STYLE
from vision import devices
from vision.diffusion import model as compiled
from vision.diffusion.load import kept_as
from vision.diffusion.load import load_image_model as load_image_model
from vision.diffusion.model import ImageModel
from vision.families.family import OVERFLOWS
from vision.lora_training import config
from vision.lora_training.base import TRANSFORMER, load_base
from vision.protocol import WorkerConfig
from vision.readers import READERS
from vision.readers.photo import fetch
from vision.reporter import Reporter
from vision.video.model import family_and_card as video_family_and_card
from vision.video.model import load_video_model as load_video_model
from vision.weights import card as cards
from vision.weights import copies, files, hub, memory, packaged

log = logging.getLogger(__name__)

CHUNK = 16 * 2**20  # bytes read at a time while the files come into the page cache
AGAIN = 300.0  # seconds until a package that couldn't be fetched is tried again
DRAWING = ("image", "edit", "video")  # roles whose weights may be quantised or moved about
CHATTING = ("ask", "caption")  # whose weights may be quantised
SURE = 3.0  # seconds of fetching that tell how long the rest takes
PRELOADED = 64 * 2**20  # bytes of weights from which on the files are read beforehand
LOADERS = {
    **READERS,
    "ask": "vision.chat.talker:load_chat_model",
    "ocr": "vision.readers.ocr:load_ocr",
}  # role → module:function(folder, name, card, device, dtype), of chat models also quantize=
READING = 512 * 2**20  # bytes that a model which reads pictures or writes answers needs beside its weights
Report = Callable[[float], None]  # takes the share that is done, 0..1


@dataclass(frozen=True)
class FoundModel:
    """A model whose files are on this machine and have been checked. bytes: of its weights in memory. sizes:
    by kind of quantising, of a model that draws, or of what styles are learned on with all that a training
    takes; plan: how it is held, once that has been chosen, or how a chat model is. card: the host's entries.
    trains: styles are learned on it."""

    name: str
    path: Path
    bytes: int
    sizes: Mapping[str, memory.Sizes] = field(default_factory=dict)
    plan: memory.Plan = memory.Plan()
    card: Mapping[str, Any] = field(default_factory=dict)
    trains: bool = False

    @property
    def held(self) -> int:
        """Bytes on the device while no job uses it."""
        return self.sizes[self.plan.quantize].held(self.plan.offload) if self.sizes else self.bytes

    @property
    def working(self) -> int:
        """Bytes that a job needs there beside those, at most; of one that reads, a careful guess."""
        if self.sizes:
            return self.sizes[self.plan.quantize].working(self.plan.offload)
        return max(self.bytes // 8, min(self.bytes, READING))


class ModelLoader:
    """Loads models as one worker's configuration says. Keeps none of them. tiny_problems: family → what was
    wrong with its decoder for drafts, "" = nothing; of those that were tried."""

    def __init__(self, config: WorkerConfig) -> None:
        self.config = config
        # the worker sees one GPU only
        self.device = "cuda:0" if config.device.startswith("cuda") else config.device
        self.dtype = devices.choose_dtype(self.device, config.dtype)
        self.tiny_problems: dict[str, str] = {}
        self._cache = Path(config.cache_dir)
        self._kept = self._cache / copies.FOLDER
        self._stored: dict[str, Path] = {}  # SHA-256 → file of a LoRA that members have made
        self._refused: dict[str, tuple[float, str]] = {}  # package → when it couldn't be had, and why

    def find(self, source: files.ModelSource, progress: Progress, role: str = "") -> FoundModel:
        """Return where the files of a model for ``role`` lie, fetched if need be. Raises ModelError when it
        can't be had, or its files aren't what they should be."""
        source = replace(source, part=TRANSFORMER) if role == STYLE else source
        path = self._path(source, progress)
        hub.verify(source, path, self._cache)
        if source.kind == "package":
            return FoundModel(source.name, path, packaged.packaged_size(path))
        if source.kind == "program":
            return FoundModel(source.name, path, packaged.program_size(source.id, path))
        if role == STYLE:
            usual = config.usual_settings(STYLE, config.MOST, config.LARGE)
            needs = config.base_memory(path, usual, self.dtype.itemsize)
            return FoundModel(source.name, path, needs["off"].total, needs, trains=True)
        card = files.read_json(cards.host_file(source.id, self._cache)) if source.kind == "hub" else {}
        known: Mapping[str, Any] = profiles.CARDS.get(source.id, {})
        if known.get("draft", {}).get("lora") in self.config.loras:
            card = {**known, **card}
        if role in CHATTING and self.device.startswith(("cuda", "xpu")):
            total, installed = devices.memory(self.device)[1], memory.installed(self.device)
            how = (total, path, self.dtype.itemsize, self.config.quantize, installed)
            kind, size = memory.choose_for_chat(*how)
            return FoundModel(source.name, path, size, plan=memory.Plan(kind), card=card)
        if role not in DRAWING:
            size = memory.bytes_in_memory(path, self.dtype.itemsize)
            return FoundModel(source.name, path, size, card=card)
        dtype, total = self._dtype(role, path, source.name), devices.memory(self.device)[1]
        sizes = memory.sizes(path, dtype.itemsize)
        found = FoundModel(source.name, path, sizes["off"].total, sizes, card=card)
        planned = self.plan(found, total)
        is_tight = planned.plan.offload == "group" or planned.held + planned.working >= total
        if is_tight and dtype.itemsize > self.dtype.itemsize and self.config.offload != "group":
            raise ModelError(
                f"{source.name} can't run on this device, which has no bfloat16: {OVERFLOWS}, and in float32"
                " it doesn't fit. Name a smaller model or one of another family, or set OFFLOAD=group,"
                " which is slow."
            )
        return found

    def _dtype(self, role: str, path: Path, name: str) -> torch.dtype:
        """Return the dtype of a model that draws. Raises ModelError if it can't be drawn in DTYPE."""
        find_family = video_family_and_card if role == "video" else cards.family_and_card
        float16 = find_family(path)[0].float16
        if self.config.dtype == "float16" and not float16:
            raise ModelError(f"{name} can't run with DTYPE=float16: {OVERFLOWS}. Set DTYPE=auto.")
        return devices.choose_dtype(self.device, self.config.dtype, float16=float16)

    def plan(self, found: FoundModel, free: int) -> FoundModel:
        """Return the model as it is held where ``free`` bytes of the device are. Raises ModelError when what
        QUANTIZE names can't be had, UserError where a training has no room."""
        if not found.sizes:
            return found
        installed = memory.installed(self.device)
        if found.trains:
            kind = config.choose_kind(found.sizes, found.name, free, self.config.quantize, installed)
            return replace(found, plan=memory.Plan(kind), bytes=found.sizes[kind].total)
        settings = {"quantize": self.config.quantize, "offload": self.config.offload}
        host = devices.memory("cpu")[0]
        plan = memory.choose(self.device, free, found.sizes, installed=installed, host=host, **settings)
        return replace(found, plan=plan, bytes=found.sizes[plan.quantize].total)

    def load(
        self, role: str, found: FoundModel, report: Report, check: Callable[[], None], *, threads: int
    ) -> Any:
        """Return the model that was found: an ImageModel, VideoModel, Matcher, Captioner, Classifier,
        Segmenter or Talker. check: called between pieces of the work; what it raises ends the loading.
        threads: of the CPU, that the model will run on. Raises ModelError for a model that doesn't load."""
        begun = time.monotonic()
        if found.plan != memory.Plan():
            log.info("%s is held %s", found.name, found.plan)
        dtype = self._dtype(role, found.path, found.name) if role in DRAWING else self.dtype
        if role != "ocr":  # tesseract's folder is one of programs
            path, kind = found.path / TRANSFORMER if role == STYLE else found.path, found.plan.quantize
            path = (copies.find(self._kept, path, kept_as(kind, dtype)) if kind != "off" else None) or path
            _read_ahead(files.weight_files(path), report, check)
        model: Any
        how: dict[str, Any] = {"device": self.device, "dtype": dtype, "plan": found.plan, "report": report}
        how |= {"find_lora": self.lora, "more": found.card}
        if role in ("image", "edit"):
            model = self._load_image_model(found, how, threads)
        elif role == STYLE:
            model = load_base(found.path, found.name, self.device, self.dtype, found.plan.quantize)
        elif role == "video":
            model = load_video_model(found.path, found.name, **how)
        else:
            model = self._load_reader(role, found)
        report(1.0)
        took, size = time.monotonic() - begun, found.bytes >> 20
        log.info("%s loaded in %.1f s: %s on %s, %d MB", found.name, took, dtype, self.device, size)
        return model

    def _load_image_model(self, found: FoundModel, how: Mapping[str, Any], threads: int) -> ImageModel:
        offline = not self.config.allow_download
        model = load_image_model(found.path, found.name, offline=offline, kept=self._kept, **how)
        self._attach_tiny_decoder(model)
        if compiled.wants_compiling(self.config.compile, self.device):
            torch.set_num_threads(threads)  # of this thread: what is compiled is for so many
            model.compile()
        return model

    def _attach_tiny_decoder(self, model: ImageModel) -> None:
        """Attach the host's decoder for this family's drafts; if that is wrong, the model keeps its own."""
        spec = self.config.tiny_vaes.get(model.family.name)
        if not spec:
            return
        problem = ""
        try:
            model.attach_tiny_decoder(self.find(files.parse(spec), Progress(spec)).path)
        except ModelError as error:
            problem = str(error)
            log.warning("%s decodes drafts with its own decoder: %s", model.name, error)
        self.tiny_problems[model.family.name] = problem

    def _load_reader(self, role: str, found: FoundModel) -> Any:
        path, name, quantize = found.path, found.name, found.plan.quantize
        if not path.is_dir():
            raise ModelError(f"{name}: a {role} model is a folder or a Hugging Face id, not one file.")
        if role not in (*profiles.PACKAGED, "ocr"):
            files.check_folder(path)
        module, _, function = LOADERS[role].partition(":")
        load = getattr(importlib.import_module(module), function)
        how = {} if quantize == "off" else {"quantize": quantize}
        with devices.refusing(f"{name} doesn't load", tells=True):
            return load(path, name, cards.read_card(path, found.card), self.device, self.dtype, **how)

    def note_stored(self, files: Mapping[str, Path]) -> None:
        """Note where LoRAs lie that members have made: SHA-256 → file."""
        self._stored.update(files)

    def lora(self, name: str, reporter: Reporter) -> Path:
        """Return the file of the LoRA that the host calls ``name``, or that members have made. Raises
        UserError for one that is neither, ModelError when it can't be had."""
        if (stored := stored_lora(name)) is not None:
            if stored.sha256 not in self._stored:
                raise UserError(f"The style `{stored.shown}` was deleted.")
            return self._stored[stored.sha256]
        known = {configured.lower(): spec for configured, spec in self.config.loras.items()}
        spec = known.get(name.lower())
        if spec is None:
            names = ", ".join(sorted(self.config.loras))
            advice = f"it takes one of: {names}" if names else "the operator hasn't set up any"
            raise UserError(f"`lora` is `{name}`; {advice}.")
        path = self.pinned(spec, reporter)
        if path.is_dir():
            files.check_contents(path)
        return files.lora_file(path)

    def pinned(self, spec: str, reporter: Reporter | None = None) -> Path:
        """Return where ``spec`` lies. Raises ModelError if it can't be had or isn't what was pinned."""
        source = files.parse(spec)
        path = self._path(source, Progress(source.name, reporter))
        hub.check_pin(source, path, self._cache)
        return path

    def _path(self, source: files.ModelSource, progress: Progress) -> Path:
        path = hub.find_downloaded(source, self._cache)
        if path is not None:
            return path
        if source.kind == "program":
            raise ModelError(f"{source.name} isn't installed on this machine: {packaged.fix(source.id)}.")
        if source.kind not in ("hub", "package"):
            raise ModelError(f"{source.name} isn't there: no such {source.kind}.")
        if not self.config.allow_download:
            raise ModelError(f"{source.name} isn't downloaded, and ALLOW_DOWNLOAD is off.")
        if source.kind == "package":
            return self._fetch_package(source, progress)
        half = self.dtype != torch.float32
        return hub.fetch(source, self._cache, token=self.config.hf_token, half=half, report=progress.fetched)

    def _fetch_package(self, source: files.ModelSource, progress: Progress) -> Path:
        """Return the folder of a model out of a package. What can't be had is asked for again after a
        while: jobs that do without it needn't wait for the same once more."""
        when, why = self._refused.get(source.id, (0.0, ""))
        if why and time.monotonic() - when < AGAIN:
            raise ModelError(why)
        try:
            return fetch.fetch(source.id, self._cache, progress.fetched)
        except ModelError as error:
            self._refused[source.id] = time.monotonic(), str(error)
            raise


class Progress:
    """Hands the progress of fetching and loading to the reporter, to those of jobs that wait for it to end,
    and, in steps of a quarter, to the log. A job that gives no sign for long counts as forgotten. reporter:
    None = nobody is told. waiting: reporters of those jobs."""

    def __init__(
        self, name: str, reporter: Reporter | None = None, waiting: Collection[Reporter] = ()
    ) -> None:
        self.name, self.reporter, self.waiting = name, reporter, waiting
        self._quarter = {"fetching": -1, "loading": -1}
        self._begun: tuple[float, float] | None = None  # when the first share had come, and which
        if reporter is not None:
            reporter.loading(name, None)

    def __call__(self, fraction: float) -> None:
        self._say("loading", fraction)

    def fetched(self, fraction: float) -> None:
        """Say that this share of the files' bytes is on this machine, and how long the rest may take."""
        now = time.monotonic()
        since, first = self._begun = self._begun or (now, fraction)
        sure = now - since >= SURE and fraction > first
        self._say("fetching", fraction, (now - since) * (1 - fraction) / (fraction - first) if sure else None)

    def _say(self, what: str, fraction: float, left: float | None = None) -> None:
        if self.reporter is None:
            return
        for reporter in (self.reporter, *self.waiting):
            reporter.loading(self.name, fraction, fetching=what == "fetching", left=left)
        if int(fraction * 4) > self._quarter[what]:
            self._quarter[what] = int(fraction * 4)
            about = "" if left is None else f", about {left / 60:.0f} minutes more"
            log.info("%s %s: %d %%%s", what, self.name, round(fraction * 100), about)


def _read_ahead(files: list[Path], report: Report, check: Callable[[], None]) -> None:
    """Read the files once, so that loading finds them in memory: the slow part, in pieces that can be counted
    and stopped. Skipped for over half of the free memory."""
    total, done = sum(file.stat().st_size for file in files), 0
    if not PRELOADED < total < devices.memory("cpu")[0] // 2:
        return
    for path in files:
        with path.open("rb", buffering=0) as file:
            while piece := file.read(CHUNK):
                check()
                done += len(piece)
                report(0.1 + 0.7 * done / total)
