"""What is asked before a job waits, in which order, and what is written. What may be asked of videos, with
what is allowed in every refusal; how long one may be silent; and what its disk must have room for."""

import asyncio
from dataclasses import replace
from functools import partial

import pytest

from core.errors import ImageError, LimitError, NotAllowedError, UserError
from core.job import Job, Lane, Status
from core.requests import BlendRequest, ImagineRequest
from core.requests.custom_models import BundleRequest, TrainRequest
from core.requests.video import VideoRequest
from jobs import admission
from jobs.admission import (
    DISK_KNOWN,
    Admission,
    Limits,
    VideoLimits,
    bytes_of,
    check_day,
    check_video,
    in_proportion,
    is_video,
    no_room,
    seconds_of,
    sides_of,
    videos_fit,
)
from jobs.executors.local import Pulse, SlowestSteps, Timeouts, WorkerRun
from jobs.queue import Queue
from jobs.waitlist import Waiting, cost_key
from storage import jobs as rows
from storage import people
from storage.database import Database
from storage.people import RoleLimit
from tests.jobs import video_worker
from tests.jobs.conftest import ask as ask_picture
from tests.jobs.conftest import done, open_queue, until
from tests.jobs.hand_executor import HandExecutor
from tests.jobs.test_videos import ask, finish, held, over
from tests.storage.conftest import NOW, a_job, added, database

__all__ = ["database"]  # the fixture
ASKED = ImagineRequest(prompt="a red house")


class Store:
    """Files by name, and as many free bytes as a test says."""

    def __init__(self, *names: str, free: int = 10**12) -> None:
        self.names, self.free, self.looks = names, free, 0

    async def has(self, sha256: str) -> bool:
        return sha256 in self.names

    def free_bytes(self) -> int:
        self.looks += 1
        return self.free


def admitting(database: Database, files: Store | None = None, **limits: int) -> Admission:
    return Admission(database, files or Store(), Limits(**limits))


# The disk and the files


async def test_a_picture_that_is_gone_is_told(database: Database) -> None:
    one, two = "a" * 64, "b" * 64
    asked = BlendRequest(images=(one, two))
    assert await admitting(database, Store(one, two)).problem_with_files(asked) is None
    assert await admitting(database).problem_with_files(ASKED) is None
    problem = await admitting(database, Store(one)).problem_with_files(asked)
    assert isinstance(problem, ImageError) and str(problem) == "That picture is gone. Attach it again."


async def test_a_nearly_full_disk_takes_nothing_and_names_its_floor(database: Database) -> None:
    for request in (ASKED, BlendRequest(images=("a" * 64, "b" * 64))):
        full = await admitting(database, Store(free=499_999_999)).problem_with_files(request)
        assert isinstance(full, LimitError) and str(full) == (
            "The studio's disk is nearly full (less than 500 MB free). Please tell the operator; nothing was"
            " queued."
        )
    assert await admitting(database, Store(free=500_000_000)).full_disk() is None


async def test_the_disk_is_looked_at_once_a_second_while_it_has_room(database: Database, monkeypatch) -> None:
    now = [0.5]  # seconds since the machine's start, say
    monkeypatch.setattr(admission.time, "monotonic", lambda: now[0])
    store = Store()
    asked = admitting(database, store)
    looks = []
    for now[0] in (0.5, 0.5 + DISK_KNOWN - 0.01, 0.5 + DISK_KNOWN):
        assert await asked.full_disk() is None
        looks.append(store.looks)
    assert looks == [1, 1, 2]
    store.free = 0
    for now[0] in (9.0, 9.1):
        assert await asked.full_disk() is not None
    assert store.looks == 4, "a full one is looked at each time, for somebody may be making room"


# The rows


async def test_a_job_is_written_with_what_its_asker_may_run_and_its_cost(database: Database) -> None:
    await database.write(
        partial(people.set_role_rule, guild_id=3, rule=RoleLimit(7, user_running=5, user_waiting=2))
    )
    await database.write(partial(people.set_served, user_id=1, turn=4))
    job = a_job(roles=(7,))
    admitted = await admitting(database).admit(job, None)
    assert admitted.job is job and admitted.served == 4
    assert (admitted.row.max_running, admitted.row.cost_key) == (5, cost_key(job.request))
    assert (await admitting(database).admit(a_job(user=2), None)).served == 0


