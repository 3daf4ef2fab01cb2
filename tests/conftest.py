"""What every test shares: no network, one thread for torch."""

import os

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item):
    """simcord's clock and webhook adapter belong to the test's own context, which a fixture's task does not
    share."""
    studios = [value for value in getattr(item, "funcargs", {}).values() if type(value).__name__ == "Studio"]
    if studios:
        with studios[0].env.time_context():
            return (yield)
    return (yield)
