"""``python -m benchmarks --gpu``: full-size architectures with random weights on a GPU; ``--tiny``: the same
path on tiny twins, anywhere.

SD 1.5, SDXL and FLUX.1 have their real sizes: what speed needs, without anybody's weights. Sizes: the
configuration files of stable-diffusion-v1-5, stable-diffusion-xl-base-1.0 and FLUX.1-dev, as their diffusers
classes name them.
"""

from __future__ import annotations

import gc
import statistics
import time
from argparse import Namespace
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from benchmarks import report, serving
from benchmarks.measure import Chart, Figure, Result, check
from benchmarks.serving import Mix, at_once, poisson
from tests.support import tiny
from vision.diffusion.model import ImageModel
from vision.families import FAMILIES, Mode
from vision.weights import card as cards

NAMES = {"sd15": "stable-diffusion", "sdxl": "stable-diffusion-xl", "flux": "flux"}
SIDES = {"sd15": 512, "sdxl": 1024, "flux": 1024}  # px
CLIP = {
    "bos_token_id": 512,
    "eos_token_id": 513,
    "pad_token_id": 513,
    "max_position_embeddings": 77,
}  # ids of our small tokenizer
CLIP_L = {
    **CLIP,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "projection_dim": 768,
}
CLIP_BIG_G = {
    **CLIP,
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_attention_heads": 20,
    "num_hidden_layers": 32,
    "projection_dim": 1280,
    "hidden_act": "gelu",
}
KL = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
}


def image_model(name: str, device: str, dtype: torch.dtype, *, small: bool) -> ImageModel:
    """``name`` of NAMES on ``device``. small: the tests' tiny model of the same family."""
    family = next(family for family in FAMILIES if family.name == NAMES[name])
    base = tiny.IMAGE_MODELS[family.name]() if small else _assemble(name, dtype, device)
    card = cards.make_card(family, {}, tiny.CARD if small else {})
    return ImageModel(name, family, card, base.to(device, dtype), device, "none", name)


def _assemble(name: str, dtype: torch.dtype, device: str) -> Any:
    return {"sd15": sd15_pipeline, "sdxl": sdxl_pipeline, "flux": flux_pipeline}[name](
        lambda make: drawn(make, dtype, device)
    )


def drawn(make: Callable[[], nn.Module], dtype: torch.dtype, device: str, seed: int = 0) -> nn.Module:
    """What ``make`` builds, its weights drawn normal: matrices so that they keep a signal's size, norms
    around 1, biases small. None is zero."""
    with torch.device("meta"):
        module = make()
    module = module.to(dtype).to_empty(device=device).eval().requires_grad_(False)
    generator = torch.Generator(device).manual_seed(seed)
    for name, parameter in module.named_parameters():
        # a weight with one axis is a norm's
        spread, middle = (
            (parameter[0].numel() ** -0.5, 0.0)
            if parameter.ndim > 1
            else (0.02, float(name.endswith("weight")))
        )
        parameter.normal_(middle, spread, generator=generator)
    for name, buffer in module.named_buffers():
        if name.endswith("position_ids"):
            buffer.copy_(torch.arange(buffer.shape[-1], device=device).expand(buffer.shape))
        elif buffer.is_floating_point():
            buffer.normal_(0, 0.02, generator=generator)
    return module


