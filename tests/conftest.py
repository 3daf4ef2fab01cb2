"""What every test shares: no network, one thread for torch, a quiet machine for those that read clocks."""

import contextlib
import gc
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from storage.files import Files

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
gc.disable()  # until all is imported


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with folders whose tests mostly wait: of tests run beside each other, one process has these, the
    others compute meanwhile, and none of the long ones is the last."""
    items.sort(key=lambda item: item.path.parent.name not in ("wire", "jobs"))


def pytest_collection_finish() -> None:
    """Look for garbage again, but not among a million things that were imported."""
    gc.enable()
    gc.freeze()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    """Of tests run beside each other (pytest-xdist), one marked ``alone`` has the machine to itself."""
    with _quiet(item.get_closest_marker("alone") is not None):
        return (yield)


@contextlib.contextmanager
def _quiet(alone: bool) -> Iterator[None]:
    """Hold the lock of this folder's tests: shared, or exclusively when ``alone``. Whoever waits for it holds
    a gate that nobody else passes meanwhile, so a test that wants to be alone is next."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        yield
        return
    import fcntl

    here = Path(__file__)
    with open(here.with_name("__init__.py")) as gate, open(here) as lock:
        fcntl.flock(gate, fcntl.LOCK_EX)
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        yield


@pytest.fixture(autouse=True, scope="session")
def small_ballast() -> Iterator[None]:
    """64 KiB instead of 64 MiB are kept free for a full disk: writing these took most of a studio's start."""
    with mock.patch.dict(Files.__init__.__kwdefaults__, ballast_bytes=2**16):
        yield


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item):
    """simcord's clock and webhook adapter belong to the test's own context, which a fixture's task does not
    share."""
    studios = [value for value in getattr(item, "funcargs", {}).values() if type(value).__name__ == "Studio"]
    if studios:
        with studios[0].env.time_context():
            return (yield)
    return (yield)
