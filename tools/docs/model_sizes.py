"""How much memory image and video models take: tables of the pages about them.

Nothing is downloaded. Each model is built from its configuration on torch's meta device, where tensors have
shapes and no contents; the shapes are added up as ``vision.weights.memory`` adds up those of real files.
Configurations are those of ``tools/architectures.json``; of models that aren't there, defaults of the
installed classes, else those of diffusers' conversion scripts and of the models' own config.json; PUBLISHED
holds what their makers say, which the sums are compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import diffusers
import torch
import transformers

from tools.docs.markdown import table
from tools.full_size import make_module, read_architectures
from vision.families import FAMILIES
from vision.weights import memory
from vision.weights.memory import QUANTIZED, Sizes


def _kl(**more: Any) -> torch.nn.Module:
    blocks = {
        "block_out_channels": (128, 256, 512, 512),
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "layers_per_block": 2,
    }
    return diffusers.AutoencoderKL(**blocks, **more)


def _kl_16() -> torch.nn.Module:
    return _kl(latent_channels=16, use_quant_conv=False, use_post_quant_conv=False)


def clip_l() -> torch.nn.Module:
    config = transformers.CLIPTextConfig(
        hidden_size=768, intermediate_size=3072, num_attention_heads=12, projection_dim=768
    )
    return transformers.CLIPTextModelWithProjection(config)


def _clip_bigg() -> torch.nn.Module:
    size = {
        "hidden_size": 1280,
        "intermediate_size": 5120,
        "num_hidden_layers": 32,
        "num_attention_heads": 20,
    }
    return transformers.CLIPTextModelWithProjection(transformers.CLIPTextConfig(**size, projection_dim=1280))


def t5_xxl() -> torch.nn.Module:
    size = {"d_model": 4096, "d_ff": 10240, "d_kv": 64, "num_heads": 64, "num_layers": 24}
    return transformers.T5EncoderModel(transformers.T5Config(**size, feed_forward_proj="gated-gelu"))


def known(name: str) -> dict[str, Any]:
    """Return the parts and the pipeline of a model of ``tools/architectures.json``, for its row, without
    parts that its family doesn't load."""
    found = read_architectures()[name]
    pipeline = found.get("pipeline", "")
    unused = {"scheduler", *(part for one in FAMILIES if one.has_pipeline(pipeline) for part in one.unused)}
    parts = found.get("parts") or {"model": {"library": "transformers", **found}}
    built = {
        part: partial(make_module, one["library"], one["class"], one["config"])
        for part, one in parts.items()
        if part not in unused
    }
    return {"parts": built, "pipeline": pipeline}


@dataclass(frozen=True)
class Model:
    """One row. parts: name of a part → how it is built. steps: as its card has it. on_disk: bytes of a weight
    in the files, of parts that aren't stored in 16 bits. pipeline: diffusers' class, by which is known what
    it needs beside its weights."""

    name: str
    licence: str
    parts: dict[str, Callable[[], torch.nn.Module]]
    steps: str = ""
    on_disk: tuple[tuple[str, int], ...] = ()
    pipeline: str = ""


COMMUNITY = "Stability Community (free under $1M a year), gated"


def _sd3(name: str, *, layers: int, dual: int, positions: int) -> Model:
    """Return the row of a Stable Diffusion 3.5. layers: of the transformer, which has as many heads.
    dual: how many of the first attend twice. positions: of a side, in patches."""

    def transformer() -> torch.nn.Module:
        return diffusers.SD3Transformer2DModel(
            num_layers=layers,
            num_attention_heads=layers,
            caption_projection_dim=64 * layers,
            pos_embed_max_size=positions,
            dual_attention_layers=tuple(range(dual)),
            qk_norm="rms_norm",
        )

    encoders = {"text_encoder": clip_l, "text_encoder_2": _clip_bigg, "text_encoder_3": t5_xxl}
    parts = {"transformer": transformer, **encoders, "vae": _kl_16}
    return Model(name, COMMUNITY, parts, "28", pipeline="StableDiffusion3Pipeline")