async def refused(database: Database, job: Job, problem: UserError | None = None, **limits: int) -> UserError:
    with pytest.raises(UserError) as caught:
        await admitting(database, **limits).admit(job, problem)
    return caught.value


async def test_what_was_asked_before_is_the_same_job_whatever_is_wrong_now(database: Database) -> None:
    first = await added(database, interaction_id=99, press_key="a press")
    asked = admitting(database, user_waiting=0)
    asked.draining = True
    for again in (a_job(interaction_id=99), a_job(press_key="a press")):
        admitted = await asked.admit(again, UserError("no"))
        assert admitted.job.id == first.id and admitted.row is None
    with pytest.raises(LimitError, match="accepts no new jobs right now"):
        await asked.admit(a_job(), UserError("no"))


async def test_a_problem_with_files_comes_before_rules_and_limits(database: Database) -> None:
    await database.write(partial(people.ban, user_id=1, guild_id=3, actor_id=9, now=NOW))
    problem = ImageError("That picture is gone.")
    assert await refused(database, a_job(), problem) is problem
    assert isinstance(await refused(database, a_job()), NotAllowedError)
    assert (await admitting(database).admit(a_job(guild_id=4), None)).row is not None


async def test_waiting_jobs_are_counted_for_the_member_and_for_the_server(database: Database) -> None:
    await added(database)
    await added(database, user=2, guild_id=4)
    assert "You have 1 jobs waiting; the limit is 1." in str(await refused(database, a_job(), user_waiting=1))
    assert "1 jobs waiting; the limit is 1." in str(
        await refused(database, a_job(user=3, guild_id=4), guild_waiting=1)
    )
    job = a_job(user=3, guild_id=5)
    assert (await admitting(database, user_waiting=1, guild_waiting=1).admit(job, None)).row is not None
    await database.write(partial(rows.cancel_waiting, now=NOW))
    assert (await admitting(database, user_waiting=1).admit(a_job(), None)).row is not None


async def test_a_waiting_sheet_counts_as_the_four_jobs_that_it_takes(database: Database) -> None:
    sheet = replace(a_job(), request=ImagineRequest(prompt="a boat", draft=True, num_images=24))
    await admitting(database, user_waiting=1).admit(sheet, None)
    said = str(await refused(database, a_job(), user_waiting=4))
    assert "You have 4 jobs waiting; the limit is 4." in said
    assert (await admitting(database, user_waiting=5).admit(a_job(), None)).row is not None


async def test_in_a_direct_message_no_server_s_limit_counts(database: Database) -> None:
    await added(database, user=2, guild_id=None)
    assert (await admitting(database, guild_waiting=1).admit(a_job(guild_id=None), None)).row is not None


async def test_a_parent_must_be_there(database: Database) -> None:
    parent = await added(database)
    child = a_job(parent=(parent.id, 0))
    assert (await admitting(database).admit(child, None)).row is not None
    orphan = replace(a_job(), parent_id="abcdefghjkmn", parent_index=0)
    assert str(await refused(database, orphan)) == "The job it comes from is gone."


async def test_a_key_is_of_one_person_s_and_a_press_is_over_when_its_job_is(database: Database) -> None:
    first = await added(database, request_key="k", interaction_id=None)
    asked = admitting(database)
    assert (await asked.admit(a_job(request_key="k", interaction_id=None), None)).job.id == first.id
    assert (await asked.admit(a_job(user=2, request_key="k", interaction_id=None), None)).row is not None
    pressed = await added(database, press_key="p", interaction_id=None)
    await database.write(partial(rows.cancel, job_id=pressed.id, now=NOW))
    assert (await asked.admit(a_job(press_key="p"), None)).row is not None


video_worker.register()


def video(**fields: object) -> VideoRequest:
    return VideoRequest(**{"prompt": "a red boat", **fields})


