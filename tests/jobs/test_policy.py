import itertools
import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import LimitError, NotAllowedError
from core.job import Lane, Origin
from core.requests import (
    ClassifyRequest,
    DescribeRequest,
    ImagineRequest,
    Request,
    ShortenRequest,
    UpscaleRequest,
)
from jobs.admission import Allowance, Limits, allowance, check_limits
from jobs.eta import MAX_KEYS, Estimate, Line, Shares, until_start
from jobs.waitlist import (
    AT_ONCE,
    LIFT_SECONDS,
    LOOK_AHEAD,
    MAX_PASSED_OVER,
    MEMBERS_KEPT,
    Group,
    Waiting,
    Waitlist,
    cost_key,
    fit_model,
    lifted_at,
    model_of,
    next_job,
    rank_of,
)
from storage.people import RoleLimit, Rules

_seq = itertools.count(1)
ORIGIN = Origin(user_id=1, channel_id=2, guild_id=3, roles=(7,))


def job(
    user: int = 1,
    lane: Lane = Lane.FAST,
    *,
    since: float = 0.0,
    model: str = "image",
    front: int | None = None,
    limit: int = 3,
) -> Waiting:
    seq = next(_seq)
    return Waiting(f"j{seq}", seq, user, None, lane, f"imagine||{model}", limit, since, front)


def listed(*jobs: Waiting, now: float = 0.0) -> Waitlist:
    waitlist = Waitlist()
    for each in jobs:
        waitlist.add(each, now)
    return waitlist


def _groups(waitlist: Waitlist, now: float) -> list[Group]:
    waitlist.next({}, None, now)
    return waitlist._turns


def served(waitlist: Waitlist, count: int, *, loaded: str | None = None, now: float = 0.0) -> list[Waiting]:
    """Who runs, one after the other, on one device."""
    out = []
    for _ in range(count):
        chosen = waitlist.next({}, loaded, now)
        if chosen is None:
            break
        waitlist.remove(chosen.job_id, now)
        waitlist.note_start(chosen, now)
        out.append(chosen)
    return out


def test_lanes_go_turbo_fast_relax() -> None:
    relax, fast, turbo = job(1, Lane.RELAX), job(2, Lane.FAST), job(3, Lane.TURBO)
    assert served(listed(relax, fast, turbo), 3) == [turbo, fast, relax]


def test_users_take_turns_however_many_jobs_one_has() -> None:
    many, one, two = [job(1) for _ in range(1000)], job(2), job(3)
    assert served(listed(*many, one, two), 4) == [many[0], one, two, many[1]]


def test_a_newcomer_waits_for_one_job_at_most() -> None:
    waitlist = listed(*(job(1) for _ in range(100)), *(job(2) for _ in range(100)))
    served(waitlist, 20)
    late = job(3)
    waitlist.add(late, 0.0)
    assert served(waitlist, 1) == [late]


def test_what_an_admin_moved_goes_first_the_latest_before_the_others() -> None:
    plain, one, two = job(1, Lane.TURBO), job(2, Lane.RELAX), job(3)
    waitlist = listed(plain, one, two)
    waitlist.move_to_front(one.job_id, 1, 0.0)
    waitlist.move_to_front(two.job_id, 2, 0.0)
    assert served(waitlist, 3) == [two, one, plain]


def test_a_relaxed_job_is_not_starved_by_a_busy_fast_lane() -> None:
    relax = job(1, Lane.RELAX, since=0.0)
    waitlist = listed(relax, *(job(2, since=LIFT_SECONDS - 1) for _ in range(10)))
    assert served(waitlist, 1, now=LIFT_SECONDS - 1)[0] is not relax
    assert relax in served(waitlist, 2, now=LIFT_SECONDS)


def test_a_fast_job_is_not_starved_by_a_busy_turbo_lane() -> None:
    fast = job(1, Lane.FAST, since=0.0)
    waitlist = listed(fast, *(job(2, Lane.TURBO, since=1.0) for _ in range(10)))
    assert fast in served(waitlist, 2, now=LIFT_SECONDS)


def test_a_clock_that_runs_backwards_lifts_nobody() -> None:
    assert rank_of(Lane.RELAX, -1e9) == 2


def test_a_user_at_the_limit_of_running_jobs_is_passed_over() -> None:
    first, second = job(1, limit=2), job(2)
    waitlist = listed(first, second)
    assert waitlist.next({1: 2}, None, 0.0) is second
    assert waitlist.next({1: 2, 2: 3}, None, 0.0) is None
    waitlist.move_to_front(first.job_id, 1, 0.0)
    assert waitlist.next({1: 2}, None, 0.0) is second


