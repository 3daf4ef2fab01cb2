"""Only models that can't run anything, and only those that were meant. All poisons on all models: ``make
security``."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from core.errors import ModelError
from core.settings import PROFILES
from proofs.security import weights
from tests.support.hub import serving
from tests.vision.conftest import cpu_models
from tests.vision.weights.test_sources import COMMIT, specs_of
from vision.families import Mode
from vision.weights import files, hub


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> weights.Watch:
    return weights.Watch(tmp_path_factory.mktemp("poisoned"))


def test_poisoned_folders_run_nothing(folders, watch: weights.Watch, monkeypatch) -> None:
    some = [
        case for case in weights.cases(folders) if case[0] == "vit" or case[2] in weights.PIPELINE_POISONS
    ]
    monkeypatch.setattr(weights, "cases", lambda folders: iter(some))
    count, ran, loaded = weights.attack(folders, Path(watch.folder), watch)
    assert count == len(some) >= 30
    assert ran == [] and loaded == []


def test_executions_that_happen_are_seen(watch: weights.Watch) -> None:
    assert weights.control(Path(watch.folder), watch) == 2


def test_a_folder_or_file_is_pinned_by_its_contents(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "vit"
    shutil.copytree(folders["vit"], folder)
    source = files.parse(f"{folder}@sha256:{files.digest(folder)}")
    assert (source.kind, source.path, source.name) == (
        "folder",
        folder,
        "vit",
    )
    assert source.digest == files.digest(folder)
    hub.verify(source, folder, tmp_path)
    (folder / "config.json").write_text((folder / "config.json").read_text() + " ")
    with pytest.raises(ModelError, match="isn't what was pinned"):
        hub.verify(source, folder, tmp_path)
    file = folder / "model.safetensors"
    hub.verify(files.parse(f"{file}@sha256:{files.digest(file)}"), file, tmp_path)
    for wrong in ("abc", "z" * 64, ""):
        with pytest.raises(ModelError, match="64 hex digits"):
            files.parse(f"{folder}@sha256:{wrong}")


def _sharing(folders: dict[str, Path], root: Path) -> Path:
    """A pipeline's folder whose autoencoder lies in the one beside it."""
    shutil.copytree(folders["stable-diffusion"], root / "whole")
    shutil.copytree(folders["stable-diffusion"], root / "part")
    shutil.rmtree(root / "part" / "vae")
    _shares(root / "part", {"vae": "whole"})
    return root / "part"


def _shares(folder: Path, shared: object) -> None:
    card = json.loads((folder / "atelier.json").read_text())
    (folder / "atelier.json").write_text(json.dumps({**card, "shared": shared}))


def test_a_folder_takes_a_part_from_the_one_beside_it(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = _sharing(folders, tmp_path)
    models = {name: cpu_models({"image": tmp_path / name}, "") for name in ("whole", "part")}
    whole, part = (made.get("image").pipeline(Mode.TEXT) for made in models.values())
    assert all(
        torch.equal(one, other)
        for one, other in zip(whole.vae.state_dict().values(), part.vae.state_dict().values(), strict=True)
    )
    assert files.weight_files(folder)[-1].parent == tmp_path / "whole" / "vae"
    assert files.size(folder) == files.size(tmp_path / "whole")
    before = files.digest(folder)
    (tmp_path / "whole" / "vae" / "config.json").write_text("{}")
    assert files.digest(folder) != before
    shutil.rmtree(tmp_path / "whole" / "vae")
    with pytest.raises(ModelError, match="part is incomplete: vae/ missing"):
        files.check_folder(folder)


def test_a_shared_part_brings_no_code_and_lies_beside(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = _sharing(folders, tmp_path)
    (tmp_path / "whole" / "vae" / "modeling.py").write_text("raise SystemExit")
    with pytest.raises(ModelError, match=r"its own code \(modeling.py\)"):
        files.check_folder(folder)
    for shared in (
        {"vae": "../whole"},
        {"vae": ".."},
        {"vae": "/tmp"},
        {"../vae": "whole"},
        {"vae": 3},
        "whole",
    ):
        _shares(folder, shared)
        with pytest.raises(ModelError, match="isn't next to it"):
            files.check_folder(folder)


def test_what_the_hub_hands_over_must_be_what_it_states(folders, tmp_path, monkeypatch) -> None:
    with serving(folders["vit"], monkeypatch) as played:
        played.damages.add(played.largest())
        with pytest.raises(ModelError, match="arrived damaged. It was discarded"):
            hub.fetch(files.parse(f"owner/name@{COMMIT}"), tmp_path)


def test_a_fetched_model_that_is_changed_later_is_not_loaded(folders, tmp_path, monkeypatch) -> None:
    with serving(folders["vit"], monkeypatch):
        folder = hub.fetch(files.parse("owner/name"), tmp_path)
    assert cpu_models({"vit": "owner/name"}, tmp_path, allow_download=False).get("vit")
    weights.changed(folder, tmp_path)
    with pytest.raises(ModelError, match="isn't the file that was downloaded"):
        cpu_models({"vit": "owner/name"}, tmp_path, allow_download=False).get("vit")


def test_every_profile_is_pinned() -> None:
    for name in PROFILES:
        for spec in specs_of(name):
            source = files.parse(spec)
            assert name == "demo" or hub.commit_of(source, Path("/nowhere")) == source.revision, spec
