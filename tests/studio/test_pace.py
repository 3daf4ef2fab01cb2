"""How often one person may do something."""

from studio.authority import Pace


class Clock:
    """Seconds that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_then_one_for_each_pause_and_the_wait_is_told() -> None:
    clock = Clock()
    pace = Pace(3, 10.0, clock)
    assert [pace.take(1) for _ in range(4)] == [0, 0, 0, 10.0]
    clock.now += 4
    assert pace.take(1) == 6.0  # a refused try costs nothing
    clock.now += 6
    assert [pace.take(1), pace.take(1)] == [0, 10.0]


def test_people_dont_count_for_each_other_and_are_forgotten() -> None:
    clock = Clock()
    pace = Pace(1, 10.0, clock)
    assert [pace.take(user) for user in range(50)] == [0] * 50 and len(pace) == 50
    clock.now += 10
    assert pace.take(7) == 0 and len(pace) == 1