def test_a_loaded_model_is_used_within_ones_own_turn_only() -> None:
    other, mine = job(2, model="clip"), [job(1, model="clip"), job(1, model="image")]
    waitlist = listed(other, *mine)
    assert waitlist.next({}, "image", 0.0) is other, "affinity never takes another user's turn"
    waitlist.remove(other.job_id, 0.0)
    assert waitlist.next({}, "image", 0.0) is mine[1]


def test_a_job_is_passed_over_for_a_loaded_model_three_times_at_most() -> None:
    clip = job(1, model="clip")
    order = served(listed(clip, *(job(1, model="image") for _ in range(10))), 6, loaded="image")
    assert order.index(clip) == MAX_PASSED_OVER


def test_a_job_that_comes_back_goes_before_those_after_it() -> None:
    first, second = job(1), job(1)
    waitlist = listed(first, second)
    waitlist.remove(first.job_id, 0.0)
    waitlist.add(first, 0.0)
    assert served(waitlist, 2) == [first, second]


@given(
    st.lists(
        st.tuples(st.integers(1, 5), st.sampled_from(Lane), st.booleans(), st.floats(0, 3000)), max_size=40
    ),
    st.floats(0, 4000),
    st.data(),
)
@settings(deadline=None, max_examples=150)
def test_the_position_told_is_the_place_in_the_order(
    wishes: list[tuple[int, Lane, bool, float]], now: float, data: st.DataObject
) -> None:
    waitlist = Waitlist()
    for place, (user, lane, front, since) in enumerate(wishes, 1):
        waitlist.add(job(user, lane, since=since, front=place if front else None), now)
        waitlist.know(user, data.draw(st.integers(0, 9)), now)
    now += data.draw(st.floats(0, 3000))  # age lifts them
    assert all(
        group.rank == rank_of(group.lane, now - group.jobs[0].since) for group in _groups(waitlist, now)
    )
    order = list(waitlist.order(now))
    assert sorted(w.seq for w in order) == sorted(w.seq for w in waitlist)
    assert [waitlist.position(w, now) for w in order] == list(range(1, len(order) + 1))
    assert not order or waitlist.next({}, None, now) is order[0]


@given(st.lists(st.tuples(st.integers(1, 6), st.sampled_from(Lane)), min_size=1, max_size=60))
@settings(deadline=None, max_examples=150)
def test_nobody_is_served_twice_while_another_waits_in_the_lane(wishes: list[tuple[int, Lane]]) -> None:
    waitlist = listed(*(job(user, lane) for user, lane in wishes))
    since_served: Counter[tuple[int, Lane]] = Counter()
    while waitlist:
        (chosen,) = served(waitlist, 1)
        for other in {w.user_id for w in waitlist if w.lane is chosen.lane} - {chosen.user_id}:
            since_served[other, chosen.lane] += 1
        since_served[chosen.user_id, chosen.lane] = 0
        users = len({user for user, _ in wishes})
        assert max(since_served.values(), default=0) <= 3 * users


def test_a_member_s_own_jobs_are_counted_as_they_run() -> None:
    fast, relax, turbo, late = job(1), job(1, Lane.RELAX), job(1, Lane.TURBO), job(1)
    waitlist = listed(fast, job(2), relax, turbo, late)
    own = [turbo, fast, late, relax]
    assert [list(waitlist.before(one)) for one in own] == [own[:n] for n in range(4)]
    waitlist.move_to_front(relax.job_id, 1, 0.0)
    waitlist.move_to_front(late.job_id, 2, 0.0)
    assert list(waitlist.before(fast)) == [late, relax, turbo]
    assert list(waitlist.order(0.0))[:2] == [late, relax]
    assert sorted(w.seq for w in waitlist.of_user(1)) == sorted(w.seq for w in own)
    assert waitlist.of_user(1)[-2:] == [late, relax] and waitlist.of_user(3) == []


