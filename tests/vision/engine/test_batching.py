"""Who is in the next pass, on traces of jobs against first come, first served; and what is known of how long
passes take."""

import functools
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision.engine import batches
from vision.engine.batches import (
    ENOUGH,
    PATIENCE,
    SIDE_WORK_SHARE,
    Candidate,
    Curve,
    DurationModel,
    SideWorkBudget,
    budget,
    choose,
)

Cost = Callable[[int], float]


def saturated(rows: int) -> float:
    """1024 px on an H200: two at once take twice one (sgl-project/sglang#22183)."""
    return 0.243 * rows * (0.978 if rows > 1 else 1)


def roomy(rows: int) -> float:
    """512 px on an H200, same source."""
    known = {1: 0.167, 2: 0.183, 3: 0.186, 4: 0.240}
    return known[rows] if rows in known else 0.240 + 0.04625 * (rows - 4)


def between(rows: int) -> float:
    return 0.3 + 0.7 * rows


@dataclass
class Job:
    arrived: float
    steps: int
    left: int
    first: float = 0.0
    ended: float = 0.0


@dataclass(frozen=True)
class Fared:
    """Ratios to first come, first served, larger is better; but slowed: the most that any job's time grew."""

    mean: float
    first: float
    short: float
    p95: float
    worst: float
    throughput: float
    slowed: float


SHORT = 4
MIX = ((SHORT, 0.6), (28, 0.3), (50, 0.1))


def trace(
    rng: random.Random, count: int, load: float, cost: Cost, mix: Sequence[tuple[int, float]]
) -> list[tuple[float, int]]:
    steps, weights = zip(*mix, strict=True)
    rate, at, jobs = load / (sum(n * w for n, w in mix) * cost(1)), 0.0, []
    for _ in range(count):
        at += rng.expovariate(rate)
        jobs.append((at, rng.choices(steps, weights)[0]))
    return jobs


def fifo(arrivals: Sequence[tuple[float, int]], cost: Cost) -> list[float]:
    """When each would end."""
    end, ends = 0.0, []
    for at, steps in arrivals:
        end = max(end, at) + steps * cost(1)
        ends.append(end)
    return ends


def serve(arrivals: Sequence[tuple[float, int]], cost: Cost) -> list[Job]:
    now, coming, here, all_jobs = 0.0, list(arrivals), [], []
    while coming or here:
        while coming and coming[0][0] <= now:
            at, steps = coming.pop(0)
            here.append(Job(at, steps, steps))
            all_jobs.append(here[-1])
        if not here:
            now = coming[0][0]
            continue
        waiting = [
            Candidate("all", 1, job.left, job.steps, job.arrived, job.left == job.steps) for job in here
        ]
        chosen = [here[i] for i in choose(waiting, lambda key, rows: cost(rows), lambda key: 16, now)]
        assert chosen and len({id(job) for job in chosen}) == len(chosen)
        now += cost(len(chosen))
        for job in chosen:
            job.first = job.first or now
            job.left -= 1
            job.ended = now
        here = [job for job in here if job.left]
    return all_jobs


