"""Naming models, finding them, and refusing what could run code or is broken."""

from __future__ import annotations

import json
import pickle
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import ModelError, UserError
from core.requests import ImagineRequest
from core.settings import PROFILES, ROOT
from tests.vision.conftest import ask
from vision.model_store import Models
from vision.protocol import WorkerConfig
from vision.weights import describe, hub, identify, local, sources

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_the_three_forms_of_a_model_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "one.safetensors").touch()
    hub = sources.parse(f"owner/name@{COMMIT}")
    assert (hub.kind, hub.id, hub.revision, hub.name) == ("hub", "owner/name", COMMIT, "owner/name")
    assert sources.parse("owner/name").revision is None
    folder = sources.parse(str(tmp_path / "folder"))
    assert (folder.kind, folder.name, folder.path) == ("folder", "folder", tmp_path / "folder")
    assert sources.parse(str(tmp_path / "one.safetensors")).kind == "file"


@pytest.mark.parametrize(
    "spec", ["model.ckpt", "/models/model.pt", "a/b/c", "no model", "https://huggingface.co/owner/name"]
)
def test_what_is_no_model_is_refused_with_a_sentence(spec: str) -> None:
    with pytest.raises(ModelError, match="safetensors"):
        sources.parse(spec)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_names_models_that_parse(profile: str) -> None:
    kinds = {sources.parse(spec).kind for spec in PROFILES[profile].values()}
    assert kinds == ({"folder"} if profile == "demo" else {"hub"})


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
    output = ask(
        Models(WorkerConfig("cpu", {"image": str(folder)}, str(tmp_path))),
        ImagineRequest(prompt="a", num_images=1),
    )
    assert len(output.pictures) == 1
    assert not target.exists()
    pickle.loads((folder / "a.pkl").read_bytes())
    assert target.exists(), "the bomb must work, or the test shows nothing"