def test_places_of_a_crowd_are_brought_up_to_date_some_members_at_a_time() -> None:
    crowd = [job(user) for user in range(1, 3 * AT_ONCE + 1) for _ in range(2)]
    waitlist, whole = listed(*crowd), list(listed(*crowd).order(0.0))
    last = crowd[-1]
    assert 1 <= waitlist.position(last, 0.0) <= 2 * (AT_ONCE + 1)  # behind as many as are reckoned
    assert len(list(waitlist.order(0.0, whole=False))) < len(crowd)
    rounds = 1
    while waitlist.reckon():
        rounds += 1
    assert rounds <= 3 and list(waitlist.order(0.0, whole=False)) == whole
    assert [waitlist.position(one, 0.0) for one in crowd] == [whole.index(one) + 1 for one in crowd]


def test_a_job_behind_a_members_others_leaves_their_turn_where_it_is() -> None:
    others, mine = [job(2), job(3)], [job(1), job(1), job(1)]
    waitlist = listed(*others, mine[1])
    waitlist.add(mine[2], 0.0)
    assert list(waitlist.order(0.0)) == [*others, mine[1], mine[2]]
    waitlist.add(mine[0], 0.0)  # it came before the one that is there, as after a failed try
    assert list(waitlist.before(mine[-1])) == mine[:-1] and list(waitlist.order(0.0))[2:] == mine


def test_a_list_knows_what_is_in_it() -> None:
    one, two = job(1, model="a"), job(2, model="b")
    waitlist = listed(one, two)
    assert len(waitlist) == 2 and one.job_id in waitlist and "nobody" not in waitlist
    assert waitlist.get(one.job_id) is one and waitlist.get("nobody") is None
    assert waitlist.by_cost == Counter({"imagine||a": 1, "imagine||b": 1}) and list(waitlist) == [one, two]
    waitlist.move_to_front("nobody", 1, 0.0)
    assert len(waitlist) == 2 and waitlist.had(1) == 0
    waitlist.resume(5)
    waitlist.know(1, 5, 0.0)
    waitlist.know(1, 3, 0.0)
    assert waitlist.had(1) == 5 and list(waitlist.order(0.0)) == [two, one]


def test_positions_count_moved_jobs_and_every_length_of_others_lists() -> None:
    jobs = [job(user) for user in (1, 1, 1, 2, 3, 3)]
    waitlist = listed(*jobs)
    expected = [jobs[i] for i in (0, 3, 4, 1, 5, 2)]
    assert list(waitlist.order(0.0)) == expected
    assert [waitlist.position(each, 0.0) for each in expected] == [1, 2, 3, 4, 5, 6]
    waitlist.move_to_front(jobs[2].job_id, 1, 0.0)
    waitlist.move_to_front(jobs[5].job_id, 2, 0.0)
    moved = [jobs[i] for i in (5, 2, 3, 0, 4, 1)]  # which counted as turns of theirs
    assert list(waitlist.order(0.0)) == moved
    assert [waitlist.position(each, 0.0) for each in moved] == [1, 2, 3, 4, 5, 6]


def test_age_lifts_a_lane_at_a_time_and_no_further_than_the_best() -> None:
    assert [rank_of(Lane.RELAX, seconds) for seconds in (0, 599.9, 600, 1199.9)] == [2, 2, 1, 1]
    assert [rank_of(Lane.RELAX, seconds) for seconds in (1200, 9999)] == [0, 0]
    assert [rank_of(Lane.FAST, 600), rank_of(Lane.TURBO, 600)] == [0, 0]
    assert [lifted_at(2, 100.0, now) for now in (50.0, 100.0, 699.0, 700.0)] == [700, 700, 700, 1300]
    assert lifted_at(0, 100.0, 100.0) == float("inf")
    assert lifted_at(1, 1e20, 1e20) == 1e20 + 1.0


def test_a_fitting_job_is_looked_for_among_the_first_32_only() -> None:
    others = [job(1, model="clip") for _ in range(LOOK_AHEAD)]
    fits = job(1, model="image")
    near, far = [*others[1:], fits], [*others, fits]
    assert fit_model(near, "image") is fits and fit_model(far, "image") is others[0]
    assert fit_model(near, None) is others[1] and fit_model([], "image") is None
    others[1].passed_over = MAX_PASSED_OVER - 1
    assert fit_model(near, "image") is fits
    others[1].passed_over = MAX_PASSED_OVER
    assert fit_model(near, "image") is others[1]


