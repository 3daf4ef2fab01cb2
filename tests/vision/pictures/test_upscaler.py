"""The upscaler that a model's folder can bring: sizes, seams, company, and what doesn't fit."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from core.errors import ModelError
from tests import tiny
from vision.model_store import Models
from vision.pictures import upscaler
from vision.pictures.upscaler import Upscaler
from vision.protocol import WorkerConfig


def small(scale: int = 2) -> Upscaler:
    torch.manual_seed(0)
    network = Upscaler(scale=scale, widths=(4, 6, 8))
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


def test_opposite_edges_of_a_seamless_picture_still_meet() -> None:
    picture = tiny.picture(48, 48)
    moved = Image.fromarray(np.roll(np.asarray(picture), 16, (0, 1)))
    made, of_moved = (np.asarray(small().enlarge(p, seamless=True), int) for p in (picture, moved))
    assert np.abs(np.roll(made, 32, (0, 1)) - of_moved).max() <= 1
    plain, of_plain = (np.asarray(small().enlarge(p), int) for p in (picture, moved))
    assert np.abs(np.roll(plain, 32, (0, 1)) - of_plain).max() > 1


def test_a_models_folder_brings_its_upscaler(tmp_path) -> None:
    small().save_pretrained(tmp_path / "upscaler")
    found = upscaler.load(tmp_path, 2, "cpu")
    picture = tiny.picture(32, 32)
    assert found is not None and apart(found.enlarge(picture), small().enlarge(picture)) <= 1
    assert upscaler.load(tmp_path / "upscaler", 2, "cpu") is None
    with pytest.raises(ModelError, match="enlarges 2 times, the card says 4"):
        upscaler.load(tmp_path, 4, "cpu")
    (tmp_path / "upscaler" / "config.json").write_text("{")
    with pytest.raises(ModelError, match="doesn't load"):
        upscaler.load(tmp_path, 2, "cpu")


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
