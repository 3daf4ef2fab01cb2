"""Durations are counted in Prometheus' buckets, also of what fails."""

import pytest

from core.traces import BOUNDS, Timings, timed


def test_a_bucket_counts_what_took_no_longer() -> None:
    timings = Timings(("read", "write"))
    for seconds in (0.0, 0.001, 0.0011, 7.0, 99.0):
        timings.note("read", seconds)
    found = dict(timings.by_operation["read"].cumulative())
    assert (found["0.001"], found["0.0025"], found["5.0"], found["10.0"], found["+Inf"]) == (2, 3, 3, 4, 5)
    assert timings.by_operation["read"].total == pytest.approx(106.0021)
    assert set(found) == {*map(str, BOUNDS), "+Inf"}
    assert dict(timings.by_operation["write"].cumulative())["+Inf"] == 0


class _Store:
    def __init__(self) -> None:
        self.timings = Timings(("get",))

    @timed("get")
    async def get(self, name: str) -> str:
        """Return it."""
        if not name:
            raise KeyError("no name")
        return name


async def test_what_fails_is_timed_too() -> None:
    store = _Store()
    assert await store.get("a") == "a"
    with pytest.raises(KeyError):
        await store.get("")
    assert sum(store.timings.by_operation["get"].counts) == 2
    assert _Store.get.__doc__ == "Return it."
