"""Which frames of a video are looked at."""

import random

import pytest

from studio.media import video_decode


def test_a_frame_a_second_at_least_four_and_no_more_than_wanted() -> None:
    assert video_decode.even(2.0, 16) == [0.25, 0.75, 1.25, 1.75]
    assert len(video_decode.even(9.3, 16)) == 10
    assert len(video_decode.even(60.0, 16)) == 16


def test_a_frame_is_wanted_that_is_seen_at_the_time() -> None:
    times = [0.0, 0.1, *(1.0 + i / 10 for i in range(30))]
    assert video_decode.evenly_seen(times, 4.0, 16) == [0.1, 1.5, 2.5, 3.5]


def test_of_a_video_of_a_few_frames_all_are_wanted() -> None:
    assert video_decode.evenly_seen([0.0, 0.1, 9.0], 10.0, 16) == [0.0, 0.1, 9.0]
    assert len(video_decode.evenly_seen([float(i) for i in range(9)], 3.0, 16)) < 9


def test_a_cut_is_a_change_far_above_the_usual() -> None:
    changes = [(i / 10, 5.0) for i in range(50)]
    assert video_decode.cuts(changes, 0.2, 16) == []
    changes[20], changes[30] = (2.0, 40.0), (3.0, 60.0)
    assert video_decode.cuts(changes, 0.2, 16) == [3.0, 2.0]
    assert video_decode.cuts(changes, 0.2, 1) == [3.0]


def test_flicker_on_a_still_video_is_no_cut_and_neighbours_are_one() -> None:
    still = [(i / 10, 0.0) for i in range(50)]
    still[10] = (1.0, video_decode.LEAST_CUT - 1)
    assert video_decode.cuts(still, 0.2, 16) == []
    still[20], still[21] = (2.0, 50.0), (2.1, 60.0)  # a flash
    assert video_decode.cuts(still, 0.5, 16) == [2.1]
    assert video_decode.cuts([], 0.5, 16) == []


@pytest.mark.parametrize("seed", range(50))
def test_there_are_never_more_than_wanted_and_cuts_are_among_them(seed: int) -> None:
    rng = random.Random(seed)
    most = rng.randrange(4, 17)
    evenly = sorted(rng.sample(range(200), rng.randrange(1, most + 1)))
    cut_at = rng.sample(range(200), rng.randrange(20))
    found = video_decode.chosen_times(evenly, cut_at, most)
    assert found == sorted(set(found)) and len(found) <= most
    assert set(found) <= {*evenly, *cut_at}
    assert set(cut_at[: most // 2]) <= set(found)
    assert len(set(found) & set(evenly)) >= min(len(evenly), most - max(most // 2, most - len(evenly)))
