"""What is chosen by what a device can do."""

import pytest
import torch

from vision import devices

GB = 10**9


@pytest.mark.parametrize(
    ("setting", "weights", "threads"),
    [(3, 9 * GB, 3), (0, devices.SMALL_MODEL - 1, 1), (0, devices.SMALL_MODEL, 6)],
)
def test_a_small_model_gets_one_thread(monkeypatch, setting: int, weights: int, threads: int) -> None:
    monkeypatch.setattr(devices.psutil, "cpu_count", lambda logical=True: 12 if logical else 6)
    assert devices.choose_threads(setting, weights) == threads


@pytest.mark.parametrize(
    ("device", "bfloat16", "dtype"),
    [
        ("cpu", True, torch.float32),
        ("cuda", True, torch.bfloat16),
        ("cuda", False, torch.float16),
        ("mps", True, torch.float16),
        ("xpu", True, torch.bfloat16),
    ],
)
def test_the_dtype_is_what_the_device_has(
    monkeypatch: pytest.MonkeyPatch, device: str, bfloat16: bool, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bfloat16)
    assert devices.choose_dtype(device, "auto") is dtype
    assert devices.choose_dtype(device, "float64") is torch.float64
