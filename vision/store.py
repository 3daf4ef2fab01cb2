"""The models that a worker holds: loaded at first use, kept while memory lasts, the least recently used given
up first; members' own models among them."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from cachetools import LRUCache

from core.errors import ModelError, UserError
from core.requests.custom_models import ANOMALY, DETECT, STYLE
from vision import devices
from vision.diffusion.model import ImageModel
from vision.engine.engine import Fiber
from vision.families import editing
from vision.loader import FoundModel, ModelLoader, Progress
from vision.protocol import WorkerConfig
from vision.reporter import Reporter
from vision.weights import files, memory

if TYPE_CHECKING:
    from vision.custom_models.anomaly.detector import Detector, Inspector
    from vision.custom_models.classification import Classifier
    from vision.custom_models.detection import Detector as BoxDetector
    from vision.custom_models.features import Extractor
    from vision.lora_training.base import Base


MOST = 8  # models, of a few megabytes each


@dataclass(frozen=True)
class Loaded:
    """A model with what it sees with. detector: of an inspection."""

    model: Inspector | Classifier | BoxDetector
    extractor: Extractor
    detector: Detector | None = None


class OwnModels:
    """loaded: the last MOST, by the SHA-256 of their files. towers: (role, model) → what is seen with it."""

    def __init__(self) -> None:
        self.towers: dict[tuple[str, str], Extractor] = {}
        self.loaded = LRUCache[str, Loaded](MOST)

    def forget(self, names: Collection[str]) -> None:
        """Give up the models of these files (SHA-256)."""
        for name in names:
            self.loaded.pop(name, None)


def read_own_model(path: Path, task: str) -> Inspector | Classifier | BoxDetector:
    """Return the model in a file. Raises ModelError for a file that is gone, of another task, or of none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError("The model's file is gone. Train it again.") from error
    return unpack_own_model(data, task)


def unpack_own_model(data: bytes, task: str) -> Inspector | Classifier | BoxDetector:
    """Return the model in the bytes of a file. Raises ModelError for one of another task, or none."""
    from vision.custom_models.anomaly.detector import Inspector
    from vision.custom_models.classification import Classifier
    from vision.custom_models.detection import Detector as BoxDetector

    if task == DETECT:
        return BoxDetector.unpack(data)
    return Inspector.unpack(data) if task == ANOMALY else Classifier.unpack(data)


log = logging.getLogger(__name__)


@dataclass
class _Held:
    """A model in memory. found: what it was loaded from, and how it is held. threads: of the CPU, that it
    runs on. fibers: of jobs that have asked for it, and for no other since; one that goes on uses it."""

    model: Any
    found: FoundModel
    threads: int
    fibers: set[Fiber] = field(default_factory=set)

    def in_use(self) -> bool:
        self.fibers = {fiber for fiber in self.fibers if not fiber.ended}
        return bool(self.fibers)


