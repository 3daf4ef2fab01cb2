import itertools

import pytest

from core.job import Lane
from jobs.waitlist import BROKEN_PAUSES, CLEARED_WITHIN, REFUSAL_PAUSES, Placement, Room, Waiting, Waitlist

_seq = itertools.count(1)
EMPTY = Room(4, 0)


def job(user: int = 1, *, model: str = "image", alone: bool = False, limit: int = 3) -> Waiting:
    seq = next(_seq)
    return Waiting(f"j{seq}", seq, user, None, Lane.FAST, f"imagine||{model}", limit, 0.0, alone=alone)


def placed(*jobs: Waiting) -> tuple[Placement, Waitlist]:
    waitlist = Waitlist()
    for each in jobs:
        waitlist.add(each, 0.0)
    return Placement(waitlist), waitlist


def test_nothing_free_takes_nothing() -> None:
    placement, _ = placed(job())
    assert placement.choose({}, {}, 0.0) is None
    assert placement.choose({"a": Room(0, 4)}, {}, 0.0) is None


def test_jobs_spread_over_devices_before_they_share_one() -> None:
    placement, _ = placed(job())
    assert placement.choose({"a": Room(3, 1), "b": EMPTY}, {}, 0.0)[0] == "b"


def test_a_loaded_model_is_shared_rather_than_another_one_replaced() -> None:
    image, clip = job(model="image"), job(model="clip")
    placement, _ = placed(job(model="image"))
    placement.note_start("a", image)
    placement.note_start("b", clip)
    assert placement.choose({"a": Room(3, 1), "b": EMPTY}, {}, 0.0)[0] == "a"
    assert placement.choose({"a": Room(0, 4), "b": EMPTY}, {}, 0.0)[0] == "b", "but nobody waits for it"
    placement.note_loss("b")
    assert placement.choose({"a": Room(3, 1), "b": EMPTY}, {}, 0.0)[0] == "b"


def test_a_job_that_failed_before_gets_a_device_to_itself() -> None:
    suspect = job(alone=True)
    placement, _ = placed(suspect, job(2))
    assert placement.choose({"a": Room(3, 1), "b": EMPTY}, {}, 0.0) == ("b", suspect)


def test_a_device_is_cleared_for_it_while_others_go_on_elsewhere() -> None:
    suspect, other = job(1, alone=True), job(2)
    placement, _ = placed(suspect, other)
    assert placement.choose({"a": Room(1, 3), "b": Room(2, 2)}, {}, 0.0) == ("a", other)
    assert placement.choose({"b": Room(3, 1)}, {}, 0.0) is None, (
        "a newcomer may not take the device that is being cleared"
    )
    assert placement.choose({"b": EMPTY}, {}, 0.0) == ("b", suspect)


def test_a_newcomer_does_not_take_the_device_that_is_being_cleared() -> None:
    suspect = job(1, alone=True)
    placement, waitlist = placed(suspect)
    assert placement.choose({"a": Room(2, 2)}, {}, 0.0) is None
    waitlist.resume(5)
    waitlist.know(1, 5, 0.0)
    waitlist.add(job(2), 0.0)  # whose turn comes first
    assert placement.choose({"a": Room(3, 1)}, {}, 0.0) is None
    assert placement.choose({"a": EMPTY}, {}, 0.0) == ("a", suspect)


def test_what_was_cleared_is_given_back_when_the_job_or_the_device_is_gone() -> None:
    suspect, other = job(1, alone=True), job(2)
    placement, waitlist = placed(suspect, other)
    assert placement.choose({"a": Room(2, 2)}, {}, 0.0) is None
    assert placement.choose({"b": Room(2, 2), "c": EMPTY}, {}, 0.0) == ("c", suspect), (
        "its device died: another one will do"
    )
    placement.choose({"a": Room(2, 2)}, {}, 0.0)
    waitlist.remove(suspect.job_id, 0.0)
    assert placement.choose({"a": Room(2, 2)}, {}, 0.0) == ("a", other)


def test_a_device_is_kept_once() -> None:
    suspect = job(1, alone=True)
    placement, waitlist = placed(suspect)
    assert placement.choose({"a": Room(2, 2)}, {}, 0.0) is None
    waitlist.remove(suspect.job_id, 0.0)
    placement.note_start("a", suspect)
    waitlist.add(suspect, 0.0)  # it was lost again
    waitlist.add(other := job(2), 0.0)
    waitlist.resume(5)
    waitlist.know(1, 5, 0.0)
    assert placement.choose({"a": EMPTY}, {}, 0.0) == ("a", other)


def test_a_member_at_their_limit_has_no_device_cleared() -> None:
    placement, _ = placed(job(1, alone=True, limit=1), job(2))
    assert placement.choose({"a": Room(2, 2)}, {1: 1}, 0.0)[1].user_id == 2


def test_a_loaded_model_is_no_reason_to_pick_a_job_that_must_be_alone() -> None:
    first, suspect = job(1, model="clip"), job(1, model="image", alone=True)
    placement, _ = placed(first, suspect)
    placement.note_start("a", job(model="image"))
    assert placement.choose({"a": Room(3, 1)}, {}, 0.0) == ("a", first)


