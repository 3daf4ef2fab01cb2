"""How many agents there are as the queue grows and shrinks, and which go."""

from __future__ import annotations

import itertools
import random

import pytest

from core.errors import SettingsError
from host.launching.scaling import Agent, Bounds, Plan, Queued, Scaling, State

IDLE = 300.0
BOUNDS = Bounds(least=1, most=4, waiting=4, idle=IDLE)


def up(*running: int) -> list[Agent]:
    return [Agent(number, "up", jobs) for number, jobs in enumerate(running, 1)]


def planned(waiting: int | None, agents: list[Agent], bounds: Bounds = BOUNDS) -> Plan:
    return Scaling(bounds).plan(0.0, None if waiting is None else Queued(waiting), agents)


def idled(agents: list[Agent], waiting: int | None = 0, bounds: Bounds = BOUNDS) -> Plan:
    """What is planned once the queue has stood like this for longer than the window."""
    scaling, queue = Scaling(bounds), None if waiting is None else Queued(waiting)
    assert scaling.plan(0.0, queue, agents).drain == ()
    return scaling.plan(bounds.idle + 1, queue, agents)


@pytest.mark.parametrize(
    ("waiting", "running", "placed"),
    [
        (0, (), (1,)),  # the least
        (1, (), (1,)),
        (4, (), (1,)),
        (5, (), (1, 2)),
        (1, (1,), (2,)),  # one is busy, one more waits
        (4, (1,), (2,)),
        (5, (1,), (2, 3)),
        (100, (1,), (2, 3, 4)),  # the most
        (4, (0,), ()),  # one that is free will take them
        (5, (0,), (2,)),
        (8, (3, 0), (3,)),
        (100, (1, 1, 1, 1), ()),
        (0, (1, 1), ()),
    ],
)
def test_agents_are_placed_for_what_waits(
    waiting: int, running: tuple[int, ...], placed: tuple[int, ...]
) -> None:
    assert planned(waiting, up(*running)) == Plan(place=placed)


def test_those_on_their_way_count() -> None:
    agents = [Agent(1, "up", 2), Agent(2, "placing")]
    assert planned(4, agents) == Plan()
    assert planned(5, agents) == Plan(place=(3,))


def test_a_number_is_free_again_once_its_agent_is_off_the_cluster() -> None:
    agents = [Agent(1, "up", 1), Agent(2, "draining", 1), Agent(3, "ended")]
    assert planned(1, agents) == Plan(place=(4,), remove=(3,))
    bounds = Bounds(1, 2)
    assert planned(9, [Agent(1, "up", 1), Agent(2, "draining")], bounds) == Plan()
    assert planned(9, [Agent(1, "up", 1)], bounds) == Plan(place=(2,))


def test_the_least_are_there_while_nobody_can_be_asked_and_nothing_goes() -> None:
    assert planned(None, []) == Plan(place=(1,))
    assert planned(None, [], Bounds(3, 4)) == Plan(place=(1, 2, 3))
    assert idled(up(0, 0, 0), None) == Plan()


def test_an_idle_agent_is_drained_after_the_window_and_not_before() -> None:
    scaling, agents = Scaling(BOUNDS), up(0, 0, 0)
    for second in range(0, 301, 10):
        assert scaling.plan(float(second), Queued(0), agents) == Plan()
    assert scaling.plan(301.0, Queued(0), agents) == Plan(drain=(3, 2))


def test_a_rush_within_the_window_keeps_those_that_it_needed() -> None:
    scaling, agents = Scaling(BOUNDS), up(0, 0, 0)
    for second, waiting in ((0.0, 0), (200.0, 5), (400.0, 0), (499.0, 0)):
        drained = scaling.plan(second, Queued(waiting), agents).drain
        assert drained == ((3,) if second > 300 else ())
    assert scaling.plan(501.0, Queued(0), agents).drain == (3, 2)