@pytest.mark.parametrize(
    ("limits", "fields", "said"),
    [
        (VideoLimits(seconds=5.0), {"seconds": 8.0}, "would be 8 seconds long; .* up to 5 seconds"),
        (
            VideoLimits(max_pixels=1280 * 720),
            {"resolution": 1080},
            "1920×1080 has 2,073,600 .* up to 921,600. `--res 720`",
        ),
        (VideoLimits(max_pixels=64 * 64), {"resolution": 480}, "853×480 has 409,440 .* up to 4,096.$"),
        (
            VideoLimits(),
            {"resolution": 1080, "aspect_ratio": (9, 21)},
            "1080×2520 .* up to 2,088,960. `--res 720`",
        ),
        (VideoLimits(max_pixels=10_000), {"width": 128, "height": 256}, "128×256 has 32,768 .* up to 10,000"),
    ],
)
def test_a_video_that_is_too_long_or_too_large_is_refused_with_what_is_allowed(limits, fields, said) -> None:
    with pytest.raises(UserError, match=said):
        check_video(limits, video(**fields))


def test_videos_within_the_limits_and_pictures_of_any_size_are_let_through() -> None:
    for resolution in (480, 720, 1080):
        check_video(VideoLimits(), video(resolution=resolution, seconds=20.0))
    check_video(VideoLimits(max_pixels=64 * 64, seconds=1.0), video())
    check_video(VideoLimits(max_pixels=64 * 64), ImagineRequest(prompt="a boat", width=2048, height=2048))


def test_a_day_s_seconds_count_what_was_made_what_is_coming_and_what_is_asked() -> None:
    limits, coming = VideoLimits(per_day=60), [video(seconds=10.0, num_images=2), video()]
    check_day(limits, 30.0, coming, video(seconds=5.0))
    with pytest.raises(LimitError, match="That is 6 seconds of video, and you have 5 of today's 60 left"):
        check_day(limits, 30.0, coming, video(seconds=6.0))
    check_day(replace(limits, per_day=0), 10**6, coming, video(seconds=6.0))
    check_day(limits, 100.0, coming, ImagineRequest(prompt="a boat"))
    assert seconds_of(video()) == 5.0 and seconds_of(video(num_images=4, seconds=2.5)) == 10.0


def test_sides_follow_what_was_asked() -> None:
    assert sides_of(video()) is None and sides_of(video(width=64, height=128)) == (64, 128)
    assert sides_of(video(resolution=720)) == (1280, 720)
    assert sides_of(video(resolution=720, aspect_ratio=(9, 16))) == (720, 1280)
    assert sides_of(video(resolution=480, aspect_ratio=(1, 1))) == (480, 480)


def test_the_room_for_a_video_grows_with_frames_pixels_and_videos() -> None:
    one = bytes_of(video(resolution=720, seconds=5.0, fps=24))
    assert one == round(5 * 24 * 1280 * 720 * 0.15) + 3 * 10**6
    assert bytes_of(video(resolution=720, seconds=5.0, fps=24, num_images=4)) == 4 * one
    assert bytes_of(ImagineRequest(prompt="a boat")) == 0 < bytes_of(video())


@pytest.mark.parametrize(
    ("videos", "own", "everybody", "most"),
    [(1, 3, 3, 1), (1, 6, 3, 2), (1, 1, 3, 1), (3, 50, 10, 15), (5, 2, 3, 2), (1, 0, 3, 0)],
)
def test_roles_with_more_jobs_have_more_videos_in_proportion(videos, own, everybody, most) -> None:
    assert in_proportion(videos, own, everybody) == most


def _waiting(request: object, user: int = 1, most: int = 3) -> Waiting:
    return Waiting("j", 1, user, None, Lane.FAST, cost_key(request), most, 0.0)


def test_a_member_s_videos_at_once_are_counted_apart_from_their_pictures() -> None:
    fits = videos_fit(Limits(), {1: 1})
    assert not fits(_waiting(video())) and fits(_waiting(video(), user=2))
    assert fits(_waiting(video(), most=6)), "twice as many jobs, twice as many videos"
    assert fits(_waiting(ImagineRequest(prompt="a boat")))
    assert is_video(cost_key(video())) and not is_video(cost_key(ImagineRequest(prompt="a boat")))