@functools.cache
def fared(load: float, cost: Cost, mix: tuple[tuple[int, float], ...], seed: int, count: int = 400) -> Fared:
    arrivals = trace(random.Random(seed), count, load, cost, mix)
    jobs, ends = serve(arrivals, cost), fifo(arrivals, cost)
    plain = [end - at for end, (at, _) in zip(ends, arrivals, strict=True)]
    ours = [job.ended - job.arrived for job in jobs]
    firsts = [p - (job.steps - 1) * cost(1) for p, job in zip(plain, jobs, strict=True)]
    shorts = [i for i, job in enumerate(jobs) if job.steps == min(n for n, _ in mix)]
    return Fared(
        statistics.mean(plain) / statistics.mean(ours),
        statistics.mean(firsts) / statistics.mean(job.first - job.arrived for job in jobs),
        statistics.mean(plain[i] for i in shorts) / statistics.mean(ours[i] for i in shorts),
        sorted(plain)[count * 95 // 100] / sorted(ours)[count * 95 // 100],
        max(plain) / max(ours),
        max(ends) / max(job.ended for job in jobs),
        max(o / p for o, p in zip(ours, plain, strict=True)),
    )


SEEDS = range(3)
ALL = pytest.param(range(8), marks=pytest.mark.long)


def mean(of: str, results: Sequence[Fared]) -> float:
    return statistics.mean(getattr(result, of) for result in results)


def test_where_batching_helps_jobs_are_joined() -> None:
    results = [fared(0.9, roomy, ((50, 1.0),), seed) for seed in SEEDS]
    assert mean("mean", results) > 3 and mean("first", results) > 20
    results = [fared(0.9, roomy, MIX, seed) for seed in SEEDS]
    assert mean("mean", results) > 3.5 and mean("short", results) > 10


@pytest.mark.parametrize("seeds", [SEEDS, ALL])
@pytest.mark.parametrize(("cost", "short", "mean_"), [(saturated, 1.3, 1.1), (between, 5, 1.6)])
def test_where_it_does_not_short_jobs_go_first(cost: Cost, short: float, mean_: float, seeds: range) -> None:
    results = [fared(0.9, cost, MIX, seed) for seed in seeds]
    assert mean("short", results) > short and mean("mean", results) > mean_ and mean("first", results) > 8
    assert min(result.throughput for result in results) > 0.97


@pytest.mark.slow
@pytest.mark.parametrize("load", [0.7, 0.9, 1.3])
@pytest.mark.parametrize("cost", [saturated, between, roomy])
def test_under_load_the_late_are_no_later_than_first_come_first_served(cost: Cost, load: float) -> None:
    results = [fared(load, cost, MIX, seed) for seed in range(8)]
    assert mean("p95", results) > 0.97 and mean("worst", results) > 0.85


def test_without_ageing_the_longest_would_wait_far_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "PATIENCE", float("inf"))
    assert mean("worst", [fared.__wrapped__(0.9, saturated, MIX, seed) for seed in SEEDS]) < 0.75