MODELS = (
    Model("Stable Diffusion 1.5", "CreativeML OpenRAIL-M", steps="30", **known("stable-diffusion-1.5")),
    Model("SDXL base", "OpenRAIL++-M", steps="30", **known("stable-diffusion-xl")),
    _sd3("SD 3.5 medium", layers=24, dual=13, positions=384),
    _sd3("SD 3.5 large", layers=38, dual=0, positions=192),
    Model("FLUX.2 klein 4B", "Apache-2.0", steps="4", **known("flux2-klein-4b")),
    Model("Z-Image-Turbo", "Apache-2.0", steps="9", on_disk=(("transformer", 4),), **known("z-image-turbo")),
    Model("ERNIE-Image-Turbo", "Apache-2.0", steps="8", **known("ernie-image-turbo")),
    Model(
        "Qwen-Image 2512",
        "Apache-2.0",
        steps="50, of two rows each; drafts 8 of one",
        **known("qwen-image-2512"),
    ),
    Model("SigLIP2 base", "Apache-2.0", on_disk=(("model", 4),), **known("siglip2")),
    Model("ViT base", "Apache-2.0", on_disk=(("model", 4),), **known("vit")),
    *(Model(f"Qwen3-VL {size}B", "Apache-2.0", **known(f"qwen3-vl-{size}b")) for size in (2, 4, 8)),
)
# (model, part) → weights in billions, as published; what the sums of shapes are held against
PUBLISHED = {
    ("Stable Diffusion 1.5", "unet"): 0.860,
    ("SDXL base", "unet"): 2.57,
    ("SD 3.5 large", "transformer"): 8.06,
    ("SD 3.5 large", "text_encoder_3"): 4.76,
    ("FLUX.2 klein 4B", "transformer"): 3.88,
    ("Z-Image-Turbo", "transformer"): 6.15,
    ("Z-Image-Turbo", "text_encoder"): 4.02,
    ("Qwen-Image 2512", "transformer"): 20.43,
    ("Qwen-Image 2512", "text_encoder"): 8.29,
    ("Qwen3-VL 2B", "model"): 2.13,
    ("Wan 2.1 1.3B", "transformer"): 1.42,
    ("Wan 2.1 14B", "transformer"): 14.29,
    ("Wan 2.2 TI2V 5B", "transformer"): 5.00,
    ("LTX-Video 2B", "transformer"): 1.92,
    ("CogVideoX 5B", "transformer"): 5.57,
    ("LTX-2 19B", "transformer"): 18.9,
    ("HunyuanVideo 1.5", "transformer"): 8.3,
}


CARDS = (8, 12, 16, 24)  # GB of 2³⁰ bytes
TAKEN = 0.6  # of them by the driver and torch itself
WAYS = {"none": "", "model": ", by parts", "group": ", by layers"}


def _umt5_xxl() -> torch.nn.Module:
    size = {"d_model": 4096, "d_ff": 10240, "d_kv": 64, "num_heads": 64, "num_layers": 24}
    config = transformers.UMT5Config(vocab_size=256384, feed_forward_proj="gated-gelu", **size)
    return transformers.UMT5EncoderModel(config)


