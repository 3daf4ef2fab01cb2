"""Holds one video model in memory, a pipeline for each of its classes over the same weights, and loads it as
image models are loaded: checked files, quantised and moved about as the plan says."""

import copy
import hashlib
import inspect
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError
from safetensors.torch import load_file

from core.errors import ModelError, UserError, first_line
from vision import devices
from vision.diffusion import load as quantize
from vision.diffusion.model import FindLora, TextCache, no_lora, visit_in_turn
from vision.diffusion.vae import LatentMap
from vision.engine.fiber import PriorityLock
from vision.reporter import Reporter
from vision.video.families import FAMILIES, VideoFamily
from vision.video.families import family as cards
from vision.weights import card as image_cards
from vision.weights import files
from vision.weights.memory import Plan

log = logging.getLogger(__name__)


@dataclass(eq=False, repr=False)
class VideoModel:
    """One set of weights, and a pipeline for each class of its family over it. pipe: the one that was loaded,
    of class ``base``. decoder_lock: held by whoever uses the decoder. text_cache: texts encoded lately."""

    name: str
    family: VideoFamily
    card: cards.VideoCard
    pipe: Any
    device: str
    offload: str
    identity: str

    def __post_init__(self) -> None:
        self._active = self.base
        self._pipes = {self._active: self.pipe}
        self._latent_map: LatentMap | None = None
        self.decoder_lock, self.text_cache = PriorityLock(), TextCache()
        self.pipe.set_progress_bar_config(disable=True)

    @property
    def base(self) -> str:
        """The class of the pipeline that was loaded."""
        return type(self.pipe).__name__

    @property
    def vae(self) -> Any:
        """The decoder."""
        return self.pipe.vae

    @property
    def shares_steps(self) -> bool:
        """Whether its jobs may wait between two steps: moved parts stay for a whole call."""
        return self.offload != "model"

    @property
    def label(self) -> str:
        """Key under which step durations are kept: everything they depend on but the shape."""
        weights = hashlib.sha256(self.identity.encode()).hexdigest()[:12]
        moves = " group" if self.offload == "group" else ""
        return f"{self.name} {weights} {self.pipe.dtype} {self.device} {torch.get_num_threads()}{moves}"

    def pipeline(self, name: str) -> Any:
        """Return the pipeline of class ``name``, on its device. Raises ModelError if it doesn't fit."""
        if name not in self._pipes:
            cls = getattr(diffusers, name)
            have = self.family.components(name, {**self.pipe.config, **self.pipe.components})
            taken = {part: have[part] for part in inspect.signature(cls.__init__).parameters if part in have}
            try:
                pipe = cls(**taken)
            except (ValueError, TypeError) as error:
                raise ModelError(f"{self.name} can't be used by {name}: {first_line(error)}") from error
            pipe.set_progress_bar_config(disable=True)
            self._pipes[name] = pipe
        pipe = self._pipes[name]
        if self.offload == "model" and self._active != name:
            visit_in_turn(pipe, self.device)  # the last pipeline has the hooks
        self._active = name
        return pipe

    def scheduler(self) -> Any:
        """Return a fresh noise scheduler: state never passes from one job to the next."""
        return copy.deepcopy(self.pipe.scheduler)

    @property
    def latent_map(self) -> LatentMap | None:
        """The map from latents to RGB for previews; None while the decoder is in use."""
        if self._latent_map is None and self.decoder_lock.try_acquire():
            try:
                self._latent_map = LatentMap.fit(self.vae, self.device)
            finally:
                self.decoder_lock.release()
        return self._latent_map

    def free_hooks(self) -> None:
        """Put offloaded weights back after a call: diffusers does that only if no exception ends the call."""
        if self.offload == "model":
            self._pipes[self._active].maybe_free_model_hooks()


