"""One image model in memory: the three pipelines of its family over the same weights, its noise schedulers,
its place on the device."""

from __future__ import annotations

import copy
import hashlib
import inspect
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import torch

from core.errors import ModelError, UserError, first_line
from vision.engine import cache
from vision.engine.denoiser import Denoiser, denoiser_attribute, evaluate_now
from vision.engine.priority_lock import PriorityLock
from vision.families import Family, Mode
from vision.image_model import compiled, ip_adapter, seamless, tiny_vae
from vision.image_model.ip_adapter import Adapter
from vision.image_model.latent_preview import LatentMap
from vision.image_model.loras import Loras
from vision.image_model.text_cache import Texts
from vision.image_model.tiny_vae import TinyDecoder
from vision.reporter import Reporter
from vision.weights import config_files, contents, identify
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


class ImageModel:
    """Weights once, a pipeline for each mode over them. decoder: held by whoever uses the VAE. texts: lately
    encoded.

    Everything but the decoder is for one thread only.
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
    ) -> None:
        self.name, self.family, self.card, self.device, self.offload = name, family, card, device, offload
        self.identity = identity  # where the weights came from, and their files' sizes and times
        self._base, self._pipes, self._active = base, {}, None
        self._own_scheduler = base.scheduler
        self._schedulers: dict[str | None, Any] = {}  # by sampler, None = its own; never used themselves
        self._latent_map: LatentMap | None = None
        self._ring: Any = None
        self.adapter: Adapter | None = None
        self.tiny: TinyDecoder | None = None
        self.compiled: Any = None
        self._adapted: tuple[Path, int] | None = None
        self.decoder, self.texts = PriorityLock(), Texts()
        self.loras = Loras(base, name, find_lora or _no_lora)
        base.set_progress_bar_config(disable=True)
        self._pipes[
            next((mode for mode in Mode if family.pipeline(mode) == type(base).__name__), Mode.TEXT)
        ] = base

    def has(self, mode: Mode) -> bool:
        """Whether the family has a pipeline for ``mode`` and these weights fit it."""
        try:
            return self.pipeline(mode) is not None
        except ModelError:
            return False

    def pipeline(self, mode: Mode) -> Any:
        """The pipeline for ``mode``, on its device. ModelError when this model has none."""
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
        if name is None:
            raise ModelError(f"{self.name} can't do {mode}.")
        cls = getattr(diffusers, name)
        try:
            pipe = cls.from_pipe(self._base) if name.startswith("AutoPipeline") else cls(**self._parts(cls))
        except ValueError as error:
            raise ModelError(f"{self.name} can't do {mode}.") from error
        pipe.set_progress_bar_config(disable=True)
        return pipe

    def _parts(self, cls: type) -> dict[str, Any]:
        """What ``cls`` is built from, out of the pipeline we have. ``cls.from_pipe`` would cast to float32,
        and refuse a tiny decoder."""
        have = {**self._base.config, **self._base.components}
        return {name: have[name] for name in inspect.signature(cls.__init__).parameters if name in have}

    def takes_sampler(self, sampler: str) -> bool:
        """Flow models keep the scheduler they came with; it is an Euler one."""
        return self.card.samplers == "any" or sampler == "euler"

    def scheduler(self, sampler: str | None) -> Any:
        """A fresh noise scheduler: state never passes from one job to the next."""
        sampler = sampler or self.card.sampler
        sampler = sampler if self.card.samplers == "any" else None
        if sampler not in self._schedulers:
            kind, extra = type(self._own_scheduler), {}
            if sampler is not None:
                name, extra = SCHEDULERS[sampler]
                kind = getattr(diffusers, name)
            self._schedulers[sampler] = kind.from_config(self._own_scheduler.config, **extra)
        return copy.deepcopy(self._schedulers[sampler])  # in a fifth of the time that it takes to make one

    @property
    def remembers(self) -> bool:
        """Whether a step depends on more than latents, scheduler and generators; then no checkpoint brings a
        job back to the same bits."""
        name = denoiser_attribute(self._base)
        return name is not None and cache.is_on(getattr(self._base, name))

    @property
    def shares_steps(self) -> bool:
        """Whether its jobs may stand still between two steps; else each is one whole call. Offloaded weights
        move around within a call."""
        return self.family.shares_steps and self.offload == "none"

    @property
    def weighs(self) -> bool:
        """Whether its texts can be weighed against each other, and may be of any length or come with
        noise."""
        return self.family.encode is not None

    def ring(self) -> Any:
        """The UNet's twin for ``--tile``; all such jobs share it, and so their steps."""
        if (
            self._ring is None or self._ring[0] != self.loras.version
        ):  # a LoRA puts other layers into the UNet
            self._ring = self.loras.version, seamless.circular(self._base.unet)
        return self._ring[1]

    def lay_adapter(self, folder: Path) -> None:
        """An IP-Adapter from ``folder`` over this model, where that fits; again when LoRAs have changed its
        layers."""
        if self.family.adapts and self.offload == "none" and self._adapted != (folder, self.loras.version):
            self._adapted, self.adapter = (
                (folder, self.loras.version),
                ip_adapter.lay(self._base, folder, self.name),
            )

    def lay_tiny(self, folder: Path) -> None:
        """A decoder for drafts from ``folder``. ModelError when it doesn't fit."""
        if self.family.unpack is None:
            raise ModelError(f"{self.name} decodes its pictures itself.")
        self.tiny = tiny_vae.load(folder, self._base, self.device, self._base.dtype)

    @torch.no_grad()
    def compile(self) -> None:
        """A compiled twin of the denoiser for jobs that use the plain one without LoRAs. Drawn in here, so
        that nobody's steps wait for compiling.

        Where it can't be done, a line in the log says so.
        """
        if not self.shares_steps or self.remembers:
            log.warning(
                "%s isn't compiled: offloaded weights, unknown families and First-Block-Cache go without",
                self.name,
            )
            return
        start = time.monotonic()
        try:
            self.compiled = twin = compiled.twin(
                getattr(self._base, denoiser_attribute(self._base)), self._uncompile
            )
            for count in compiled.ROWS:
                self._draw_in(twin, count)
        except Exception as error:  # nothing here is worth a model
            log.warning("%s isn't compiled: %s", self.name, first_line(error))
            self.compiled = None
        if self.compiled is not None:
            log.info("%s compiled in %.1f s", self.name, time.monotonic() - start)

    def _uncompile(self) -> None:
        self.compiled = None

    def _draw_in(self, module: Any, count: int) -> None:
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
        """What evaluates the steps of ``pipe``, a job's own with ``loras``, and its label: the compiled twin
        where nothing speaks against it."""
        own = getattr(pipe, denoiser_attribute(pipe))
        if self.compiled is None or loras or own is not getattr(self._base, denoiser_attribute(self._base)):
            return own, self.label
        return self.compiled, f"{self.label} compiled"

    def guided(self, guidance_scale: float) -> bool:
        """Whether a negative prompt acts."""
        return self.card.negative == "true_cfg" or (self.card.negative == "prompt" and guidance_scale > 1)

    @property
    def label(self) -> str:
        """Of everything that the duration of a step depends on besides its shape."""
        weights = hashlib.sha256(self.identity.encode()).hexdigest()[:12]
        return f"{self.name} {weights} {self._base.dtype} {self.device} {torch.get_num_threads()}"

    def prompt_limit(self, prompt: str) -> int | None:
        """Tokens the text encoder reads, if ``prompt`` is longer and what follows is lost; else None.
        CLIP-only models."""
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
        """Linear latents → RGB for previews, fitted to this model's decoder at first use; None while that is
        somebody else's."""
        if self._latent_map is None and self.decoder.try_acquire():
            try:
                self._latent_map = LatentMap.fit(self._base.vae, self.device)
            finally:
                self.decoder.release()
        return self._latent_map

    def shrink(self) -> None:
        """Use less memory from now on, at the price of speed: weights stay on the CPU between uses."""
        if self.device != "cpu" and self.offload == "none":
            self.offload, self._active = "model", None

    def free_hooks(self) -> None:
        """After a call that was left by an exception: diffusers puts offloaded weights back only at a normal
        end."""
        if self.offload == "model":
            self._base.maybe_free_model_hooks()


