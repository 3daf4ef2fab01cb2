"""Answers that are read while they are written get a share of the time beside drawings, and all of it
otherwise."""

import pytest

from core.errors import JobCancelled
from tests.vision.engine.test_shared_calls import Clock, Step, drawing
from vision.engine.batches import STREAM_SHARE, StreamBudget
from vision.engine.engine import Engine, Fiber

PASS = 0.1  # seconds


def writer(
    engine: Engine, clock: Clock, written: list[float], slices: int, seconds: float, check=None
) -> None:
    """A stream of ``slices``, each of which takes ``seconds``; ``written`` gets the time of each end."""

    def work(fiber: Fiber) -> None:
        for _ in range(slices):
            fiber.stream_pause()
            clock.now += seconds
            written.append(clock.now)

    engine.begin("answers", work, check=check or (lambda: None))


def draw(engine: Engine, clock: Clock, step: Step, steps: int) -> float:
    """Return the seconds that one drawing lasts."""
    began, ends = clock.now, []
    drawing(engine, step, steps, lambda: ends.append(clock.now))
    while not ends:
        engine.tick()
    return ends[0] - began


@pytest.mark.parametrize(("steps", "seconds"), [(50, 0.005), (12, 0.02), (4, 0.03), (20, 0.2)])
def test_drawings_last_a_quarter_longer_at_most_and_a_fifth_of_the_tokens_come(
    steps: int, seconds: float
) -> None:
    clock = Clock()
    engine, step, written = Engine(clock=clock), Step(clock, PASS), list[float]()
    assert draw(engine, clock, step, steps) == pytest.approx(steps * PASS)
    began = clock.now
    writer(engine, clock, written, 10**6, seconds)
    took = [draw(engine, clock, step, steps) for _ in range(8)]
    plain, elapsed = steps * PASS, clock.now - began
    assert sum(took) <= 8 * plain / (1 - STREAM_SHARE) + seconds
    assert max(took) <= plain / (1 - STREAM_SHARE) + seconds
    assert len(written) * seconds >= 0.98 * STREAM_SHARE * elapsed - seconds
    engine.stop()


def test_the_first_token_comes_right_after_the_pass_under_way() -> None:
    clock = Clock()
    engine, step, written = Engine(clock=clock), Step(clock, PASS), list[float]()
    drawing(engine, step, 20, lambda: None)
    for _ in range(5):
        engine.tick()
    asked = clock.now
    writer(engine, clock, written, 3, 0.01)
    engine.tick(), engine.tick()
    assert written and written[0] - asked <= 2 * PASS + 0.01
    engine.stop()


def test_nobody_draws_and_the_answers_have_all_the_time() -> None:
    clock = Clock()
    engine, written = Engine(clock=clock), list[float]()
    writer(engine, clock, written, 50, 0.01)
    writer(engine, clock, written, 50, 0.01)
    engine.run()
    assert written == pytest.approx([0.01 * n for n in range(1, 101)])
    engine.stop()


def test_without_a_stream_nothing_changes() -> None:
    clock = Clock()
    engine, step = Engine(clock=clock), Step(clock, PASS)
    assert [draw(engine, clock, step, 10) for _ in range(3)] == pytest.approx([1.0] * 3)
    writer(engine, clock, list[float](), 4, 0.5)
    engine.run()
    assert draw(engine, clock, step, 10) == pytest.approx(1.0)  # what was written while nobody drew is free
    engine.stop()


def test_a_stop_is_seen_between_any_two_tokens() -> None:
    clock = Clock()
    engine, step, written = Engine(clock=clock), Step(clock, 1.0), list[float]()

    def check() -> None:
        if len(written) >= 3:
            raise JobCancelled

    drawing(engine, step, 10, lambda: None)
    writer(engine, clock, written, 100, 0.01, check)  # of which 25 have room beside one pass
    for _ in range(4):
        engine.tick()
    assert len(written) == 3
    engine.stop()


def test_a_stop_of_the_last_job_ends_the_run() -> None:
    clock = Clock()
    engine, written = Engine(clock=clock), list[float]()

    def check() -> None:
        if len(written) >= 2:
            raise JobCancelled

    writer(engine, clock, written, 100, 0.01, check)
    engine.run()
    assert len(written) == 2
    engine.stop()


def test_credit_is_not_saved_up_while_nobody_writes() -> None:
    budget = StreamBudget()
    assert budget.allows()
    budget.credit(100.0, waiting=False)
    budget.debit(0.5)
    assert not budget.allows()
    budget.credit(1.0, waiting=True)
    assert not budget.allows()
    budget.credit(1.01, waiting=True)
    assert budget.allows()
