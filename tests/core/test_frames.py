"""What frames are called, and which of them an answer names."""

import pytest

from core.requests.frames import cited_frames, clock, frame_labels, pieces_by_frame

TIMES = (0.5, 1.5, 3.5, 7.25, 12.0)


def test_frames_are_called_by_their_time() -> None:
    assert frame_labels((0.5, 12.04)) == ["0.5 s", "12.0 s"]
    assert frame_labels(()) == []


def test_two_frames_are_never_called_the_same() -> None:
    assert frame_labels((0.0, 0.04, 0.08)) == ["0.00 s", "0.04 s", "0.08 s"]
    assert frame_labels((0.001, 0.002)) == ["0.001 s", "0.002 s"]


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        ("It jumps [3.5 s].", [2]),
        ("at 3.5s, then at 12 seconds", [2, 4]),
        ("between 1.5 and 3.5 s", [1, 2]),
        ("1.5-3.5 s", [1, 2]),
        ("at 0.5 s, 1.5 s and 3.5 s", [0, 1, 2]),
        ("at 3,5 s", [2]),
        ("at 7.3 s", [3]),
        ("at 4 s", [2]),  # 3.5, rounded
        ("from 00:03 on", [2]),
        ("at 0:12", [4]),
        ("0:00:07", [3]),
    ],
)
def test_a_time_in_an_answer_names_its_frame(text: str, frames: list[int]) -> None:
    assert [one.frame for one in cited_frames(text, TIMES)] == frames


@pytest.mark.parametrize(
    "text",
    ["3.5 metres", "3 ships", "9.9 s", "version 3.5.1 s", "it is 3.5", "in 2012 she", "at 6 s", "00:45", ""],
)
def test_other_numbers_name_none(text: str) -> None:
    assert cited_frames(text, TIMES) == []
    assert cited_frames(f"at 3.5 s {text}", ()) == []


def test_an_answer_comes_apart_at_its_times() -> None:
    found = pieces_by_frame("It falls [3.5 s] and lies (12 s).", TIMES)
    assert found == [("It falls [", None), ("3.5", 2), (" s] and lies (", None), ("12", 4), (" s).", None)]
    assert pieces_by_frame("Nothing moves.", TIMES) == [("Nothing moves.", None)]
    assert pieces_by_frame("", TIMES) == [("", None)]


def test_a_clock_shows_whole_seconds() -> None:
    assert [clock(0.0), clock(3.9), clock(61.2)] == ["00:00", "00:03", "01:01"]
