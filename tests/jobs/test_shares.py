"""Members share the devices by seconds, not by turns; and where a job stands is where it starts, against a
plain model that plays every turn."""

import random
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.job import Lane
from core.requests import ImagineRequest
from jobs.eta import Estimate
from jobs.waitlist import RANKS, Had, Waiting, Waitlist, cost_key
from tests.jobs.plain_shares import PlainShares
from tests.jobs.test_policy import job

COSTS = {"imagine||image": 1, "video||video": 20, "video||long": 55, "imagine||large": 4}


def cost_of(cost_key: str) -> int:
    return COSTS[cost_key]


def asked(
    user: int, key: str = "imagine||image", lane: Lane = Lane.FAST, front: int | None = None
) -> Waiting:
    made = job(user, lane, front=front)
    made.cost_key = key
    return made


def turn(shares: PlainShares, waiting: list[Waiting]) -> Waiting:
    """Take the next job out."""
    front = [w for w in waiting if w.front is not None]
    if front:
        chosen = min(front, key=lambda w: (-w.front, w.seq))
    else:
        chosen = min(waiting, key=lambda w: (RANKS[w.lane], shares.stamp(w.user_id, RANKS[w.lane]), w.seq))
    waiting.remove(chosen)
    cost = cost_of(chosen.cost_key)
    shares.start(chosen.user_id, RANKS[chosen.lane], cost, moved=chosen.front is not None)
    return chosen


WISHES = st.lists(
    st.tuples(st.integers(1, 5), st.sampled_from(sorted(COSTS)), st.sampled_from(Lane), st.integers(0, 9)),
    max_size=30,
)


@given(WISHES, st.lists(st.integers(0, 6), max_size=20), WISHES)
@settings(deadline=None, max_examples=200)
def test_jobs_start_in_the_order_told_with_videos_lanes_newcomers_and_moved_ones(first, steps, later) -> None:
    waitlist, plain, waiting, late = Waitlist(cost_of), PlainShares(), [], [*later]
    fronts = iter(range(1, 1000))

    def add(wish) -> None:
        user, key, lane, front = wish
        new = asked(user, key, lane, next(fronts) if front == 0 else None)
        waiting.append(new)
        waitlist.add(new, 0.0)

    def compare() -> None:
        coming, ahead = [*waiting], plain.copy()
        expected = [turn(ahead, coming) for _ in range(len(coming))]
        assert list(waitlist.order(0.0)) == expected
        assert [waitlist.position(each, 0.0) for each in expected] == list(range(1, len(expected) + 1))
        assert waitlist.next({}, None, 0.0) is (expected[0] if expected else None)

    for wish in first:
        add(wish)
    compare()
    for turns in steps:
        for _ in range(min(turns, len(waiting))):
            chosen = turn(plain, waiting)
            assert waitlist.remove(chosen.job_id, 0.0) is chosen
            had = waitlist.note_start(chosen, 0.0)
            assert had.had.until == plain.had[chosen.user_id] and had.cost == cost_of(chosen.cost_key)
            if turns % 3:
                compare()
        if late:
            add(late.pop())
        compare()


def shares(wishes: dict[int, str], seconds: int, *, took: dict[int, float] | None = None) -> Counter[int]:
    """Units of each member on one device while all of them always have more of the same waiting. took: what
    their jobs take really."""
    waitlist, had, at = Waitlist(cost_of), Counter[int](), 0.0
    for user, key in wishes.items():
        for _ in range(3):
            waitlist.add(asked(user, key), 0.0)
    while at < seconds:
        chosen = waitlist.next({}, None, 0.0)
        waitlist.remove(chosen.job_id, 0.0)
        cost = waitlist.note_start(chosen, 0.0).cost
        units = cost if took is None else took[chosen.user_id]
        waitlist.note_end(chosen, units - cost, 0.0)
        had[chosen.user_id] += units
        at += units
        waitlist.add(asked(chosen.user_id, wishes[chosen.user_id]), 0.0)
    return had


def test_videos_and_pictures_have_the_same_share_of_a_device() -> None:
    had = shares({1: "video||video", 2: "imagine||image", 3: "video||long", 4: "imagine||large"}, 4000)
    assert max(had.values()) - min(had.values()) <= max(COSTS.values()), had


def test_what_a_job_took_counts_where_something_else_was_expected() -> None:
    took = {1: 31.7, 2: 0.3, 3: 1.0, 4: 5.5}
    had = shares(
        {1: "video||video", 2: "imagine||image", 3: "imagine||image", 4: "imagine||large"}, 4000, took=took
    )
    assert max(had.values()) - min(had.values()) <= 2 * max(took.values()), had


def test_by_turns_the_share_would_be_twenty_times_as_large() -> None:
    """A control: with one unit for every job, videos get all."""
    waitlist, had = Waitlist(), Counter[int]()
    for _ in range(100):
        for user, key in ((1, "video||video"), (2, "imagine||image")):
            waitlist.add(asked(user, key), 0.0)
    for _ in range(100):
        chosen = waitlist.next({}, None, 0.0)
        waitlist.remove(chosen.job_id, 0.0)
        waitlist.note_start(chosen, 0.0)
        had[chosen.user_id] += cost_of(chosen.cost_key)
    assert had[1] == 20 * had[2]


