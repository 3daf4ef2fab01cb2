"""What training a LoRA means for each family: how pictures and captions are encoded, and the loss of a step.

After diffusers' examples: train_dreambooth_lora.py (Stable Diffusion), train_dreambooth_lora_sdxl.py,
train_dreambooth_lora_flux.py, train_dreambooth_lora_flux2_klein.py and train_dreambooth_lora_z_image.py; ours
draw their random numbers from a generator of each step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler, FlowMatchEulerDiscreteScheduler, Flux2KleinPipeline, FluxPipeline

from core.errors import UserError
from vision.diffusion.model import ImageModel
from vision.families import FAMILIES, Mode
from vision.lora_training.config import Layers

Texts = dict[str, torch.Tensor]
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
OTHERS = ("ff.net.0.proj", "ff.net.2", "proj_in", "proj_out", "conv1", "conv2", "conv_shortcut")
ANY = "|".join([*ATTENTION, *OTHERS, "conv", "time_emb_proj"])
FLUX_ATTENTION = (
    *(f"attn.{name}" for name in ("to_q", "to_k", "to_v", "to_out.0")),
    *(f"attn.{name}" for name in ("add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")),
    *("ff.net.0.proj", "ff.net.2", "ff_context.net.0.proj", "ff_context.net.2"),
)


@dataclass(frozen=True)
class Crop:
    """What of a picture is trained on. original: its (height, width), px. top, left: of the square, px at the
    size to which its shorter side was brought."""

    original: tuple[int, int]
    top: int = 0
    left: int = 0


@dataclass(frozen=True)
class Row:
    """A picture and its caption as the denoiser takes them, on the CPU. mean, std: of its latents (1, C, h,
    w), scaled. texts: of its caption."""

    mean: torch.Tensor
    std: torch.Tensor
    texts: Texts
    crop: Crop


def encoded(vae: Any, pixels: torch.Tensor, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and deviation of the latents of ``pixels`` (1, 3, H, W), -1..1, as the denoiser knows them,
    on the CPU. device: that the VAE works on, which it may visit only for that time."""
    config, made = vae.config, vae.encode(pixels.to(device, vae.dtype))
    mean, std = (
        (made.latent_dist.mean, made.latent_dist.std)
        if hasattr(made, "latent_dist")
        else (made.latents, torch.zeros_like(made.latents))
    )
    mean, std = mean.float().cpu(), std.float().cpu()
    if hasattr(vae, "bn"):  # FLUX.2: 2×2 patches, normalised by what the decoder saw in its training
        average = vae.bn.running_mean.float().cpu().view(1, -1, 1, 1)
        deviation = (vae.bn.running_var.float().cpu().view(1, -1, 1, 1) + config.batch_norm_eps).sqrt()
        mean, std = (Flux2KleinPipeline._patchify_latents(value) for value in (mean, std))
        return (mean - average) / deviation, std / deviation
    scale = config.scaling_factor
    middle, spread = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
    if middle is not None and spread is not None:
        shift, by = mean.new_tensor(middle).view(1, -1, 1, 1), mean.new_tensor(spread).view(1, -1, 1, 1)
        return (mean - shift) * scale / by, std * scale / by
    return (mean - (getattr(config, "shift_factor", None) or 0.0)) * scale, std * scale


class Diffusion:
    """Stable Diffusion 1.x, 2.x: the noise or the velocity is predicted, by the model's own schedule. part:
    of the pipeline, that learns. is_guided: whether it draws by the difference that the prompt makes
    (classifier-free guidance, arXiv:2207.12598)."""

    part, is_guided = "unet", True

    def targets(self, layers: Layers, module: Any) -> list[str] | str:
        """Return the ends of the names of the layers of ``module`` that learn, or a regular expression for
        them. The fine ones are those of the way up's last block, and of the one before without its attention,
        which has a say in what stands where; after B-LoRA (arXiv:2403.14572), which found a picture's look in
        such a block."""
        if layers == "fine":
            last = len(module.up_blocks) - 1
            before = rf"up_blocks\.{last - 1}\.(resnets|upsamplers)"
            return rf"(up_blocks\.{last}|{before})\..*\.({ANY})|conv_out"
        return [*ATTENTION, *(OTHERS if layers == "all" else ())]

    def texts(self, pipe: Any, caption: str) -> Texts:
        """Return what the text encoders make of a caption, one row each."""
        return {"encoder_hidden_states": pipe.encode_prompt(caption, pipe.unet.device, 1, False)[0].cpu()}

    def conditions(self, rows: Sequence[Row], texts: Texts, side: int) -> dict[str, Any]:
        """Return what the UNet is told besides noise, time and words."""
        return {}

    def schedule(self, scheduler: Any) -> Any:
        """Return the noise schedule of the training, by that of the model that is trained."""
        return DDPMScheduler.from_config(scheduler.config)

    def loss(
        self, unet: Any, schedule: Any, rows: Sequence[Row], side: int, generator: torch.Generator
    ) -> torch.Tensor:
        """Return the mean loss of a step. side: of the pictures, px."""
        latents, noise = _drawn(rows, generator)
        times = torch.randint(0, schedule.config.num_train_timesteps, (len(rows),), generator=generator)
        noisy = schedule.add_noise(latents, noise, times)
        target = _target(schedule, latents, noise, times)
        texts = _joined([row.texts for row in rows], unet)
        told = self.conditions(rows, texts, side)
        predicted = unet(
            noisy.to(unet.device, unet.dtype),
            times.to(unet.device),
            texts["encoder_hidden_states"],
            return_dict=False,
            **told,
        )[0]
        return _error(predicted, target)


