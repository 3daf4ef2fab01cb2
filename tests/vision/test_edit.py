"""/edit in the worker, by every family that edits, loaded from a saved folder by the real code."""

import io
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.errors import JobCancelled, ModelError, UserError
from core.requests import EditRequest, ImagineRequest
from tests.support import tiny
from tests.vision import tiny_editors
from tests.vision.conftest import SHA, Recorder, ask, cpu_models
from tests.vision.diffusion.test_checkpoint import Died, Kept
from tests.vision.engine import test_engine
from tests.vision.engine.test_engine import CLOSE, Job, apart, together
from tests.vision.families.test_families import SAME, on_white, pixels
from vision.capabilities import edit
from vision.diffusion.parameters import Generation
from vision.families import EDITORS, FAMILIES, Mode, editing
from vision.store import Models
from vision.weights import card as identify

NAMES = sorted(tiny_editors.MODELS)
keep_latents = test_engine.keep_latents
REQUEST = EditRequest(prompt="make it blue", image=SHA, seed=7, num_images=2)


@pytest.fixture(scope="module")
def editor(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Models]:
    """Name of an editor → Models whose edit model it is."""
    made: dict[str, Models] = {}

    def make(name: str) -> Models:
        if name not in made:
            folder = tiny_editors.build(tmp_path_factory.mktemp("editors"), name)
            specs = {"image": str(folders["stable-diffusion"]), "edit": str(folder)}
            made[name] = cpu_models(specs, str(tmp_path_factory.mktemp("cache")), cpu_threads=1)
        return made[name]

    return make