def test_who_must_be_alone_is_passed_over_where_that_cannot_be() -> None:
    suspect, other, fits = job(1, model="clip"), job(1, model="clip"), job(1, model="image")
    suspect.alone = fits.alone = True
    assert fit_model([suspect, other], "image") is suspect
    assert fit_model([suspect, other], "image", alone=False) is other
    assert fit_model([suspect], "image", alone=False) is None
    assert fit_model([other, fits], "image") is other, "a suspect is not taken for its model's sake"
    front, group = job(2, front=1), Group(1, Lane.FAST, jobs=[suspect])
    front.alone = True
    assert next_job([front], [group], {}, None) is front
    assert next_job([front], [group], {}, None, alone=False) is None
    assert next_job([front], [group], {2: 3}, None) is suspect
    assert next_job([front], [group], {1: 3, 2: 3}, None) is None
    assert next_job([], [group], {1: 2}, None) is suspect
    only = job(3, limit=1)
    assert next_job([], [Group(3, Lane.FAST, jobs=[only])], {}, None) is only


def test_what_is_passed_over_is_counted_for_elder_ones_that_were_looked_at() -> None:
    jobs = [job(1, model="clip") for _ in range(LOOK_AHEAD + 1)]
    waitlist = listed(*jobs[:-1], job(1), jobs[-1])
    chosen = next(w for w in waitlist if w.model == "image")
    waitlist.remove(chosen.job_id, 0.0)
    waitlist.note_start(chosen, 0.0)
    assert [each.passed_over for each in jobs] == [1] * LOOK_AHEAD + [0]
    assert waitlist.had(1) == 1


def test_removing_in_any_order_leaves_nothing() -> None:
    chance = random.Random(3)
    jobs = [
        job(chance.randrange(5), chance.choice(list(Lane)), front=chance.choice([None, None, 4]))
        for _ in range(200)
    ]
    waitlist = listed(*jobs)
    chance.shuffle(jobs)
    for each in jobs:
        assert waitlist.remove(each.job_id, 0.0) is each
        assert waitlist.remove(each.job_id, 0.0) is None
    assert not waitlist and not list(waitlist.order(0.0)) and not waitlist.by_cost
    assert waitlist.next({}, None, 0.0) is None


# Limits


@pytest.mark.parametrize(
    ("rules", "waiting", "kind", "words"),
    [
        (Rules(banned=True), (0, 0), NotAllowedError, "blocked you"),
        (Rules(channels=frozenset({5})), (0, 0), NotAllowedError, "<#5>"),
        (Rules(roles=frozenset({8})), (0, 0), NotAllowedError, "<@&8>"),
        (Rules(), (10, 10), LimitError, "10 jobs waiting; the limit is 10"),
        (Rules(), (0, 200), LimitError, "200 jobs waiting; the limit is 200"),
    ],
)
def test_a_refusal_names_its_limit(rules: Rules, waiting: tuple[int, int], kind: type, words: str) -> None:
    with pytest.raises(kind, match=words):
        may_ask(rules, waiting=waiting)


SIX = frozenset(range(10, 16))
REFUSALS = {
    "You can't use Atelier here: an admin has blocked you.": {"rules": Rules(banned=True)},
    "Atelier isn't allowed in this channel. It works in <#10>, <#11>, <#12>, <#13>, <#14>.": {
        "rules": Rules(channels=SIX)
    },
    "Only members with these roles can use Atelier here: <@&10>, <@&11>, <@&12>, <@&13>, <@&14>.": {
        "rules": Rules(roles=SIX)
    },
    "Your roles allow 0 running jobs here, so none would start. Ask a server manager.": {"allowed": (0, 10)},
    "You have 3 jobs waiting; the limit is 2. One has to start or be cancelled first.": {
        "allowed": (3, 2),
        "waiting": (3, 0),
    },
    "This server has 201 jobs waiting; the limit is 200. Try again in a while.": {"waiting": (0, 201)},
}


def may_ask(rules=Rules(), allowed=(3, 10), waiting=(0, 0)) -> None:  # noqa: B008
    """Raises what somebody is told who may have so many jobs running and waiting, and has so many waiting."""
    user, guild = waiting
    check_limits(ORIGIN, rules, Allowance(*allowed), Limits(), user_waiting=user, guild_waiting=guild)


@pytest.mark.parametrize("words", REFUSALS)
def test_a_refusal_reads(words: str) -> None:
    with pytest.raises((NotAllowedError, LimitError)) as caught:
        may_ask(**REFUSALS[words])
    assert str(caught.value) == words


def test_a_limit_of_a_server_counts_in_servers_only() -> None:
    direct = Origin(user_id=1, channel_id=2, guild_id=None)
    check_limits(direct, Rules(), Allowance(1, 1), Limits(), user_waiting=0, guild_waiting=999)


