"""A style as a job: from a project's pictures to a file that ``--lora`` names."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from core.convert import prompt_of
from core.errors import UserError
from core.prompt.parser import format_prompt, parse_prompt
from core.prompt.values import StoredLora, lora_name, shown_lora, stored_lora
from core.requests import ImagineRequest, from_json, to_json
from core.requests.custom_models import STYLE, TrainRequest
from proofs.vision.lora_training import looks
from tests.vision.conftest import Recorder, ask, cpu_models
from tests.vision.families.test_families import apart
from vision.capabilities import train
from vision.custom_models.snapshot import Item, Snapshot
from vision.lora_training.config import Settings
from vision.reporter import Reporter
from vision.store import Models

REQUEST = TrainRequest(project="abcdefgh2345", task=STYLE, words="chalk style", seed=4, seconds=3600)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    def few(trigger: str, pictures: int, weights: int, seed: int) -> Settings:
        return Settings(trigger, 4, 2, "all", 1e-2, batch=2, checkpoints=1, seed=seed)

    monkeypatch.setattr(train, "usual_settings", few)


def job(folder: Path, count: int = 5, captions: bool = True) -> dict[str, str]:
    """Write the pictures and the snapshot of a job; return where the pictures are."""
    paths, items = {}, []
    for picture, caption in looks.pictures("chalk", count):
        file = folder / f"{len(paths)}.png"
        picture.save(file)
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        paths[sha256] = str(file)
        items.append(Item(sha256, caption[:80] if captions else ""))
    (folder / train.SNAPSHOT).write_text(Snapshot.of(items).text())
    return paths


def models(folders: dict[str, Path], folder: Path, **roles: str) -> Models:
    specs = {role: str(folders[name]) for role, name in {"image": "stable-diffusion", **roles}.items()}
    return cpu_models(specs, folder / "cache", cpu_threads=1)


@pytest.mark.slow
def test_pictures_become_a_file_and_a_sheet(quick, folders, tmp_path: Path) -> None:
    paths, own, seen = job(tmp_path), models(folders, tmp_path), Recorder()
    output = train.train_style(REQUEST, paths, own, seen, tmp_path)
    assert output.learned is not None and Path(output.learned.path) == tmp_path / "model.safetensors"
    assert {item.sha256 for item in output.learned.items} == set(paths)
    assert output.learned.charts == ("samples",) and len(output.pictures) == 1
    told = json.dumps(dict(output.learned.metrics))
    assert not any(sha256 in told for sha256 in paths)
    assert seen.steps[-1][1] == 4
    first = (tmp_path / "model.safetensors").read_bytes()
    train.train_style(REQUEST, paths, models(folders, tmp_path), Reporter(), tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == first
    assert not any(sha256.encode() in first for sha256 in paths)


def test_pictures_without_captions_are_described(quick, folders, tmp_path: Path) -> None:
    paths = job(tmp_path, captions=False)
    output = train.train_style(
        REQUEST, paths, models(folders, tmp_path, caption="blip"), Reporter(), tmp_path
    )
    assert output.learned is not None
    with pytest.raises(UserError, match="None of the pictures has a caption"):
        train.train_style(REQUEST, paths, models(folders, tmp_path), Reporter(), tmp_path)


def test_too_few_pictures_are_told(folders, tmp_path: Path) -> None:
    paths = job(tmp_path, count=3)
    with pytest.raises(UserError, match="there are 3"):
        train.train_style(REQUEST, paths, models(folders, tmp_path), Reporter(), tmp_path)


def test_a_request_draws_with_a_stored_style_beside_others(quick, folders, tmp_path: Path) -> None:
    paths, own = job(tmp_path), models(folders, tmp_path)
    train.train_style(REQUEST, paths, own, Reporter(), tmp_path)
    file = tmp_path / "model.safetensors"
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    name = str(StoredLora("chalk", REQUEST.project, sha256))
    plain = ImagineRequest(prompt="a castle", seed=3, num_images=1, num_inference_steps=2)
    styled = from_json("imagine", to_json(replace(plain, loras=((name, 1.0),))))
    assert styled.files == (sha256,) and plain.files == ()
    with pytest.raises(UserError, match="The style `chalk` was deleted"):
        ask(own, styled)
    own.loader.note_stored({sha256: file})
    assert apart(ask(own, plain).pictures[0], ask(own, styled).pictures[0]) > 0.5
    image = own.get("image")
    assert name in image.loras.adapters
    own.forget([sha256])
    assert name not in image.loras.adapters


def test_a_stored_style_is_shown_as_it_is_typed() -> None:
    name = str(StoredLora("chalk", "abcdefgh2345", "a" * 64))
    text = format_prompt(prompt_of(ImagineRequest(prompt="a castle", loras=((name, 0.5), ("ink", 1.0)))))
    assert "--lora chalk:0.5 ink" in text
    assert parse_prompt(text).loras == (("chalk", 0.5), ("ink", 1.0))
    assert shown_lora("ink+wash") == "ink+wash" and stored_lora("ink+wash") is None
    assert lora_name("Harbour night, 2") == "Harbour-night-2" and lora_name("  ") == "style"
