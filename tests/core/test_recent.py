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


def test_what_is_asked_for_is_made_once_and_kept_longest() -> None:
    recent, made = Recent[str, str](2), []

    def make(name: str) -> str:
        made.append(name)
        return name.upper()

    assert [recent.get_or_make(name, lambda name=name: make(name)) for name in "abacb"] == list("ABACB")
    assert made == ["a", "b", "c", "b"]
