"""Holds one image model in memory: the pipelines of its family over the same weights, its noise schedulers,
its place on the device, a compiled copy of its denoiser, the texts that it encoded lately, and what decodes
its latents, also where memory is short or half precision overflows."""

import copy
import functools
import hashlib
import inspect
import logging
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import diffusers
import torch
from cachetools import LRUCache, cached
from PIL import Image

from core.errors import AtelierError, ModelError, UserError, first_line
from vision import devices
from vision.diffusion import seamless
from vision.diffusion import vae as tiny_vae
from vision.diffusion.adapters import ControlledUNet, ControlNet, IPAdapter, attach_folder
from vision.diffusion.loras import Loras
from vision.engine import denoiser, layouts
from vision.engine.denoiser import Denoiser, denoiser_attribute, denoiser_of, evaluate_now
from vision.engine.fiber import PriorityLock
from vision.families import Family, Mode, editing
from vision.images import encode
from vision.images.upscaler import Upscaler
from vision.reporter import Reporter
from vision.weights.card import Card

# of torch.compile: other numbers of rows and other sizes aren't compiled again …
OPTIONS: dict[str, Any] = {"dynamic": True}
ROWS = (1, 2)  # … but for a size of 1, which torch always takes for itself
VARIANTS = 64  # of one block's code: each width of a UNet's blocks, in each model, is one


def wants_compiling(setting: str, device: str) -> bool:
    """Return whether the host's setting COMPILE asks for compilation on ``device``."""
    return setting == "on" or (setting == "auto" and device.startswith("cuda"))


def compiled_copy(module: torch.nn.Module, on_failure: Callable[[], None]) -> torch.nn.Module:
    """Return a copy of ``module`` over the same tensors, compiled at its first passes. If a pass fails to
    compile, the copy evaluates ``module`` from then on, logs why, and calls ``on_failure``. Raises ValueError
    where diffusers names no blocks that repeat."""
    torch._dynamo.config.recompile_limit = VARIANTS
    # sizes that are equal by chance are no rule (diffusers' docs, optimization/fp16)
    torch.fx.experimental._config.use_duck_shape = False
    # as peft sets it with the first LoRA, after which all would be compiled again
    made: Any = devices.shared_weights_copy(module.requires_grad_(False))
    layouts.unpack(made)
    made.compile_repeated_blocks(**OPTIONS)
    compiled = made.forward

    def forward(**kwargs: Any) -> Any:
        try:
            own = {}
            for name, value in kwargs.items():  # for views of tensors torch compiles again
                is_view = isinstance(value, torch.Tensor) and value._base is not None
                own[name] = value.clone() if is_view else value
            return compiled(**own)
        except Exception as error:
            if devices.is_out_of_memory(error) or devices.is_sticky(error):
                raise
            problem = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        output = module(**kwargs)  # raises again where compiling isn't at fault
        log.warning("%s continues uncompiled: %s", type(module).__name__, problem)
        made.forward = module.forward
        on_failure()
        return output

    made.forward = forward
    return made


MAX_BYTES = 128 * 2**20  # kept for one model
PLAIN = (str, int, float, bool, type(None), torch.device, torch.dtype)


class TextCache:
    """The last results of one model's encoders, up to ``max_bytes``. Nobody may change them in place."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._kept = LRUCache[tuple[str, str], Any](max_bytes, getsizeof=_size)

    def cached(self, encode: Callable[..., Any], name: str) -> Callable[..., Any]:
        """Return a function like ``encode`` that computes each result once. Calls with tensors aren't cached:
        those are embeddings already. name: keeps apart what different encoders make of the same arguments."""

        def key(*args: Any, **kwargs: Any) -> tuple[str, str]:
            return name, repr((args, sorted(kwargs.items())))

        kept = cached(self._kept, key)(encode)

        @functools.wraps(encode)
        def cached_encode(*args: Any, **kwargs: Any) -> Any:
            return (kept if _is_plain([args, kwargs]) else encode)(*args, **kwargs)

        return cached_encode


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    return isinstance(value, PLAIN)


def _size(made: Any) -> int:
    """The bytes of the tensors in an encoder's result."""
    if isinstance(made, torch.Tensor):
        return made.numel() * made.element_size()
    return sum(map(_size, made)) if isinstance(made, (list, tuple)) else 0


