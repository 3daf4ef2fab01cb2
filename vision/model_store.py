"""The models a worker holds: found, fetched, checked and loaded at first use, kept while memory lasts, the
least recently used given up first."""

from __future__ import annotations

import importlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from core.errors import ModelError, UserError, first_line
from vision import devices
from vision.engine import Fiber
from vision.image_model import compiled
from vision.image_model.load import load as load_image_model
from vision.image_model.model import ImageModel
from vision.protocol import WorkerConfig
from vision.readers import READERS
from vision.reporter import Reporter
from vision.weights import card as cards
from vision.weights import contents, hub, local, sources, trust

log = logging.getLogger(__name__)

CHUNK = 16 * 2**20  # bytes read at a time while the files come into the page cache


@dataclass
class _Held:
    """A model in memory. fibers: of jobs that have asked for it, and for no other since; it is in use while
    one of them hasn't ended."""

    model: Any
    bytes: int
    threads: int
    fibers: set[Fiber] = field(default_factory=set)

    def in_use(self) -> bool:
        self.fibers = {fiber for fiber in self.fibers if not fiber.ended}
        return bool(self.fibers)


class Models:
    """Models by role (image, clip, caption, vit) of one worker. For one thread; files are read in another, of
    one model at a time.

    A job uses one at a time: who asks for the next has done with the last.
    """

    def __init__(self, config: WorkerConfig) -> None:
        self.config = config
        self.device = (
            "cuda:0" if config.device.startswith("cuda") else config.device
        )  # the worker sees one card only
        self.dtype = devices.choose_dtype(self.device, config.dtype)
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._arrived: dict[str, _Held] = {}  # just loaded; its job may have been stopped meanwhile
        self._coming: str | None = None  # the model that is being loaded
        self._crowded = False  # it waits for room
        self.tiny_tried: dict[
            str, str
        ] = {}  # family → what was wrong with its decoder for drafts, "" = nothing

    def image(self, spec: str | None, reporter: Reporter | None = None) -> ImageModel:
        """The image model ``spec``, by its name for ``--model`` or as it is configured; None = the usual one.

        UserError for one that the host hasn't configured.
        """
        usual = self.config.models["image"]
        known = {
            **self.config.image_models,
            **{model: model for model in (usual, *self.config.image_models.values())},
        }
        wanted = known.get(spec or usual)
        if wanted is None:
            raise UserError(f"`model` is {spec!r}; the host hasn't set that one up.")
        return self._get("image", wanted, reporter or Reporter())

    def get(self, role: str, reporter: Reporter | None = None) -> Any:
        """The configured model of ``role``: ImageModel, Matcher, Captioner or Classifier. ModelError when it
        can't be had."""
        if not self.config.models.get(role):
            raise ModelError(f"No {role} model is configured.")
        return self._get(role, self.config.models[role], reporter or Reporter())

    def attach_adapter(self, model: ImageModel, reporter: Reporter) -> None:
        """The configured IP-Adapter over ``model``, beside the steps of other jobs; nothing where there is
        none."""
        if self.config.ip_adapter:
            reporter.build(partial(self._attach_adapter, model))

    def _attach_adapter(self, model: ImageModel) -> None:
        model.attach_adapter(self._pinned(self.config.ip_adapter, lambda fraction: None))

    @property
    def share_steps(self) -> bool:
        """Whether jobs on the image models that are loaded can go on beside each other."""
        return all(getattr(held.model, "shares_steps", True) for held in self._held.values())

    def _get(self, role: str, spec: str, reporter: Reporter) -> Any:
        key, fiber = f"{role}:{spec}", reporter.fiber
        if fiber is not None:
            for held in self._held.values():
                held.fibers.discard(fiber)
            fiber.wait_until(lambda: not self._crowded or key == self._coming)
        while key not in self._held:
            if self._coming is None or fiber is None:
                self._have_loaded(key, role, spec, reporter)
            else:
                fiber.wait_until(lambda: self._coming is None or key in self._held)
        held = self._held[key]
        self._held.move_to_end(key)
        if fiber is not None:
            held.fibers.add(fiber)
        torch.set_num_threads(held.threads)
        return held.model

    def _have_loaded(self, key: str, role: str, spec: str, reporter: Reporter) -> None:
        """Beside the steps of other jobs. Without room for both: when the jobs on other models have ended;
        none begins meanwhile."""
        self._coming = key
        try:
            source = sources.parse(spec)
            report = _Progress(source.name, reporter)
            path, weights = reporter.in_thread(lambda: self._find(source, report), loading=True)
            self._take_in()
            if key in self._held:  # a job that was stopped while it loaded has left it behind
                return
            if not self._make_room(weights):
                if reporter.fiber is None:
                    raise ModelError(f"{source.name} doesn't fit into memory beside the models in use.")
                self._crowded = True
                reporter.fiber.wait_until(lambda: self._make_room(weights))

            def load() -> None:
                self._arrived[key] = self._load(role, source, path, weights, report, reporter.check)

            reporter.build(load)
            self._take_in()
        finally:
            self._coming, self._crowded = None, False

    def _take_in(self) -> None:
        for key in list(self._arrived):
            self._held[key] = self._arrived.pop(key)

    def _find(self, source: sources.ModelSource, report: Callable[[float], None]) -> tuple[Path, int]:
        """Where its files lie, and the bytes of its weights. ModelError for files that aren't what they
        should be."""
        path = self._path(source, report)
        local.verify(source, path, Path(self.config.cache_dir))
        return path, contents.bytes_in_memory(path, self.dtype.itemsize)

    def _load(
        self,
        role: str,
        source: sources.ModelSource,
        path: Path,
        weights: int,
        report: Callable[[float], None],
        check: Callable[[], None],
    ) -> _Held:
        start = time.monotonic()
        threads = devices.choose_threads(self.config.cpu_threads, weights)
        _warm(contents.weight_files(path), report, check)
        if role == "image":
            offload = devices.choose_offload(self.device, self.config.offload, weights)
            offline = not self.config.allow_download
            model = load_image_model(
                path,
                source.name,
                device=self.device,
                dtype=self.dtype,
                offload=offload,
                offline=offline,
                report=report,
                find_lora=self.lora,
            )
            self._attach_tiny_decoder(model)
            if compiled.wanted(self.config.compile, self.device):
                torch.set_num_threads(threads)  # of this thread: what is compiled is for so many
                model.compile()
        else:
            model = self._load_reader(role, path, source.name)
        report(1.0)
        log.info(
            "%s loaded in %.1f s: %s on %s, %d MB",
            source.name,
            time.monotonic() - start,
            self.dtype,
            self.device,
            weights >> 20,
        )
        return _Held(model, weights, threads)

    def _attach_tiny_decoder(self, model: ImageModel) -> None:
        """The decoder that the host has set up for drafts of this family. Where there is trouble with it, the
        model goes on without."""
        spec = self.config.tiny_vaes.get(model.family.name)
        if not spec:
            return
        problem = ""
        try:
            source = sources.parse(spec)
            path = self._path(source, lambda fraction: None)
            local.verify(source, path, Path(self.config.cache_dir))
            model.attach_tiny_decoder(path)
        except ModelError as error:
            problem = str(error)
            log.warning("%s decodes drafts with its own decoder: %s", model.name, error)
        self.tiny_tried[model.family.name] = problem

    def _load_reader(self, role: str, path: Path, name: str) -> Any:
        if not path.is_dir():
            raise ModelError(f"{name}: a {role} model is a folder or a Hugging Face id, not one file.")
        contents.check_folder(path)
        try:
            return importlib.import_module(READERS[role]).load(
                path, name, cards.read(path), self.device, self.dtype
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError, RuntimeError) as error:
            if devices.is_out_of_memory(error):
                raise
            log.exception("%s doesn't load", name)
            raise ModelError(f"{name} doesn't load: {first_line(error)}") from error

    def _path(self, source: sources.ModelSource, report: Callable[[float], None]) -> Path:
        cache = Path(self.config.cache_dir)
        path = local.find(source, cache)
        if path is not None:
            return path
        if source.kind != "hub":
            raise ModelError(f"{source.name} isn't there: no such {source.kind}.")
        if not self.config.allow_download:
            raise ModelError(f"{source.name} isn't downloaded, and ALLOW_DOWNLOAD is off.")
        half = self.dtype != torch.float32
        return hub.fetch(
            source, cache, token=self.config.hf_token, half=half, report=lambda f: report(f * 0.5)
        )

    def lora(self, name: str, reporter: Reporter) -> Path:
        """The file of the LoRA that the host calls ``name``. UserError for one that the host hasn't set
        up."""
        spec = next(
            (spec for known, spec in self.config.loras.items() if known.lower() == name.lower()), None
        )
        if spec is None:
            known = (
                f"it takes one of: {', '.join(sorted(self.config.loras))}"
                if self.config.loras
                else "the host hasn't set up any"
            )
            raise UserError(f"`lora` is `{name}`; {known}.")
        path = self._pinned(spec, _Progress(sources.parse(spec).name, reporter))
        if path.is_dir():
            trust.check_contents(path)
        return contents.lora_file(path)

    def _pinned(self, spec: str, report: Callable[[float], None]) -> Path:
        """Where ``spec`` lies. ModelError if it isn't what was pinned or fetched."""
        source = sources.parse(spec)
        path = self._path(source, report)
        local.check_pin(source, path, Path(self.config.cache_dir))
        return path

    def _make_room(self, weights: int) -> bool:
        """Give up models that nobody uses, the least recently used first, until ``weights`` bytes fit with a
        margin; False if they don't yet."""

        def fits() -> bool:
            return not self._held or weights * devices.MARGIN <= devices.memory(self.device)[0]

        for key in [key for key, held in self._held.items() if not held.in_use()]:
            if fits():
                break
            del self._held[key]
            log.info("%s is given up to make room", key)
            devices.release()
        return fits()

    def release(self) -> None:
        """Give up every model but the last used and those in use."""
        for key in list(self._held)[:-1]:
            if not self._held[key].in_use():
                del self._held[key]
        devices.release()


class _Progress:
    """Loading's progress to the reporter and, in steps of a quarter, to the log."""

    def __init__(self, name: str, reporter: Reporter) -> None:
        self.name, self.reporter, self.quarter = name, reporter, 0
        log.info("loading %s", name)
        reporter.loading(name, None)

    def __call__(self, fraction: float) -> None:
        self.reporter.loading(self.name, fraction)
        if int(fraction * 4) > self.quarter:
            self.quarter = int(fraction * 4)
            log.info("loading %s: %d %%", self.name, round(fraction * 100))


def _warm(files: list[Path], report: Callable[[float], None], check: Callable[[], None]) -> None:
    """Read the files once so that loading finds them in memory: the slow part, in pieces that can be counted
    and stopped.

    Left out when they don't fit into half of the free memory; reading them twice would cost more.
    """
    total, done = sum(file.stat().st_size for file in files), 0
    if not 64 * 2**20 < total < devices.memory("cpu")[0] // 2:
        return
    for path in files:
        with path.open("rb", buffering=0) as file:
            while piece := file.read(CHUNK):
                check()
                done += len(piece)
                report(0.1 + 0.7 * done / total)