def test_a_newcomer_is_next_and_has_saved_up_nothing() -> None:
    waitlist = Waitlist(cost_of)
    for _ in range(40):
        for user in (1, 2):
            waitlist.add(asked(user), 0.0)
    start = lambda: _start(waitlist)  # noqa: E731
    assert [start() for _ in range(60)].count(1) == 30
    for _ in range(8):
        waitlist.add(asked(3), 0.0)
    turns = [start() for _ in range(9)]
    assert turns[0] == 3 and Counter(turns) == {1: 3, 2: 3, 3: 3}


def test_what_was_had_in_one_lane_sets_back_in_another_by_one_job_at_most() -> None:
    waitlist = Waitlist(cost_of)
    for _ in range(30):
        waitlist.add(asked(1, lane=Lane.TURBO), 0.0)
    assert [_start(waitlist) for _ in range(30)] == [1] * 30
    for user in (2, 1, 2, 1):
        waitlist.add(asked(user), 0.0)
    assert [_start(waitlist) for _ in range(4)] == [2, 1, 2, 1]


def test_after_a_start_nobody_is_owed_and_the_order_of_turns_is_kept() -> None:
    waitlist = Waitlist(cost_of)
    waitlist.resume(500)
    for user, had in ((1, 500), (2, 480), (3, 0)):
        waitlist.know(user, had, 0.0)
        for _ in range(2):
            waitlist.add(asked(user), 0.0)
    assert [_start(waitlist) for _ in range(6)] == [3, 2, 1, 1, 2, 3]
    assert {waitlist.had(user) for user in (1, 2, 3)} == {502}


def test_places_follow_when_it_gets_known_how_long_videos_take() -> None:
    estimate = Estimate()
    waitlist = Waitlist(estimate.cost)
    videos = [asked(1, "video||video") for _ in range(2)]
    pictures = [asked(2) for _ in range(4)]
    for each in (*videos, *pictures):
        waitlist.add(each, 0.0)
    waitlist.note_costs()
    assert list(waitlist.order(0.0))[:4] == [videos[0], pictures[0], videos[1], pictures[1]]
    estimate.add("imagine||image", 2.0)
    estimate.add("video||video", 7.0)
    waitlist.note_costs()
    assert list(waitlist.order(0.0)) == [videos[0], *pictures, videos[1]]


@pytest.mark.parametrize(
    ("rest", "units", "until", "left"),
    [
        (0.0, 0.4, 10, 0.4),
        (0.4, 0.7, 11, 0.1),
        (-0.5, -0.6, 9, -0.1),
        (0.0, -30.0, 0, 0.0),
        (0.9, 3.2, 14, 0.1),
    ],
)
def test_whole_units_are_settled_and_the_rest_is_kept(rest, units, until, left) -> None:
    settled = Had(10, 5, rest).settled(units)
    assert settled.until == until and settled.rest == pytest.approx(left)


def test_an_unmeasured_job_counts_as_one_picture() -> None:
    estimate = Estimate()
    assert estimate.cost("video||video") == 1 and estimate.pictures(3.0) is None
    estimate.add("video||video", 60.0)
    assert estimate.cost("video||video") == 1, "no picture was measured"
    estimate.add("imagine|1|image", 4.0)
    assert estimate.cost("video||video") == 15 and estimate.cost("imagine|1|image") == 1
    assert estimate.cost("describe|3|caption") == 1, "of what was never seen, all short ones"
    assert estimate.pictures(6.0) == 1.5


def _start(waitlist: Waitlist) -> int:
    chosen = waitlist.next({}, None, 0.0)
    waitlist.remove(chosen.job_id, 0.0)
    waitlist.note_start(chosen, 0.0)
    return chosen.user_id


@pytest.mark.parametrize("members", [1, 1000, 10_000])
def test_ten_thousand_jobs_are_told_their_places_as_they_come_and_go(members: int) -> None:
    """Counted in what is looked at, not in time: keys that are made anew for each place told."""
    chance, waitlist = random.Random(7), Waitlist(cost_of)
    for number in range(10_000):
        waitlist.add(asked(1 + number % members, chance.choice(sorted(COSTS))), 0.0)
    list(waitlist.order(0.0))
    began, most = time.process_time(), 0
    real = waitlist.keys_of

    def counted(user_id: int):
        nonlocal most
        keys = real(user_id)
        most += len(keys)
        return keys

    waitlist.keys_of = counted  # type: ignore[method-assign]
    for number in range(20):
        _start(waitlist)
        new = asked(1 + number % members)
        waitlist.add(new, 0.0)
        assert 1 <= waitlist.position(new, 0.0) <= 10_000
    assert most <= 20 * 4 * max(1, 10_000 // members), most
    assert time.process_time() - began < 20, "even on a very slow machine"


GRID, SHEET = (
    cost_key(ImagineRequest(prompt="a")),
    cost_key(ImagineRequest(prompt="a", draft=True, num_images=24)),
)


def test_a_sheet_is_measured_by_itself_and_by_pictures_until_then() -> None:
    estimate = Estimate()
    assert estimate.seconds(SHEET) is None
    for _ in range(3):
        estimate.add(GRID, 2.0)
    assert estimate.seconds(SHEET) == 8.0 and estimate.cost(SHEET) == 4
    estimate.add(SHEET, 5.0)
    assert estimate.seconds(SHEET) == 5.0 and estimate.seconds(GRID) == 2.0
    assert estimate.seconds("upscale|0x0x1s0|image") == 2.0  # of anything: a sheet isn't among it
