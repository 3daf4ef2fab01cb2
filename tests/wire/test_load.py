"""A crowd at once. The long form, with figures, is ``python -m proofs.wire.load``."""

from pathlib import Path

from proofs.wire import load
from proofs.wire.kill import quantile
from tests.wire.discord import ACK_DEADLINE
from tests.wire.forked import ForkedBot


async def test_two_hundred_interactions_in_two_seconds_are_acknowledged_while_the_worker_is_busy(
    tmp_path: Path,
) -> None:
    report = await load.run(tmp_path, rate=100, seconds=2)
    assert report.sent == 200
    assert report.memory < 150 and not report.torch  # MB
    assert max(report.acknowledged) < 1000 * ACK_DEADLINE


async def test_the_measurement_sees_a_blocked_event_loop(tmp_path: Path) -> None:
    # 2 s in all: none is late for Discord
    report = await load.run(tmp_path, 10, 1, "--block=0.2", process=ForkedBot)
    assert max(report.stalls) > 150 and quantile(report.acknowledged, 0.99) > 150  # ms
