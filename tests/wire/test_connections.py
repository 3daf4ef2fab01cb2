"""Pauses between connections to Discord outlive the process, so that a crash loop burns no identifies."""

from pathlib import Path

import pytest

from bot.wire.connections import DAILY, DAY, Connections


def _clock(now: list[float]):
    return lambda: now[0]


def test_a_crash_loop_slows_down_across_processes(tmp_path: Path) -> None:
    now, pauses = [1_000_000.0], []
    for _ in range(12):
        connections = Connections(tmp_path / "c.json", _clock(now))  # a new process each time
        pauses.append(connections.pause())
        now[0] += pauses[-1] + 1
        connections.note()
    assert pauses[:3] == [0, 0, 0] and pauses[3] > 0 and max(pauses) <= 300
    assert sum(pauses) > 600


def test_a_day_of_crashes_never_reaches_discords_limit(tmp_path: Path) -> None:
    now, times = [1_000_000.0], []
    while now[0] < 1_000_000.0 + 3 * DAY:
        connections = Connections(tmp_path / "c.json", _clock(now))
        now[0] += connections.pause() + 2
        connections.note()
        times.append(now[0])
    assert max(sum(1 for t in times if at - DAY < t <= at) for at in times[:: len(times) // 50]) <= DAILY


@pytest.mark.parametrize("content", ["", "nonsense", "[1, 2", '["x", null, 99999999999]'])
def test_a_damaged_or_future_record_does_not_stop_the_start(tmp_path: Path, content: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(content)
    assert Connections(path, lambda: 1000.0).pause() == 0
