"""Folders and files that could run code, are broken or lack something are refused before they are loaded."""

import json
import pickle
import shutil
import struct
from pathlib import Path

import pytest

from core.errors import ModelError
from core.requests import ImagineRequest
from tests.vision.conftest import ask, cpu_models


class Bomb:
    """Pickled, it writes a file when it is loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return Path.touch, (self.target,)


def poison(folder: Path, target: Path) -> None:
    """Pickles with a bomb beside the weights, under every name a loader might prefer."""
    for part in (folder, *(p for p in folder.iterdir() if p.is_dir())):
        for name in ("diffusion_pytorch_model.bin", "pytorch_model.bin", "model.ckpt", "weights.pt", "a.pkl"):
            (part / name).write_bytes(pickle.dumps(Bomb(target)))


def test_pickles_beside_the_weights_are_never_opened(folders: dict[str, Path], tmp_path: Path) -> None:
    folder, target = tmp_path / "poisoned", tmp_path / "boom"
    shutil.copytree(folders["stable-diffusion"], folder)
    poison(folder, target)
    output = ask(cpu_models({"image": folder}, tmp_path), ImagineRequest(prompt="a", num_images=1))
    assert len(output.pictures) == 1
    assert not target.exists()
    pickle.loads((folder / "a.pkl").read_bytes())
    assert target.exists(), "the bomb must work, or the test shows nothing"


@pytest.mark.parametrize("name, role", [("stable-diffusion", "image"), ("clip", "clip")])
def test_a_folder_with_pickled_weights_only_is_refused(name: str, role: str, folders, tmp_path) -> None:
    folder, target = tmp_path / "poisoned", tmp_path / "boom"
    shutil.copytree(folders[name], folder)
    poison(folder, target)
    for path in folder.rglob("*.safetensors"):
        path.unlink()
    with pytest.raises(ModelError, match="pickled"):
        cpu_models({role: folder}, tmp_path).get(role)
    assert not target.exists()


def test_a_component_with_a_pickle_only_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    folder, target = tmp_path / "poisoned", tmp_path / "boom"
    shutil.copytree(folders["stable-diffusion"], folder)
    poison(folder, target)
    for path in (folder / "unet").glob("*.safetensors"):
        path.unlink()
    with pytest.raises(ModelError, match="poisoned"):
        cpu_models({"image": folder}, tmp_path).get("image")
    assert not target.exists()


def test_a_folder_that_brings_code_is_refused_and_the_code_not_run(folders, tmp_path) -> None:
    folder, target = tmp_path / "custom", tmp_path / "boom"
    shutil.copytree(folders["vit"], folder)
    (folder / "modeling.py").write_text(f"open({str(target)!r}, 'w')\nclass Model: pass\n")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps({**config, "auto_map": {"AutoModelForImageClassification": "modeling.Model"}})
    )
    with pytest.raises(ModelError, match="its own code"):
        cpu_models({"vit": folder}, tmp_path).get("vit")
    assert not target.exists()


def damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    if how == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif how == "huge header":
        path.write_bytes(struct.pack("<Q", 2**40) + data[8:])
    elif how == "no JSON":
        path.write_bytes(data[:8] + b"x" * (len(data) - 8))
    else:
        path.write_bytes(b"")


@pytest.mark.parametrize("how", ["cut", "huge header", "no JSON", "empty"])
def test_a_damaged_file_is_told_before_it_is_loaded(how: str, folders, tmp_path) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(folders["vit"], folder)
    damage(folder / "model.safetensors", how)
    with pytest.raises(ModelError, match="model.safetensors"):
        cpu_models({"vit": folder}, tmp_path).get("vit")
