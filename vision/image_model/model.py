"""Holds one image model in memory: the three pipelines of its family over the same weights, its noise
schedulers, its place on the device."""

from __future__ import annotations

import copy
import hashlib
import inspect
import logging
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import diffusers
import torch
from PIL import Image

from core.errors import ModelError, UserError, first_line
from vision.engine import cache
from vision.engine.denoiser import Denoiser, denoiser_attribute, denoiser_of, evaluate_now
from vision.engine.priority_lock import PriorityLock
from vision.families import Family, Mode
from vision.families.editors import editing
from vision.image_model import compiled, seamless, tiny_vae
from vision.image_model.attached import attach
from vision.image_model.attached.controlnet import ControlledUNet, ControlNet
from vision.image_model.attached.ip_adapter import IPAdapter
from vision.image_model.latent_preview import LatentMap
from vision.image_model.loras import Loras
from vision.image_model.text_cache import TextCache
from vision.image_model.tiny_vae import TinyDecoder
from vision.pictures import encode
from vision.pictures.upscaler import Upscaler
from vision.reporter import Reporter
from vision.weights.card import Card

FindLora = Callable[[str, Reporter], Path]
log = logging.getLogger(__name__)

SCHEDULERS: dict[str, tuple[str, dict[str, Any]]] = {  # the prompt grammar's --sampler → diffusers
    "ddim": ("DDIMScheduler", {}),
    "ddpm": ("DDPMScheduler", {}),
    "deis": ("DEISMultistepScheduler", {}),
    "dpm++": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++"}),
    "dpm++sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_a": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "lcm": ("LCMScheduler", {}),
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}),
    "unipc": ("UniPCMultistepScheduler", {}),
}
CALM = {"EulerAncestralDiscreteScheduler": "euler", "DDPMScheduler": "ddim"}  # the same without new noise


