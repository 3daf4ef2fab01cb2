"""Shares are told with the interval that statistics' own library finds."""

import pytest

from web.handlers.project_views import interval


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (14, 15), (15, 15), (3, 300), (900, 2000), (1, 1)])
def test_an_interval_is_that_of_clopper_and_pearson(hits: int, n: int) -> None:
    stats = pytest.importorskip("scipy.stats", reason="scipy comes with the extra train")
    low = stats.beta.ppf(0.025, hits, n - hits + 1) if hits else 0.0
    high = stats.beta.ppf(0.975, hits + 1, n - hits) if hits < n else 1.0
    assert interval(hits, n) == pytest.approx((low, high), abs=1e-9)


def test_of_nothing_nothing_is_known() -> None:
    assert interval(0, 0) == (0.0, 1.0)
