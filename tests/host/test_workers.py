"""Which workers are started."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from core.errors import AtelierError
from core.settings import load_settings
from host import services


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What torch finds on a machine with a driver."""
    devices: list[str] = []
    monkeypatch.setattr(services, "_GPU_NODES", ("/dev/null",))
    monkeypatch.setattr(services, "probe_devices", lambda: [{"device": name} for name in devices])
    return devices


def test_devices_that_are_named_are_taken_as_they_are(found: list[str]) -> None:
    assert services.device_names(("cuda:1", "cpu")) == ("cuda:1", "cpu")


@pytest.mark.parametrize(
    ("there", "started"),
    [(["cuda:0", "cuda:1", "cpu"], ("cuda:0", "cuda:1")), (["mps", "cpu"], ("mps",)), (["cpu"], ("cpu",))],
)
def test_auto_starts_every_gpu_or_else_the_processor(
    found: list[str], there: list[str], started: tuple[str, ...]
) -> None:
    found += there
    assert services.device_names(("auto",)) == started


def test_a_torch_that_cannot_be_loaded_is_said(found: list[str]) -> None:
    with pytest.raises(AtelierError, match="torch can't be loaded"):
        services.device_names(("auto",))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="drivers have files on Linux only")
def test_without_a_driver_nobody_loads_torch_to_find_out(
    found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "_GPU_NODES", ("/dev/no-such-card",))
    found.append("cuda:0")
    assert services.device_names(("auto",)) == ("cpu",)


async def test_each_device_gets_the_settings(tmp_path: Path) -> None:
    settings = load_settings(
        {"DATA_DIR": str(tmp_path), "DEVICES": "cpu, cuda:0", "DTYPE": "float32"}, tmp_path / "no"
    )
    made = await services.worker_configs(settings)
    assert [config.device for config in made] == ["cpu", "cuda:0"]
    assert {config.dtype for config in made} == {"float32"}
    assert {config.cache_dir for config in made} == {str(tmp_path / "cache")}
