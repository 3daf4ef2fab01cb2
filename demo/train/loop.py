"""The loop that every training stage runs in: seeded by step, resumable, with a progress bar, an average of
the weights and a count of CPU seconds. It knows nothing of what is trained.

Stages write into PACK and read there what stages before them made. `copy` puts a finished pack into
`demo/models`, with `examples.json`: what the models can draw, for hints, autocomplete and default labels.
"""

import json
import logging
import random
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from demo.world import COLOURS, OBJECTS, PLACES, STYLES, compact

logger = logging.getLogger(__name__)

WORK = Path("data/demo-training")  # checkpoints, logs and what is drawn; safe to delete once the pack is made
PACK = WORK / "models"  # what the stages make, laid out as MODELS
JUDGE = WORK / "judge.safetensors"
MODELS = Path(__file__).parent.parent / "models"


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def to_tensor(pictures: np.ndarray) -> torch.Tensor:
    """(B, H, W, 3) uint8 to (B, 3, H, W) float32 in -1 to 1."""
    x = torch.from_numpy(pictures).to(device()).permute(0, 3, 1, 2).float().div(127.5).sub(1)
    return x.contiguous(memory_format=torch.channels_last)


def to_pictures(x: torch.Tensor) -> np.ndarray:
    """(B, 3, H, W) in -1 to 1 to (B, H, W, 3) uint8."""
    return x.float().add(1).mul(127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()


def autocast():
    """bfloat16 where the device computes faster in it."""
    faster = device().type == "cuda" or _is_bfloat16_faster()
    return torch.autocast(device().type, torch.bfloat16, enabled=faster)


@cache
@torch.no_grad()
def _is_bfloat16_faster() -> bool:
    """Try a convolution in both: AMD's processors with avx512_bf16 take half of float32's time in bfloat16,
    Intel's without AMX half as long again, and those without either ten times as long."""
    if not torch.cpu._is_avx512_bf16_supported():
        return False
    x, weight = torch.randn(16, 128, 16, 16), torch.randn(128, 128, 3, 3)
    x, weight = (one.contiguous(memory_format=torch.channels_last) for one in (x, weight))
    seconds = []
    for dtype in (torch.float32, torch.bfloat16):
        one, other = x.to(dtype), weight.to(dtype)
        torch.nn.functional.conv2d(one, other, padding=1)
        began = time.process_time()
        for _ in range(5):
            torch.nn.functional.conv2d(one, other, padding=1)
        seconds.append(time.process_time() - began)
    return seconds[1] < seconds[0]


@dataclass(frozen=True)
class Plan:
    """How long and how fast a stage trains."""

    steps: int
    lr: float
    warmup: int = 100  # steps
    decay: float = 0.4  # the last share of the steps, in which the rate falls linearly to a fiftieth
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    ema: float = 0.998  # weight of the old average in each step
    clip: float = 1.0  # largest norm of the gradient

    def rate(self, step: int) -> float:
        left = (self.steps - step) / self.steps
        return self.lr * min(1.0, (step + 1) / self.warmup) * max(0.02, min(1.0, left / self.decay))


def ship(model, folder: Path, matrices: torch.dtype = torch.float16):
    """Saves a transformers model in float16, its matrices in `matrices`, with a configuration that loads it
    in float32, as a CPU needs it."""
    model.cpu().half()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.data = parameter.data.to(matrices)
    model.save_pretrained(folder)
    path = folder / "config.json"
    path.write_text(re.sub(r'"(dtype|torch_dtype)": "float\w+"', r'"\1": "float32"', path.read_text()))


def shard(path: Path, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays of a file, which `make` draws where there is none."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, **make())
        part.replace(path)
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays.files}


def grown(step: int, every: int, most: int) -> int:
    """How many shards a stage learns from at a step: one more every so many steps, up to `most`. What comes
    later need not be drawn before the first step, and steps alone say what a stage has seen."""
    return min(most, 1 + step // every)


class Run:
    """One stage's training state. `average` holds the weights to ship."""

    def __init__(self, name: str, model: torch.nn.Module, plan: Plan):
        self.name, self.model, self.plan = name, model, plan
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=plan.lr, betas=plan.betas, weight_decay=plan.weight_decay, fused=True
        )
        self.average = [p.detach().clone() for p in self.parameters]
        self.step, self.cpu_seconds = 0, 0.0
        self.path = WORK / f"{name}.pt"
        WORK.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            self._load()

    def _load(self):
        state = torch.load(self.path, map_location=device(), weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average = state["average"]
        self.step, self.cpu_seconds = state["step"], state["cpu_seconds"]
        logger.info("%s: goes on at step %d", self.name, self.step)

    def save(self):
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average,
            "step": self.step,
            "cpu_seconds": self.cpu_seconds,
        }
        part = self.path.with_suffix(".part")
        torch.save(state, part)
        part.replace(self.path)

    @torch.no_grad()
    def start_from(self, weights: list[torch.Tensor]):
        """Begins at `weights` (in the order of the trained parameters) instead of at the model's own
        start."""
        for parameter, average, weight in zip(self.parameters, self.average, weights, strict=True):
            parameter.copy_(weight)
            average.copy_(weight)

    def use_average(self):
        """Puts the averaged weights into the model, for shipping or a look; training goes on from the
        checkpoint."""
        with torch.no_grad():
            for parameter, average in zip(self.parameters, self.average, strict=True):
                parameter.copy_(average)

    def train(
        self,
        loss: Callable[[random.Random], tuple[torch.Tensor, dict[str, float]]],
        log_every: int = 50,
        save_every: int = 200,
    ):
        """Runs `loss` and a step of AdamW until the plan's steps are done. `loss` draws its batch from the
        generator; of a batch in pieces it may pass all but the last backward itself."""
        plan = self.plan
        bar = tqdm(total=plan.steps, initial=self.step, desc=self.name, mininterval=5)
        log = WORK / f"{self.name}.jsonl"
        sums, count, started = {}, 0, time.process_time()
        while self.step < plan.steps:
            rng = random.Random(f"{self.name} {self.step}")
            torch.manual_seed(rng.randrange(1 << 30))
            for group in self.optimizer.param_groups:
                group["lr"] = plan.rate(self.step)
            self.optimizer.zero_grad(set_to_none=True)
            value, figures = loss(rng)
            value.backward()
            torch.nn.utils.clip_grad_norm_(self.parameters, plan.clip)
            self.optimizer.step()
            self.step += 1
            bar.update()
            with torch.no_grad():
                keep = min(plan.ema, (1 + self.step) / (10 + self.step))
                torch._foreach_lerp_(self.average, [p.detach() for p in self.parameters], 1 - keep)
            for key, figure in {"loss": value.item(), **figures}.items():
                sums[key] = sums.get(key, 0.0) + figure
            count += 1
            if self.step % log_every == 0 or self.step == plan.steps:
                self.cpu_seconds += time.process_time() - started
                started = time.process_time()
                means = {key: round(total / count, 4) for key, total in sums.items()}
                row = {"step": self.step, "cpu_seconds": round(self.cpu_seconds), **means}
                with log.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                bar.set_postfix(means)
                sums, count = {}, 0
            if self.step % save_every == 0 or self.step == plan.steps:
                self.save()
        bar.close()
        logger.info("%s: %d steps, %.0f CPU seconds", self.name, self.step, self.cpu_seconds)


PROMPTS = (
    "a red house in the snow",
    "a yellow star at night",
    "a blue boat at sea",
    "a pink flower on the grass",
    "a black cat on an orange background",
    "a white moon at night, watercolor",
    "a green tree in the desert",
    "a purple fish in the sea",
    "a red mushroom on the grass, pixel art",
    "an orange cat at sunset",
    "a blue diamond on a white background",
    "a large red heart on a pink background",
    "two yellow fish in the sea",
    "three pink flowers on a green background",
    "four white stars at night",
    "a red boat at sunset",
    "a yellow moon above a red house at night",
    "a white cat to the left of a green tree in the snow",
    "a brown house in the desert, watercolor",
    "a purple mushroom on a yellow background",
    "a green fish on a blue background, pixel art",
    "a red ball on the beach",
    "a blue flower on a white background, line art",
    "cinematic photo of a brown cottage in winter, 35mm",
)


FOLDERS = ("stable-diffusion", "edit", "clip", "captioner", "vit", "segmenter", "photograph", "ask")


def copy(pack: Path = PACK, judge: Path = JUDGE, models: Path = MODELS):
    """Puts a whole pack, its judge and what it can draw in place of `models`. Raises SystemExit."""
    missing = [str(path) for path in (*(pack / name for name in FOLDERS), judge) if not path.exists()]
    if missing:
        raise SystemExit(f"not made yet: {', '.join(missing)}; run `python -m demo.train all` first")
    compact(pack)
    for name in FOLDERS:
        shutil.rmtree(models / name, ignore_errors=True)
        shutil.copytree(pack / name, models / name)
    shutil.copyfile(judge, models.parent / judge.name)
    content = {
        "objects": OBJECTS,
        "colours": COLOURS,
        "backgrounds": [*PLACES, *(f"{colour} background" for colour in COLOURS)],
        "styles": STYLES,
        "prompts": PROMPTS,
        "default_labels": OBJECTS,
    }
    (models / "examples.json").write_text(json.dumps(content, indent=1) + "\n")