async def test_a_second_video_of_a_member_waits_and_their_pictures_and_others_videos_go_on(tmp_path) -> None:
    executor = HandExecutor({"cpu": 4})
    async with open_queue(tmp_path, executor) as queue:
        first, second = await ask(queue), await ask(queue)
        picture, other = (await ask_picture(queue)).job.id, await ask(queue, user=2)
        await until(lambda: {first, picture, other} <= executor.held.keys())
        await asyncio.sleep(0.05)
        assert second not in executor.held
        finish(executor, executor.held[first].run, video())
        await held(executor, second)


async def test_videos_wait_up_to_their_own_limit_and_roles_have_more(tmp_path) -> None:
    limits = Limits(disk_floor=0, videos=VideoLimits(waiting=2))
    async with open_queue(tmp_path, HandExecutor(), limits) as queue:
        await queue.pause(1)
        for _ in range(2):
            await ask(queue)
        with pytest.raises(LimitError, match="2 videos waiting; the limit is 2"):
            await ask(queue)
        await ask_picture(queue)
        await ask(queue, user=2)


async def test_too_long_a_video_never_reaches_the_queue(tmp_path) -> None:
    limits = Limits(disk_floor=0, videos=VideoLimits(seconds=2.0, per_day=6))
    executor = HandExecutor()
    async with open_queue(tmp_path, executor, limits) as queue:
        with pytest.raises(UserError, match="up to 2 seconds"):
            await ask(queue, seconds=3.0)
        assert queue.unfinished == 0
        job_id = await ask(queue, seconds=2.0, num_images=2)
        with pytest.raises(LimitError, match="you have 2 of today's 6 left"):
            await ask(queue, seconds=2.0, num_images=2)
        finish(executor, await held(executor, job_id), video(num_images=2))
        await over(queue, job_id)  # and its two videos were half a second each
        assert await ask(queue, seconds=2.0, num_images=2)
        with pytest.raises(LimitError, match="you have 1 of today's 6 left"):
            await ask(queue, seconds=2.0)


class _Small:
    """How much of the disk is free."""

    free = 10**12


@pytest.fixture
async def small(tmp_path, monkeypatch):
    async with open_queue(tmp_path, HandExecutor({"cpu": 2}), Limits(disk_floor=10**9)) as queue:
        monkeypatch.setattr(queue.files, "free_bytes", lambda: _Small.free)
        monkeypatch.setattr(_Small, "free", 10**12)
        yield queue


async def test_a_video_without_room_is_refused_before_the_queue(small: Queue) -> None:
    _Small.free = 10**9 + 10**7
    with pytest.raises(LimitError, match="needs about 24 MB, and 10 MB are free"):
        await ask(small, resolution=720, seconds=5.0, num_images=1, fps=30)
    assert await ask_picture(small)


async def test_a_video_whose_room_others_take_meanwhile_fails_with_the_reason(small: Queue) -> None:
    executor = small.executor
    _Small.free = 10**9 + 5 * 10**7
    first = await ask(small, resolution=720, fps=30, user=1)
    await held(executor, first)
    await small.pause(1)
    second = await ask(small, resolution=720, fps=30, user=2)
    _Small.free = 10**9 + 3 * 10**7
    await small.resume(1)
    assert await over(small, second) is Status.FAILED
    assert "needs about 24 MB, and 6 MB are free" in (await small.job(second)).error
    assert first in executor.held


# How long a worker may be silent


def _running(request: object, *steps: float) -> WorkerRun:
    run = WorkerRun(lambda message: None, None, 0.0, 0.0, cost_key(request))
    now = 0.0
    for seconds in steps:
        now += seconds
        run.sign(now, step=True)
    return run


def test_the_first_video_of_its_kind_has_time_and_the_next_three_times_its_slowest_step() -> None:
    slowest, times = SlowestSteps(), Timeouts()
    first = _running(video(), 1.0, 1.0, 1.0)
    pulse = Pulse(3.0)
    assert pulse.allowed([first], times, slowest) == 300.0, "nobody knows yet how long it decodes"
    first.sign(48.0, step=True)  # 45 s for what is decoded at once
    slowest.note(first)
    second = _running(video(), 1.0, 1.0, 1.0)
    assert pulse.allowed([second], times, slowest) == 135.0
    assert pulse.allowed([_running(video(resolution=1080), 1.0)], times, slowest) == 300.0
    assert pulse.allowed([_running(ImagineRequest(prompt="a boat"), 1.0)], times, slowest) == 30.0
    assert pulse.allowed([_running(ImagineRequest(prompt="a boat"), 1.0), second], times, slowest) == 135.0