def test_a_member_s_job_for_the_loaded_model_is_taken_first() -> None:
    clip, image = job(model="clip"), job(model="image")
    placement, _ = placed(clip, image)
    placement.note_start("a", job(model="image"))
    assert placement.choose({"a": EMPTY}, {}, 0.0) == ("a", image)
    placement.note_loss("a")
    assert placement.choose({"a": EMPTY}, {}, 0.0) == ("a", clip)


def test_the_loss_of_a_device_that_never_worked_is_no_surprise() -> None:
    placement, _ = placed(job())
    placement.note_loss("new")
    assert placement.choose({"new": EMPTY}, {}, 0.0) is not None


def test_of_two_idle_devices_the_one_that_has_the_model_is_taken() -> None:
    placement, _ = placed(job(model="image"))
    placement.note_start("b", job(model="image"))
    assert placement.choose({"a": EMPTY, "b": EMPTY}, {}, 0.0)[0] == "b"


def test_a_machine_that_could_not_begin_a_job_gets_it_again_after_growing_pauses_only() -> None:
    refused, other = job(1), job(2)
    placement, waitlist = placed(refused, other)
    rooms = {"h1/a": Room(4, 0), "h1/b": Room(4, 0)}
    assert placement.choose(rooms, {}, 0.0) == ("h1/a", refused)
    assert placement.note_refusal("h1/a", refused, 0.0) == (1, REFUSAL_PAUSES[0])
    assert placement.choose(rooms, {}, 0.1) == ("h1/a", other), "nobody waits behind it"
    assert placement.choose({**rooms, "h2/a": Room(4, 3)}, {}, 0.1) == ("h2/a", refused), "others have it"
    waitlist.remove(other.job_id, 0.1)
    assert placement.choose(rooms, {}, 0.1) is None
    now = REFUSAL_PAUSES[0]
    for count, pause in enumerate(REFUSAL_PAUSES[1:], 2):
        assert placement.choose(rooms, {}, now) == ("h1/a", refused)
        assert placement.note_refusal("h1/a", refused, now)[0] == count
        placement.note_begun("h1/a")  # by others of its jobs
        assert placement.choose(rooms, {}, now + pause - 0.1) is None
        now += pause


def test_a_machine_that_begins_none_of_several_jobs_rests() -> None:
    jobs = [job(user) for user in range(1, 6)]
    placement, _ = placed(*jobs)
    rooms = {"h1/a": Room(4, 0)}
    for each in jobs[:3]:
        assert placement.choose(rooms, {}, 0.0) == ("h1/a", each)
        _, pause = placement.note_refusal("h1/a", each, 0.0)
    assert pause == BROKEN_PAUSES[0] and placement.choose(rooms, {}, pause / 2) is None
    assert placement.choose({**rooms, "h2/a": Room(1, 3)}, {}, pause / 2)[0] == "h2/a"
    assert placement.choose(rooms, {}, pause) == ("h1/a", jobs[0])
    placement.note_begun("h1/a")
    placement.note_refusal("h1/a", jobs[0], pause)
    assert placement.choose(rooms, {}, pause) == ("h1/a", jobs[1]), "one that has begun jobs since doesn't"


def test_a_job_that_must_be_alone_is_cleared_no_machine_that_refuses_it() -> None:
    suspect, other = job(1, alone=True), job(2, alone=True)
    placement, _ = placed(suspect, other)
    placement.note_refusal("h1/b", suspect, 0.0)
    rooms = {"h1/b": EMPTY, "h2/a": Room(2, 2), "h3/a": Room(3, 1)}
    assert placement.choose(rooms, {}, 0.0) == ("h1/b", other)
    assert placement.choose({**rooms, "h3/a": EMPTY}, {}, 0.0) == ("h3/a", suspect)


def test_a_device_is_cleared_for_a_minute_and_then_shared() -> None:
    suspect, *others = job(1, alone=True), *(job(user) for user in range(2, 5))
    placement, waitlist = placed(suspect, *others)
    beside_a_training = {"a": Room(3, 1)}
    assert placement.choose(beside_a_training, {}, 100.0) is None and placement.clearing_since == 100.0
    assert placement.choose(beside_a_training, {}, 100.0 + CLEARED_WITHIN - 0.1) is None
    device, shares = placement.choose(beside_a_training, {}, 100.0 + CLEARED_WITHIN)
    assert (device, shares) == ("a", suspect) and not suspect.alone and placement.clearing_since is None
    waitlist.remove(suspect.job_id, 160.0)
    placement.note_start("a", suspect)
    assert placement.choose({"a": Room(2, 2)}, {}, 160.0) == ("a", others[0])


@pytest.mark.parametrize("kind", ["train", "video"])
def test_a_training_or_a_video_that_is_tried_again_shares_its_device(kind: str) -> None:
    again = Waiting("again", 1, 1, None, Lane.FAST, f"{kind}||image", 3, 0.0, alone=True)
    placement, _ = placed(again)
    assert placement.choose({"a": Room(3, 1)}, {}, 0.0) == ("a", again)
    again.be_alone(wanted=True)
    assert not again.alone


def test_a_device_with_a_role_of_its_own_refuses_as_others_do() -> None:
    question = job(model="ask")
    placement, _ = placed(question)
    rooms = {"server": Room(1, 0, only="ask"), "a": EMPTY}
    assert placement.choose(rooms, {}, 0.0) == ("server", question)
    _, pause = placement.note_refusal("server", question, 0.0)
    assert placement.choose(rooms, {}, pause / 2) is None
    assert placement.choose(rooms, {}, pause) == ("server", question)
