"""The card's models: their real sizes, counted without memory, and weights of which none is zero."""

import pytest
import torch
from torch import nn

from benchmarks import gpu

MILLIONS = {
    "sd15": ("unet", 860),
    "sdxl": ("unet", 2567),
    "flux": ("transformer", 11901),
}  # of the published checkpoints' denoisers


@pytest.mark.parametrize("name", gpu.NAMES)
def test_a_full_size_model_has_the_published_number_of_parameters(name: str) -> None:
    def on_paper(make) -> nn.Module:
        with torch.device("meta"):
            return make()

    pipe = {"sd15": gpu.sd15_pipeline, "sdxl": gpu.sdxl_pipeline, "flux": gpu.flux_pipeline}[name](on_paper)
    part, millions = MILLIONS[name]
    assert sum(p.numel() for p in getattr(pipe, part).parameters()) / 1e6 == pytest.approx(
        millions, rel=0.002
    )


def test_no_weight_is_zero_and_a_signal_keeps_its_size() -> None:
    made = gpu.drawn(
        lambda: nn.Sequential(nn.Linear(256, 256), nn.LayerNorm(256), nn.Linear(256, 256)),
        torch.float32,
        "cpu",
    )
    assert all((parameter != 0).all() for parameter in made.parameters())
    assert 0.5 < float(made(torch.randn(64, 256, generator=torch.Generator().manual_seed(0))).std()) < 2
