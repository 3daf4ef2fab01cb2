"""What was set last is kept."""

from core.recent import Recent


def test_the_entries_set_last_are_kept() -> None:
    recent = Recent[str, int](2)
    recent["a"], recent["b"] = 1, 2
    recent["a"] = 3
    recent["c"] = 4
    assert dict(recent) == {"a": 3, "c": 4}
    recent.move_to_end("a")
    recent["d"] = 5
    assert dict(recent) == {"a": 3, "d": 5}