class Models:
    """The models of one worker by role: image, edit, clip, caption, vit, segment, ask, and those of
    photographs. For one thread; one model at a time is loaded in another. A job uses one model at a time:
    when it asks for the next, it is done with the last."""

    def __init__(self, config: WorkerConfig) -> None:
        self.config = config
        self.loader = ModelLoader(config)
        self.device, self.dtype = self.loader.device, self.loader.dtype
        self.own = OwnModels()
        self.held: OrderedDict[str, _Held] = OrderedDict()  # role:spec → model, the last used at the end
        self._arrived: dict[str, _Held] = {}  # just loaded; its job may have been stopped in the meantime
        self.coming = set[str]()  # the keys of models that are being fetched or loaded
        self._loading: str | None = None  # the key of the model that is being read into memory
        self.waiting: list[Reporter] = []  # of jobs that wait for what others fetch or load
        self.room_is_wanted = False  # by that model, until others are given up: none begins meanwhile

    def image(self, spec: str | None, reporter: Reporter | None = None) -> ImageModel:
        """Return the image model ``spec``: its name for ``--model``, or as it is configured; None = the usual
        one. Waits while it is loaded. Raises UserError for one that the host hasn't configured."""
        return self._chosen("image", self.config.image_models, spec, reporter or Reporter())

    def editor(self, spec: str | None, reporter: Reporter) -> ImageModel:
        """Return the image model that edits by words: ``spec`` as ``image`` takes it, None = the configured
        one, which shares its weights with one of the same name that draws. Waits and raises as ``image``
        does, also ModelError without one."""
        usual = self.config.models.get("edit")
        if usual is None:
            raise ModelError(f"No edit model is configured; {editing()} can be one.")
        if spec is None or spec == usual:
            return self._get("image", usual, reporter)
        return self.image(spec, reporter)

    def base(self, spec: str, reporter: Reporter) -> Base:
        """Return what styles are learned on for a model distilled from it. Waits while it is fetched and
        loaded. Raises ModelError when it can't be had, UserError for too little memory."""
        return self._get(STYLE, spec, reporter)

    def video(self, spec: str | None, reporter: Reporter) -> Any:
        """Return the video model ``spec``, a VideoModel: its name for ``--model``, or as it is configured;
        None = the usual one. Waits and raises as ``image`` does, also ModelError when it can't be had."""
        return self._chosen("video", self.config.video_models, spec, reporter)

    def _chosen(self, role: str, more: Mapping[str, str], spec: str | None, reporter: Reporter) -> Any:
        usual = self.config.models[role]
        wanted = {**more, **{model: model for model in (usual, *more.values())}}.get(spec or usual)
        if wanted is None:
            raise UserError(f"`model` is {spec!r}; the operator hasn't set that one up.")
        return self._get(role, wanted, reporter)

    def get(self, role: str, reporter: Reporter | None = None) -> Any:
        """Return the configured model of ``role``: an ImageModel, Matcher, Captioner, Classifier, Segmenter
        or Talker; a chat model that describes pictures, too, is loaded once. Waits while it is loaded. Raises
        ModelError when it can't be had."""
        spec = self.config.models.get(role)
        if not spec:
            raise ModelError(f"No {role} model is configured.")
        role = "ask" if role == "caption" and spec == self.config.models.get("ask") else role
        return self._get(role, spec, reporter or Reporter())

    def clip(self, spec: str, reporter: Reporter) -> Any:
        """Return the CLIP model ``spec``, also an earlier one. Raises ModelError when it can't be had."""
        return self._get("clip", spec, reporter)

    def attach_adapter(self, model: ImageModel, reporter: Reporter) -> None:
        """Attach the configured IP-Adapter to ``model``, beside other jobs' steps, if there is one."""
        if self.config.ip_adapter:
            reporter.build(lambda: model.attach_adapter(self.loader.pinned(self.config.ip_adapter)))

    def attach_controlnet(self, model: ImageModel, reporter: Reporter) -> None:
        """Attach the configured ControlNet to ``model``, beside the steps of other jobs; without one do
        nothing. Raises ModelError when its files can't be had."""
        if self.config.controlnet:
            find = partial(self.loader.pinned, self.config.controlnet)
            folder = reporter.in_thread(find, thread="fetching")
            reporter.build(lambda: model.attach_controlnet(folder))

    def let_go(self, reporter: Reporter) -> None:
        """Note that a job doesn't need its model for now; it must ask for it again before it goes on."""
        for held in self.held.values():
            held.fibers -= {reporter.fiber} if reporter.fiber else set()

    @property
    def share_steps(self) -> bool:
        """Whether jobs on the models in memory can go on beside each other, step by step."""
        return all(getattr(held.model, "shares_steps", True) for held in self.held.values())

    def forget(self, names: Collection[str]) -> None:
        """Give up what is kept of these jobs' conversations, pictures and custom models (SHA-256), and image
        models (as they are configured) that no job uses."""
        self.own.forget(names)
        idle = [key for key, held in self.held.items() if not held.in_use()]
        for key in idle:
            if key.removeprefix("image:") in names:
                del self.held[key]
                devices.release()
                log.info("%s is given up, as an admin asked", key)
        for held in self.held.values():
            if hasattr(held.model, "forget"):
                held.model.forget(names)

    def release(self) -> None:
        """Give up every model but the last used and those in use, and what is kept for later."""
        for model in self._keeping():
            model.make_room()
        for key in list(self.held)[:-1]:
            if not self.held[key].in_use():
                del self.held[key]
        devices.release()

    def _get(self, role: str, spec: str, reporter: Reporter) -> Any:
        key, fiber = f"{role}:{spec}", reporter.fiber
        if fiber is not None:
            self.let_go(reporter)  # a loop here would keep the last model alive while another is loaded
            fiber.wait_until(lambda: not self.room_is_wanted or key == self._loading)
        while key not in self.held:
            if fiber is None or key not in self.coming:
                self._fetch_and_load(key, role, spec, reporter)
            else:
                self._wait_while(lambda: key in self.coming, reporter)
        held = self.held[key]
        self.held.move_to_end(key)
        if fiber is not None:
            held.fibers.add(fiber)
        # the passes of all models run on this thread, and a small model beside a large one must not slow it
        in_use = [one.threads for one in self.held.values() if one is held or one.in_use()]
        torch.set_num_threads(max(in_use))
        return held.model

    def _wait_while(self, busy: Callable[[], bool], reporter: Reporter) -> None:
        """Let others go on while ``busy()``; what they load is reported as this job's progress, too."""
        fiber = reporter.fiber
        if fiber is None:
            return
        self.waiting.append(reporter)
        try:
            while busy():
                fiber.wait_until(lambda: not busy())
        finally:
            self.waiting.remove(reporter)

    def _fetch_and_load(self, key: str, role: str, spec: str, reporter: Reporter) -> None:
        """Find a model's files, fetched beside others if need be; then load it, one model after the other."""
        self.coming.add(key)
        try:
            source = files.parse(spec)
            report = Progress(source.name, reporter, self.waiting)
            found = reporter.in_thread(lambda: self.loader.find(source, report, role), thread="fetching")
            self._wait_while(lambda: self._loading is not None, reporter)
            self._load(key, role, found, report, reporter)
        finally:
            self.coming.discard(key)

    def _load(self, key: str, role: str, found: FoundModel, report: Progress, reporter: Reporter) -> None:
        """Load a model beside the steps of other jobs. Without room for both, wait until the jobs on other
        models have ended; none begins in the meantime."""
        self._loading = key
        try:
            # behind what a job that was stopped meanwhile has left to the thread
            reporter.in_thread(lambda: None, thread="loading")
            self._take_arrived()
            if key in self.held:
                return
            found = self._wait_for_room(found, reporter)
            threads = devices.choose_threads(self.config.cpu_threads, found.bytes)

            def load() -> None:
                model = self.loader.load(role, found, report, reporter.check, threads=threads)
                self._arrived[key] = _Held(model, found, threads)

            reporter.build(load)
            self._take_arrived()
        finally:
            self._loading, self.room_is_wanted = None, False

    def _take_arrived(self) -> None:
        for key in list(self._arrived):
            self.held[key] = self._arrived.pop(key)

    def _wait_for_room(self, found: FoundModel, reporter: Reporter) -> FoundModel:
        """Return how the model is held. That is chosen for the room that there would be without the others,
        so that it isn't a matter of who came first; they give way until it fits."""
        free, _ = devices.memory(self.device)
        found = self.loader.plan(found, free + sum(held.found.held for held in self.held.values()))
        if reporter.is_guest and not self._fits(found):
            raise ModelError(f"{found.name} doesn't fit into memory with the loaded models.")
        if not self.make_room(found):
            if reporter.fiber is None:
                raise ModelError(f"{found.name} doesn't fit into memory with the models in use.")
            self.room_is_wanted = True
            reporter.fiber.wait_until(lambda: self.make_room(found))
        return found if self._fits(found) else self.loader.plan(found, devices.memory(self.device)[0])

    def _keeping(self) -> list[Any]:
        """The models that keep something for later."""
        return [held.model for held in self.held.values() if getattr(held.model, "keeps", False)]

    def make_room(self, wanted: FoundModel) -> bool:
        """Give up what is kept, then what nobody uses, until ``wanted`` fits. Returns whether it does."""
        if self._fits(wanted):
            return True
        for model in self._keeping():
            model.make_room()
        devices.release()
        while not self._fits(wanted):
            if not (keys := self._dispensable(wanted)):
                return False
            for key in keys:
                del self.held[key]
                log.info("%s is given up to make room", key)
            devices.release()
        return True

    def _dispensable(self, wanted: FoundModel) -> list[str]:
        """The keys of models to give up for ``wanted``: those that read before those that draw, of each the
        least recently used first, and none in vain. None while it has to wait for those in use."""
        idle = [key for key, held in self.held.items() if not held.in_use()]
        found = list[str]()
        for key in sorted(idle, key=lambda key: bool(self.held[key].found.sizes)):
            if not self._fits(wanted, found):
                found.append(key)
        if not self._fits(wanted, found) and len(idle) < len(self.held):
            return []
        for key in list(found):
            rest = [other for other in found if other != key]
            found = rest if self._fits(wanted, rest) else found
        return found

    def _fits(self, wanted: FoundModel, without: Collection[str] = ()) -> bool:
        """Return whether a model fits beside those in memory, and the work of any of them; alone, it is
        always tried. without: keys of models that count as given up."""
        others = [held.found for key, held in self.held.items() if key not in without]
        if not others:
            return True
        free = devices.memory(self.device)[0] + sum(self.held[key].found.held for key in without)
        reserve = 0 if self.device == "cpu" else memory.RESERVE
        return wanted.held + max(one.working for one in (wanted, *others)) + reserve <= free
