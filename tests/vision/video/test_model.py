"""A video model is had by its role like any other, through the same checks of its files."""

from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import ModelError, UserError
from core.settings import load_settings as load_settings
from proofs.vision.video.operations import drawn, shots
from tests.vision.conftest import Recorder, cpu_models
from tests.vision.video import tiny_videos
from vision.describe_models import describe_models
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


ORIGINAL = {  # diffusers' names of Wan's tensors → its makers', which GGUF files have
    "condition_embedder.time_embedder.linear_1": "time_embedding.0",
    "condition_embedder.time_embedder.linear_2": "time_embedding.2",
    "condition_embedder.text_embedder.linear_1": "text_embedding.0",
    "condition_embedder.text_embedder.linear_2": "text_embedding.2",
    "condition_embedder.time_proj": "time_projection.1",
    ".attn1.": ".self_attn.",
    ".attn2.": ".cross_attn.",
    ".to_out.0.": ".o.",
    ".to_q.": ".q.",
    ".to_k.": ".k.",
    ".to_v.": ".v.",
    "proj_out": "head.head",
    "ffn.net.0.proj": "ffn.0",
    "ffn.net.2": "ffn.2",
    ".norm2.": ".norm3.",
}


def as_gguf(folder: Path) -> Path:
    """Put the transformer of a tiny Wan into a GGUF file, where a row is long enough in Q8_0, and take it
    out of the folder; returns the file."""
    import gguf
    from safetensors.numpy import load_file

    writer = gguf.GGUFWriter(folder.with_suffix(".gguf"), "wan")
    q8 = gguf.GGMLQuantizationType.Q8_0
    for file in (folder / "transformer").glob("*.safetensors"):
        for name, tensor in load_file(file).items():
            name = "head.modulation" if name == "scale_shift_table" else name
            name = name.replace("scale_shift_table", "modulation")
            for ours, theirs in ORIGINAL.items():
                name = name.replace(ours, theirs)
            if tensor.ndim == 2 and tensor.shape[1] % 32 == 0:
                writer.add_tensor(name, gguf.quants.quantize(tensor, q8), raw_dtype=q8)
            else:
                writer.add_tensor(name, tensor)
        file.unlink()
    for write in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file):
        write()
    writer.close()
    return folder.with_suffix(".gguf")


def test_a_transformer_in_a_gguf_file_draws_nearly_what_its_folder_draws(tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    from diffusers.quantizers.gguf.utils import GGUFParameter, dequantize_gguf_tensor

    folder = tiny_videos.save("wan", tmp_path / "wan")
    plain = models_of(folder, tmp_path).video(None, Reporter())
    frames = drawn(generate(plain, shots(plain)[Operation.WORDS], Reporter()))
    file = as_gguf(folder)
    model = models_of(file, tmp_path).video(None, Reporter())
    stored, quantized = dict(plain.pipe.transformer.named_parameters()), 0
    for place, weight in model.pipe.transformer.named_parameters():
        if isinstance(weight, GGUFParameter):
            quantized, weight = quantized + 1, dequantize_gguf_tensor(weight)
        assert torch.allclose(weight.float(), stored.pop(place), atol=0.01), place
    assert quantized == 3 and not stored  # of which rows are long enough
    near = drawn(generate(model, shots(model)[Operation.WORDS], Reporter()))
    assert len(near) == 9 and np.abs(np.stack(near).astype(float) - np.stack(frames)).mean() < 3
    [told] = describe_models({"video": str(file)}, tmp_path)
    assert told.family == model.family.title and not told.problem
    file.rename(alone := tmp_path / "alone.gguf")
    with pytest.raises(ModelError, match="beside it, with the name alone"):
        models_of(alone, tmp_path).video(None, Reporter())


def test_another_video_model_is_chosen_by_its_name(tmp_path: Path) -> None:
    wan, ltx = (str(tiny_videos.save(name, tmp_path / name)) for name in ("wan", "ltx"))
    config = WorkerConfig("cpu", {"video": wan}, str(tmp_path), cpu_threads=1, video_models={"quick": ltx})
    models = Models(config)
    assert models.video("quick", Reporter()).family.name == "ltx"
    with pytest.raises(UserError, match="the operator hasn't set that one up"):
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