def test_quick_videos_are_watched_as_pictures_are_and_slow_ones_by_their_median() -> None:
    slowest, times = SlowestSteps(), Timeouts()
    slowest.note(_running(video(), 0.1, 0.4))
    assert Pulse(1.0).allowed([_running(video(), 0.1)], times, slowest) == 30.0
    assert Pulse(99.0).allowed([_running(video(), 20.0)], times, slowest) == 200.0
    assert Pulse(0.5, loads=True).allowed([_running(video(), 0.1)], times, slowest) == 600.0


def test_a_picture_s_slowest_step_is_not_kept() -> None:
    slowest = SlowestSteps()
    slowest.note(_running(ImagineRequest(prompt="a boat"), 50.0))
    assert slowest.allowed(_running(ImagineRequest(prompt="a boat")), Timeouts()) == 0.0


async def test_the_time_until_a_video_of_a_member_counts_their_videos_before_it(tmp_path) -> None:
    """One runs at a time, so the third starts when two have ended, however many slots there are."""
    executor = HandExecutor({"cpu": 8})
    async with open_queue(tmp_path, executor) as queue:
        positions = queue.dispatcher.positions
        positions.estimate.add(cost_key(video()), 100.0)
        positions.estimate.add(cost_key(ImagineRequest(prompt="a boat")), 5.0)
        await held(executor, await ask(queue))
        later = [await ask(queue) for _ in range(2)]
        await until(lambda: len(executor.held) == 1)
        assert [round(positions.position(job_id).eta, -1) for job_id in later] == [100, 200]
        positions.told = {}
        await positions.announce_all()
        assert [round(positions.told[job_id].eta, -1) for job_id in later] == [100, 200]
        assert (await ask_picture(queue, user=2)).eta == 0.0, "there are slots for pictures"


async def test_a_video_lets_others_have_as_many_seconds_before_its_member_is_next(tmp_path) -> None:
    executor = HandExecutor({"cpu": 1})
    limits = Limits(disk_floor=0, user_waiting=100, videos=VideoLimits(running=3))
    async with open_queue(tmp_path, executor, limits) as queue:
        estimate = queue.dispatcher.estimate
        for _ in range(20):  # what the hand's runs take doesn't move these medians
            estimate.add(cost_key(video()), 4.0)
            estimate.add(cost_key(ImagineRequest(prompt="a boat")), 0.5)
        queue.dispatcher.waitlist.note_end = lambda *took: None  # nor the turns
        first, second = await ask(queue), await ask(queue)
        await held(executor, first)
        pictures = [(await ask_picture(queue, user=2)).job.id for _ in range(12)]
        order = [w.job_id for w in queue.dispatcher.waitlist.order(0.0)]
        assert order.index(second) == 8, "4 s of video, 8 pictures of half a second"
        started = []
        for _ in range(10):
            (job_id,) = executor.held
            if job_id in pictures:
                executor.end(done(executor, job_id))
            else:
                finish(executor, executor.held[job_id].run, video())
            await until(lambda over=job_id: len(executor.held) == 1 and over not in executor.held)
            started += executor.held
        assert started == order[:10]


def test_what_has_no_room_on_the_disk_is_called_what_it_is() -> None:
    video = VideoRequest(prompt="a boat", seconds=10.0)
    training = TrainRequest(project="a" * 12, task="classify")
    bundle = BundleRequest(project="a" * 12, task="classify", artefact="a" * 64, version=1)
    told = {
        str(no_room(request, 5 * 10**6)).split(":")[0]: str(no_room(request, 0))
        for request in (video, training, bundle)
    }
    assert list(told) == [
        f"The studio's disk has no room for this {what}" for what in ("video", "training", "bundle")
    ]
    assert ["shorter" in text for text in told.values()] == [True, False, False]
