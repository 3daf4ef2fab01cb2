"""The budget of identifies outlives the process: a person may restart, a crash loop burns no token."""

from pathlib import Path

import pytest

from bot.gateway import AT_ONCE, DAY, REFILL, BudgetSpent, Connections

LIMIT = 1000  # Discord's, in 24 hours


def _clock(now: list[float]):
    return lambda: now[0]


def test_a_person_may_restart_as_often_as_a_person_does(tmp_path: Path) -> None:
    now, pauses = [1_000_000.0], []
    for _ in range(100):  # in ten minutes, each a new process
        connections = Connections(tmp_path / "c.json", _clock(now))
        pauses.append(connections.pause())
        connections.spend()
        now[0] += 6
    assert set(pauses) == {0.0}


@pytest.mark.slow
@pytest.mark.parametrize(
    "uptime", [0.5, 20, 149, *(pytest.param(seconds, marks=pytest.mark.long) for seconds in (2, 100))]
)
def test_days_of_crashes_never_reach_discords_limit(tmp_path: Path, uptime: float) -> None:
    now, times = [1_000_000.0], []
    while now[0] < 1_000_000.0 + 1.5 * DAY:
        connections = Connections(tmp_path / "c.json", _clock(now))
        now[0] += connections.pause()
        connections.spend()
        times.append(now[0])
        now[0] += uptime
    within = [sum(1 for t in times if at - DAY < t <= at) for at in times[:: max(1, len(times) // 50)]]
    assert AT_ONCE < max(within) < 0.9 * LIMIT


@pytest.mark.parametrize("content", ["", "nonsense", "[1, 2", '["x", null, 99999999999]'])
def test_a_damaged_or_future_record_does_not_stop_the_start(tmp_path: Path, content: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(content)
    assert Connections(path, lambda: 1000.0).pause() == 0


def test_an_identify_beyond_the_budget_is_not_sent(tmp_path: Path) -> None:
    connections = Connections(tmp_path / "c.json", lambda: 1_000_000.0)
    for _ in range(AT_ONCE):
        connections.spend()
    with pytest.raises(BudgetSpent):
        connections.spend()


def test_what_is_left_of_the_budget_is_told_and_grows_again(tmp_path: Path) -> None:
    now = [1_000_000.0]
    connections = Connections(tmp_path / "c.json", _clock(now))
    assert connections.left == AT_ONCE
    for _ in range(10):
        connections.spend()
    assert connections.left == AT_ONCE - 10
    now[0] += 4 * REFILL
    assert connections.left == AT_ONCE - 6