def _no_lora(name: str, reporter: Reporter) -> Path:
    raise UserError(f"`lora` is {name!r}; the host hasn't set that one up.")


def arguments(pipe: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Those of ``given`` that this pipeline's call names and that aren't None."""
    names = inspect.signature(type(pipe).__call__).parameters
    return {name: value for name, value in given.items() if name in names and value is not None}


def load(
    path: Path,
    name: str,
    *,
    device: str,
    dtype: torch.dtype,
    offload: str,
    offline: bool,
    report: Callable[[float], None],
    find_lora: FindLora | None = None,
) -> ImageModel:
    """Load folder or single file ``path``. ModelError with a sentence when its contents don't fit
    together."""
    family, card = identify.family_and_card(path)
    common = {"dtype": dtype, "local_files_only": True}
    try:
        if path.is_dir():
            contents.check_folder(path)
            base = _class(family, path).from_pretrained(
                path, use_safetensors=True, variant=contents.variant(path), trust_remote_code=False, **common
            )
        else:
            config = contents.config_folder(path)
            common["local_files_only"] = offline or config is not None
            cls = getattr(diffusers, family.text)
            if not hasattr(cls, "from_single_file"):
                raise ModelError(
                    f"{family.title} can't be loaded from one file; name its folder or its Hugging Face id."
                )
            base = cls.from_single_file(str(path), config=str(config) if config else None, **common)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError) as error:
        if "out of memory" in str(error).lower():
            raise
        log.exception("%s doesn't load", name)
        raise ModelError(f"{name} doesn't load: {first_line(error)}") from error
    report(0.9)
    _place(base, device, offload)
    if card.cache_threshold and not cache.enable(
        getattr(base, denoiser_attribute(base) or "", None), card.cache_threshold
    ):
        log.warning("%s: its denoiser takes no cache; cache_threshold has no effect", name)
    return ImageModel(name, family, card, base, device, offload, contents.identity(path), find_lora)


def _class(family: Family, folder: Path) -> Any:
    """The text-to-image class; for a UNet made for masks (9 channels in) the inpainting one."""
    masks = config_files.read_json(folder / "unet" / "config.json").get("in_channels") == 9
    return getattr(diffusers, family.inpaint if masks else family.text)


def _place(pipe: Any, device: str, offload: str) -> None:
    if offload == "sequential":
        pipe.enable_sequential_cpu_offload(device=device)
    elif offload == "none":
        pipe.to(device)
