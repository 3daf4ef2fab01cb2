"""A video model is had by its role like any other, through the same checks of its files."""

from pathlib import Path

import pytest

from core.errors import ModelError, UserError
from core.settings import load_settings as load_settings
from proofs.vision.video.operations import drawn, shots
from tests.vision.conftest import Recorder, cpu_models
from tests.vision.video import tiny_videos
from vision.protocol import WorkerConfig
from vision.reporter import Reporter
from vision.store import Models
from vision.video.families import Operation
from vision.video.generate import generate
from vision.weights import memory


def models_of(folder: Path, tmp_path: Path) -> Models:
    return cpu_models({"video": folder}, tmp_path / "cache", cpu_threads=1)


def test_the_role_video_gives_the_video_model_and_reports_its_loading(tmp_path: Path) -> None:
    folder, watcher = tiny_videos.save("wan", tmp_path / "wan"), Recorder()
    models = models_of(folder, tmp_path)
    model = models.video(None, watcher)
    assert models.video(str(folder), Reporter()) is model, "it is kept"
    assert (model.family.name, model.card.native_size) == ("wan", tiny_videos.SIDE)
    assert watcher.loads[-1][1] == 1.0
    assert len(drawn(generate(model, shots(model)[Operation.WORDS], Reporter()))) == 9


def test_another_video_model_is_chosen_by_its_name(tmp_path: Path) -> None:
    wan, ltx = (str(tiny_videos.save(name, tmp_path / name)) for name in ("wan", "ltx"))
    config = WorkerConfig("cpu", {"video": wan}, str(tmp_path), cpu_threads=1, video_models={"quick": ltx})
    models = Models(config)
    assert models.video("quick", Reporter()).family.name == "ltx"
    with pytest.raises(UserError, match="the host hasn't set that one up"):
        models.video("slow", Reporter())


def test_a_video_model_that_brings_code_is_refused(tmp_path: Path) -> None:
    folder = tiny_videos.save("wan", tmp_path / "wan")
    (folder / "transformer" / "modeling.py").write_text("print('hello')")
    with pytest.raises(ModelError, match="brings its own code"):
        models_of(folder, tmp_path).get("video")


def test_a_video_model_without_all_of_its_parts_is_refused(tmp_path: Path) -> None:
    folder = tiny_videos.save("wan-a14b", tmp_path / "wan")
    for file in (folder / "transformer_2").glob("*.safetensors"):
        file.unlink()
    with pytest.raises(ModelError, match=r"incomplete: transformer_2/\*\.safetensors missing"):
        models_of(folder, tmp_path).get("video")


def test_both_transformers_are_counted_and_may_be_quantised(tmp_path: Path) -> None:
    folder = tiny_videos.save("wan-a14b", tmp_path / "wan")
    assert memory.quantizable_parts(folder) == ("text_encoder", "transformer", "transformer_2")
    assert {"off", "int8", "fp8", "nf4"} == set(memory.sizes(folder, 4))


def test_without_the_setting_there_is_no_role_of_that_name(tmp_path: Path) -> None:
    environ = {"DISCORD_TOKEN": "x" * 30}
    assert "video" not in load_settings(environ, tmp_path / "none").models
    named = load_settings({**environ, "VIDEO_MODEL": str(tmp_path)}, tmp_path / "none")
    assert named.models["video"] == str(tmp_path)
