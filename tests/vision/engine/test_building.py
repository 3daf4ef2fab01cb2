"""What libraries change for the whole process while they build models, and jobs that go on meanwhile."""

import threading
import time

import pytest
import torch
from accelerate import init_empty_weights

from core.requests import ImagineRequest
from tests.vision.conftest import ask, cpu_models
from tests.vision.diffusion.test_loras import save_lora
from vision import loader
from vision.engine.engine import Call, Engine, Fiber
from vision.engine.fiber import BuildGuard
from vision.reporter import Reporter


@pytest.mark.parametrize("has_spare_core", [True, False])
def test_nobody_sees_the_default_dtype_of_a_model_that_is_being_built(has_spare_core: bool) -> None:
    """Whatever a job makes without naming a dtype would be in half precision, the levels of its noise
    scheduler, say."""
    engine, seen, built = Engine(has_spare_core=lambda: has_spare_core), set(), threading.Event()

    def look() -> None:
        for _ in range(20):
            seen.add(torch.tensor([0.5]).dtype)
            time.sleep(0.0001)

    def module(sample: torch.Tensor) -> tuple[torch.Tensor]:
        look()
        return (sample,)

    def build() -> None:
        for _ in range(20):
            torch.set_default_dtype(torch.bfloat16)
            assert torch.tensor([0.5]).dtype is torch.bfloat16
            time.sleep(0.003)
            torch.set_default_dtype(torch.float32)
        built.set()

    def draws(fiber: Fiber) -> None:
        while not built.is_set():
            look()
            fiber.evaluate(Call(module, {"sample": torch.zeros(1, 1)}, 1, ("like",), "kind"))
            fiber.in_thread(look)

    engine.begin("draws", draws)
    engine.begin("loads", lambda fiber: fiber.build(build))
    engine.run()
    assert built.is_set() and seen == {torch.float32}


def test_a_load_that_fails_half_way_leaves_the_default_dtype_as_it_was() -> None:
    guard, plain = BuildGuard(), torch.set_default_dtype
    with pytest.raises(OSError, match="torn"), guard.building():
        torch.set_default_dtype(torch.float16)
        raise OSError("torn")
    assert torch.get_default_dtype() is torch.float32 and torch.set_default_dtype is plain
    with guard.working():
        pass


def test_who_builds_within_his_own_work_does_not_wait_for_himself() -> None:
    guard = BuildGuard()
    with guard.working(), guard.working():
        with guard.building():
            torch.set_default_dtype(torch.bfloat16)
            with guard.working():
                assert torch.get_default_dtype() is torch.bfloat16
            torch.set_default_dtype(torch.float32)


def test_layers_for_a_lora_are_not_made_while_a_model_is_built(folders, tmp_path) -> None:
    """accelerate has every new parameter of anybody made on the meta device meanwhile."""
    save_lora("stable-diffusion", tmp_path / "a.safetensors", 1, ("unet",))
    specs, loras = {"image": str(folders["stable-diffusion"])}, {"a": str(tmp_path / "a.safetensors")}
    request = ImagineRequest(prompt="a cat", seed=1, num_images=1, num_inference_steps=3, loras=(("a", 1.0),))
    wanted, models = (cpu_models(specs, tmp_path, cpu_threads=1, loras=loras) for _ in range(2))
    models.image(None)  # is there
    engine, ends = Engine(), []

    def draws(fiber: Fiber) -> object:
        reporter = Reporter()
        reporter.fiber = fiber
        return ask(models, request, reporter=reporter)

    def build() -> None:
        with init_empty_weights():
            time.sleep(0.5)

    engine.begin("draws", draws, done=lambda output, error: ends.append(error or output))
    engine.begin("loads", lambda fiber: fiber.build(build))  # in the thread right behind the LoRA's file
    engine.run()
    assert [picture.data for picture in ends[0].pictures] == [
        picture.data for picture in ask(wanted, request).pictures
    ]


def test_a_model_is_built_in_its_turn(folders, tmp_path, monkeypatch) -> None:
    models = cpu_models({"image": folders["stable-diffusion"]}, tmp_path, cpu_threads=1)
    engine, load, free = Engine(), loader.load_image_model, []

    def noted(*args, **kwargs):
        free.append(engine.building.lock.try_acquire())
        return load(*args, **kwargs)

    def work(fiber: Fiber) -> None:
        reporter = Reporter()
        reporter.fiber = fiber
        models.image(None, reporter)

    monkeypatch.setattr(loader, "load_image_model", noted)
    engine.begin("loads", work)
    engine.run()
    assert free == [False] and engine.building.lock.try_acquire()
