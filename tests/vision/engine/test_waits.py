"""Between two passes the host waits for no card and copies nothing to it: counted on a card that isn't there,
on which tiny models keep their values."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.support import tiny
from tests.vision.engine import test_engine
from tests.vision.engine.test_engine import Crowd, Job, Watcher
from tests.vision.engine.test_passes import save_lora
from tools.memory_needs import hollow_card
from vision.diffusion import generate
from vision.diffusion.parameters import Generation
from vision.engine.denoiser import denoiser_of
from vision.families import Mode
from vision.protocol import WorkerConfig
from vision.reporter import Reporter
from vision.store import Models

keep_latents = test_engine.keep_latents
LORAS = {"none": ((), ()), "one of two": ((("a", 1.0), ("b", 0.5)), ())}
QUICK = [("z-image", "one of two")]
# not Qwen-Image: diffusers' transformer copies a number for its mask at each pass
SLOW = [(name, "one of two") for name in ("stable-diffusion-xl", "flux", "flux2-klein")]
SLOW += [(name, "none") for name in ("stable-diffusion-xl", "flux", "flux2-klein", "z-image")]
SETTLED = 4  # passes until both jobs run, and pairs of guidance are known
PREVIEW = "vae.py"  # where one comes from the card


class Previewing(Watcher):
    def step(self, step, total, preview=None) -> None:
        super().step(step, total, preview)
        assert preview is None or preview()


@pytest.mark.parametrize(
    ("name", "loras"), [*QUICK, *(pytest.param(*one, marks=pytest.mark.slow) for one in SLOW)]
)
def test_between_two_passes_nobody_waits_for_the_card(
    name: str, loras: str, tmp_path: Path, keep_latents
) -> None:
    torch.manual_seed(0)
    tiny.IMAGE_MODELS[name]().save_pretrained(tmp_path / name)
    for seed, lora in enumerate("ab"):
        save_lora(tiny.IMAGE_MODELS[name], tmp_path / f"{lora}.safetensors", seed, None)
    files = {lora: str(tmp_path / f"{lora}.safetensors") for lora in "ab"}
    first = Generation(Mode.TEXT, "a house", (1, 2), 64, 64, SETTLED + 1, 2.5, "fog")
    company = [replace(first, loras=one, seeds=(i,)) for i, one in enumerate(LORAS[loras])]
    waits: Counter[str] = Counter()
    copies: Counter[str] = Counter()
    with hollow_card() as card:
        models = Models(WorkerConfig("cuda:0", {"image": str(tmp_path / name)}, str(tmp_path), loras=files))
        model = models.get("image")
        assert denoiser_of(model.pipeline(Mode.TEXT)).device == torch.device("cuda:0")
        model.loras.ensure_loaded((("a", 1.0), ("b", 1.0)), Reporter())
        passes: list[int] = []

        def seen(*given: object) -> None:
            passes.append(1)
            if len(passes) > SETTLED:
                waits.update(card.waits)
                copies.update(card.copies)
            card.reset()

        hook = denoiser_of(model.pipeline(Mode.TEXT)).register_forward_pre_hook(seen)
        engine = Crowd()
        for one in company:
            begin(engine, model, Job(one))
        engine.run()
        hook.remove()
    assert len(passes) >= SETTLED + 1
    shown = Counter({place: count for place, count in waits.items() if PREVIEW in place})
    assert not waits - shown and not copies, (waits, copies)
    assert shown.total() <= 2 * (len(passes) - SETTLED), "a preview of each job, and nothing else of it"


def begin(engine: Crowd, model, job: Job) -> None:
    watcher = Previewing(job)

    def work(fiber) -> None:
        watcher.fiber = fiber
        generate.generate(model, job.generation, watcher)

    def done(_: object, error: BaseException | None) -> None:
        if error is not None:
            raise error

    engine.begin("job", work, done=done)
