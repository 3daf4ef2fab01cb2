"""A crowd at once. The long form is ``python -m tests.wire.load``."""

from pathlib import Path

from tests.wire import load
from tests.wire.kill import quantile


async def test_two_hundred_interactions_in_two_seconds_are_acknowledged_while_the_worker_is_busy(tmp_path: Path) -> None:
    report = await load.run(tmp_path, rate=100, seconds=2)
    assert report.sent == 200
    assert quantile(report.acknowledged, 0.99) < 250  # ms
    assert report.memory < 150 and not report.torch  # MB


async def test_the_measurement_sees_a_blocked_event_loop(tmp_path: Path) -> None:
    report = await load.run(tmp_path, 20, 1, "--block=0.2")
    assert max(report.stalls) > 150 and quantile(report.acknowledged, 0.99) > 150  # ms