FindLora = Callable[[str, Reporter], Path]


def no_lora(name: str, reporter: Reporter) -> Path:
    """Raise UserError: the host has set up none."""
    raise UserError(f"`lora` is {name!r}; the operator hasn't set that one up.")


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
    """One set of weights, and a pipeline for each mode over it. decoder_lock: held by whoever uses the VAE.
    text_cache: texts encoded lately. Not thread-safe, except the decoder."""

    def __init__(
        self,
        name: str,
        family: Family,
        card: Card,
        base: Any,
        device: str,
        offload: str,
        identity: str = "",
        find_lora: FindLora = no_lora,
        upscaler: Upscaler | None = None,
    ) -> None:
        self._upscaler = upscaler
        self.name, self.family, self.card, self.device, self.offload = name, family, card, device, offload
        self._planned, self._moved = offload, 0  # how it is held usually; bytes of weights that are off
        self.identity = identity  # where the weights came from, and their files' sizes and times
        self._base, self._pipes = base, dict[Mode, Any]()
        self._active: Mode | None = None
        self._own_scheduler = base.scheduler
        self._schedulers: dict[str | None, Any] = {}  # by sampler, None = its own; never used themselves
        self._latent_map: tiny_vae.LatentMap | None = None
        self._circular_unet: Any = None
        self.adapter: IPAdapter | None = None
        self.controlnet: ControlNet | None = None
        self.tiny_decoder: tiny_vae.TinyDecoder | None = None
        self.compiled: Any = None
        self._adapted: tuple[Path, int] | None = None
        self._controlled: Path | None = None
        self.decoder_lock, self.text_cache = PriorityLock(), TextCache()
        self.loras = Loras(base, name, find_lora, family.other_rows)
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
            # hooks sit on the shared weights: the last pipeline has them
            visit_in_turn(pipe, self.device)
        self._active = mode
        return pipe

    @property
    def takes_several(self) -> bool:
        """Whether a change by words may be shown several pictures."""
        return type(self.pipeline(Mode.EDIT)).__name__ in self.family.several

    def _sibling(self, mode: Mode) -> Any:
        name = self.family.pipeline(mode)
        is_flow = isinstance(self._own_scheduler, diffusers.FlowMatchEulerDiscreteScheduler)
        if self.begins_at_latents(mode) and not is_flow:
            name = None  # how much noise that is isn't known
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
            if name.startswith("AutoPipeline"):
                pipe = cls.from_pipe(self._base)
            else:  # which would cast to float32, and refuse a tiny decoder
                have = {**self._base.config, **self._base.components}
                taken = inspect.signature(cls.__init__).parameters
                pipe = cls(**{part: have[part] for part in taken if part in have})
        except ValueError as error:
            raise ModelError(f"{self.name} can't do {mode}.") from error
        pipe.set_progress_bar_config(disable=True)
        return pipe

    def enlarged(self, image: Image.Image, seamless: bool = False) -> Image.Image:
        """Return a decoded picture at the card's output scale: by the model's own upscaler if it brings one.
        seamless: opposite edges meet."""
        if self._upscaler is not None:
            return self._upscaler.enlarge(image, seamless)
        return encode.enlarge(image, self.card.output_scale, seamless)

    def takes_sampler(self, sampler: str) -> bool:
        """Return whether ``sampler`` can be used. Flow models keep their own, Euler."""
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

    def starts_by_noise(self, mode: Mode) -> bool:
        """Return whether a picture to start from gets a share of noise that follows from the strength, and
        not as many of the steps; see FlowMatchFromShare."""
        if not isinstance(self._own_scheduler, diffusers.FlowMatchEulerDiscreteScheduler):
            return False
        taken = inspect.signature(type(self.pipeline(mode)).__call__).parameters.keys()
        return self.begins_at_latents(mode) or {"sigmas", "strength"} <= taken

    def begins_at_latents(self, mode: Mode) -> bool:
        """Return whether a picture, and a mask, are given to the pipeline from words as latents."""
        return self.family.pack is not None and mode in (Mode.IMAGE, Mode.INPAINT)

    def calm_sampler(self) -> str | None:
        """Return the sampler for frames of a video: the model's own, without the noise that some add in each
        step, since what comes of that differs from frame to frame. None = its own adds none."""
        scheduler = self.scheduler(None)
        if str(scheduler.config.get("algorithm_type", "")).startswith("sde-"):
            return "dpm++"
        return CALM.get(type(scheduler).__name__)

    @property
    def has_step_memory(self) -> bool:
        """Whether a step depends on more than latents, scheduler and generators; then no checkpoint can
        reproduce a job bit for bit."""
        return denoiser.is_on(denoiser_of(self._base))

    @property
    def shares_steps(self) -> bool:
        """Whether its jobs may wait between two steps, else each is one whole call: parts that are moved stay
        where they are for a whole call, layers for a pass."""
        return self.family.shares_steps and self.offload != "model"

    @property
    def supports_weights(self) -> bool:
        """Whether its texts can have weights, be of any length, and be mixed with noise."""
        return self.family.encode is not None

    @property
    def supports_chaos(self) -> bool:
        """Whether its texts can become others from step to step, too."""
        taken = getattr(type(self._base), "_callback_tensor_inputs", ())
        return self.supports_weights and self.family.calls_back and "prompt_embeds" in taken

    def circular_unet(self) -> Any:
        """Return the copy of the UNet for seamless pictures. All such jobs share it, and so their passes."""
        # a LoRA puts other layers into the UNet
        if self._circular_unet is None or self._circular_unet[0] != self.loras.version:
            self._circular_unet = self.loras.version, seamless.circular_copy(self._base.unet)
        return self._circular_unet[1]

    def attach_adapter(self, folder: Path) -> None:
        """Attach the IP-Adapter in ``folder``, where it fits; again when LoRAs have changed the layers."""
        if self.family.adapts and self.offload == "none" and self._adapted != (folder, self.loras.version):
            self._adapted = folder, self.loras.version
            without = f"{self.name} draws without IP-Adapter"
            self.adapter = attach_folder(IPAdapter, self._base, folder, without)

    def attach_controlnet(self, folder: Path) -> None:
        """Attach the ControlNet in ``folder``, where it fits."""
        if self.family.adapts and self.offload == "none" and self._controlled != folder:
            self._controlled = folder
            without = f"{self.name} keeps structure without ControlNet"
            self.controlnet = attach_folder(ControlNet, self._base, folder, without)

    def attach_tiny_decoder(self, folder: Path) -> None:
        """Attach a decoder for drafts from ``folder``. Raises ModelError when it doesn't fit."""
        if self.family.unpack is None:
            raise ModelError(f"{self.name} decodes its pictures itself.")
        self.tiny_decoder = tiny_vae.load_tiny_decoder(folder, self._base, self.device, self._base.dtype)

    @torch.no_grad()
    def compile(self) -> None:
        """Compile a copy of the denoiser, for jobs without LoRAs that don't change it, and warm it up, so
        that no job's steps wait for compiling. Where that fails, a line in the log says so."""
        if not self.family.shares_steps or self.offload != "none" or self.has_step_memory:
            log.warning(
                "%s isn't compiled: offloaded weights, unknown families and First-Block-Cache go without",
                self.name,
            )
            return
        start = time.monotonic()
        try:
            uncompile = partial(setattr, self, "compiled", None)
            self.compiled = copied = compiled_copy(denoiser_of(self._base), uncompile)
            for count in ROWS:
                self._warm_up(copied, count)
        except Exception as error:  # nothing here is worth a model
            log.warning("%s isn't compiled: %s", self.name, first_line(error))
            self.compiled = None
        if self.compiled is not None:
            log.info("%s compiled in %.1f s", self.name, time.monotonic() - start)

    def _warm_up(self, module: Any, count: int) -> None:
        pipe, side = copy.copy(self.pipeline(Mode.TEXT)), self.card.native_size
        pipe.scheduler = self.scheduler(None)
        vars(pipe)[denoiser_attribute(pipe)] = Denoiser(module, evaluate_now)
        given: dict[str, Any] = {"num_inference_steps": 2, "guidance_scale": 1.0}
        given |= {"num_images_per_prompt": count}
        given |= {"prompt": "a", "width": side, "height": side, "output_type": "latent"}
        given |= self.family.extra or {}
        pipe(**arguments(pipe, given))

    def denoiser(self, pipe: Any, loras: Any) -> tuple[Any, str]:
        """Return the module that evaluates the steps of a job's ``pipe`` with ``loras``, and its label: the
        compiled copy, if the job changes nothing in the denoiser."""
        own = denoiser_of(pipe)
        if isinstance(own, ControlledUNet):
            return own, f"{self.label} controlled"
        if self.compiled is None or loras or own is not denoiser_of(self._base):
            return own, self.label
        return self.compiled, f"{self.label} compiled"

    @property
    def label(self) -> str:
        """Key under which step durations are kept: everything they depend on but the shape."""
        weights = hashlib.sha256(self.identity.encode()).hexdigest()[:12]
        moves = " group" if self.offload == "group" else ""
        return f"{self.name} {weights} {self._base.dtype} {self.device} {torch.get_num_threads()}{moves}"

    def prompt_limit(self, prompt: str) -> int | None:
        """Return how many tokens the text encoder reads, if ``prompt`` has more, which would be ignored; else
        None. The encoder that reads furthest comes last."""
        parts = {name: part for name, part in self._base.components.items() if part is not None}
        tokenizers = [parts[name] for name in sorted(parts) if name.startswith("tokenizer")]
        if not tokenizers:
            return None
        tokenizer, limit = tokenizers[-1], self.family.text_tokens
        if type(tokenizer).__name__.startswith("CLIP"):
            limit = tokenizer.model_max_length
        if limit is None or len(tokenizer(prompt, truncation=False, verbose=False).input_ids) <= limit:
            return None
        return limit

    @property
    def latent_map(self) -> tiny_vae.LatentMap | None:
        """The map from latents to RGB for previews, fitted to this model's decoder at first use; None while
        the decoder is in use."""
        if self._latent_map is None and self.decoder_lock.try_acquire():
            try:
                self._latent_map = tiny_vae.LatentMap.fit(self._base.vae, self.device)
            finally:
                self.decoder_lock.release()
        return self._latent_map

    def forget(self, names: Collection[str]) -> None:
        """Unload what was read of these files (SHA-256), which are deleted."""
        self.loras.forget(names)

    @contextmanager
    def by_parts(self) -> Iterator[None]:
        """Have each part on the device only while it works, inside the ``with`` block: for a picture that has
        no room beside the weights. Other jobs' steps must stand still meanwhile."""
        if self.device != "cpu" and self.offload == "none":
            log.warning("%s: its parts visit the device one by one for this picture", self.name)
            self._move_off()
        try:
            yield
        finally:
            self.put_back()

    def _move_off(self) -> None:
        """Move the weights to the host. The next ``pipeline`` brings each part to the device and back."""
        free, _ = devices.memory(self.device)
        self.offload, self._active = "model", None
        visit_in_turn(self._base, self.device)
        moved = devices.memory(self.device)[0] - free
        self._moved = max(self._moved, moved)  # less, if some were still off

    def put_back(self) -> None:
        """Bring weights that ``by_parts`` moved off back to the device. Where others have taken their place
        meanwhile they stay, until this is called again."""
        if self.offload == self._planned:
            return
        self.text_cache = TextCache()  # which may have taken just what is missing
        devices.release()
        if devices.memory(self.device)[0] < self._moved:
            return
        self._base.remove_all_hooks()
        try:
            self._base.to(self.device)
            self.offload, self._active = self._planned, None
        except Exception as error:
            if not devices.is_out_of_memory(error):
                raise
        if self.offload != self._planned:
            self._move_off()

    def free_hooks(self) -> None:
        """Put offloaded weights back after a call: diffusers does that only if no exception ends the call."""
        if self.offload == "model" and self._active is not None:
            self._pipes[self._active].maybe_free_model_hooks()


