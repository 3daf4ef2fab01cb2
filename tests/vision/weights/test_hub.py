"""What is fetched from the hub, which commit is remembered, and what is used without a network."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from core.errors import ModelError
from core.settings import PROFILES, named_values
from tests.support.hub import serving
from tests.vision.conftest import cpu_models
from tests.vision.weights.test_sources import COMMIT
from vision import describe_models
from vision.weights import files, hub


def test_models_that_are_fetched_at_the_same_time_are_all_remembered(tmp_path: Path) -> None:
    def remember(number: int) -> None:
        for name in (f"owner/a{number}", f"owner/b{number}"):
            hub.lock_source(files.parse(name), tmp_path, {"commit": "0" * 40})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(remember, range(16)))
    assert len(json.loads((tmp_path / hub.LOCK_FILE).read_text())) == 32


def snapshot(cache: Path, source: Path, commit: str = COMMIT) -> None:
    """As huggingface_hub lays a download out."""
    shutil.copytree(source, cache / "hub" / "models--owner--name" / "snapshots" / commit)


def test_a_hub_model_in_the_cache_loads_with_no_network(folders, tmp_path, monkeypatch) -> None:
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    snapshot(tmp_path, folders["vit"])
    models = cpu_models({"vit": f"owner/name@{COMMIT}"}, tmp_path, allow_download=False)
    assert models.get("vit").name == "owner/name"


def test_a_revision_is_resolved_once_and_remembered(folders, tmp_path, monkeypatch) -> None:
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    source = files.parse("owner/name")
    snapshot(tmp_path, folders["vit"])
    assert hub.find_downloaded(source, tmp_path) is None, "main could be any commit by now"
    with serving(folders["vit"], monkeypatch) as played:
        folder = hub.fetch(source, tmp_path)
        assert folder.name == COMMIT and hub.find_downloaded(source, tmp_path) == folder
        assert json.loads((tmp_path / hub.LOCK_FILE).read_text())["owner/name@main"]["commit"] == COMMIT
        hub.fetch(source, tmp_path)
    assert played.asked == [None, COMMIT], "once known, the commit is what is asked for"


def test_no_download_is_tried_when_the_host_forbids_it(tmp_path: Path) -> None:
    models = cpu_models({"vit": f"owner/name@{COMMIT}"}, tmp_path, allow_download=False)
    with pytest.raises(ModelError, match="ALLOW_DOWNLOAD is off"):
        models.get("vit")


def test_only_texts_and_one_set_of_weights_are_fetched() -> None:
    names = (
        *("model_index.json", "README.md", "v1-5-pruned.safetensors", "v1-5-pruned.ckpt"),
        *("unet/config.json", "unet/modeling.py", "unet/diffusion_pytorch_model.safetensors"),
        *("unet/diffusion_pytorch_model.fp16.safetensors", "unet/diffusion_pytorch_model.bin"),
        *("unet/diffusion_pytorch_model.non_ema.safetensors", "vae/config.json"),
        *("vae/diffusion_pytorch_model.fp16.safetensors", "tokenizer/vocab.json", "tokenizer/merges.txt"),
    )
    texts = {
        *("model_index.json", "unet/config.json", "vae/config.json", "tokenizer/vocab.json"),
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
        *("config.json", "model.safetensors", "open_clip_model.safetensors", "pytorch_model.bin"),
        *("onnx/model.onnx", "onnx/config.json"),
    )
    assert set(hub.choose_files(names, half=False)) == {
        "config.json",
        "model.safetensors",
        "onnx/config.json",
    }


def test_a_model_of_the_hub_is_told_by_the_hosts_card_how_it_is_used(folders, tmp_path, monkeypatch) -> None:
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    cache, spec = tmp_path / "cache", f"owner/name@{COMMIT}"
    snapshot(cache, folders["z-image"])
    plain = cpu_models({"image": spec}, cache, allow_download=False).image(None)
    (tmp_path / "cards").mkdir()
    card = tmp_path / "cards" / "owner--name.json"
    card.write_text('{"num_inference_steps": 28, "guidance_scale": 4.0}')
    model = cpu_models({"image": spec}, cache, allow_download=False).image(None)
    assert plain.card.num_inference_steps != 28 == model.card.num_inference_steps
    assert model.card.guidance_scale == 4.0 and model.card.native_size == plain.card.native_size
    (told,) = describe_models.describe_models({"image": spec}, cache)
    assert (
        "28 steps, guidance 4" in told.notes[0] and told.notes[-1] == "with DATA_DIR/cards/owner--name.json"
    )
    card.write_text("{")
    (told,) = describe_models.describe_models({"image": spec}, cache)
    assert "owner--name.json of cards isn't valid JSON" in told.problem


def test_one_file_of_a_repository_is_fetched_alone(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "hub").mkdir()
    for name in ("four", "eight"):
        weights = {f"{name}.lora_A.weight": np.zeros((2, 2), np.float32)}
        save_file(weights, tmp_path / "hub" / f"{name}.safetensors")
    source = files.parse(f"owner/name@{COMMIT}:eight.safetensors")
    assert (source.name, source.revision, source.kind) == ("owner/name", COMMIT, "hub")
    cache = tmp_path / "cache"
    with serving(tmp_path / "hub", monkeypatch) as played:
        path = hub.fetch(source, cache)
        assert [name for name, _ in played.handed] == ["eight.safetensors"]
        with pytest.raises(ModelError, match="has no file two.safetensors"):
            hub.fetch(files.parse(f"owner/name@{COMMIT}:two.safetensors"), cache)
    assert files.lora_file(path) == path == hub.find_downloaded(source, cache)
    hub.check_pin(source, path, cache)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match="isn't the file that was downloaded"):
        hub.check_pin(source, path, cache)
    assert hub.find_downloaded(files.parse(f"owner/name@{COMMIT}:four.safetensors"), cache) is None


@pytest.mark.parametrize("loras", [{}, {"lightning": "owner/name@main:eight.safetensors"}])
def test_qwen_images_drafts_are_lightnings_where_the_host_has_it(
    folders, tmp_path, monkeypatch, loras
) -> None:
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    (spec,) = (one for one in named_values(PROFILES["xlarge"]["IMAGE_MODELS"]).values() if "Qwen" in one)
    commit = spec.partition("@")[2]
    shutil.copytree(
        folders["qwen-image"], tmp_path / "hub" / "models--Qwen--Qwen-Image-2512" / "snapshots" / commit
    )
    models = cpu_models({"image": spec}, tmp_path, allow_download=False, loras=loras)
    draft = models.image(None).card.draft
    assert draft.lora == next(iter(loras), "") and (draft.num_inference_steps == 8) is bool(loras)
    assert "lightning" in named_values(PROFILES["xlarge"]["LORAS"])