class DiffusionXL(Diffusion):
    """SDXL: two texts, and the size and place of what is seen (arXiv:2307.01952, 2.2)."""

    def texts(self, pipe: Any, caption: str) -> Texts:
        made = pipe.encode_prompt(
            caption, device=pipe.unet.device, num_images_per_prompt=1, do_classifier_free_guidance=False
        )
        return {"encoder_hidden_states": made[0].cpu(), "text_embeds": made[2].cpu()}

    def conditions(self, rows: Sequence[Row], texts: Texts, side: int) -> dict[str, Any]:
        pooled = texts["text_embeds"]
        ids = [[*row.crop.original, row.crop.top, row.crop.left, side, side] for row in rows]
        return {"added_cond_kwargs": {"text_embeds": pooled, "time_ids": pooled.new_tensor(ids)}}


class Flow:
    """FLUX.1: the direction from picture to noise is predicted, all noise levels alike."""

    part, is_guided = "transformer", False  # guidance is an input of FLUX.1
    draws_latents = True  # from the encoder's distribution, else its middle is taken

    def targets(self, layers: Layers, module: Any) -> list[str] | str:
        """See Diffusion: those of diffusers' example, in each case."""
        return list(FLUX_ATTENTION)

    def texts(self, pipe: Any, caption: str) -> Texts:
        """See Diffusion."""
        words, pooled, ids = pipe.encode_prompt(caption, None, device=pipe.transformer.device)
        return {"words": words.cpu(), "pooled": pooled.cpu(), "ids": ids.cpu()[None]}

    def schedule(self, scheduler: Any) -> Any:
        """See Diffusion."""
        return FlowMatchEulerDiscreteScheduler.from_config(scheduler.config)

    def loss(
        self, module: Any, schedule: Any, rows: Sequence[Row], side: int, generator: torch.Generator
    ) -> torch.Tensor:
        """See Diffusion."""
        latents, noise = _drawn(rows, generator, self.draws_latents)
        places = torch.randint(0, schedule.config.num_train_timesteps, (len(rows),), generator=generator)
        sigmas = schedule.sigmas[places].view(-1, 1, 1, 1)
        noisy, target = (1.0 - sigmas) * latents + sigmas * noise, noise - latents
        times = schedule.timesteps[places] / schedule.config.num_train_timesteps
        noisy = noisy.to(module.device, module.dtype)
        return _error(self.predicted(module, noisy, times.to(module.device), rows), target)

    def predicted(
        self, module: Any, noisy: torch.Tensor, times: torch.Tensor, rows: Sequence[Row]
    ) -> torch.Tensor:
        """Return the predicted direction (B, C, h, w). noisy: the latents. times: of each, 1 = pure noise."""
        count, _, height, width = noisy.shape
        texts = _joined([row.texts for row in rows], module)
        ids = FluxPipeline._prepare_latent_image_ids(
            count, height // 2, width // 2, module.device, module.dtype
        )
        guidance = torch.ones(count, device=module.device) if module.config.guidance_embeds else None
        made = module(
            hidden_states=FluxPipeline._pack_latents(noisy, *noisy.shape),
            timestep=times.to(module.dtype),
            guidance=guidance,
            pooled_projections=texts["pooled"],
            encoder_hidden_states=texts["words"],
            txt_ids=texts["ids"][0],
            img_ids=ids,
            return_dict=False,
        )[0]
        return FluxPipeline._unpack_latents(made, height * 8, width * 8, 8)