@pytest.mark.parametrize("name, role", [("stable-diffusion", "image"), ("clip", "clip")])
def test_a_folder_with_pickled_weights_only_is_refused(
    name: str, role: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    folder, target = tmp_path / "poisoned", tmp_path / "boom"
    shutil.copytree(folders[name], folder)
    poison(folder, target)
    for path in folder.rglob("*.safetensors"):
        path.unlink()
    with pytest.raises(ModelError, match="pickled"):
        Models(WorkerConfig("cpu", {role: str(folder)}, str(tmp_path))).get(role)
    assert not target.exists()


def test_a_component_with_a_pickle_only_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    folder, target = tmp_path / "poisoned", tmp_path / "boom"
    shutil.copytree(folders["stable-diffusion"], folder)
    poison(folder, target)
    for path in (folder / "unet").glob("*.safetensors"):
        path.unlink()
    with pytest.raises(ModelError, match="poisoned"):
        Models(WorkerConfig("cpu", {"image": str(folder)}, str(tmp_path))).get("image")
    assert not target.exists()


def test_a_folder_that_brings_code_is_refused_and_the_code_not_run(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    folder, target = tmp_path / "custom", tmp_path / "boom"
    shutil.copytree(folders["vit"], folder)
    (folder / "modeling.py").write_text(f"open({str(target)!r}, 'w')\nclass Model: pass\n")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps({**config, "auto_map": {"AutoModelForImageClassification": "modeling.Model"}})
    )
    with pytest.raises(ModelError, match="its own code"):
        Models(WorkerConfig("cpu", {"vit": str(folder)}, str(tmp_path))).get("vit")
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
def test_a_damaged_file_is_told_before_it_is_loaded(
    how: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(folders["vit"], folder)
    damage(folder / "model.safetensors", how)
    with pytest.raises(ModelError, match="model.safetensors"):
        Models(WorkerConfig("cpu", {"vit": str(folder)}, str(tmp_path))).get("vit")


def test_a_missing_component_is_named(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "half"
    shutil.copytree(folders["stable-diffusion"], folder)
    shutil.rmtree(folder / "vae")
    info = describe.describe_models({"image": str(folder)}, tmp_path)[0]
    assert "vae/ missing" in info.problem


def test_the_configured_models_are_described_without_loading_them(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    specs = {
        "image": str(folders["flux"]),
        "clip": str(folders["siglip"]),
        "caption": "owner/name",
        "vit": str(tmp_path / "gone"),
    }
    infos = {info.role: info for info in describe.describe_models(specs, tmp_path)}
    assert infos["image"].family == "FLUX.1" and infos["image"].bytes > 10_000 and not infos["image"].problem
    assert infos["clip"].family == "siglip"
    assert "downloaded" in infos["caption"].problem
    assert "no such" in infos["vit"].problem


def test_trying_models_happens_in_another_process_and_tells_which_load(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(folders["vit"], broken)
    damage(broken / "model.safetensors", "cut")
    tried = describe.try_models({"clip": str(folders["clip"]), "vit": str(broken)}, tmp_path)
    assert tried["clip"] == "" and "cut off" in tried["vit"]


def test_devices_are_looked_at_in_another_process() -> None:
    devices = describe.probe_devices()
    assert devices[0]["device"] == "cpu" and devices[0]["memory"] > 2**28


def snapshot(cache: Path, source: Path, commit: str = COMMIT) -> None:
    """As huggingface_hub lays a download out."""
    shutil.copytree(source, cache / "hub" / "models--owner--name" / "snapshots" / commit)


def test_a_hub_model_in_the_cache_loads_with_no_network(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    snapshot(tmp_path, folders["vit"])
    models = Models(WorkerConfig("cpu", {"vit": f"owner/name@{COMMIT}"}, str(tmp_path), allow_download=False))
    assert models.get("vit").name == "owner/name"


def test_a_revision_is_resolved_once_and_remembered(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    source = sources.parse("owner/name")
    snapshot(tmp_path, folders["vit"])
    assert local.find(source, tmp_path) is None, "main could be any commit by now"
    asked = fake_hub(monkeypatch, folders["vit"], tmp_path)
    folder = hub.fetch(source, tmp_path)
    assert folder.name == COMMIT and local.find(source, tmp_path) == folder
    assert json.loads((tmp_path / hub.LOCK_FILE).read_text())["owner/name@main"]["commit"] == COMMIT
    hub.fetch(source, tmp_path)
    assert asked == [None, COMMIT], "once known, the commit is what is asked for"


def fake_hub(monkeypatch: pytest.MonkeyPatch, folder: Path, cache: Path) -> list[str | None]:
    """A hub with one repository; returns the revisions it is asked for."""
    import huggingface_hub

    asked = []

    class File:
        def __init__(self, path: Path) -> None:
            self.rfilename, self.size = path.name, path.stat().st_size

    class Api:
        def __init__(self, token: str | None = None) -> None: ...

        def model_info(self, name: str, revision: str | None, files_metadata: bool):
            asked.append(revision)
            self.sha, self.siblings = COMMIT, [File(p) for p in folder.iterdir()]
            return self

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda repo, name, **how: None)
    return asked


def test_no_download_is_tried_when_the_host_forbids_it(tmp_path: Path) -> None:
    models = Models(WorkerConfig("cpu", {"vit": f"owner/name@{COMMIT}"}, str(tmp_path), allow_download=False))
    with pytest.raises(ModelError, match="ALLOW_DOWNLOAD is off"):
        models.get("vit")


def test_only_texts_and_one_set_of_weights_are_fetched() -> None:
    names = (
        "model_index.json",
        "README.md",
        "v1-5-pruned.safetensors",
        "v1-5-pruned.ckpt",
        "unet/config.json",
        "unet/modeling.py",
        "unet/diffusion_pytorch_model.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "unet/diffusion_pytorch_model.bin",
        "unet/diffusion_pytorch_model.non_ema.safetensors",
        "vae/config.json",
        "vae/diffusion_pytorch_model.fp16.safetensors",
        "tokenizer/vocab.json",
        "tokenizer/merges.txt",
    )
    texts = {
        "model_index.json",
        "unet/config.json",
        "vae/config.json",
        "tokenizer/vocab.json",
        "tokenizer/merges.txt",
    }
    vae = {"vae/diffusion_pytorch_model.fp16.safetensors"}
    assert set(hub.choose_files(names, half=False)) == texts | vae | {
        "unet/diffusion_pytorch_model.safetensors"
    }
    assert set(hub.choose_files(names, half=True)) == texts | vae | {
        "unet/diffusion_pytorch_model.fp16.safetensors"
    }


def test_of_several_libraries_copies_transformers_own_is_fetched() -> None:
    names = (
        "config.json",
        "model.safetensors",
        "open_clip_model.safetensors",
        "pytorch_model.bin",
        "onnx/model.onnx",
        "onnx/config.json",
    )
    assert set(hub.choose_files(names, half=False)) == {
        "config.json",
        "model.safetensors",
        "onnx/config.json",
    }


def test_a_model_the_host_has_not_configured_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    models = Models(WorkerConfig("cpu", {"image": str(folders["flux"])}, str(tmp_path)))
    with pytest.raises(UserError, match="hasn't set that one up"):
        ask(models, ImagineRequest(prompt="a", model="someone/elses"))


def test_a_card_with_a_mistake_is_a_sentence_not_a_traceback(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "carded"
    shutil.copytree(folders["flux"], folder)
    for text, word in (
        ("{", "valid JSON"),
        ('{"native_size": 0}', "native_size"),
        ('{"draft": {"steps": 3}}', "steps"),
        ("[]", "object"),
    ):
        (folder / "atelier.json").write_text(text)
        with pytest.raises(ModelError, match=word):
            identify.family_and_card(folder)


def test_the_family_and_the_card_are_known_without_torch(folders: dict[str, Path]) -> None:
    code = (
        "import sys; from pathlib import Path; from vision.weights import describe, identify\n"
        "import vision.capabilities, vision.worker, vision.protocol\n"
        f"print(identify.family_and_card(Path({str(folders['flux'])!r}))[0].name,"
        " sorted({'torch', 'diffusers', 'transformers'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "flux []"


def test_the_least_recently_used_model_makes_room(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vision import devices

    specs = {role: str(folders[role]) for role in ("clip", "vit")} | {"caption": str(folders["blip"])}
    models = Models(WorkerConfig("cpu", specs, str(tmp_path)))
    clip, vit = models.get("clip"), models.get("vit")
    assert models.get("clip") is clip
    free = iter([0, 2**40])
    monkeypatch.setattr(devices, "memory", lambda device: (next(free, 2**40), 2**40))
    models.get("caption")
    assert models.get("clip") is clip, "used last, kept"
    assert models.get("vit") is not vit


def test_the_family_files_are_the_families() -> None:
    from vision.families import FAMILIES

    files = {p.stem for p in (ROOT / "vision" / "families").glob("*.py")} - {
        "__init__",
        "family",
        "clip_text",
    }
    assert files == {family.name.replace("-", "_") for family in FAMILIES}


def test_the_reader_files_are_the_readers() -> None:
    from vision.readers import READERS

    loaded = {module.rpartition(".")[2] for module in READERS.values()}
    files = {p.stem for p in (ROOT / "vision" / "readers").glob("*.py")}
    assert files == loaded | {"__init__", "occlusion", "word_weights"}
