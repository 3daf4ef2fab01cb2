"""Frames that look at the first one while a tiny UNet draws them."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from diffusers import UNet2DConditionModel

from vision.diffusion.adapters import looking_at_first

FRAMES = 3


@pytest.fixture(scope="module")
def unet(folders: dict[str, Path]) -> UNet2DConditionModel:
    return UNet2DConditionModel.from_pretrained(folders["stable-diffusion"] / "unet").eval()


@torch.no_grad()
def drawn(unet, sample: torch.Tensor) -> torch.Tensor:
    words = torch.randn(1, 7, unet.config.cross_attention_dim, generator=torch.Generator().manual_seed(1))
    return unet(sample, 500, words.expand(len(sample), -1, -1)).sample


def noise(unet, rows: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, unet.config.in_channels, 8, 8, generator=generator)


def test_frames_that_are_all_alike_are_drawn_as_one_picture_is(unet) -> None:
    one = noise(unet, 1)
    together = drawn(looking_at_first(unet, FRAMES), one.expand(FRAMES, -1, -1, -1))
    assert torch.allclose(together, drawn(unet, one).expand_as(together), atol=1e-5)


def test_the_first_frame_is_drawn_as_it_is_alone_and_changes_the_others(unet) -> None:
    video = looking_at_first(unet, FRAMES)
    frames = noise(unet, FRAMES)
    other = torch.cat([noise(unet, 1, seed=9), frames[1:]])
    before, after = drawn(video, frames), drawn(video, other)
    assert torch.allclose(before[0], drawn(unet, frames[:1])[0], atol=1e-5)
    assert not torch.allclose(before[1], after[1], atol=1e-4)
    assert not torch.allclose(before[1], drawn(unet, frames[1:2])[0], atol=1e-4)


def test_two_videos_in_one_call_look_at_their_own_first_frames(unet) -> None:
    video = looking_at_first(unet, FRAMES)
    one, two = noise(unet, FRAMES, seed=1), noise(unet, FRAMES, seed=2)
    both = drawn(video, torch.cat([one, two]))
    assert torch.allclose(both, torch.cat([drawn(video, one), drawn(video, two)]), atol=1e-5)


def test_calls_of_other_sizes_are_drawn_as_pictures_are(unet) -> None:
    frames = noise(unet, FRAMES + 1)
    assert torch.allclose(drawn(looking_at_first(unet, FRAMES), frames), drawn(unet, frames), atol=1e-5)


def test_the_unet_itself_stays_as_it_is_and_no_tensor_is_copied(unet) -> None:
    before = dict(unet.attn_processors)
    video = looking_at_first(unet, FRAMES)
    assert unet.attn_processors == before
    for own, copied in zip(unet.parameters(), video.parameters(), strict=True):
        assert own is copied


def test_a_module_without_self_attention_of_that_kind_is_used_as_it_is() -> None:
    module = SimpleNamespace()
    assert looking_at_first(module, FRAMES) is module