def test_a_queue_that_flickers_moves_nothing() -> None:
    scaling, agents = Scaling(BOUNDS), up(1, 0)
    for second in range(0, 6000, 20):
        plan = scaling.plan(float(second), Queued(second // 20 % 2 * 4), agents)
        assert plan == Plan()


def test_an_answer_after_long_silence_drains_nothing_at_once() -> None:
    scaling, agents = Scaling(BOUNDS), up(0, 0, 0)
    for second in range(0, 1000, 10):
        assert scaling.plan(float(second), None, agents) == Plan()
    assert scaling.plan(1000.0, Queued(0), agents) == Plan()
    assert scaling.plan(1200.0, Queued(0), agents) == Plan()
    assert scaling.plan(1300.0, Queued(0), agents) == Plan(drain=(3, 2))


def test_a_launcher_that_starts_anew_drains_nothing_at_once() -> None:
    assert planned(0, up(0, 0, 0, 0)) == Plan()


def test_the_idle_go_and_the_busy_stay() -> None:
    assert idled(up(1, 0, 2, 0)) == Plan(drain=(4, 2))
    assert idled(up(0, 0, 3, 0)) == Plan(drain=(4, 2, 1))
    assert idled(up(1, 1, 1, 1)) == Plan()


def test_what_has_no_process_yet_goes_first_and_without_a_drain() -> None:
    agents = [Agent(1, "placing"), Agent(2, "up"), Agent(3, "placing"), Agent(4, "up", 1)]
    assert idled(agents) == Plan(drain=(2,), remove=(3, 1))


def test_one_that_isnt_heard_of_but_has_jobs_is_drained() -> None:
    assert planned(0, [Agent(1, "placing", 2)], Bounds(0, 0)) == Plan(drain=(1,))


def test_bounds_hold_whatever_runs() -> None:
    assert planned(50, up(1, 2, 3), Bounds(0, 2)) == Plan(drain=(1,))
    assert planned(50, up(1, 2), Bounds(0, 0)) == Plan(drain=(1, 2))
    assert idled(up(0, 0), 0, Bounds(2, 4)) == Plan()


@pytest.mark.parametrize(
    "wrong",
    [
        {"least": -1, "most": 2},
        {"least": 3, "most": 2},
        {"least": 0, "most": 2, "waiting": 0},
        {"least": 0, "most": 2, "idle": -1.0},
    ],
)
def test_bounds_that_hold_nothing_are_refused_with_what_is_taken(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError) as caught:
        Bounds(**wrong)  # type: ignore[arg-type]
    assert "takes" in str(caught.value.problems) or "taken" in str(caught.value.problems)


def test_three_thousand_chances_never_pass_the_bounds_or_touch_a_busy_agent() -> None:
    """A cluster that obeys, late and with losses, under a queue that comes and goes."""
    chance = random.Random(5)
    bounds = Bounds(least=1, most=5, waiting=3, idle=60.0)
    scaling, agents, waiting = Scaling(bounds), dict[int, Agent](), 0
    seen = set[int]()
    for tick in range(3000):
        waiting = max(0, waiting + chance.choice((-9, -4, -2, 0, 0, 1, 2, 30 if tick % 500 < 20 else 0)))
        queue = None if chance.random() < 0.05 else Queued(waiting)
        plan = scaling.plan(tick * 2.0, queue, list(agents.values()))
        staying = [one for one in agents.values() if one.state in ("placing", "up")]
        assert set(plan.place).isdisjoint(agents) and len(staying) + len(plan.place) <= bounds.most
        assert len(staying) + len(plan.place) - len(plan.drain) >= bounds.least
        assert all(agents[number].running == 0 for number in plan.drain)
        removed = [agents[number].state for number in plan.remove]
        assert set(removed) <= {"placing", "ended"}
        for number in plan.place:
            agents[number] = Agent(number, "placing")
        for number in plan.drain:
            agents[number] = Agent(number, "draining")
        for number in plan.remove:
            del agents[number]
        for number, one in list(agents.items()):
            if chance.random() < 0.3:
                agents[number] = _next(one, waiting, chance)
        seen.add(len(agents))
    assert seen >= {1, 2, 3, 4, 5}


def _next(one: Agent, waiting: int, chance: random.Random) -> Agent:
    following: dict[State, State] = {"placing": "up", "draining": "ended"}
    if one.state == "up" and chance.random() < 0.02:  # its node has gone
        return Agent(one.number, "placing")
    running = min(waiting, chance.randrange(3)) if one.state == "up" else 0
    return Agent(one.number, following.get(one.state, one.state), running)


def test_every_state_is_dealt_with() -> None:
    states: tuple[State, ...] = ("placing", "up", "draining", "ended")
    for chosen in itertools.product(states, repeat=3):
        agents = [Agent(number, state) for number, state in enumerate(chosen, 1)]
        plan = idled(agents, bounds=Bounds(0, 3))
        gone = {*plan.drain, *plan.remove}
        assert gone == {one.number for one in agents if one.state != "draining"}