def test_within_the_limits_and_on_the_lists_one_may_ask() -> None:
    rules = Rules(channels=frozenset({2}), roles=frozenset({7, 8}))
    check_limits(ORIGIN, rules, Allowance(3, 10), Limits(), user_waiting=9, guild_waiting=199)


@pytest.mark.parametrize("channel", [2, 5])
def test_a_thread_is_on_the_list_with_its_channel(channel: int) -> None:
    """In a thread of channel 2, whether the thread (5) or its channel is listed."""
    thread = replace(ORIGIN, channel_id=5, parent_channel_id=2)
    rules = Rules(channels=frozenset({channel}))
    check_limits(thread, rules, Allowance(3, 10), Limits(), user_waiting=0, guild_waiting=0)


def test_who_may_run_nothing_is_not_left_to_wait_for_ever() -> None:
    with pytest.raises(LimitError, match="0 running jobs"):
        check_limits(ORIGIN, Rules(), Allowance(0, 10), Limits(), user_waiting=0, guild_waiting=0)


def test_a_member_has_the_best_of_their_roles() -> None:
    assert allowance(Limits(), ()) == Allowance(3, 10)
    assert allowance(Limits(), (RoleLimit(1, 1, 50), RoleLimit(2, 5, 5))) == Allowance(5, 50)


# Durations


def test_jobs_that_take_equally_long_have_the_same_key() -> None:
    plain = cost_key(ImagineRequest(prompt="a", seed=1))
    assert plain == cost_key(ImagineRequest(prompt="b", seed=2))
    assert plain != cost_key(ImagineRequest(prompt="a", width=1024, height=1024))
    assert plain != cost_key(ImagineRequest(prompt="a", num_images=1))
    assert plain != cost_key(ImagineRequest(prompt="a", draft=True))
    picture = "a" * 64
    models = [
        model_of(cost_key(r))
        for r in (
            ImagineRequest(prompt="a"),
            ImagineRequest(prompt="a", model="odd|name"),
            DescribeRequest(image=picture),
            ClassifyRequest(image=picture),
            ClassifyRequest(image=picture, labels=("a", "b")),
            ShortenRequest(prompt="a red house"),
        )
    ]
    assert models == ["image", "odd|name", "caption", "vit", "clip", "clip"]


@pytest.mark.parametrize(
    ("request_", "key"),
    [
        (ImagineRequest(prompt="a"), "imagine|0x0x4s0|image"),
        (
            ImagineRequest(
                prompt="a", width=1024, height=768, num_images=1, num_inference_steps=30, model="m"
            ),
            "imagine|1024x768x1s30|m",
        ),
        (ImagineRequest(prompt="a", num_inference_steps=30, draft=True), "imagine|0x0x4sdraft|image"),
        (UpscaleRequest(prompt="a", image="a" * 64), "upscale|0x0x1s0|image"),
        (DescribeRequest(image="a" * 64, num_captions=3), "describe|3|caption"),
        (ClassifyRequest(image="a" * 64), "classify|0|vit"),
        (ClassifyRequest(image="a" * 64, labels=("a", "b")), "classify|2|clip"),
        (ShortenRequest(prompt="a red house"), "shorten|3|clip"),
    ],
)
def test_a_cost_key_is_kind_size_and_model(request_: Request, key: str) -> None:
    assert cost_key(request_) == key


def test_an_estimate_is_the_median_of_such_jobs_or_of_the_nearest_kind() -> None:
    estimate = Estimate()
    assert estimate.seconds("imagine|1|a") is None
    for seconds in (1.0, 2.0, 90.0):
        estimate.add("imagine|1|a", seconds)
    assert estimate.seconds("imagine|1|a") == 2.0
    estimate.add("imagine|2|a", 8.0)
    assert estimate.seconds("imagine|2|a") == 8.0
    assert estimate.seconds("imagine|3|a") == 5.0
    assert estimate.seconds("describe|4|caption") == 5.0


def test_a_model_s_name_may_have_any_letters() -> None:
    estimate = Estimate()
    estimate.add("imagine|1|odd|name", 4.0)
    estimate.add("imagine|1|other", 90.0)
    assert estimate.seconds("imagine|2|odd|name") == 4.0