def family_and_card(
    folder: Path, more: Mapping[str, Any] | None = None
) -> tuple[VideoFamily, cards.VideoCard]:
    """Return family and card of the video model in ``folder``, or of the GGUF file with a folder beside it.
    more: entries of its card, in place of its own. Raises ModelError when it isn't one that Atelier knows, or
    when ``atelier.json`` can't be used."""
    folder = files.gguf_folder(folder) or folder
    index = files.read_json(folder / "model_index.json")
    configs: Mapping[str, Mapping[str, Any]] = {
        path.parent.name: files.read_json(path)
        for path in (*folder.glob("*/config.json"), folder / "scheduler" / "scheduler_config.json")
    }
    family = next((one for one in FAMILIES if one.belongs(index, configs)), None)
    if family is None:
        titles = ", ".join(one.title for one in FAMILIES)
        name = index.get("_class_name")
        what = f"is a {name}" if isinstance(name, str) else "has no model_index.json that names a pipeline"
        raise ModelError(f"{folder.name} {what}; videos are drawn with one of: {titles}.")
    return family, cards.make_video_card(
        family.defaults(), family.adjust(configs), image_cards.read_card(folder, more)
    )


def add_loras(pipe: Any, names: Mapping[str, str], find: FindLora, *, merge: bool) -> list[Path]:
    """Add to parts of ``pipe`` the LoRAs that its card names, and return their files. merge: to the weights
    themselves; those that are quantised have them beside. Raises ModelError for a LoRA that the host hasn't
    set up, or that doesn't fit."""
    found = []
    for part, name in names.items():
        second = {"load_into_transformer_2": True} if part == "transformer_2" else {}
        module = getattr(pipe, part, None) if part in ("unet", "transformer", "transformer_2") else None
        try:
            if module is None or not hasattr(pipe, "load_lora_weights"):
                raise ValueError("this model has no such part, or takes no LoRAs")
            found.append(find(name, Reporter()))
            pipe.load_lora_weights(load_file(found[-1]), adapter_name=part, **second)
            if not any(isinstance(layer, LoraLayer) for layer in module.modules()):
                raise ValueError("it has no weights for this model")
            if merge:
                module.fuse_lora(adapter_names=[part])
                module.unload_lora()
        except (OSError, SafetensorError, ValueError, KeyError, RuntimeError, TypeError, UserError) as error:
            raise ModelError(
                f"{image_cards.FILE}: the LoRA {name!r} for {part} can't be added: {first_line(error)}"
            ) from error
    return found


def load_video_model(
    path: Path,
    name: str,
    *,
    device: str,
    dtype: torch.dtype,
    plan: Plan,
    report: Callable[[float], None],
    find_lora: FindLora = no_lora,
    more: Mapping[str, Any] | None = None,
) -> VideoModel:
    """Load the video model in a folder, or from a GGUF file with its transformer and a folder beside it with
    the rest. Raises ModelError when its contents don't fit together, or aren't
    to be trusted. plan: whether it is quantised, and stays on the device. report: gets 0.9 once the weights
    are read. find_lora: see Loras. more: of its card."""
    folder = files.gguf_folder(path)
    if folder is None:
        folder = path
        (files.check_folder if path.is_dir() else files.check_file)(path)
    family, card = family_and_card(path, more)
    config = quantize.configuration(path, plan.quantize, dtype)
    cls = getattr(diffusers, files.read_json(folder / "model_index.json")["_class_name"])
    if path.is_file() and (folder / "transformer_2").is_dir():
        raise ModelError(f"{name} holds one of two transformers; name the model's folder.")
    with devices.refusing(f"{name} doesn't load", tells=True):
        part = quantize.gguf_part(path, folder, dtype, family.title) if path.is_file() else {}
        pipe = quantize.pretrained(cls, folder, dtype, config, **part)
    family.loaded(pipe)
    added = add_loras(pipe, card.loras, find_lora, merge=plan.quantize == "off" and not part)
    if family.float32_decoder:
        pipe.vae.to(torch.float32)
    report(0.9)
    quantize.place(pipe, device, plan.offload)
    identity = f"{files.identity(path)}{'' if plan.quantize == 'off' else f' {plan.quantize}'}"
    identity += "".join(f" {path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in added)
    return VideoModel(name, family, card, pipe, device, plan.offload, identity)
