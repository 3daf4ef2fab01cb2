"""Weights that are laid out once give what plain layers give."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

from vision.diffusion import seamless
from vision.engine import layouts
from vision.store import Models

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="without oneDNN")


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(4, 32, 3, stride=2, padding=1)
        self.inner = nn.Conv2d(32, 48, 1, bias=False)
        self.attn2 = nn.ModuleDict({"to_k": nn.Linear(24, 48), "to_v": nn.Linear(24, 48, bias=False)})
        self.last = nn.Linear(48, 5)

    def forward(self, x: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        seen = self.inner(self.first(x)).flatten(2).mean(2)[:, None]
        return self.last(seen + self.attn2["to_k"](text) * self.attn2["to_v"](text))


@pytest.fixture
def nets() -> tuple[Net, Net]:
    torch.manual_seed(0)
    plain = Net()
    made = copy.deepcopy(plain)
    layouts.pack(made, "cpu")
    return plain, made


def given(rows: int, side: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(rows, 4, side, side, generator=generator), torch.randn(
        rows, 7, 24, generator=generator
    )


def assert_equal(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=0, atol=1e-5)


@torch.no_grad()
def test_numbers_are_those_of_the_plain_layers_at_each_size_and_number_of_rows(nets: tuple[Net, Net]) -> None:
    plain, made = nets
    assert {type(part).__name__ for part in made.modules()} >= {"PackedConv2d", "PackedLinear", "TextLinear"}
    for side in (8, 12, 16, 20, 24, 8):  # more than are kept
        for rows in (1, 2, 8):
            assert_equal(made(*given(rows, side)), plain(*given(rows, side)))
    assert len(made.first.layouts) == layouts.SIZES


@torch.no_grad()
def test_changed_weights_and_a_changed_text_count(nets: tuple[Net, Net]) -> None:
    plain, made = nets
    x, text = given(2)
    before = made(x, text)
    text += 1
    assert_equal(made(x, text), plain(x, text))
    for net in nets:
        for weight in net.parameters():
            weight *= 1.5
    assert_equal(made(x, text), plain(x, text))
    assert (made(x, text) - before).abs().max() > 0.1


def test_gradients_are_those_of_the_plain_layers(nets: tuple[Net, Net]) -> None:
    for net in nets:
        with torch.no_grad():
            net(*given(2))
        net(*given(2)).sum().backward()
    for a, b in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert a.grad is not None and torch.equal(a.grad, b.grad)


@torch.no_grad()
def test_a_copy_over_the_same_tensors_has_borders_of_its_own(nets: tuple[Net, Net]) -> None:
    plain, made = nets
    x, text = given(2)
    made(x, text)
    assert_equal(seamless.circular_copy(made)(x, text), seamless.circular_copy(plain)(x, text))
    assert_equal(made(x, text), plain(x, text))


def test_large_models_stay_as_they_are(monkeypatch: pytest.MonkeyPatch, nets: tuple[Net, Net]) -> None:
    monkeypatch.setattr(layouts.devices, "SMALL_MODEL", 100)
    layouts.pack(plain := nets[0], "cpu")
    assert type(plain.first) is nn.Conv2d


def test_an_image_model_on_a_processor_is_packed(models_of: Callable[..., Models]) -> None:
    pipe = models_of(image="stable-diffusion").get("image").pipeline("text-to-image")
    for part in (pipe.unet, pipe.vae):
        assert not [module for module in part.modules() if type(module) in (nn.Conv2d, nn.Linear)]
