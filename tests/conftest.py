"""What every test shares: no network, one thread for torch, and what would take long to do again."""

import gc
import os
from collections.abc import Iterator
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings

from storage.blobs.local import Folder
from tests.support import REAL, confined, fresh

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
LONG = ("test_end_to_end", "test_soak", "test_compiled")
# how quick a busy machine is tells nothing of the program
settings.register_profile("atelier", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("atelier")
gc.disable()  # until all is imported


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with tests that mostly wait, and with the longest: of tests run beside each other, one process
    has these, the others compute meanwhile, and none of them is the last."""
    items.sort(key=lambda item: item.path.parent.name not in ("wire", "jobs") and item.path.stem not in LONG)


def pytest_collection_finish() -> None:
    """Look for garbage again, but not among a million objects that were imported."""
    gc.enable()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def quick() -> Iterator[None]:
    """Keep 64 KiB free for a full disk, not 64 MiB: writing these took most of a studio's start. Don't let
    databases wait for the disk, but in tests/storage. Fork the processes that read pictures and videos from
    one that has their libraries."""
    if REAL:
        yield
        return
    with (
        mock.patch.dict(Folder.__init__.__kwdefaults__, ballast_bytes=2**16),
        fresh.quick(),
        mock.patch("asyncio.create_subprocess_exec", confined.create_subprocess_exec),
    ):
        yield


@pytest.fixture
def started() -> Iterator[None]:
    """Start them as the studio does."""
    with mock.patch("asyncio.create_subprocess_exec", confined.START):
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
