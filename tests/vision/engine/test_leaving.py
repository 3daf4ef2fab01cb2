"""Pictures that leave a drawing halfway: no pass has rows for them from then on, and those that stay come out
as if nobody had left."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from PIL import Image

from tests.vision.conftest import Recorder
from tests.vision.diffusion.test_generate import full_above
from tests.vision.engine.test_engine import SIDE, Job, Watcher, apart, together
from tests.vision.families.test_families import FAMILY_NAMES
from vision.diffusion import generate, pipeline
from vision.diffusion.model import ImageModel
from vision.diffusion.parameters import Drawn, Generation
from vision.engine import collate
from vision.engine.denoiser import Call, denoiser_attribute, evaluate_now
from vision.families import Mode

G = Generation(Mode.TEXT, "a red house", (1, 2, 3), SIDE, SIDE, 4, 3.0)


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows the passes had, one after the other."""
    seen: list[int] = []

    def evaluate(call: Call) -> object:
        seen.append(collate.count(call.arguments))
        return evaluate_now(call)

    monkeypatch.setattr(pipeline, "evaluate_now", evaluate)
    return seen


def drawn(model: ImageModel, generation: Generation, leaving: tuple[int, ...] | None) -> Drawn:
    """Draw without an engine. leaving: pictures that needn't be drawn to their end; None = nobody asks."""
    reporter = Recorder()
    reporter.stays = None if leaving is None else (lambda number, image: number not in leaving)
    return generate.generate(model, generation, reporter)


def pixels(images: list[Image.Image]) -> list[torch.Tensor]:
    return [torch.tensor(list(image.tobytes())).float() for image in images]


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_those_that_stay_are_as_if_nobody_had_left(name: str, models_of, rows: list[int]) -> None:
    model = models_of(image=name).get("image")
    if model.family.unpack is None:
        pytest.skip("its pipeline decodes itself, so that nothing is seen halfway")
    whole = drawn(model, G, None).images
    some = drawn(model, G, (1,))
    assert some.left == {1} and [image.size for image in some.images] == [image.size for image in whole]
    assert apart(pixels([some.images[0], some.images[2]]), pixels([whole[0], whole[2]])) < 0.05
    assert some.images[1].tobytes() != whole[1].tobytes()
    passes = len(rows)
    assert rows[-1] * 3 == max(rows) * 2 and denoiser_attribute(model.pipeline(Mode.TEXT)) is not None
    assert drawn(model, G, (0, 1, 2)).left == {0, 1, 2}
    assert 0 < len(rows) - passes < passes, "a drawing that all have left ends"


@pytest.mark.parametrize("name", ["stable-diffusion", "flux", "z-image"])
def test_in_an_engine_others_share_the_passes_of_those_that_stay(name: str, models_of, monkeypatch) -> None:
    model = models_of(image=name).get("image")
    finished: dict[int, Drawn] = {}
    plain = generate.generate

    def kept(model: ImageModel, generation: Generation, reporter: Watcher) -> Drawn:
        if reporter.job is jobs[0]:
            reporter.stays = lambda number, image: number != 0
        finished[jobs.index(reporter.job)] = plain(model, generation, reporter)
        return finished[jobs.index(reporter.job)]

    jobs = [Job(G), Job(replace(G, prompt="a blue cat", seeds=(7, 8), num_inference_steps=5))]
    with monkeypatch.context() as patch:
        patch.setattr(generate, "generate", kept)
        engine = together(model, jobs, [0, 1])
    assert engine.fibers == [] and not any(job.error for job in jobs) and finished[0].left == {0}
    for number, job in enumerate(jobs):
        alone = drawn(model, job.generation, None).images
        stay = [n for n in range(len(alone)) if n not in finished[number].left]
        same = pixels([finished[number].images[n] for n in stay]), pixels([alone[n] for n in stay])
        assert apart(*same) < 0.05


def test_those_that_leave_are_told_by_their_numbers_where_memory_is_short(models_of, monkeypatch) -> None:
    model = models_of(image="stable-diffusion").get("image")
    whole = drawn(model, G, None).images
    unet = model.pipeline(Mode.TEXT).unet  # guidance makes two rows of one picture
    monkeypatch.setattr(unet, "forward", partial(full_above(2), unet.forward))
    some = drawn(model, G, (0, 2))
    assert some.left == {0, 2} and apart(pixels([some.images[1]]), pixels([whole[1]])) < 0.05


def test_zeros_stand_for_rows_that_have_left() -> None:
    tensor, listed = torch.ones(2, 3), [torch.ones(4), torch.ones(4) * 2]
    spread, rows = collate.spread_outputs((tensor, listed), [0, 2], 4)
    assert spread.tolist() == [[1, 1, 1], [0, 0, 0], [1, 1, 1], [0, 0, 0]]
    assert [row[0].item() for row in rows] == [1, 0, 2, 0]