def visit_in_turn(pipe: Any, device: str) -> None:
    """Have each part of a pipeline on the device alone, only while it works. By diffusers' own way a part
    sends away the one before it: a decoder that has encoded a picture would stay beside the denoiser."""
    type(pipe).enable_model_cpu_offload(pipe, device=torch.device(device))
    pipe.enable_model_cpu_offload = lambda **_: visit_in_turn(pipe, device)  # as it does after each call
    order = [getattr(pipe, name, None) for name in pipe.model_cpu_offload_seq.split("->")]
    hooks = [hook for hook in pipe._all_hooks if any(hook.model is part for part in order)]
    for one in hooks:
        others = [other for other in hooks if other is not one]
        one.hook.pre_forward = partial(_bring, one.hook.pre_forward, others)


def _bring(bring: Callable[..., Any], others: list[Any], module: Any, *args: Any, **kwargs: Any) -> Any:
    for other in others:
        if next(other.model.parameters()).device.type != "cpu":
            other.offload()
    return bring(module, *args, **kwargs)


def least_steps(scheduler: Any) -> int:
    """Return how few steps a noise schedule can have: 2 where it is stretched to end at a given level, since
    a single step would be divided by its own distance from the start, 0."""
    return 2 if getattr(scheduler.config, "shift_terminal", None) else 1


