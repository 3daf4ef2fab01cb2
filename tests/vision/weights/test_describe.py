"""Models and devices as the host is told of them, and what is tried in another process."""

import shutil
from pathlib import Path

import pytest

from tests.vision.weights.test_contents import damage
from vision import describe_models


def test_a_missing_component_is_named(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "half"
    shutil.copytree(folders["stable-diffusion"], folder)
    shutil.rmtree(folder / "vae")
    assert "vae/ missing" in describe_models.describe_models({"image": str(folder)}, tmp_path)[0].problem


def test_the_configured_models_are_described_without_loading_them(folders, tmp_path) -> None:
    specs = {
        "image": str(folders["flux"]),
        "clip": str(folders["siglip"]),
        "caption": "owner/name",
        "vit": str(tmp_path / "gone"),
    }
    infos = {info.role: info for info in describe_models.describe_models(specs, tmp_path)}
    assert infos["image"].family == "FLUX.1" and infos["image"].bytes > 10_000 and not infos["image"].problem
    assert infos["clip"].family == "siglip"
    assert "downloaded" in infos["caption"].problem
    assert "no such" in infos["vit"].problem


@pytest.mark.slow
def test_trying_models_happens_in_another_process_and_tells_which_load(folders, tmp_path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(folders["vit"], broken)
    damage(broken / "model.safetensors", "cut")
    told = list(describe_models.try_models({"clip": str(folders["clip"]), "vit": str(broken)}, tmp_path))
    assert told[:3] == [("clip", None), ("clip", ""), ("vit", None)] and "cut off" in told[3][1]


@pytest.mark.slow
def test_devices_are_looked_at_in_another_process() -> None:
    devices = describe_models.probe_devices()
    assert devices[0]["device"] == "cpu" and devices[0]["memory"] > 2**28 and devices[0]["flops"] > 1e8
