"""What only some systems have, and the way out elsewhere, each tried by taking it away: macOS and Windows
themselves were not at hand."""

import ast
import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core import process
from core.settings import ROOT
from host import app, services
from host import process as signals
from storage.blobs import local
from studio.media import confinement
from tests.jobs.conftest import until
from tests.test_structure import modules
from tools import structure
from vision import devices

# name → the modules that use it, each with a way out that a test below takes
ONLY_SOME = {
    "resource": {"studio.media.confinement"},
    "fcntl": set(),
    "pwd": set(),
    "termios": set(),
    "os.fork": set(),
    "os.getuid": set(),
    "os.killpg": set(),
    "os.nice": {"core.process"},
    "os.sched_setscheduler": {"core.process"},
    "os.sched_getaffinity": set(),
    "os.sysconf": {"studio.media.confinement"},
    "os.uname": {"studio.media.confinement"},
    "signal.SIGKILL": set(),
    "signal.SIGHUP": set(),
    "signal.setitimer": {"studio.media.confinement"},
    "add_signal_handler": {"host.process"},
    "/proc": {"studio.media.confinement", "vision.devices"},
}
MODULES = {"resource", "fcntl", "pwd", "termios"}
SOME = re.compile("|".join(re.escape(name.rpartition(".")[2]) for name in ONLY_SOME))


def _uses(module: structure.Module) -> set[str]:
    """The names of ``ONLY_SOME`` that a module uses."""
    found = set()
    for node in ast.walk(module.tree) if SOME.search(module.text) else ():
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
        elif isinstance(node, ast.Attribute):
            whole = f"{node.value.id}.{node.attr}" if isinstance(node.value, ast.Name) else ""
            found |= {node.attr, whole} - MODULES  # which are imported; others' attributes may be called so
        elif isinstance(node, ast.Constant) and str(node.value).startswith("/proc"):
            found.add("/proc")
    return found & ONLY_SOME.keys()


@pytest.mark.slow
def test_what_only_some_systems_have_is_used_only_where_there_is_a_way_out() -> None:
    uses = {module.name: _uses(module) for module in modules().values()}
    used = {name: {module for module, found in uses.items() if name in found} for name in ONLY_SOME}
    assert used == ONLY_SOME


def test_signals_stop_the_studio_where_the_loop_takes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows, whose event loop has no signal handlers."""
    handlers = {}

    async def scene() -> None:
        loop, stopping = asyncio.get_running_loop(), asyncio.Event()

        def none(number: int, stop: object) -> None:
            raise NotImplementedError

        monkeypatch.setattr(loop, "add_signal_handler", none)
        monkeypatch.setattr(signals.signal, "signal", handlers.__setitem__)
        signals.stop_on_signals(stopping)
        assert handlers.keys() == {signal.SIGINT, signal.SIGTERM}
        handlers[signal.SIGINT](signal.SIGINT, None)
        await until(stopping.is_set)

    asyncio.run(scene())


def test_a_worker_steps_back_as_far_as_the_system_lets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("nice", "SCHED_BATCH", "sched_setscheduler", "sched_param"):
        monkeypatch.delattr(os, name, raising=False)
    process.step_back()


def test_limits_are_left_out_where_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)  # importing it raises ImportError
    confinement.limit(2**30, 10)


def test_a_system_without_proc_is_asked_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(confinement, "open", _missing, raising=False)
    assert confinement._address_space() == 0
    monkeypatch.setattr(devices, "Path", lambda name: tmp_path / "none")
    assert devices.name("cpu") == "cpu"


def _missing(*_: object, **__: object) -> None:
    raise FileNotFoundError


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_the_filter_of_calls_is_linuxs_alone(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confinement.sys, "platform", system)
    monkeypatch.delattr(os, "uname")
    assert confinement.shut_in() is False


def test_folders_are_not_synced_where_they_cannot_be_opened(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Windows:
        name, replace = "nt", staticmethod(os.replace)

    (tmp_path / "new").touch()
    monkeypatch.setattr(local, "os", Windows)
    local._move(tmp_path / "new", tmp_path / "there", {tmp_path})
    assert (tmp_path / "there").exists()


def test_other_systems_ask_torch_for_their_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.sys, "platform", "darwin")
    monkeypatch.setattr(services, "probe_devices", lambda: [{"device": "cpu"}, {"device": "mps"}])
    assert services.device_names(("auto",)) == ("mps",)


def test_pictures_are_read_on_a_system_without_limits_or_filter() -> None:
    """The child that decodes them, as Windows would run it."""
    picture = ROOT / "docs" / "evidence" / "demo-contact-sheet.webp"
    code = (
        "import sys; sys.modules['resource'] = None; sys.platform = 'win32'\n"
        "from studio.media import confinement as confine; from studio.media import media_process as gate\n"
        "confine.limit(2**30, 10)\n"
        f"header, data = gate.answer_request(open({str(picture)!r}, 'rb').read(), 'clean')\n"
        "print(confine.shut_in(), data[:4] == bytes([137]) + b'PNG')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["False", "True"], done.stderr
