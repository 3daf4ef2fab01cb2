"""The demo models are helped out with photographs, and nobody else; every answer says who spoke."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import UserError
from core.events import Output
from core.requests import ClassifyRequest, CutOutRequest, DescribeRequest, UpscaleRequest
from demo.drawing import draw
from demo.evaluate.images import SINGLE, held_out
from tests.vision.conftest import SHA, Recorder, ask
from tests.vision.readers.photo.conftest import PhotoModels, PretendReader, photograph
from vision.capabilities import cutout
from vision.protocol import Select, WorkerConfig
from vision.reporter import Reporter
from vision.store import Models
from vision.worker.queries import select

[(SCENE, RNG)] = held_out(1, SINGLE, "photographs")
DRAWING = draw(SCENE, RNG, (256, 256))
CLASSIFY = ClassifyRequest(image=SHA)
DESCRIBE = DescribeRequest(image=SHA, seed=1)
UPSCALE = UpscaleRequest(prompt="", image=SHA, num_inference_steps=2, num_images=1)
CUT = CutOutRequest(image=SHA, seed=5)


def file_of(output: Output) -> Image.Image:
    return Image.open(io.BytesIO(output.pictures[0].data))


def who(output: Output) -> tuple[str, str | None]:
    return output.parameters["model"], output.parameters.get("knows")


def test_a_photograph_is_read_by_who_knows_photographs(tmp_path: Path) -> None:
    models = PhotoModels(tmp_path)
    output = ask(models, CLASSIFY, photograph())
    assert output.scores[0] == ("tiger cat", pytest.approx(0.6)) and len(output.scores) == 5
    assert who(output) == ("efficientnet-lite0", "photographs") and output.grid
    output = ask(models, replace(CLASSIFY, labels=("dog", "cat", "woman")), photograph())
    assert output.scores[0][0] == "cat" and sum(share for _, share in output.scores) == pytest.approx(1)
    output = ask(models, DESCRIBE, photograph())
    assert len(output.captions) == 4 and "tiger cat" in output.captions[0]
    assert who(output) == ("efficientnet-lite0", "photographs")


def test_a_drawing_is_read_by_the_demo_models(tmp_path: Path) -> None:
    models = PhotoModels(tmp_path, photographed=False)
    output = ask(models, CLASSIFY, DRAWING)
    assert output.scores[0][0] == SCENE.groups[0].object and who(output) == ("vit", "drawings")
    assert who(ask(models, replace(CLASSIFY, labels=("cat", "dog")), DRAWING)) == ("clip", "drawings")
    assert who(ask(models, DESCRIBE, DRAWING)) == ("captioner", "drawings")


def test_labels_that_are_unknown_are_told(tmp_path: Path) -> None:
    output = ask(PhotoModels(tmp_path), replace(CLASSIFY, labels=("cat", "gruffalo")), photograph())
    assert who(output) == ("clip", "drawings")
    assert {label for label, _ in output.scores} == {"cat", "gruffalo"}
    assert "knows nothing called gruffalo" in output.parameters["notes"][0]


@pytest.mark.parametrize("request_", [CLASSIFY, replace(CLASSIFY, labels=("a", "b")), DESCRIBE, UPSCALE])
def test_without_a_network_everything_works_as_before_and_says_why(tmp_path: Path, request_) -> None:
    output = ask(PhotoModels(tmp_path, there=False), request_, DRAWING.resize((64, 64)))
    assert "can't be reached" in output.parameters["notes"][-1] and "knows" not in output.parameters
    assert output.captions or output.scores or output.pictures


def test_without_the_extra_nothing_is_asked_or_told(tmp_path: Path) -> None:
    models = PhotoModels(tmp_path)
    plain = {role: spec for role, spec in models.config.models.items() if role not in models.pretended}
    output = ask(Models(replace(models.config, models=plain)), CLASSIFY, photograph())
    assert who(output) == ("vit", None) and output.parameters["notes"] == []


def test_models_that_the_host_has_chosen_are_never_replaced(tmp_path: Path, folders: dict[str, Path]) -> None:
    models = PhotoModels(tmp_path, vit=str(folders["vit"]), clip=str(folders["clip"]))
    assert who(ask(models, CLASSIFY, photograph())) == (folders["vit"].name, None)
    assert who(ask(models, replace(CLASSIFY, labels=("cat", "dog")), photograph()))[1] is None
    image = PhotoModels(tmp_path, image=str(folders["stable-diffusion"]))
    assert who(ask(image, UPSCALE, photograph().resize((64, 64)))) == (folders["stable-diffusion"].name, None)


@pytest.mark.slow
def test_a_photograph_is_enlarged_as_one_and_can_be_stopped(tmp_path: Path) -> None:
    models, recorder = PhotoModels(tmp_path), Recorder()
    output = ask(models, UPSCALE, photograph(), recorder)
    assert file_of(output).size == (902, 600) and who(output) == ("real-esrgan-compact", "photographs")
    assert recorder.steps == [(number, 12) for number in range(1, 13)] and not output.parameters["notes"]
    small = np.asarray(file_of(output).resize((451, 300), Image.Resampling.BOX), int)
    assert np.abs(small - np.asarray(photograph(), int)).mean() < 40  # random weights, half of them Lanczos'
    output = ask(models, replace(UPSCALE, mode="creative", factor=4), photograph().resize((40, 30)))
    assert file_of(output).size == (160, 120) and "without new detail" in output.parameters["notes"][0]
    stopped = Recorder(stop_after=2)
    with pytest.raises(Exception, match="stopped by the test"):
        ask(models, UPSCALE, photograph(), stopped)
    assert len(stopped.steps) == 2


def test_a_drawing_is_enlarged_by_the_image_model(tmp_path: Path) -> None:
    output = ask(PhotoModels(tmp_path, photographed=False), UPSCALE, DRAWING.resize((64, 64)))
    assert who(output) == ("stable-diffusion", None)


def test_an_object_is_cut_out_and_nothing_of_the_rest_is_kept(tmp_path: Path) -> None:
    for photographed, picture, name in ((True, photograph(), "u2netp"), (False, DRAWING, "segmenter")):
        output = ask(PhotoModels(tmp_path, photographed), CUT, picture)
        made = file_of(output)
        assert made.mode == "RGBA" and made.size == picture.size and output.parameters["model"] == name
        pixels = np.asarray(made)
        gone = pixels[..., 3] == 0
        assert 0.3 < gone.mean() < 0.999 and (pixels[gone][:, :3] == 255).all()
        assert (pixels[~gone][:, :3] == np.asarray(picture)[~gone]).all()
        assert made.text["parameters"].endswith(f"Model: {name}") or name in made.text["parameters"]


def test_nothing_to_cut_out_is_said(tmp_path: Path) -> None:
    models = PhotoModels(tmp_path)
    models.pretended["cutout"]._run = lambda pixels: np.zeros((1, 1, 320, 320), np.float32)
    with pytest.raises(UserError, match="Nothing stands out"):
        ask(models, CUT, photograph())
    bare = Models(WorkerConfig("cpu", {"image": ""}, str(tmp_path)))
    with pytest.raises(UserError, match="EXTRAS=photo"):
        ask(bare, CUT, photograph())
    with pytest.raises(UserError, match="the package index can't be reached"):
        ask(PhotoModels(tmp_path, there=False, segment=""), CUT, photograph())


def test_the_editor_picks_what_stands_out_of_a_photograph(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("vision.readers.photo.describe.is_here", lambda models, role: True)
    file = tmp_path / "picture.png"
    photograph().save(file)
    models = PhotoModels(tmp_path)
    found = select(Select("q", str(file), points=((150.0, 150.0, 1),)), models, Reporter())
    assert found.by == "cutout" and found.points and found.rows and not found.refused
    assert "photograph" in select(Select("q", str(file), words="the cat"), models, Reporter()).refused
    DRAWING.save(file)
    drawn = select(Select("q", str(file)), PhotoModels(tmp_path, photographed=False), Reporter())
    assert drawn.points and drawn.words and not drawn.refused


def test_a_guest_has_nothing_fetched(tmp_path: Path) -> None:
    class Guest(Reporter):
        is_guest = True

    file = tmp_path / "picture.png"
    photograph().save(file)
    models = PhotoModels(tmp_path)
    asked: list[str] = []
    get = models.get
    models.get = lambda role, reporter=None: asked.append(role) or get(role, reporter)  # type: ignore[method-assign]
    select(Select("q", str(file)), models, Guest())
    assert asked == ["segment"]


# With the real readers, where they are


def test_the_real_readers_know_a_cat(real: Models) -> None:
    output = ask(real, CLASSIFY, photograph())
    assert output.scores[0][0] in ("tiger cat", "tabby", "Egyptian cat")
    assert who(output) == ("efficientnet-lite0", "photographs")
    assert who(ask(real, CLASSIFY, DRAWING)) == ("vit", "drawings")
    assert ask(real, replace(CLASSIFY, labels=("boat", "cat", "woman")), photograph()).scores[0][0] == "cat"


def test_the_real_readers_cut_out_a_cat(real: Models) -> None:
    alpha = np.asarray(file_of(ask(real, CUT, photograph())).getchannel("A"))
    assert alpha[115, 170] > 200 and alpha[125, 321] > 200  # its eyes
    assert alpha[10, 440] < 50 and alpha[290, 440] < 50  # corners behind it


def test_a_photograph_stays_closer_and_gets_sharper_than_by_the_demo_model(real: Models) -> None:
    large = photograph().crop((95, 40, 351, 296))
    small = large.resize((128, 128), Image.Resampling.BOX)
    plain = {role: spec for role, spec in real.config.models.items() if not spec.startswith("package:")}
    before = Models(replace(real.config, models=plain))
    new, old = (file_of(ask(models, UPSCALE, small)) for models in (real, before))

    def distance(image: Image.Image) -> float:
        return float(np.square(np.asarray(image.convert("RGB"), float) - np.asarray(large, float)).mean())

    def steepness(image: Image.Image) -> float:
        return float(np.percentile(np.abs(np.diff(np.asarray(image.convert("L"), float))), 99))

    assert distance(new) < 0.5 * distance(old)  # 3 dB and more
    assert steepness(new) > steepness(old)


def test_the_head_is_sure_of_what_the_pretended_reader_shows() -> None:
    from vision.readers.photo import models as kind

    assert kind.photographed(PretendReader(True).features)
    assert not kind.photographed(PretendReader(False).features)


def test_cutting_keeps_partly_covered_pixels() -> None:
    alpha = Image.new("L", (4, 4), 0)
    alpha.putpixel((1, 1), 100)
    made = np.asarray(cutout.cut_out(Image.new("RGB", (4, 4), "red"), alpha))
    assert tuple(made[1, 1]) == (255, 0, 0, 100) and tuple(made[0, 0]) == (255, 255, 255, 0)
