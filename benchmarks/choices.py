"""What was tried to make a step, or a decoded picture, cheaper on a CPU: ``python -m benchmarks.choices
[demo|sd15|decoders] …``.

The decisions are in docs/decisions/.


Every variant runs the same UNet on the same inputs as the plain one, interleaved with it, and must give the
same within its precision. OpenVINO is tried where it can be imported.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import statistics
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch

from benchmarks.measure import interleaved
from benchmarks.models import DEMO
from vision.startup import quiet_libraries

Inputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
VARIANTS = (
    "channels_last",
    "fused QKV",
    "bfloat16",
    "2 threads",
    "torch.compile",
    "torch.compile by region",
    "OpenVINO",
    "OpenVINO, 2 threads",
)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["demo", "sd15"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--side", type=int, help="of the latents, if not the model's own")
    parser.add_argument("--only", nargs="*", choices=VARIANTS, default=VARIANTS)
    arguments = parser.parse_args()
    quiet_libraries()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    if "decoders" in arguments.models:
        arguments.models.remove("decoders")
        for name, side in (("demo", 16), ("taesd", 64), ("sd15", 64)):
            _decode_together(name, arguments.side or side, arguments.repeats)
    for name in arguments.models:
        for rows in (2, 8) if name == "demo" else (2,):
            _compare(name, rows, arguments.side, arguments.repeats, arguments.only)


def unet(name: str) -> torch.nn.Module:
    """demo: the demo pack's. sd15: of Stable Diffusion 1.5's shape, 860 M parameters, drawn normal."""
    from diffusers import UNet2DConditionModel

    if name == "demo":
        return UNet2DConditionModel.from_pretrained(DEMO / "unet").eval()
    with torch.device("meta"):
        model = UNet2DConditionModel(cross_attention_dim=768)  # diffusers' defaults are SD 1.5's
    model = model.to_empty(device="cpu").eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(
                0, parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.02, generator=generator
            )
    return model


def _compare(name: str, rows: int, side: int | None, repeats: int, only: tuple[str, ...]) -> None:
    model = unet(name)
    side, width = side or model.config.sample_size, model.config.cross_attention_dim
    generator = torch.Generator().manual_seed(0)
    inputs = (
        torch.randn(rows, 4, side, side, generator=generator),
        torch.full((rows,), 500.0),
        torch.randn(rows, 77, width, generator=generator),
    )
    plain = _torch(model)
    wanted = plain(*inputs)
    print(f"{name}, {rows} rows of {side}x{side} latents, {torch.get_num_threads()} thread", flush=True)
    for variant in only:
        made: Callable[..., torch.Tensor] | None = None
        with contextlib.suppress(ImportError):
            made = _make(variant, model, inputs)
        if made is None:
            print(f"  {variant:20} not installed", flush=True)
            continue
        apart = float((made(*inputs) - wanted).abs().max() / wanted.std())
        costs = interleaved(
            {"plain": lambda: plain(*inputs), variant: lambda made=made: made(*inputs)}, repeats
        )
        gains = {
            c: [getattr(a, c) / getattr(b, c) for a, b in zip(costs["plain"], costs[variant], strict=True)]
            for c in ("wall", "cpu")
        }
        words = ", ".join(
            f"{c} {statistics.median(g):.2f}x ({min(g):.2f} to {max(g):.2f})" for c, g in gains.items()
        )
        plain_ms = statistics.median(1000 * cost.wall for cost in costs["plain"])
        print(
            f"  {variant:20} {words}; plain {plain_ms:.0f} ms wall; {apart:.1e} of the output's deviation"
            " apart",
            flush=True,
        )


def _torch(model: Any) -> Callable[..., torch.Tensor]:
    dtype = next(model.parameters()).dtype

    @torch.no_grad()
    def call(x: torch.Tensor, t: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        return model(x.to(dtype), t, encoder_hidden_states=words.to(dtype), return_dict=False)[0].float()

    return call


def decoder(name: str) -> torch.nn.Module:
    """demo: the demo pack's. sd15: AutoencoderKL of Stable Diffusion 1.5's shape. taesd: the tiny one for it.
    The latter two drawn as torch does."""
    from diffusers import AutoencoderKL, AutoencoderTiny

    torch.manual_seed(0)
    if name == "demo":
        return AutoencoderTiny.from_pretrained(DEMO / "vae").eval()
    if name == "taesd":
        return AutoencoderTiny().eval()
    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        layers_per_block=2,
        norm_num_groups=32,
    ).eval()


@torch.no_grad()
def _decode_together(name: str, side: int, repeats: int) -> None:
    """Four pictures decoded one by one, as jobs do, against all in one call."""
    vae = decoder(name)
    latents = torch.randn(
        4, vae.config.latent_channels, side, side, generator=torch.Generator().manual_seed(0)
    )

    def alone() -> torch.Tensor:
        return torch.cat([vae.decode(one[None], return_dict=False)[0] for one in latents])

    def together() -> torch.Tensor:
        return vae.decode(latents, return_dict=False)[0]

    wanted = alone()
    apart = float((together() - wanted).abs().max() / wanted.std())
    costs = interleaved({"alone": alone, "together": together}, repeats)
    gains = [a.cpu / b.cpu for a, b in zip(costs["alone"], costs["together"], strict=True)]
    each = statistics.median(1000 * cost.cpu / len(latents) for cost in costs["alone"])
    print(
        f"{name}, four of {side}x{side} latents: together {statistics.median(gains):.2f}x ({min(gains):.2f}"
        f" to {max(gains):.2f}) less CPU; alone {each:.0f} ms a picture; {apart:.1e} of the deviation apart",
        flush=True,
    )


def _make(variant: str, model: Any, inputs: Inputs) -> Callable[..., torch.Tensor]:
    if variant == "2 threads":
        return _with_threads(_torch(model), 2)
    if variant.startswith("OpenVINO"):
        return _openvino(model, inputs, 2 if "2" in variant else 1)
    if variant == "torch.compile":
        return _torch(torch.compile(model))
    twin = copy.deepcopy(model)
    if variant == "torch.compile by region":
        twin.compile_repeated_blocks(dynamic=True)
        return _torch(twin)
    if variant == "channels_last":
        plain = _torch(twin.to(memory_format=torch.channels_last))
        return lambda x, t, words: plain(x.contiguous(memory_format=torch.channels_last), t, words)
    if variant == "fused QKV":
        twin.fuse_qkv_projections()
        return _torch(twin)
    return _torch(twin.to(torch.bfloat16))


def _with_threads(call: Callable[..., torch.Tensor], count: int) -> Callable[..., torch.Tensor]:
    def threaded(*inputs: torch.Tensor) -> torch.Tensor:
        with _threads(count):
            return call(*inputs)

    return threaded


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _openvino(model: Any, inputs: Inputs, threads: int) -> Callable[..., torch.Tensor]:
    """Converted with the inputs' static shapes, float32, tuned for latency."""
    import openvino

    class Positional(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, x: torch.Tensor, t: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
            return self.inner(x, t, encoder_hidden_states=words, return_dict=False)[0]

    with torch.no_grad():
        converted = openvino.convert_model(
            Positional().eval(), example_input=inputs, input=[tuple(i.shape) for i in inputs]
        )
    hints = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    compiled = openvino.Core().compile_model(converted, "CPU", hints)
    return lambda *given: torch.from_numpy(compiled([i.numpy() for i in given])[0].copy())


if __name__ == "__main__":
    main()