class ImageModel:
    """One set of weights, and a pipeline for each mode over it.

    decoder_lock: held by whoever uses the VAE. text_cache: texts encoded lately. Not thread-safe, except the
    decoder.
    """

    def __init__(
        self,
        name: str,
        family: Family,
        card: Card,
        base: Any,
        device: str,
        offload: str,
        identity: str = "",
        find_lora: FindLora | None = None,
        upscaler: Upscaler | None = None,
    ) -> None:
        self._upscaler = upscaler
        self.name, self.family, self.card, self.device, self.offload = name, family, card, device, offload
        self.identity = identity  # where the weights came from, and their files' sizes and times
        self._base, self._pipes = base, dict[Mode, Any]()
        self._active: Mode | None = None
        self._own_scheduler = base.scheduler
        self._schedulers: dict[str | None, Any] = {}  # by sampler, None = its own; never used themselves
        self._latent_map: LatentMap | None = None
        self._circular_unet: Any = None
        self.adapter: IPAdapter | None = None
        self.controlnet: ControlNet | None = None
        self.tiny_decoder: TinyDecoder | None = None
        self.compiled: Any = None
        self._adapted: tuple[Path, int] | None = None
        self._controlled: Path | None = None
        self.decoder_lock, self.text_cache = PriorityLock(), TextCache()
        self.loras = Loras(base, name, find_lora or _no_lora)
        base.set_progress_bar_config(disable=True)
        first = Mode.TEXT if family.text else Mode.EDIT  # the only one that a family of editors has
        self._pipes[next((mode for mode in Mode if family.pipeline(mode) == type(base).__name__), first)] = (
            base
        )

    def has(self, mode: Mode) -> bool:
        """Return whether the family has a pipeline for ``mode`` and these weights fit it."""
        try:
            return self.pipeline(mode) is not None
        except ModelError:
            return False

    def pipeline(self, mode: Mode) -> Any:
        """Return the pipeline for ``mode``, on its device. Raises ModelError when this model has none."""
        inpaint_only = getattr(getattr(self._base, "unet", None), "config", {}).get("in_channels") == 9
        if inpaint_only and mode is not Mode.INPAINT:
            raise ModelError(f"{self.name} only paints into masks; name a text-to-image model for this.")
        if mode not in self._pipes:
            self._pipes[mode] = self._sibling(mode)
        pipe = self._pipes[mode]
        if self.offload == "model" and self._active is not mode:
            pipe.enable_model_cpu_offload(
                device=self.device
            )  # hooks sit on the shared weights: the last pipeline has them
        self._active = mode
        return pipe

    def _sibling(self, mode: Mode) -> Any:
        name = self.family.pipeline(mode)
        if name is None and mode is Mode.EDIT:
            raise ModelError(f"{self.name} ({self.family.title}) can't edit by words; {editing()} can.")
        if name is None and self.family.text is None:
            raise ModelError(
                f"{self.name} only edits pictures and can't draw from words; name it in EDIT_MODEL."
            )
        if name is None:
            raise ModelError(f"{self.name} can't do {mode}.")
        cls = getattr(diffusers, name)
        try:
            pipe = cls.from_pipe(self._base) if name.startswith("AutoPipeline") else cls(**self._parts(cls))
        except ValueError as error:
            raise ModelError(f"{self.name} can't do {mode}.") from error
        pipe.set_progress_bar_config(disable=True)
        return pipe

    def _parts(self, cls: Any) -> dict[str, Any]:
        """The arguments ``cls`` is built from, out of the pipeline we have. ``cls.from_pipe`` would cast to
        float32, and refuse a tiny decoder."""
        have = {**self._base.config, **self._base.components}
        return {name: have[name] for name in inspect.signature(cls.__init__).parameters if name in have}

    def enlarged(self, image: Image.Image, seamless: bool = False) -> Image.Image:
        """Return a decoded picture at the card's output scale: by the model's own upscaler if it brings one.

        seamless: opposite edges meet.
        """
        if self._upscaler is not None:
            return self._upscaler.enlarge(image, seamless)
        return encode.enlarge(image, self.card.output_scale, seamless)

    def takes_sampler(self, sampler: str) -> bool:
        """Return whether ``sampler`` can be used. Flow models keep the scheduler they came with, an Euler
        one."""
        return self.card.samplers == "any" or sampler == "euler"

    def scheduler(self, sampler: str | None) -> Any:
        """Return a fresh noise scheduler: state never passes from one job to the next."""
        sampler = sampler or self.card.sampler
        sampler = sampler if self.card.samplers == "any" else None
        if sampler not in self._schedulers:
            kind, extra = type(self._own_scheduler), dict[str, Any]()
            if sampler is not None:
                name, extra = SCHEDULERS[sampler]
                kind = getattr(diffusers, name)
            self._schedulers[sampler] = kind.from_config(self._own_scheduler.config, **extra)
        return copy.deepcopy(self._schedulers[sampler])  # in a fifth of the time that it takes to make one

    def calm_sampler(self) -> str | None:
        """Return the sampler for frames of a film: the model's own, without the noise that some add in each
        step, since what comes of that differs from frame to frame. None = its own adds none."""
        scheduler = self.scheduler(None)
        if str(scheduler.config.get("algorithm_type", "")).startswith("sde-"):
            return "dpm++"
        return CALM.get(type(scheduler).__name__)

    @property
    def has_step_memory(self) -> bool:
        """Whether a step depends on more than latents, scheduler and generators; then no checkpoint can
        reproduce a job bit for bit."""
        return cache.is_on(denoiser_of(self._base))

    @property
    def shares_steps(self) -> bool:
        """Whether its jobs may wait between two steps, else each is one whole call: offloaded weights move
        around within a call."""
        return self.family.shares_steps and self.offload == "none"

    @property
    def supports_weights(self) -> bool:
        """Whether its texts can have weights, be of any length, and be mixed with noise."""
        return self.family.encode is not None

    def circular_unet(self) -> Any:
        """Return the copy of the UNet for seamless pictures. All such jobs share it, and so their passes."""
        if (
            self._circular_unet is None or self._circular_unet[0] != self.loras.version
        ):  # a LoRA puts other layers into the UNet
            self._circular_unet = self.loras.version, seamless.circular_copy(self._base.unet)
        return self._circular_unet[1]

    def attach_adapter(self, folder: Path) -> None:
        """Attach the IP-Adapter in ``folder``, where it fits; again when LoRAs have changed the layers."""
        if self.family.adapts and self.offload == "none" and self._adapted != (folder, self.loras.version):
            self._adapted, self.adapter = (
                (folder, self.loras.version),
                attach(IPAdapter, self._base, folder, f"{self.name} draws without IP-Adapter"),
            )

    def attach_controlnet(self, folder: Path) -> None:
        """Attach the ControlNet in ``folder``, where it fits."""
        if self.family.adapts and self.offload == "none" and self._controlled != folder:
            self._controlled = folder
            without = f"{self.name} keeps structure without ControlNet"
            self.controlnet = attach(ControlNet, self._base, folder, without)

    def attach_tiny_decoder(self, folder: Path) -> None:
        """Attach a decoder for drafts from ``folder``. Raises ModelError when it doesn't fit."""
        if self.family.unpack is None:
            raise ModelError(f"{self.name} decodes its pictures itself.")
        self.tiny_decoder = tiny_vae.load(folder, self._base, self.device, self._base.dtype)

    @torch.no_grad()
    def compile(self) -> None:
        """Compile a copy of the denoiser, for jobs without LoRAs that don't change it, and warm it up, so
        that no job's steps wait for compiling.

        Where that fails, a line in the log says so.
        """
        if not self.shares_steps or self.has_step_memory:
            log.warning(
                "%s isn't compiled: offloaded weights, unknown families and First-Block-Cache go without",
                self.name,
            )
            return
        start = time.monotonic()
        try:
            self.compiled = copied = compiled.compiled_copy(denoiser_of(self._base), self._uncompile)
            for count in compiled.ROWS:
                self._warm_up(copied, count)
        except Exception as error:  # nothing here is worth a model
            log.warning("%s isn't compiled: %s", self.name, first_line(error))
            self.compiled = None
        if self.compiled is not None:
            log.info("%s compiled in %.1f s", self.name, time.monotonic() - start)

    def _uncompile(self) -> None:
        self.compiled = None

    def _warm_up(self, module: Any, count: int) -> None:
        pipe, side = copy.copy(self.pipeline(Mode.TEXT)), self.card.native_size
        pipe.scheduler = self.scheduler(None)
        vars(pipe)[denoiser_attribute(pipe)] = Denoiser(module, evaluate_now)
        given = {
            "num_inference_steps": 2,
            "guidance_scale": 1.0,
            "num_images_per_prompt": count,
            "output_type": "latent",
        }
        pipe(**arguments(pipe, {"prompt": "a", "width": side, "height": side, **given}))

    def denoiser(self, pipe: Any, loras: Any) -> tuple[Any, str]:
        """Return the module that evaluates the steps of a job's ``pipe`` with ``loras``, and its label: the
        compiled copy, if the job changes nothing in the denoiser."""
        own = denoiser_of(pipe)
        if isinstance(own, ControlledUNet):
            return own, f"{self.label} controlled"
        if self.compiled is None or loras or own is not denoiser_of(self._base):
            return own, self.label
        return self.compiled, f"{self.label} compiled"

    def guided(self, guidance_scale: float) -> bool:
        """Return whether a negative prompt has an effect."""
        return self.card.negative == "true_cfg" or (self.card.negative == "prompt" and guidance_scale > 1)

    @property
    def label(self) -> str:
        """Key under which step durations are kept: everything they depend on but the shape."""
        weights = hashlib.sha256(self.identity.encode()).hexdigest()[:12]
        return f"{self.name} {weights} {self._base.dtype} {self.device} {torch.get_num_threads()}"

    def prompt_limit(self, prompt: str) -> int | None:
        """Return how many tokens the text encoder reads, if ``prompt`` has more, which would be ignored; else
        None. Only models with CLIP alone have a limit."""
        tokenizers = [
            c for name, c in self._base.components.items() if name.startswith("tokenizer") and c is not None
        ]
        if not tokenizers or not all(type(t).__name__.startswith("CLIP") for t in tokenizers):
            return None
        limit = tokenizers[0].model_max_length
        return (
            limit if len(tokenizers[0](prompt, truncation=False, verbose=False).input_ids) > limit else None
        )

    @property
    def latent_map(self) -> LatentMap | None:
        """The map from latents to RGB for previews, fitted to this model's decoder at first use; None while
        the decoder is in use."""
        if self._latent_map is None and self.decoder_lock.try_acquire():
            try:
                self._latent_map = LatentMap.fit(self._base.vae, self.device)
            finally:
                self.decoder_lock.release()
        return self._latent_map

    def forget(self, names: Collection[str]) -> None:
        """Unload what was read of these files (SHA-256), which are deleted."""
        self.loras.forget(names)

    def shrink(self) -> None:
        """Use less memory from now on, at the price of speed, by keeping weights on the CPU between uses."""
        if self.device != "cpu" and self.offload == "none":
            self.offload, self._active = "model", None

    def free_hooks(self) -> None:
        """Put offloaded weights back after a call: diffusers does that only if no exception ends the call."""
        if self.offload == "model":
            self._base.maybe_free_model_hooks()


def _no_lora(name: str, reporter: Reporter) -> Path:
    raise UserError(f"`lora` is {name!r}; the host hasn't set that one up.")


def arguments(pipe: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Return those of ``given`` that the pipeline's ``__call__`` takes and that aren't None."""
    names = inspect.signature(type(pipe).__call__).parameters
    return {name: value for name, value in given.items() if name in names and value is not None}
