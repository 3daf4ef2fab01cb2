"""The upscaler that a model's folder can bring: sizes, seams, company, and what doesn't fit."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from core.errors import ModelError
from tests.support import tiny
from vision.images import upscaler
from vision.images.upscaler import Upscaler
from vision.protocol import WorkerConfig
from vision.store import Models


def small(scale: int = 2, passes: int = 0) -> Upscaler:
    torch.manual_seed(0)
    network = Upscaler(scale=scale, widths=(4, 6, 8), passes=passes)
    for last in (network.place, network.rest):
        torch.nn.init.normal_(last.weight, 0, 0.1)
    return network.eval()


def apart(one: Image.Image, other: Image.Image) -> int:
    """The largest difference of a channel. Weights from a file lie elsewhere in memory than made ones, and
    some processors round otherwise then."""
    return int(np.abs(np.asarray(one, int) - np.asarray(other, int)).max())


@pytest.mark.parametrize("size", [(64, 64), (61, 45), (8, 104)])
def test_a_picture_becomes_exactly_so_many_times_larger(size) -> None:
    assert small().enlarge(tiny.picture(*size)).size == (2 * size[0], 2 * size[1])


@pytest.mark.parametrize("passes", [0, 2])
def test_opposite_edges_of_a_seamless_picture_still_meet(passes) -> None:
    picture = tiny.picture(48, 48)
    moved = Image.fromarray(np.roll(np.asarray(picture), 16, (0, 1)))
    network = small(passes=passes)
    made, of_moved = (np.asarray(network.enlarge(p, seamless=True), int) for p in (picture, moved))
    assert np.abs(np.roll(made, 32, (0, 1)) - of_moved).max() <= 1
    plain, of_plain = (np.asarray(network.enlarge(p), int) for p in (picture, moved))
    assert np.abs(np.roll(plain, 32, (0, 1)) - of_plain).max() > 1


def ramp(width: int) -> torch.Tensor:
    """Red to blue over ``width`` px, down the middle of (1, 3, 32, 64)."""
    share = ((torch.arange(64.0) - 32) / width + 0.5).clamp(0, 1).expand(32, 64)
    return torch.stack([0.8 - 0.7 * share, 0.1 + 0 * share, 0.2 + 0.6 * share])[None]


@pytest.mark.parametrize("width", [4, 6, 8])
def test_narrowed_edges_are_steeper_where_they_were_and_nothing_overshoots(width) -> None:
    soft = ramp(width)
    steep = upscaler.narrowed(upscaler.narrowed(soft))
    steps = [x.diff(dim=-1).abs().amax() for x in (soft, steep)]
    assert steps[1] > 1.4 * steps[0]
    assert (steep.amin((2, 3)) >= soft.amin((2, 3)) - 1e-6).all()
    assert (steep.amax((2, 3)) <= soft.amax((2, 3)) + 1e-6).all()
    assert torch.allclose(steep[..., 30:35].mean(-1), soft[..., 30:35].mean(-1), atol=0.01)
    assert torch.allclose(steep[..., :20], soft[..., :20], atol=1e-3), "far from the edge nothing moves"
    turned = upscaler.narrowed(upscaler.narrowed(soft.transpose(2, 3))).transpose(2, 3)
    assert torch.allclose(turned, steep, atol=1e-5)


def test_a_picture_without_edges_stays_as_it_is() -> None:
    flat = torch.full((1, 3, 16, 16), 0.4)
    assert torch.allclose(upscaler.narrowed(flat), flat, atol=1e-6)


def test_a_network_narrows_as_often_as_its_folder_says(tmp_path) -> None:
    network = Upscaler(scale=2, widths=(4, 6, 8), passes=1).eval()
    network.save_pretrained(tmp_path / "upscaler")
    found = upscaler.load_upscaler(tmp_path, 2, "cpu")
    picture = tiny.picture(32, 32)
    assert found is not None and found.passes == 1
    assert apart(found.enlarge(picture), network.enlarge(picture)) <= 1
    assert apart(found.enlarge(picture), Upscaler(scale=2, widths=(4, 6, 8)).enlarge(picture)) > 1


def test_a_models_folder_brings_its_upscaler(tmp_path) -> None:
    small().save_pretrained(tmp_path / "upscaler")
    found = upscaler.load_upscaler(tmp_path, 2, "cpu")
    picture = tiny.picture(32, 32)
    assert found is not None and apart(found.enlarge(picture), small().enlarge(picture)) <= 1
    assert upscaler.load_upscaler(tmp_path / "upscaler", 2, "cpu") is None
    with pytest.raises(ModelError, match="enlarges 2 times, the card says 4"):
        upscaler.load_upscaler(tmp_path, 4, "cpu")
    (tmp_path / "upscaler" / "config.json").write_text("{")
    with pytest.raises(ModelError, match="doesn't load"):
        upscaler.load_upscaler(tmp_path, 2, "cpu")


def test_a_model_enlarges_with_the_upscaler_that_it_brings(folders, tmp_path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(folders["stable-diffusion"], folder)
    (folder / "atelier.json").write_text('{"output_scale": 2}')
    config = WorkerConfig("cpu", {"image": str(folder)}, str(tmp_path / "cache"), cpu_threads=1)
    plain = Models(config).image(None)
    small().save_pretrained(folder / "upscaler")
    better = Models(config).image(None)
    picture = tiny.picture(32, 32)
    assert apart(better.enlarged(picture), small().enlarge(picture)) <= 1
    assert apart(plain.enlarged(picture), better.enlarged(picture)) > 1