def _qwen2_5_7b() -> torch.nn.Module:
    size = {"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "vocab_size": 152064}
    heads = {"num_attention_heads": 28, "num_key_value_heads": 4}
    places = {"rope_type": "default", "mrope_section": [16, 24, 24], "rope_theta": 1e6}
    config = transformers.Qwen2_5_VLTextConfig(**size, **heads, rope_parameters=places)
    return transformers.Qwen2_5_VLTextModel(config)


def _byt5_small() -> torch.nn.Module:
    size = {"d_model": 1472, "d_ff": 3584, "d_kv": 64, "num_heads": 6, "num_layers": 12}
    config = transformers.T5Config(vocab_size=384, **size, feed_forward_proj="gated-gelu")
    return transformers.T5EncoderModel(config)


def _wan(**more: Any) -> dict[str, Any]:
    return {"text_encoder": _umt5_xxl, "vae": diffusers.AutoencoderKLWan, **more}


VIDEO_MODELS = (
    Model(
        "AnimateDiff on Stable Diffusion 1.5",
        "Apache-2.0 (adapter)",
        {
            "unet": lambda: diffusers.UNet2DConditionModel(cross_attention_dim=768),
            "motion_adapter": diffusers.MotionAdapter,
            "text_encoder": clip_l,
            "vae": diffusers.AutoencoderKL,
        },
        "25",
    ),
    Model("Wan 2.1 1.3B", "Apache-2.0", steps="50, two passes each", **known("wan-2.1-1.3b")),
    Model(
        "LTX-Video 2B",
        "LTX open weights (free below a turnover)",
        {
            "transformer": diffusers.LTXVideoTransformer3DModel,
            "text_encoder": t5_xxl,
            "vae": diffusers.AutoencoderKLLTXVideo,
        },
        "50; distilled 8",
    ),
    Model(
        "CogVideoX 5B",
        "CogVideoX",
        {
            "transformer": lambda: diffusers.CogVideoXTransformer3DModel(
                num_attention_heads=48, num_layers=42, use_rotary_positional_embeddings=True
            ),
            "text_encoder": t5_xxl,
            "vae": diffusers.AutoencoderKLCogVideoX,
        },
        "50, two passes each",
    ),
    Model(
        "HunyuanVideo 1.5",
        "Tencent Hunyuan Community (not for the EU, the UK and South Korea)",
        {
            "transformer": diffusers.HunyuanVideo15Transformer3DModel,
            "text_encoder": _qwen2_5_7b,
            "text_encoder_2": _byt5_small,
            "vae": diffusers.AutoencoderKLHunyuanVideo15,
        },
        "50, two passes each",
    ),
    Model("Wan 2.2 TI2V 5B", "Apache-2.0", steps="50, two passes each", **known("wan-2.2-ti2v-5b")),
    Model(
        "Wan 2.1 14B",
        "Apache-2.0",
        _wan(transformer=diffusers.WanTransformer3DModel),
        "50, two passes each",
        pipeline="WanPipeline",
    ),
    Model(
        "Wan 2.2 A14B",
        "Apache-2.0",
        _wan(
            transformer=diffusers.WanTransformer3DModel,
            transformer_2=diffusers.WanTransformer3DModel,
        ),
        "40, two passes each",
        pipeline="WanPipeline",
    ),
    Model("LTX-2 19B", "LTX-2 Community", steps="40; distilled 8", **known("ltx-2")),
)


def on_cards(found: dict[str, Sizes]) -> list[str]:
    """Return how ``auto`` holds a model on each of ``CARDS`` with everything installed, in a word or two."""
    plans = (memory.choose("cuda", int((card - TAKEN) * 2**30), found, installed=QUANTIZED) for card in CARDS)
    return [f"{'16 bits' if plan.quantize == 'off' else plan.quantize}{WAYS[plan.offload]}" for plan in plans]


GB = 1e9
QUANTIZABLE = ("transformer", "transformer_2", "unet", "text_encoder", "text_encoder_3")
COLUMNS = ("model", "licence", "weights, billions", "disk", "16 bits", "int8", "nf4", "steps")


def parameters(build: Callable[[], torch.nn.Module]) -> list[tuple[str, torch.Size]]:
    """Return the names and shapes of a part's weights. Tied ones count once, as they are stored once."""
    with torch.device("meta"):
        module = build()
        if hasattr(module, "tie_weights"):
            module.tie_weights()  # type: ignore[operator]
    return [(name, tensor.shape) for name, tensor in module.named_parameters()]


def _tensors(shapes: dict[str, list[tuple[str, torch.Size]]]) -> Iterator[memory.Tensor]:
    for part, named in shapes.items():
        for name, shape in named:
            yield memory.float_tensor(part, name, shape.numel(), len(shape), 2)


def row(model: Model) -> list[str]:
    """Return the cells of a model: those of COLUMNS, then how it is held on each of CARDS. Raises ValueError
    where its weights aren't as many as are published."""
    shapes = {part: parameters(build) for part, build in model.parts.items()}
    counts = {part: sum(shape.numel() for _, shape in named) for part, named in shapes.items()}
    for part, count in counts.items():
        if (said := PUBLISHED.get((model.name, part))) and abs(count / 1e9 / said - 1) > 0.01:
            raise ValueError(
                f"{model.name}: {part} has {count / 1e9:.3f} billion weights, published are {said}"
            )
    clip = {
        part for part in model.parts if part in ("text_encoder", "text_encoder_2") and "unet" in model.parts
    }
    clip |= {"text_encoder", "text_encoder_2"} if "text_encoder_3" in model.parts else set()
    quantizable = [part for part in shapes if part in QUANTIZABLE and part not in clip]
    found = memory.of_tensors(_tensors(shapes), quantizable, model.pipeline)
    disk = sum(count * dict(model.on_disk).get(part, 2) for part, count in counts.items())
    cells = [model.name, model.licence, f"{sum(counts.values()) / 1e9:.2f}", f"{disk / GB:.1f}"]
    cells += [
        f"{found[kind].total / GB:.1f}, {found[kind].largest / GB:.1f}" if kind in found else ""
        for kind in ("off", "int8", "nf4")
    ]
    return [*cells, model.steps, *(on_cards(found) if model.steps else [""] * len(CARDS))]


def sizes_table(models: Iterable[Model]) -> str:
    """Return the table of these models."""
    return table((*COLUMNS, *(f"{card} GB" for card in CARDS)), map(row, models))