class Klein(Flow):
    """FLUX.2 klein: tokens of a language model, 2×2 patches with places in time, height and width."""

    draws_latents = False

    def targets(self, layers: Layers, module: Any) -> list[str] | str:
        single = [
            f"single_transformer_blocks.{i}.attn.to_out" for i in range(len(module.single_transformer_blocks))
        ]
        return [*ATTENTION, "to_qkv_mlp_proj", *single]

    def texts(self, pipe: Any, caption: str) -> Texts:
        words, ids = pipe.encode_prompt(caption)
        return {"words": words.cpu(), "ids": ids.cpu()}

    def predicted(
        self, module: Any, noisy: torch.Tensor, times: torch.Tensor, rows: Sequence[Row]
    ) -> torch.Tensor:
        texts = _joined([row.texts for row in rows], module)
        made = module(
            hidden_states=Flux2KleinPipeline._pack_latents(noisy),
            timestep=times,
            guidance=torch.ones(len(rows), device=module.device) if module.config.guidance_embeds else None,
            encoder_hidden_states=texts["words"],
            txt_ids=texts["ids"],
            img_ids=Flux2KleinPipeline._prepare_latent_ids(noisy).to(module.device),
            return_dict=False,
        )[0]
        return made.transpose(1, 2).reshape(noisy.shape)  # (B, h·w, C) → (B, C, h, w)


class ZImage(Flow):
    """Z-Image: a list of pictures and one of texts, each of its own length; time runs from noise to picture,
    and so does the predicted direction."""

    draws_latents = False

    def targets(self, layers: Layers, module: Any) -> list[str] | str:
        return list(ATTENTION)

    def texts(self, pipe: Any, caption: str) -> Texts:
        return {"words": pipe.encode_prompt(caption, do_classifier_free_guidance=False)[0][0].cpu()}

    def predicted(
        self, module: Any, noisy: torch.Tensor, times: torch.Tensor, rows: Sequence[Row]
    ) -> torch.Tensor:
        words = [row.texts["words"].to(module.device, module.dtype) for row in rows]
        made = module(list(noisy.unsqueeze(2).unbind(0)), 1.0 - times, words, return_dict=False)[0]
        return -torch.stack(made).squeeze(2)


Recipe = Diffusion | Flow  # how one family is trained
RECIPES: Mapping[str, Recipe] = {
    "stable-diffusion": Diffusion(),
    "stable-diffusion-xl": DiffusionXL(),
    "flux": Flow(),
    "flux2-klein": Klein(),
    "z-image": ZImage(),
}


def recipe_of(model: ImageModel) -> Recipe:
    """Return the recipe for a model. Raises UserError for one that can't be trained here."""
    name, pipe = model.family.name, model.pipeline(Mode.TEXT)
    if name not in RECIPES:
        *titles, last = [family.title for family in FAMILIES if family.name in RECIPES]
        raise UserError(
            f"{model.name} ({model.family.title}) can't learn styles; {', '.join(titles)} and {last} can."
        )
    recipe = RECIPES[name]
    module = pipe.components[recipe.part]
    if module.dtype not in (torch.float32, torch.bfloat16):
        raise UserError(
            f"{model.name} is held in {str(module.dtype).removeprefix('torch.')}; styles are trained in"
            " float32 or bfloat16."
        )
    if model.card.base:
        return recipe  # another model is trained, and this one draws however it is held
    if model.offload != "none":
        raise UserError(f"{model.name} doesn't fit on this device as a whole, so it can't learn styles.")
    quantizer = getattr(module, "hf_quantizer", None)
    if quantizer is not None and not quantizer.is_trainable:
        raise UserError(
            f"{model.name} is quantised in a way that can't learn styles ({type(quantizer).__name__})."
        )
    return recipe


def _drawn(
    rows: Sequence[Row], generator: torch.Generator, draws: bool = True
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return latents and noise: (B, C, h, w) each. draws: samples of latents, else means."""
    mean, std = torch.cat([row.mean for row in rows]), torch.cat([row.std for row in rows])
    if not draws:
        return mean, torch.randn(mean.shape, generator=generator)
    latents = mean + std * torch.randn(mean.shape, generator=generator)
    return latents, torch.randn(mean.shape, generator=generator)


def _target(schedule: Any, latents: torch.Tensor, noise: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
    kind = schedule.config.prediction_type
    if kind == "epsilon":
        return noise
    if kind == "v_prediction":
        return schedule.get_velocity(latents, noise, times)
    raise UserError(f"This model predicts {kind!r}; styles are trained where noise or velocity is predicted.")


def _joined(texts: Sequence[Texts], module: Any) -> Texts:
    return {
        name: torch.cat([one[name] for one in texts]).to(module.device, module.dtype) for name in texts[0]
    }


def _error(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return F.mse_loss(predicted.float(), target.to(predicted.device).float())