@pytest.fixture(autouse=True)
def small_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let editors look at 64 px in place of a megapixel, for which a processor takes seconds."""
    from diffusers.pipelines.longcat_image import pipeline_longcat_image_edit as longcat
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit as edit
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus as edit_plus
    from diffusers.pipelines.qwenimage21 import pipeline_qwenimage21 as newest

    def small(asked: Callable, area: int, ratio: float) -> tuple:
        return asked(64 * 64, ratio)

    for module in (edit, newest, longcat):
        monkeypatch.setattr(module, "calculate_dimensions", partial(small, module.calculate_dimensions))
    for name in ("VAE_IMAGE_SIZE", "CONDITION_IMAGE_SIZE"):
        monkeypatch.setattr(edit_plus, name, 64 * 64)


def test_every_family_that_edits_is_tried_here() -> None:
    assert {family.name for family in (*EDITORS, *FAMILIES) if family.edit} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_of_a_grid_is_the_one_its_seed_makes_alone(name: str, editor) -> None:
    wide = name != "flux2-klein"  # whose pipeline takes no picture with a side under 64 px
    models, source, recorder = editor(name), tiny.picture(96 if wide else 64), Recorder()
    two = ask(models, REQUEST, source, recorder)
    family, card = identify.family_and_card(Path(models.config.models["edit"]))
    assert (family.name, card.native_size) == (name, 64)
    assert [step for step, _ in recorder.steps] == list(range(1, 5)) and all(recorder.previews)
    alone = ask(models, replace(REQUEST, seed=8, num_images=1), source).pictures[0]
    assert np.abs(pixels(two.pictures[1]) - pixels(alone)).max() <= SAME
    assert np.abs(pixels(two.pictures[0]) - pixels(alone)).max() > 20, "another seed, another picture"
    drawn = pixels(two.pictures[0])
    assert abs(drawn.shape[1] / drawn.shape[0] - source.width / source.height) < 0.1


@pytest.mark.parametrize("name", NAMES)
def test_the_picture_and_the_words_both_have_an_effect(name: str, editor) -> None:
    models, request = editor(name), replace(REQUEST, num_images=1)
    first = pixels(ask(models, request, tiny.picture()).pictures[0])
    for other in (
        ask(models, request, tiny.picture(seed=1)),
        ask(models, replace(request, prompt="add a boat and remove the star"), tiny.picture()),
    ):
        assert np.abs(first - pixels(other.pictures[0])).max() > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_stopped_edit_leaves_the_pipeline_as_it_was(name: str, editor) -> None:
    models, request, source = editor(name), replace(REQUEST, num_images=1), tiny.picture()
    before, recorder = ask(models, request, source), Recorder(stop_after=2)
    with pytest.raises(JobCancelled):
        ask(models, request, source, reporter=recorder)
    assert len(recorder.steps) == 2
    assert np.array_equal(pixels(before.pictures[0]), pixels(ask(models, request, source).pictures[0]))


@pytest.mark.parametrize("name", NAMES)
def test_edits_share_steps_and_draw_what_each_draws_alone(name: str, editor, keep_latents) -> None:
    model = editor(name).editor(None, Recorder())

    def jobs() -> list[Job]:
        return [
            Job(
                Generation(
                    Mode.EDIT, words, seeds, 64, 64, steps, 3.0, image=tiny.picture(seed=steps), strength=None
                )
            )
            for words, seeds, steps in (("make it blue", (1, 2), 3), ("remove it all", (7,), 4))
        ]

    shared, alone = jobs(), jobs()
    assert together(model, shared, [0, 1]).fibers == []
    for both, one in zip(shared, alone, strict=True):
        together(model, [one], [0])
        assert both.error is None and one.error is None
        assert apart(both.latents, one.latents) < CLOSE


@pytest.mark.parametrize("name", NAMES)
def test_an_edit_goes_on_from_its_checkpoint_and_ends_in_the_same_bytes(name: str, editor, tmp_path) -> None:
    models, source = editor(name), tiny.picture()
    wanted = ask(models, REQUEST, source)
    with pytest.raises(Died):
        ask(models, REQUEST, source, Kept(tmp_path, die_after=2))
    again = Kept(tmp_path)
    resumed = ask(models, REQUEST, source, again)
    assert [step for step, _ in again.steps] == [3, 4]
    assert [p.data for p in resumed.pictures] == [p.data for p in wanted.pictures]


CALLS = {  # what their model cards pass besides words, picture, steps and seed
    "instruct-pix2pix": {"guidance_scale": 7.5, "image_guidance_scale": 1.5},
    "qwen-image-2.1": {"width": 64, "height": 64},
    "longcat-image-edit": {"guidance_scale": 4.5},
}


@torch.no_grad()
@pytest.mark.parametrize("name", CALLS)
def test_it_is_what_diffusers_own_pipeline_draws(name: str, editor) -> None:
    from diffusers import DiffusionPipeline

    models, source = editor(name), tiny.picture()
    drawn = pixels(ask(models, replace(REQUEST, num_images=1), source).pictures[0])
    pipe = DiffusionPipeline.from_pretrained(models.config.models["edit"])
    pipe.set_progress_bar_config(disable=True)
    call = {"num_inference_steps": 4, "generator": torch.Generator().manual_seed(7), **CALLS[name]}
    picture = pipe(prompt=REQUEST.prompt, image=source, **call).images[0]
    assert np.abs(np.asarray(on_white(picture), np.int16) - drawn).max() <= SAME


def test_the_newer_qwen_image_edit_edits_by_its_own_pipeline(editor) -> None:
    models, request = editor("qwen-image-edit-2509"), replace(REQUEST, num_images=1)
    first, other = (ask(models, request, tiny.picture(seed=seed)).pictures[0] for seed in (0, 1))
    assert np.abs(pixels(first) - pixels(other)).max() > 0
    assert type(models.editor(None, Recorder()).pipeline(Mode.EDIT)).__name__ == "QwenImageEditPlusPipeline"


@pytest.mark.parametrize("name", ("flux-kontext", "instruct-pix2pix"))
def test_further_instructions_make_what_edits_one_by_one_make(name: str, editor) -> None:
    models, source, recorder = editor(name), tiny.picture(), Recorder()
    chain = ask(models, replace(REQUEST, then=("add a star",)), source, recorder)
    first = ask(models, REQUEST, source)
    for number, picture in enumerate(chain.pictures):
        before = Image.open(io.BytesIO(first.pictures[number].data)).convert("RGB")
        alone = replace(REQUEST, prompt="add a star", seed=REQUEST.seed + number, num_images=1)
        assert np.array_equal(pixels(picture), pixels(ask(models, alone, before).pictures[0]))
    assert chain.parameters["then"] == ["add a star"]
    steps = [step for step, _ in recorder.steps]
    assert steps == sorted(steps) and all(recorder.previews)
    with pytest.raises(JobCancelled):
        ask(models, replace(REQUEST, then=("add a star",)), source, Recorder(stop_after=7))


SEVERAL = ("flux2-klein", "qwen-image-edit-2509", "qwen-image-2.1")


@pytest.mark.parametrize("name", SEVERAL)
def test_models_that_take_a_list_are_shown_all_pictures(name: str, editor) -> None:
    models, request = editor(name), replace(REQUEST, images=("b" * 64,), prompt="put the cat of 2 beside it")
    shown = {SHA: tiny.picture(96 if name != "flux2-klein" else 64), "b" * 64: tiny.picture(seed=3)}
    both = edit.run(request, shown, models, Recorder())
    other = edit.run(request, {**shown, "b" * 64: tiny.picture(seed=4)}, models, Recorder())
    assert len(both.pictures) == 2 and both.parameters["prompt"] == request.prompt
    assert np.abs(pixels(both.pictures[0]) - pixels(other.pictures[0])).max() > 0
    drawn = pixels(both.pictures[0])
    assert abs(drawn.shape[1] / drawn.shape[0] - shown[SHA].width / shown[SHA].height) < 0.1, (
        "the first's shape"
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [(REQUEST.prompt, "Say which object"), ("paint it in the style of 2", "can't take the style")],
)
def test_a_model_that_is_shown_one_picture_says_what_it_needs(editor, words: str, says: str) -> None:
    request = replace(REQUEST, prompt=words, images=("b" * 64,))
    pictures = {SHA: tiny.picture(), "b" * 64: tiny.picture()}
    with pytest.raises(UserError, match=f"is shown one picture at a time.*{says}"):
        edit.run(request, pictures, editor("flux-kontext"), Recorder())


def test_a_model_that_edits_and_draws_is_in_memory_once(folders: dict[str, Path], tmp_path: Path) -> None:
    spec = str(folders["flux2-klein"])
    models = cpu_models({"image": spec, "edit": spec}, tmp_path, cpu_threads=1)
    recorder = Recorder()
    assert models.image(None, recorder) is models.editor(None, recorder)


def test_who_can_not_edit_says_who_can(folders: dict[str, Path], tmp_path: Path, editor) -> None:
    spec = str(folders["stable-diffusion"])
    models = cpu_models({"image": spec, "edit": spec}, tmp_path, cpu_threads=1)
    with pytest.raises(ModelError, match=r"can't edit by words; InstructPix2Pix, .* and Qwen-Image-2.1 can"):
        ask(models, REQUEST, tiny.picture())
    alone = cpu_models({"image": spec}, tmp_path, cpu_threads=1)
    with pytest.raises(ModelError, match="No edit model is configured; InstructPix2Pix, "):
        ask(alone, REQUEST, tiny.picture())
    with pytest.raises(UserError, match="the operator hasn't set that one up"):
        ask(models, replace(REQUEST, model="v9"), tiny.picture())
    assert editing().endswith("LongCat-Image-Edit, FLUX.2 klein and Qwen-Image-2.1")
    words = {"image": editor("flux-kontext").config.models["edit"]}
    with pytest.raises(ModelError, match=r"only edits pictures and can't draw from words; name it in EDIT"):
        ask(cpu_models(words, tmp_path), ImagineRequest(prompt="a boat"))


def test_what_has_no_effect_on_an_edit_is_told(editor) -> None:
    request = replace(REQUEST, num_images=1, strength=0.5, tile=True)
    notes = ask(editor("instruct-pix2pix"), request, tiny.picture(640, 16)).parameters["notes"]
    assert "`--strength` had no effect on an edit." in notes and "`--tile` had no effect on an edit." in notes
    assert any("its middle was used" in note for note in notes)