def arguments(pipe: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Return those of ``given`` that the pipeline's ``__call__`` takes and that aren't None."""
    names = inspect.signature(type(pipe).__call__).parameters
    return {name: value for name, value in given.items() if name in names and value is not None}


class BlankPicture(AtelierError):
    """The decoder returned nothing but NaN or black, also in float32."""


@torch.no_grad()
def decode(
    model: ImageModel, pipe: Any, latents: torch.Tensor, is_seamless: bool = False
) -> tuple[Image.Image, bool]:
    """Decode (1, C, h, w) with the VAE of ``pipe``: the picture, and whether the model's safety checker
    objects. One picture at a time: less memory, and the same bits in any batch. is_seamless: opposite edges
    meet. Raises BlankPicture when no picture comes out."""
    vae, padded = pipe.vae, seamless.wrapped(latents) if is_seamless else latents
    if not latents.isfinite().all():
        raise BlankPicture(
            "The model lost itself in numbers that are none; another seed, sampler or fewer steps may help."
        )
    # SDXL's decoder overflows in float16
    upcast = vae.dtype == torch.float16 and getattr(vae.config, "force_upcast", False)
    decoded = _decode_as(vae, padded, torch.float32 if upcast else vae.dtype)
    if _is_blank(decoded) and not upcast and vae.dtype != torch.float32:
        log.warning("%s: a blank picture, decoding again in float32", model.name)
        decoded = _decode_as(vae, padded, torch.float32)
    if _is_blank(decoded):
        raise BlankPicture("The picture came out black; another seed or sampler may help.")
    if is_seamless:
        decoded = seamless.unwrapped(decoded, latents)
    flagged = False
    if getattr(pipe, "safety_checker", None) is not None:
        flagged = bool(pipe.run_safety_checker(decoded.clone(), pipe._execution_device, latents.dtype)[1][0])
    return Image.fromarray(tiny_vae.pixels_of(decoded)[0]), flagged


def _decode_as(vae: Any, latents: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """(1, C, h, w) → (1, 3, H, W), -1..1. If memory runs out, once more in tiles whose seams are blended, so
    that the steps aren't lost."""
    before = vae.dtype
    if dtype != before:
        vae.to(dtype)
    try:
        try:
            return tiny_vae.decode(vae, latents.to(dtype))
        except Exception as error:
            if not devices.is_out_of_memory(error) or not hasattr(vae, "enable_tiling"):
                raise
        log.warning("out of memory in the decoder, decoding in tiles")
        devices.release()
        with tiny_vae.tiled(vae):
            return tiny_vae.decode(vae, latents.to(dtype))
    finally:
        if dtype != before:
            vae.to(before)


def _is_blank(decoded: torch.Tensor) -> bool:
    return not bool(decoded.isfinite().all()) or bool((decoded <= -1 + 1 / 255).all())