def test_an_estimate_knows_the_newest_500_keys() -> None:
    estimate = Estimate()
    estimate.add("describe|1|caption", 7.0)
    for number in range(MAX_KEYS - 6):
        estimate.add(f"imagine|{number}|a", 1.0)
    assert len(estimate.runs) == len(estimate.medians) == MAX_KEYS
    assert estimate.seconds("describe|1|caption") == 7.0
    estimate.add("imagine|another|a", 1.0)
    assert len(estimate.runs) == len(estimate.medians) == MAX_KEYS
    assert "describe|1|caption" not in estimate.runs and estimate.seconds("describe|2|caption") == 7.0


def test_jobs_one_behind_another_start_when_those_before_them_have_ended() -> None:
    line = Line([0.0, 4.0], 1)
    assert [line.next(seconds) for seconds in (10.0, 6.0, 2.0, 1.0)] == [0.0, 4.0, 4.0 + 10.0, 4.0 + 16.0]
    two = Line([1.0, 3.0], 2)
    assert [two.next(8.0) for _ in range(4)] == [1.0, 3.0, 3.0 + 4.0, 3.0 + 8.0]


def test_an_estimate_follows_a_change() -> None:
    estimate = Estimate()
    for seconds in [10.0] * 30 + [1.0] * 15:
        estimate.add("imagine|1|a", seconds)
    assert estimate.seconds("imagine|1|a") == 1.0


def test_jobs_that_share_a_device_share_its_seconds() -> None:
    shares = Shares()
    shares.begin("a", "long", 0.0)
    shares.begin("b", "elsewhere", 0.0)
    shares.begin("a", "short", 4.0)
    assert shares.beside("a") == 2
    assert shares.end("a", "short", 6.0) == 1.0
    assert shares.end("a", "long", 10.0) == 4.0 + 1.0 + 4.0
    assert shares.end("b", "elsewhere", 10.0) == 10.0
    shares.begin("a", "next", 100.0)  # the device was idle
    assert shares.end("a", "next", 101.0) == 1.0


def test_the_shares_of_a_busy_device_add_up_to_the_clock() -> None:
    chance, shares, running, spent, now = random.Random(4), Shares(), {"first": 0.0}, 0.0, 0.0
    shares.begin("a", "first", now)
    for number in range(300):
        now += chance.random()
        if len(running) > 1 and chance.random() < 0.5:
            name = chance.choice(list(running))
            del running[name]
            spent += shares.end("a", name, now)
        else:
            running[str(number)] = now
            shares.begin("a", str(number), now)
    assert spent + sum(shares.end("a", name, now) for name in running) == pytest.approx(now)


@pytest.mark.parametrize(
    ("place", "left", "ahead", "devices", "seconds"),
    [
        (1, [0.0], 0.0, 1, 0.0),  # a free slot
        (1, [8.0], 0.0, 1, 8.0),
        (3, [8.0], 20.0, 1, 28.0),  # one device with one slot
        (1, [2.0, 4.0, 6.0], 0.0, 1, 2.0),
        (3, [2.0, 4.0, 6.0], 0.0, 1, 6.0),
        (5, [2.0, 4.0, 6.0], 7.0, 1, 13.0),
        (4, [2.0, 6.0], 20.0, 2, 16.0),  # two devices
    ],
)
def test_a_job_starts_when_enough_others_have_ended(
    place: int, left: list[float], ahead: float, devices: int, seconds: float
) -> None:
    assert until_start(place, left, ahead, devices) == seconds


def test_turns_of_long_ago_are_forgotten_and_the_latest_kept() -> None:
    waitlist = Waitlist()
    for user in range(1, MEMBERS_KEPT + 6):
        waitlist.know(user, user, 0.0)
    waitlist.note_start(job(6), 0.0)
    waitlist.know(MEMBERS_KEPT + 6, MEMBERS_KEPT + 7, 0.0)
    assert [waitlist.had(user) for user in (5, 6, 7, 8)] == [0, 1, 0, 8]


def test_a_turn_that_was_not_had_is_given_back_alone() -> None:
    first, second = job(1), job(1)
    waitlist = listed(first, second)
    waitlist.remove(first.job_id, 0.0)
    begun = waitlist.had(1)
    turn = waitlist.note_start(first, 0.0)
    waitlist.take_back(first, turn, 0.0)
    assert waitlist.had(1) == begun
    turn = waitlist.note_start(first, 0.0)
    after_one = waitlist.had(1)
    waitlist.remove(second.job_id, 0.0)
    waitlist.note_start(second, 0.0)
    waitlist.take_back(first, turn, 0.0)  # it has had the other's since
    assert begun < waitlist.had(1) == after_one
