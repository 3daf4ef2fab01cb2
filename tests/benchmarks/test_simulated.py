"""The simulated ways to serve a trace: who goes when, by hand, and that nobody beats the bound."""

import pytest

from benchmarks.simulated import (
    WAYS,
    Device,
    Job,
    Mix,
    bound,
    engine,
    one_by_one,
    request_batches,
    serve,
    step_batches,
    trace,
)

ROOMY = Device(((1, 1.0), (2, 1.2), (4, 1.6)), rest=0.5)
FULL = Device(((1, 1.0), (2, 2.0)))
MIX = Mix(((4, 0.5), (12, 0.5)), kinds=(0, 1), guidances=(1.0, 2.0))


def job(at: float, steps: int, kind: int = 0, guidance: float = 1.0) -> Job:
    return Job(at, steps, kind, guidance, left=steps)


def test_one_by_one_each_waits_for_those_before_it() -> None:
    jobs = [job(0, 3), job(1, 2)]
    one_by_one(ROOMY, jobs)
    assert [(one.first, one.end) for one in jobs] == [(1.0, 3.5), (4.5, 6.0)]


def test_request_batches_join_equal_jobs_that_wait() -> None:
    jobs = [job(0, 2), job(1, 2), job(1, 3), job(2, 2)]
    request_batches(ROOMY, jobs)
    assert [one.end for one in jobs] == pytest.approx([2.5, 2.5 + 2.4 + 1, 5.9 + 3.5, 5.9])


def test_step_batches_join_on_the_way_but_one_that_does_not_fit_blocks() -> None:
    jobs = [job(0, 3), job(0.5, 2), job(0.6, 1, guidance=2.0), job(0.7, 1)]
    step_batches(ROOMY, jobs)
    assert [one.first for one in jobs] == pytest.approx([1.0, 2.2, 5.4, 6.9])


def test_the_engine_joins_whatever_the_guidance_and_lets_newcomers_begin() -> None:
    jobs = [job(0, 9), job(0.5, 2, guidance=2.0)]
    engine(ROOMY, jobs)
    assert jobs[1].first == pytest.approx(2.2) and jobs[1].end < 5
    alone = [job(0, 9), job(0.5, 2, kind=1)]
    engine(FULL, alone)
    assert (alone[1].first, alone[1].end, alone[0].end) == (2.0, 3.0, 11.0)


@pytest.mark.parametrize("device", [ROOMY, FULL])
@pytest.mark.parametrize("load", [0.0, 0.9])
def test_nobody_is_better_than_the_bound(device: Device, load: float) -> None:
    for seed in range(3):
        least = bound(device, trace(device, MIX, load, 30, seed))
        for way in WAYS.values():
            assert serve(way, device, trace(device, MIX, load, 30, seed))["mean"] >= least * (1 - 1e-9)


def test_a_trace_offers_the_load_that_was_asked_for() -> None:
    jobs = trace(ROOMY, MIX, 0.9, 50, 1)
    assert sum(one.steps * 1.0 + 0.5 for one in jobs) / jobs[-1].at == pytest.approx(0.9)
    assert {one.at for one in trace(ROOMY, MIX, 0.0, 9, 1)} == {0.0}