def test_short_jobs_hardly_wait_for_one_that_is_a_hundred_times_as_long() -> None:
    """A video, with pictures that come while it is drawn and take half of the time until it has twice its
    own."""
    rng, at, arrivals = random.Random(1), 0.0, [(0.0, 600)]
    while (at := at + rng.expovariate(1 / 8)) < 1100:
        arrivals.append((at, 4))
    jobs = serve(arrivals, lambda rows: float(rows))
    video, pictures = jobs[0], sorted(job.ended - job.arrived for job in jobs[1:])
    assert video.ended <= PATIENCE * 600 * 1.05
    assert pictures[len(pictures) * 95 // 100] < 30, "alone a picture takes 4 seconds, and 15 at this load"


LINES = st.tuples(st.floats(0, 3), st.floats(0.01, 1.0)).map(
    lambda line: lambda rows: line[1] * (line[0] + rows)
)  # any device's passes


@settings(max_examples=60, deadline=None)
@given(
    cost=LINES,
    mix=st.lists(st.tuples(st.integers(1, 60), st.floats(0.05, 1.0)), min_size=1, max_size=4),
    load=st.floats(0.5, 1.4),
    count=st.integers(2, 40),
    seed=st.integers(0, 2**32),
)
def test_on_any_device_with_any_jobs_all_end_and_no_later_than_one_by_one(
    cost: Cost, mix: Sequence[tuple[int, float]], load: float, count: int, seed: int
) -> None:
    total = sum(weight for _, weight in mix)
    arrivals = trace(
        random.Random(seed), count, load, cost, [(steps, weight / total) for steps, weight in mix]
    )
    jobs = serve(arrivals, cost)
    assert all(job.ended >= job.arrived + job.steps * cost(1) * (1 - 1e-9) for job in jobs)
    assert max(job.ended for job in jobs) <= fifo(arrivals, cost)[-1] + cost(16)


WAITING = st.builds(
    Candidate,
    st.sampled_from("ab"),
    st.integers(1, 8),
    st.integers(1, 50),
    st.integers(50, 60),
    st.floats(-100, 0),
    st.booleans(),
)


@settings(max_examples=200, deadline=None)
@given(jobs=st.lists(WAITING, min_size=1, max_size=12), cost=LINES, most=st.integers(1, 16))
def test_those_in_a_pass_share_it_and_fit(jobs: list[Candidate], cost: Cost, most: int) -> None:
    chosen = choose(jobs, lambda key, rows: cost(rows), lambda key: most, 0.0)
    assert 1 <= len(set(chosen)) == len(chosen) and set(chosen) <= set(range(len(jobs)))
    assert len({jobs[i].key for i in chosen}) == 1
    assert len(chosen) == 1 or sum(jobs[i].rows for i in chosen) <= most


def waiting(
    key: str, left: int, *, rows: int = 1, steps: int = 50, came: float = 0.0, new: bool = False
) -> Candidate:
    return Candidate(key, rows, left, steps, came, new)


def test_jobs_that_cannot_share_are_never_in_one_pass() -> None:
    jobs = [waiting("a", 5), waiting("b", 2), waiting("a", 3), waiting("b", 9)]
    assert choose(jobs, lambda key, rows: 1.0, lambda key: 8, 0.0) == [1, 3]


def test_what_does_not_fit_stays_out_but_one_always_goes() -> None:
    jobs = [waiting("a", left, rows=8) for left in (5, 6, 7)]
    assert choose(jobs, lambda key, rows: 1.0, lambda key: 16, 0.0) == [0, 1]
    assert choose(jobs, lambda key, rows: 1.0, lambda key: 1, 0.0) == [0]


def test_a_newcomers_first_step_goes_at_once() -> None:
    jobs = [waiting("a", 3), waiting("a", 50, new=True)]
    assert choose(jobs, lambda key, rows: saturated(rows), lambda key: 8, 0.0) == [1]


def test_of_jobs_alike_the_first_goes_first() -> None:
    for now in (1.0, 1000.0):
        jobs = [waiting("a", 11, came=came) for came in (0.0, 0.5, 1.0)]
        assert choose(jobs, lambda key, rows: saturated(rows), lambda key: 1, now) == [0]


def test_a_job_that_would_take_twice_its_time_goes_before_shorter_ones() -> None:
    jobs = [waiting("a", 50), waiting("a", 3, steps=30, came=40.0)]
    assert choose(jobs, lambda key, rows: float(rows), lambda key: 8, 49.0) == [1]
    assert choose(jobs, lambda key, rows: float(rows), lambda key: 8, 51.0) == [0]


def test_a_second_of_waiting_counts_as_much_as_a_second_less_to_do() -> None:
    late = [waiting("a", 20, steps=20, came=0.0), waiting("a", 5, steps=5, came=14.0)]
    assert choose(late, lambda key, rows: float(rows), lambda key: 8, 100.0) == [1]
    late[1] = waiting("a", 5, steps=5, came=16.0)
    assert choose(late, lambda key, rows: float(rows), lambda key: 8, 100.0) == [0]


def test_nobody_joins_at_the_cost_of_those_before_it() -> None:
    """Two rows take 1.5 times one: two jobs alone are joined, but not past three that are ahead of the second
    and gain nothing by it."""
    cost = {1: 1.0, 2: 1.5}
    pair = [waiting("a", 2), waiting("a", 9)]
    assert choose(pair, lambda key, rows: cost[rows], lambda key: 2, 0.0) == [0, 1]
    behind = [waiting("a", 2), *(waiting("b", left) for left in (3, 4, 5, 6, 7, 8)), waiting("a", 9)]
    assert choose(behind[:2] + behind[-1:], lambda key, rows: cost[rows], lambda key: 2, 0.0) == [0, 2]
    assert choose(
        behind[:1] + behind[3:], lambda key, rows: 1.4 * cost[rows] if rows > 1 else 1.0, lambda key: 2, 0.0
    ) == [0]


def test_jobs_that_come_at_once_share_passes() -> None:
    for seed in SEEDS:
        rng = random.Random(seed)
        arrivals = [(0.0, rng.choice((8, 12, 20, 30))) for _ in range(48)]
        jobs, ends = serve(arrivals, roomy), fifo(arrivals, roomy)
        assert max(ends) / max(job.ended for job in jobs) > 2.4


def test_side_work_gets_its_share_of_the_time_and_no_more() -> None:
    side_work, spent = SideWorkBudget(), 0.0
    side_work.note("caption", 1, 0.03)
    for _ in range(1000):
        side_work.credit(0.1, waiting=True)
        if side_work.allows("caption", 1, budget=0.0):
            side_work.note("caption", 1, 0.03)
            side_work.debit(0.03)
            spent += 0.03
    assert 0.9 * SIDE_WORK_SHARE * 100 < spent <= SIDE_WORK_SHARE * 100


def test_side_work_goes_at_once_beside_jobs_long_enough_and_pays_for_it_later() -> None:
    side_work = SideWorkBudget()
    side_work.note("caption", 4, 0.12)
    left = budget(pass_seconds=0.14 / SIDE_WORK_SHARE, side_work_seconds=0.02)  # 0.12
    assert side_work.allows("caption", 4, left + 1e-9) and not side_work.allows("caption", 5, left)
    side_work.note("caption", 4, 0.12)
    side_work.debit(0.12)
    for _ in range(round(1.1 / SIDE_WORK_SHARE)):
        side_work.credit(0.1, waiting=True)
    assert not side_work.allows("caption", 1, budget=0.0)
    for _ in range(round(0.5 / SIDE_WORK_SHARE)):
        side_work.credit(0.1, waiting=True)
    assert side_work.allows("caption", 1, budget=0.0)


def test_nothing_is_saved_up_for_side_work_to_come() -> None:
    side_work = SideWorkBudget()
    side_work.note("caption", 1, 0.5)
    for _ in range(1000):
        side_work.credit(1.0, waiting=False)
    assert not side_work.allows("caption", 1, budget=0.0)


def test_long_side_work_gets_its_turn_where_jobs_are_short() -> None:
    side_work = SideWorkBudget()
    side_work.note("picture", 1, 5.0)
    for _ in range(round(5 / SIDE_WORK_SHARE) - 1):
        side_work.credit(1.0, waiting=True)
        assert not side_work.allows("picture", 1, budget(pass_seconds=2.0, side_work_seconds=0.0))
    side_work.credit(2.0, waiting=True)
    assert side_work.allows("picture", 1, budget(pass_seconds=2.0, side_work_seconds=0.0))


# What is known of passes


def measured(points: dict[int, float]) -> Curve:
    curve = Curve()
    for rows, seconds in points.items():
        curve.note(rows, seconds)
    return curve


def test_a_curve_runs_through_what_was_measured_and_on() -> None:
    curve = measured({2: 1.0, 4: 1.5, 8: 3.5})
    assert [curve.seconds(n) for n in (2, 3, 4, 6, 8, 12)] == pytest.approx([1.0, 1.25, 1.5, 2.5, 3.5, 5.5])
    assert 0.5 <= curve.seconds(1) <= 1.0


def test_one_slow_pass_on_a_busy_machine_changes_nothing() -> None:
    curve = measured({2: 1.0, 4: 1.5})
    for seconds in (1.0, 30.0, 1.1):
        curve.note(2, seconds)
    assert curve.seconds(2) == pytest.approx(1.05)


def test_a_wider_pass_is_never_taken_for_quicker() -> None:
    assert measured({2: 1.0, 4: 0.8}).seconds(4) == 1.0


def test_an_unknown_curve_lets_jobs_join_once_so_that_it_becomes_known() -> None:
    empty, one = Curve(), measured({2: 1.0})
    for curve in (empty, one):
        assert choose(
            [waiting("a", 5, rows=2)] * 2,
            lambda key, rows, curve=curve: curve.seconds(rows),
            lambda key: 4,
            0.0,
        ) == [0, 1]


def test_idle_moments_fill_in_the_ladder_and_then_end() -> None:
    curve, asked = measured({2: 0.01}), []
    while (rows := curve.missing(8)) is not None:
        asked.append(rows)
        curve.note(rows, 0.01 * rows)
    assert [asked.count(n) for n in (1, 2, 4, 8, 16)] == [ENOUGH, ENOUGH - 1, ENOUGH, ENOUGH, 0]


def test_no_idle_moment_is_used_for_a_pass_of_many_seconds() -> None:
    assert measured({2: 30.0}).missing(8) is None


def test_curves_are_kept_for_the_next_start_and_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "curves" / "cpu.json"
    durations = DurationModel(path)
    durations.note_pass("model", 2, 1.0)
    durations.note_pass("model", 4, 1.5)
    durations.save()
    again = DurationModel(path).curve("model")
    assert again.seconds(4) == 1.5 and again.widest == 4
    again.note(4, 9.0)
    assert again.seconds(4) == 9.0, "what is measured now counts"
    assert [file.name for file in path.parent.iterdir()] == ["cpu.json"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1]",
        '{"curves": {"model": 5}}',
        '{"curves": {"model": [["a", 1]]}}',
        '{"points": {}}',
    ],
)
def test_damaged_curves_are_measured_anew(text: str, tmp_path, caplog) -> None:
    path = tmp_path / "cpu.json"
    path.write_text(text)
    assert DurationModel(path).curve("model").widest == 0
    assert "can't be used" in caplog.text
