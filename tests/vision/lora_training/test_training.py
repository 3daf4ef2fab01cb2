"""Styles on tiny models of every family that can be trained: the same bits each time, also when killed."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load

from core.errors import JobCancelled, UserError
from core.requests import ImagineRequest
from tests.vision.conftest import Recorder, ask
from tests.vision.custom_models.memory_store import MemoryStore
from tests.vision.families.test_families import apart as pictures_apart
from vision.capabilities import capability
from vision.custom_models.steps import Store
from vision.engine.engine import Engine
from vision.lora_training import train
from vision.lora_training.config import Settings, usual_settings, worded
from vision.lora_training.dataset import Example, squares
from vision.lora_training.train import Learned, Plan, State, learn_style
from vision.protocol import WorkerConfig
from vision.reporter import Reporter
from vision.store import Models

FAMILIES = ["stable-diffusion", "stable-diffusion-xl", "flux", "flux2-klein", "z-image"]
OTHERS = [pytest.param(name, marks=pytest.mark.long) for name in FAMILIES[1:]]
SETTINGS = Settings("ink wash", 6, 2, "all", 1e-2, batch=2, checkpoints=2, seed=3)


def examples(count: int = 5) -> tuple[Example, ...]:
    """Pictures of noise in one colour, of several shapes."""
    found = []
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 90, (64, 64 + 16 * number, 3), np.uint8)
        found.append(
            Example(Image.fromarray(noise + np.array([0, 60, 120], np.uint8)), f"a cat {number % 2}")
        )
    return tuple(found)


PLAN = Plan(None, examples(), ("a castle",), SETTINGS)


def models(folders: dict[str, Path], family: str, folder: Path, **loras: str) -> Models:
    config = WorkerConfig("cpu", {"image": str(folders[family])}, str(folder), cpu_threads=1, loras=loras)
    return Models(config)


class Dying(Reporter):
    """Ends the training, as a worker that is killed does, at ``at`` of its steps."""

    def __init__(self, at: int) -> None:
        self.at, self.seen = at, 0

    def step(self, step: int, total: int, preview: Callable[[], bytes | None] | None = None) -> None:
        self.seen += 1
        if self.seen >= self.at:
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def keep_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "KEEP_EVERY", 0.0)
    monkeypatch.setattr(train, "KEEP_SHARE", 1e9)


@pytest.fixture(scope="module")
def learned(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Learned]:
    """What an undisturbed training of a family gives."""
    made: dict[str, Learned] = {}

    def of(family: str) -> Learned:
        if family not in made:
            own = models(folders, family, tmp_path_factory.mktemp("cache"))
            made[family] = learn_style(PLAN, own, MemoryStore(), Reporter())
        return made[family]

    return of


@pytest.mark.slow
@pytest.mark.parametrize("family", [FAMILIES[0], *OTHERS])
def test_the_same_seed_gives_the_same_bytes(family: str, learned, folders, tmp_path: Path) -> None:
    again = learn_style(PLAN, models(folders, family, tmp_path), MemoryStore(), Reporter())
    assert again.file == learned(family).file
    other = replace(PLAN, settings=replace(SETTINGS, seed=4))
    assert learn_style(other, models(folders, family, tmp_path), MemoryStore(), Reporter()).file != again.file


@pytest.mark.slow
@pytest.mark.parametrize("family", [FAMILIES[0], *OTHERS])
def test_a_training_that_is_cut_off_ten_times_ends_in_the_same_bytes(
    family: str, learned, folders, tmp_path: Path
) -> None:
    store, rng, deaths = Store(tmp_path / "kept"), random.Random(1), 0
    while deaths < 10:
        with pytest.raises(KeyboardInterrupt):
            # often before anything new was kept: the first sign of a step comes before the state is
            learn_style(PLAN, models(folders, family, tmp_path), store, Dying(rng.choice((1, 1, 1, 2))))
        deaths += 1
    assert (
        learn_style(PLAN, models(folders, family, tmp_path), store, Reporter()).file == learned(family).file
    )


@pytest.mark.slow
def test_what_was_kept_is_gone_on_with_and_not_begun_anew(folders, tmp_path: Path, learned) -> None:
    store = MemoryStore()
    with pytest.raises(JobCancelled):
        learn_style(PLAN, models(folders, "stable-diffusion", tmp_path), store, Recorder(stop_after=12))
    seen = Recorder()
    assert (
        learn_style(PLAN, models(folders, "stable-diffusion", tmp_path), store, seen).file
        == learned("stable-diffusion").file
    )
    assert min(step for step, _ in seen.steps) > 1


def test_a_state_of_another_training_or_a_damaged_one_is_not_used() -> None:
    data = State(2, {"w": torch.ones(2)}, (0.5, 0.25)).encode("a")
    read = State.decode(data, "a")
    assert read is not None and read.step == 2 and read.losses == (0.5, 0.25)
    assert State.decode(data, "b") is None
    assert State.decode(data[: len(data) // 2], "a") is None
    assert State.decode(b"", "a") is None


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_what_was_learned_is_drawn_with_by_its_name(family: str, learned, folders, tmp_path: Path) -> None:
    file = tmp_path / "ink.safetensors"
    file.write_bytes(learned(family).file)
    own = models(folders, family, tmp_path, ink=str(file))
    request = ImagineRequest(prompt="a castle", seed=3, num_images=1, num_inference_steps=2)
    plain, styled = ask(own, request), ask(own, replace(request, loras=(("ink", 1.0),)))
    assert pictures_apart(plain.pictures[0], styled.pictures[0]) > 0.5
    names = load(learned(family).file)
    assert all(value.dtype == torch.float16 for value in names.values())
    assert any(value.abs().max() > 0 for name, value in names.items() if name.endswith("lora_B.weight"))


@pytest.mark.slow
def test_the_loss_falls(folders, tmp_path: Path) -> None:
    plan = replace(PLAN, settings=replace(SETTINGS, steps=24, checkpoints=1))
    losses = learn_style(
        plan, models(folders, "stable-diffusion", tmp_path), MemoryStore(), Reporter()
    ).losses
    assert len(losses) == 24
    assert np.mean(losses[-6:]) < 0.9 * np.mean(losses[:6])


def in_engine(work: dict[str, Callable], ticks: int | None = None) -> dict[str, object]:
    """Run jobs beside each other; what each returned, or the error that ended it."""
    engine, found = Engine(), {}
    for name, job in work.items():

        def begin(fiber, job=job):
            reporter = Reporter()
            reporter.fiber = fiber
            return job(reporter)

        def done(result, error, name=name):
            found[name] = error or result

        engine.begin(name, begin, done=done)
    engine.run()
    engine.stop()
    return found


def test_beside_drawings_both_come_out_as_alone(learned, folders, tmp_path: Path) -> None:
    own = models(folders, "stable-diffusion", tmp_path)
    request = ImagineRequest(prompt="a lake", seed=5, num_images=1, num_inference_steps=4)
    alone = ask(models(folders, "stable-diffusion", tmp_path), request)
    draw = capability("imagine")
    found = in_engine(
        {
            "style": lambda reporter: learn_style(PLAN, own, MemoryStore(), reporter),
            **{f"drawing {i}": lambda reporter: draw(request, {}, own, reporter) for i in range(3)},
        }
    )
    assert isinstance(found["style"], Learned), found["style"]
    assert found["style"].file == learned("stable-diffusion").file
    assert all(pictures_apart(alone.pictures[0], found[f"drawing {i}"].pictures[0]) <= 1 for i in range(3))


def test_a_model_that_needs_the_room_gets_it_and_the_training_goes_on_after(
    learned, folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = WorkerConfig(
        "cpu",
        {"image": str(folders["stable-diffusion"]), "clip": str(folders["clip"])},
        str(tmp_path),
        cpu_threads=1,
    )
    own = Models(config)
    # one model at a time
    monkeypatch.setattr(Models, "_fits", lambda self, wanted, without=(): not self.held.keys() - without)
    order: list[str] = []

    def match(reporter: Reporter) -> str:
        reporter.fiber.pause("wait for the training")
        reporter.fiber.pause("wait for the training")
        own.get("clip", reporter)
        order.append("clip")
        return "seen"

    def style(reporter: Reporter) -> Learned:
        made = learn_style(PLAN, own, MemoryStore(), reporter)
        order.append("style")
        return made

    found = in_engine({"style": style, "match": match})
    assert order == ["clip", "style"], found
    assert found["style"].file == learned("stable-diffusion").file


def test_after_a_training_the_model_draws_the_same_bits(folders, tmp_path: Path) -> None:
    own = models(folders, "stable-diffusion", tmp_path)
    request = ImagineRequest(prompt="a castle", seed=3, num_images=1, num_inference_steps=2)
    before = ask(own, request)
    learn_style(PLAN, own, MemoryStore(), Reporter())
    with pytest.raises(JobCancelled):
        learn_style(PLAN, own, MemoryStore(), Recorder(stop_after=3))
    assert pictures_apart(before.pictures[0], ask(own, request).pictures[0]) == 0


@pytest.mark.parametrize("family", ["stable-diffusion-3", "qwen-image"])
def test_families_without_a_recipe_are_refused(family: str, folders, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"can't learn styles; Stable Diffusion .* and FLUX.2 klein can"):
        learn_style(PLAN, models(folders, family, tmp_path), MemoryStore(), Reporter())


@pytest.mark.parametrize("count", [4, 41])
def test_too_few_or_too_many_pictures_are_refused(count: int, folders, tmp_path: Path) -> None:
    plan = replace(PLAN, examples=examples(count))
    with pytest.raises(UserError, match=f"from 5 to 40 pictures; there are {count}"):
        learn_style(plan, models(folders, "stable-diffusion", tmp_path), MemoryStore(), Reporter())


def test_one_that_would_take_too_long_is_told_soon(folders, tmp_path: Path) -> None:
    plan = replace(PLAN, settings=replace(SETTINGS, steps=4000), seconds=1.0)
    with pytest.raises(UserError, match="would take about .* minutes of cpu; it may take 0"):
        learn_style(plan, models(folders, "stable-diffusion", tmp_path), MemoryStore(), Reporter())


def test_numbers_out_of_range_are_named() -> None:
    for given, words in (
        ({"steps": 0}, "`steps` is 0; it takes 1 to 4000"),
        ({"rank": 500}, "`rank` is 500; it takes 1 to 128"),
        ({"trigger": " "}, "`trigger` is empty"),
    ):
        with pytest.raises(UserError, match=words):
            replace(Settings("a", 100), **given)


def test_the_trigger_stands_in_every_caption_once() -> None:
    assert worded("a red boat.", "ink wash") == "a red boat, ink wash"
    assert worded("an Ink Wash of a boat", "ink wash") == "an Ink Wash of a boat"
    assert worded("", "ink wash") == "ink wash"


def test_long_pictures_are_seen_to_both_ends() -> None:
    wide = Image.fromarray(np.tile(np.arange(128, dtype=np.uint8)[None, :, None], (64, 1, 3)))
    (first, left), (second, right) = squares(wide, 64)
    assert (left.left, right.left, left.original) == (0, 64, (64, 128))
    assert np.asarray(first)[0, 0, 0] == 0 and np.asarray(second)[0, -1, 0] == 127
    assert len(squares(wide.crop((0, 0, 70, 64)), 64)) == 1


def test_small_and_large_models_have_settings_of_their_own() -> None:
    small, large = usual_settings("a", 12, 13_000_000), usual_settings("a", 12, 2_600_000_000)
    assert (small.layers, large.layers) == ("fine", "attention")
    assert small.learning_rate > large.learning_rate == 1e-4
    assert usual_settings("a", 40, 10**9).steps == 600 and usual_settings("a", 5, 10**9).steps == 200
