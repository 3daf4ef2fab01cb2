"""What is chosen by what a device can do."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from core.errors import ModelError
from core.requests import VariationRequest
from tests.support import tiny
from tests.vision.conftest import SHA
from tools import memory_needs
from tools.hollow_card import HollowCard
from vision import describe_models, devices
from vision.capabilities import variation
from vision.engine.engine import AHEAD, Stopwatch
from vision.families import Mode
from vision.loader import ModelLoader
from vision.protocol import WorkerConfig
from vision.reporter import Reporter
from vision.store import Models
from vision.weights import memory

GB = 10**9


class Event:
    """What a device gets to when it is told so."""

    made: list["Event"]
    recorded: Iterator[int]

    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing
        self.over, self.at = False, 0.0
        self.made.append(self)

    def record(self) -> None:
        self.at = float(next(self.recorded))

    def query(self) -> bool:
        return self.over

    def synchronize(self) -> None:
        self.over = True

    def elapsed_time(self, other: "Event") -> float:
        return 1000 * (other.at - self.at)


class Accelerator(SimpleNamespace):
    """Stands for torch.xpu, or with ``metal`` for torch.mps, which tells less. calls: what it was told."""

    def __init__(self, *, metal: bool) -> None:
        self.calls: list[str] = []
        self.Event = type("Event", (Event,), {"made": [], "recorded": itertools.count()})
        if metal:
            self.recommended_max_memory = lambda: 20 * GB
            self.current_allocated_memory, self.driver_allocated_memory = lambda: 4 * GB, lambda: 7 * GB
        else:
            self.mem_get_info = lambda device: (5 * GB, 16 * GB)
            self.memory_reserved, self.memory_allocated = lambda device: 9 * GB, lambda device: 6 * GB
            self.max_memory_allocated = lambda device: 8 * GB
            self.reset_peak_memory_stats = lambda device: self.calls.append("reset")

    def empty_cache(self) -> None:
        self.calls.append("empty")


@pytest.fixture(params=["xpu", "mps"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def accelerator(kind: str, monkeypatch: pytest.MonkeyPatch) -> Accelerator:
    """This machine's accelerator: no card of CUDA's, of which there is none."""
    made = Accelerator(metal=kind == "mps")
    monkeypatch.setattr(torch, "get_device_module", lambda device: made)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: torch.device(kind))
    monkeypatch.setattr(torch.accelerator, "synchronize", lambda: made.calls.append("synchronize"))
    host = SimpleNamespace(available=10 * GB, total=32 * GB)
    monkeypatch.setattr(devices.psutil, "virtual_memory", lambda: host)
    return made


def test_free_is_what_the_allocator_keeps_without_using_it_too(accelerator, kind: str) -> None:
    free, total = {"xpu": (8, 16), "mps": (13, 20)}[kind]  # of Metal's share the host has 10 left, and 3 kept
    assert devices.memory(kind) == (free * GB, total * GB)
    assert devices.memory("cpu") == (10 * GB, 32 * GB)


def test_what_work_takes_is_told_where_a_device_tells_it(accelerator, kind: str) -> None:
    took = {"xpu": 2 * GB, "mps": None}[kind]
    assert devices.measured(torch.device(kind), lambda: "made") == ("made", took)
    assert devices.measured(torch.device("cpu"), lambda: "made") == ("made", None)


def test_a_device_is_waited_for_and_its_cache_given_back(accelerator) -> None:
    devices.settle()
    devices.release()
    assert accelerator.calls == ["synchronize", "empty"]


def test_passes_are_timed_by_the_device_that_works_on_while_the_host_goes_on(accelerator, kind: str) -> None:
    clock, noted = iter(range(100)), list[float]()
    stopwatch = Stopwatch(lambda: next(clock))
    for _ in range(AHEAD):
        stopwatch.time(torch.device(kind), lambda: None, noted.append)
    assert noted == [], "none has ended there"
    stopwatch.time(torch.device(kind), lambda: None, noted.append)
    assert noted == [1.0] and accelerator.Event.made[1].over and not accelerator.Event.made[3].over
    stopwatch.time(torch.device("cpu"), lambda: None, noted.append)
    assert noted == [1.0, 1]


@pytest.mark.parametrize(
    ("setting", "weights", "threads"),
    [(3, 9 * GB, 3), (0, devices.SMALL_MODEL - 1, 1), (0, devices.SMALL_MODEL, 6)],
)
def test_a_small_model_gets_one_thread(monkeypatch, setting: int, weights: int, threads: int) -> None:
    monkeypatch.setattr(devices.psutil, "cpu_count", lambda logical=True: 12 if logical else 6)
    assert devices.choose_threads(setting, weights) == threads


@pytest.mark.parametrize(
    ("device", "bfloat16", "dtype", "without_float16"),
    [
        ("cpu", True, torch.float32, torch.float32),
        ("cuda", True, torch.bfloat16, torch.bfloat16),
        ("cuda", False, torch.float16, torch.float32),
        ("mps", True, torch.bfloat16, torch.bfloat16),
        ("mps", False, torch.float16, torch.float32),
        ("xpu", True, torch.bfloat16, torch.bfloat16),
    ],
)
def test_the_dtype_is_what_the_device_and_the_model_have(
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    bfloat16: bool,
    dtype: torch.dtype,
    without_float16: torch.dtype,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bfloat16)
    monkeypatch.setattr(torch.backends.mps, "is_macos_or_newer", lambda major, minor: bfloat16)
    assert devices.choose_dtype(device, "auto") is dtype
    assert devices.choose_dtype(device, "auto", float16=False) is without_float16
    assert devices.choose_dtype(device, "float64") is torch.float64


def models_on(card: HollowCard, folder: Path, cache: Path, **settings: Any) -> Models:
    """What a worker on that card has, with the image model in a folder."""
    return Models(WorkerConfig("cuda:0", {"image": str(folder)}, str(cache), quantize="off", **settings))


@pytest.mark.parametrize(
    ("name", "bfloat16", "dtype"),
    [
        ("z-image", True, torch.bfloat16),
        ("z-image", False, torch.float32),
        ("qwen-image", False, torch.float32),
        ("flux2-klein", False, torch.float16),
        ("stable-diffusion", False, torch.float16),
    ],
)
def test_a_card_without_bfloat16_holds_a_model_in_what_it_can_be_drawn_in(
    name: str, bfloat16: bool, dtype: torch.dtype, folders, tmp_path
) -> None:
    with HollowCard(bfloat16=bfloat16) as card:
        model = models_on(card, folders[name], tmp_path).image(None)
        assert model.pipeline(Mode.TEXT).dtype is dtype and card.live > 0


def test_a_model_that_has_room_in_no_dtype_it_can_be_drawn_in_is_refused_before_it_is_loaded(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    largest = memory.sizes(folders["z-image"], 2)["off"].largest  # by parts it would just fit in 16 bits
    with HollowCard(round(1.3 * largest), bfloat16=False) as card:
        with pytest.raises(ModelError, match=r"z-image .* no bfloat16: .*smaller model .*OFFLOAD=group"):
            models_on(card, folders["z-image"], tmp_path).image(None)
        assert card.live == card.peak == 0
        slow = models_on(card, folders["z-image"], tmp_path, offload="group").image(None)
        assert slow.pipeline(Mode.TEXT).dtype is torch.float32


@pytest.mark.parametrize("name", ["stable-diffusion-xl", "z-image"])
def test_a_part_that_visits_a_card_is_there_alone_in_every_job(
    name: str, folders, tmp_path, monkeypatch
) -> None:
    request = VariationRequest(prompt="a", image=SHA, num_images=1, num_inference_steps=4)
    with memory_needs.hollow_card() as card:
        models = models_on(card, folders[name], tmp_path, offload="model")
        pipe = models.image(None).pipeline(Mode.IMAGE)
        parts = {name: part for name, part in pipe.components.items() if isinstance(part, torch.nn.Module)}
        denoiser = "unet" if "unet" in parts else "transformer"
        forward, there = parts[denoiser].forward, list[set[str]]()

        def watching(*args: Any, **kwargs: Any) -> Any:
            made = forward(*args, **kwargs)  # to which it comes
            on_card = (name for name, part in parts.items() if next(part.parameters()).device.type == "cuda")
            there.append(set(on_card))
            return made

        monkeypatch.setattr(parts[denoiser], "forward", watching)
        for _ in range(2):
            variation.run(request, {SHA: tiny.picture()}, models, Reporter())
    assert len(there) >= 3 and all(found == {denoiser} for found in there), there


def test_a_picture_is_encoded_in_float32_only_where_16_bits_are_too_few(folders, tmp_path) -> None:
    for bfloat16 in (True, False):
        with HollowCard(bfloat16=bfloat16) as card:
            pipe = models_on(card, folders["stable-diffusion-xl"], tmp_path).image(None).pipeline(Mode.IMAGE)
            assert pipe.vae.config.force_upcast is not bfloat16


@pytest.mark.parametrize("role", ["image", "video"])
def test_a_setting_in_which_a_model_cant_be_drawn_is_refused_before_it_is_loaded(
    role: str, folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ltx").mkdir()
    (tmp_path / "ltx" / "model_index.json").write_text('{"_class_name": "LTXPipeline"}')
    save_file({"weight": torch.zeros(1)}, tmp_path / "ltx" / "model.safetensors")
    monkeypatch.setattr(ModelLoader, "load", lambda *args, **kwargs: pytest.fail("it is loaded"))
    specs = {"image": str(folders["z-image"]), "video": str(tmp_path / "ltx")}
    models = Models(WorkerConfig("cpu", {role: specs[role]}, str(tmp_path), dtype="float16"))
    with pytest.raises(ModelError, match="(z-image|ltx) can't run with DTYPE=float16: .*Set DTYPE=auto"):
        models.get(role)


def test_a_devices_speed_is_measured_by_what_models_mostly_do() -> None:
    assert describe_models.card_flops("cpu", side=64) > 10**6