def sd15_pipeline(draw: Callable) -> Any:
    from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    return StableDiffusionPipeline(
        vae=draw(lambda: AutoencoderKL(**KL, latent_channels=4, sample_size=512, scaling_factor=0.18215)),
        text_encoder=draw(lambda: CLIPTextModel(CLIPTextConfig(**CLIP_L))),
        tokenizer=tiny.clip_tokenizer(),
        unet=draw(lambda: UNet2DConditionModel(sample_size=64, cross_attention_dim=768)),
        scheduler=EulerDiscreteScheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def sdxl_pipeline(draw: Callable) -> Any:
    from diffusers import (
        AutoencoderKL,
        EulerDiscreteScheduler,
        StableDiffusionXLPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    unet = {
        "sample_size": 128,
        "block_out_channels": (320, 640, 1280),
        "transformer_layers_per_block": (1, 2, 10),
        "attention_head_dim": (5, 10, 20),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "cross_attention_dim": 2048,
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    }
    return StableDiffusionXLPipeline(
        vae=draw(lambda: AutoencoderKL(**KL, latent_channels=4, sample_size=1024, scaling_factor=0.13025)),
        text_encoder=draw(lambda: CLIPTextModel(CLIPTextConfig(**CLIP_L))),
        tokenizer=tiny.clip_tokenizer(),
        text_encoder_2=draw(lambda: CLIPTextModelWithProjection(CLIPTextConfig(**CLIP_BIG_G))),
        tokenizer_2=tiny.clip_tokenizer(),
        unet=draw(lambda: UNet2DConditionModel(**unet)),
        scheduler=EulerDiscreteScheduler(),
        add_watermarker=False,
    )


def flux_pipeline(draw: Callable) -> Any:
    from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
    from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

    t5 = {
        "d_model": 4096,
        "d_ff": 10240,
        "d_kv": 64,
        "num_layers": 24,
        "num_heads": 64,
        "feed_forward_proj": "gated-gelu",
    }
    vae = {**KL, "latent_channels": 16, "sample_size": 1024, "scaling_factor": 0.3611, "shift_factor": 0.1159}
    return FluxPipeline(
        vae=draw(lambda: AutoencoderKL(**vae, use_quant_conv=False, use_post_quant_conv=False)),
        text_encoder=draw(lambda: CLIPTextModel(CLIPTextConfig(**CLIP_L))),
        tokenizer=tiny.clip_tokenizer(),
        text_encoder_2=draw(lambda: T5EncoderModel(T5Config(**t5))),
        tokenizer_2=tiny.t5_tokenizer(),
        transformer=draw(lambda: FluxTransformer2DModel(guidance_embeds=True)),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
    )


ROWS_OF_CURVE = (1, 2, 4, 8, 16)
PUBLISHED = {  # on one H100; sources in the projects' own pages, none of them measured here
    "sd15": "stable-fast's README: 54.5 iterations/s eager, 66.0 compiled (512 px, batch 1, guidance)",
    "sdxl": (
        "stable-fast's README: 14.9 iterations/s eager, 18.5 compiled (1024 px, batch 1, guidance); MLPerf"
        " v5.1: 2.26 pictures/s at 20 steps"
    ),
    "flux": (
        "diffusers-torchao's README: 28 steps at 1024 px in 6.57 s eager, 4.21 s compiled; batch 8 in 49.4 s"
    ),
}
SAME = 6  # of 255: in bfloat16 a wider batch rounds otherwise


def main(arguments: Namespace) -> int:
    """A row for each model; results beside the CPU's, under the GPU's name."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not arguments.tiny:
        print("There is no GPU here; --tiny runs the same path on tiny models.")
        return 2
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    where = report.environment(device)
    gpu = where["device"].replace(" ", "-").lower() if not arguments.tiny else "tiny"
    path, rows = arguments.out / f"gpu-{gpu}.json", {}
    for name in NAMES:
        began = time.perf_counter()
        result = _measure(name, device, dtype, arguments)
        title = f"{name} at {SIDES[name]} px, random weights, {where['device']}"
        against = f"the plain pipeline and request batches on the same weights. Published: {PUBLISHED[name]}"
        rows = report.keep(
            path,
            name,
            report.entry(result, title, against, time.perf_counter() - began, where, arguments.repeats),
            NAMES,
        )
        gc.collect()
        if device == "cuda":
            torch.cuda.empty_cache()
    if arguments.save:
        report.draw({f"gpu-{gpu}-{name}": row for name, row in rows.items()}, arguments.out)
    print(report.table(rows))
    return 0


def _measure(name: str, device: str, dtype: torch.dtype, arguments: Namespace) -> Result:
    torch.manual_seed(0)
    model = image_model(name, device, dtype, small=arguments.tiny)
    side = 64 if arguments.tiny else SIDES[name]
    curve = _curve(model, side, arguments.repeats)
    runs = _traffic(model, side, arguments)
    figures = [
        *(
            Figure(f"seconds a pass, {rows} rows", tuple(values), "s", "wall")
            for rows, values in curve.items()
        ),
        Figure(
            "mixed traffic, against (a)",
            serving.gains(runs, "one by one", lambda run: run.busy),
            "× its throughput",
            "wall",
        ),
        Figure(
            "mixed traffic, against (b)",
            serving.gains(runs, "request batches", lambda run: run.busy),
            "× its throughput",
            "wall",
        ),
        Figure(
            "one job with the engine, against a bare pipeline call",
            _tax(model, side, arguments.repeats),
            "× its speed",
            "wall",
        ),
    ]
    checks = [serving.same_pictures(runs, SAME)]
    if device == "cuda" or arguments.tiny:
        gains, apart = _compiled(model, side, arguments.repeats)
        figures.append(Figure("a pass compiled by region, against eager", gains, "× its speed", "wall"))
        checks.append(
            check(
                "compiled against eager, of the output's deviation",
                [apart],
                0.1 if dtype != torch.float32 else 1e-3,
            )
        )
    pictures_a_second = {rows: [rows / seconds for seconds in values] for rows, values in curve.items()}
    points = [(rows, statistics.median(values)) for rows, values in pictures_a_second.items()]
    return Result(tuple(figures), tuple(checks), Chart("rows a second", {name: points}, x="rows of a pass"))


def _wall() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def _call(model: ImageModel, side: int) -> tuple[Any, dict[str, torch.Tensor]]:
    """The denoiser and one row's arguments, as the pipeline itself gives them at its first step."""
    pipe, kept = model.pipeline(Mode.TEXT), {}
    name = "transformer" if model.family.name == "flux" else "unet"
    module = getattr(pipe, name)
    hook = module.register_forward_pre_hook(
        lambda _, args, kwargs: kept.update(kwargs, first=args), with_kwargs=True
    )
    pipe(
        "a red house",
        height=side,
        width=side,
        num_inference_steps=1,
        guidance_scale=1.0,
        output_type="latent",
    )
    hook.remove()
    for place, value in zip(("sample", "timestep"), kept.pop("first"), strict=False):
        kept[place] = value
    return module, kept


def _rows(value: Any, rows: int, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _rows(inner, rows) for key, inner in value.items()}
    if isinstance(value, torch.Tensor) and name not in ("img_ids", "txt_ids") and value.ndim:
        return torch.cat([value] * rows)
    return value.expand(rows) if isinstance(value, torch.Tensor) and value.ndim == 0 else value


@torch.no_grad()
def _pass(module: Any, given: dict[str, Any]) -> torch.Tensor:
    return module(**given)[0]


def _timed(work: Callable[[], Any]) -> float:
    began = _wall()
    work()
    return _wall() - began


def _curve(model: ImageModel, side: int, repeats: int) -> dict[int, list[float]]:
    """Rows of a pass → seconds, for each repeat."""
    module, one = _call(model, side)
    found: dict[int, list[float]] = {}
    for rows in ROWS_OF_CURVE:
        given = {name: _rows(value, rows, name) for name, value in one.items()}
        _pass(module, given)
        found[rows] = [_timed(lambda given=given: _pass(module, given)) for _ in range(repeats)]
    return found


def _traffic(model: ImageModel, side: int, arguments: Namespace) -> list[dict[str, serving.Run]]:
    samplers = ("euler", "dpm++", "unipc") if model.card.samplers == "any" else (None,)
    mix = Mix(
        steps=((4, 1), (8, 1), (12, 1), (20, 1)), guidances=(3.0, 5.0, 7.5), side=side, samplers=samplers
    )
    count = max(4, round(24 * arguments.scale))
    return [
        serving.serve(model, at_once(poisson(mix, count, 1.0, seed)), timer=_wall)
        for seed in range(arguments.repeats)
    ]


def _tax(model: ImageModel, side: int, repeats: int) -> tuple[float, ...]:
    mix = Mix(steps=((8, 1),), guidances=(5.0,), side=side)
    ways = {name: serving.WAYS[name] for name in ("one by one", "engine")}
    runs = [serving.serve(model, at_once(poisson(mix, 1, 1.0, seed)), ways, _wall) for seed in range(repeats)]
    return serving.gains(runs, "one by one", lambda run: run.busy)


def _compiled(model: ImageModel, side: int, repeats: int) -> tuple[tuple[float, ...], float]:
    """Gain for each repeat, and how far apart the outputs are. Compiles in place, so it comes last."""
    module, given = _call(model, side)
    wanted = _pass(module, given)
    eager = [_timed(lambda: _pass(module, given)) for _ in range(repeats)]
    (
        module.compile_repeated_blocks(fullgraph=True)
        if getattr(module, "_repeated_blocks", None)
        else module.compile()
    )
    apart = float((_pass(module, given) - wanted).abs().max() / wanted.std())
    compiled = [_timed(lambda: _pass(module, given)) for _ in range(repeats)]
    return tuple(before / after for before, after in zip(eager, compiled, strict=True)), apart
