"""The studio by itself, as any door uses it: what is asked, seen, kept and ended, and who may."""

import inspect
import io
import json
import subprocess
import sys
import zipfile
from contextlib import suppress
from dataclasses import replace

import pytest

from core.errors import ImageError, NotAllowedError, PromptError, UserError
from core.events import Progress, Rendered
from core.job import Surface
from core.prompt.parser import parse_prompt
from core.requests import DescribeRequest, UpscaleRequest, VariationRequest
from core.settings import ROOT
from studio.account import Own
from studio.admin import Server
from studio.authority import Action, Actor
from studio.moderation.rules import Visibility
from studio.new_job import NewJob, PromptWithPictures
from studio.requests.prompts import Question, Regions, attached
from studio.studio import Studio
from tests.studio.conftest import ALICE, BOB, MIRA, AtOnce, Opened, Sent, open_studio, png

ABROAD = Actor(2, 20, 200)
LIMIT = 10 * 2**20


async def test_an_imagine_is_watched_to_its_picture(opened: Opened) -> None:
    studio = opened.studio
    chosen = await studio.own.preferences(ALICE)
    [new] = await (await studio.requests.imagine(ALICE, "a red house --seed 7", chosen)).jobs()
    submitted = await studio.submit(ALICE, new)
    events = [event async for event in await studio.watch(ALICE, submitted.job.id)]
    assert isinstance(events[-1], Rendered) and any(isinstance(event, Progress) for event in events)
    shown = await studio.picture(ALICE, submitted.job.id, 0, LIMIT)
    assert shown.data is not None and b"trainedAlgorithmicMedia" in shown.data
    assert shown.media_type == "image/png" and shown.visibility is Visibility.SHOW


async def test_nothing_of_a_private_job_is_anybody_elses(opened: Opened) -> None:
    studio = opened.studio
    job = (await opened.drawn(ALICE, "a boat --stealth")).job
    assert job.origin.private
    for tried in (
        studio.picture(BOB, job.id, 0, LIMIT),
        studio.rights.result(BOB, job.id, Action.SHOW),
        studio.watch(BOB, job.id),
        studio.from_button(BOB, job.id, "vary", 0),
        studio.picture_of(BOB, job.id, 0, Action.UPSCALE),
        studio.sources.find(BOB, None, f"{job.id} 1"),
        studio.sources.meant(BOB, f"{job.id} 1"),
        studio.numbered(BOB, job.id, 0),
        studio.cancel(BOB, job.id),
        studio.own.toggle_favourite(BOB, job.id, 0),
        studio.regions.ask(BOB, job.id, 0, Sent(png())),
    ):
        with pytest.raises(NotAllowedError):
            await tried


async def test_a_job_of_another_server_is_out_of_sight(opened: Opened) -> None:
    job = (await opened.drawn(ALICE)).job
    with pytest.raises(NotAllowedError):
        await opened.studio.picture(ABROAD, job.id, 0, LIMIT)
    assert (await opened.studio.picture(BOB, job.id, 0, LIMIT)).data


async def test_a_banned_member_asks_for_nothing_and_ends_what_is_theirs(opened: Opened) -> None:
    studio = opened.studio
    job = (await opened.drawn(BOB)).job
    await studio.server.ban(MIRA, BOB.user_id)
    for tried in (
        studio.sources.meant(BOB, Sent(png())),
        studio.sources.given(BOB, Sent(png())),
        studio.from_button(BOB, job.id, "vary", 0),
        studio.own.change(BOB, remix=True),
        opened.drawn(BOB),
    ):
        with pytest.raises(NotAllowedError):
            await tried
    assert (await studio.cancel(BOB, job.id))[1] is False  # allowed, and over already
    assert (await studio.own.holdings(BOB)).jobs == 1


async def test_a_button_makes_what_it_says(opened: Opened) -> None:
    studio = opened.studio
    result = await opened.drawn(ALICE, "a red house --seed 7")
    job = result.job
    vary = await studio.from_button(BOB, job.id, "vary", 1)
    assert isinstance(vary.request, VariationRequest) and vary.parent == (job.id, 1)
    assert vary.request.image == result.pictures[1].sha256 and vary.request.seed == 7 + 1 + 4
    await studio.submit(BOB, vary)
    assert (await studio.from_button(BOB, job.id, "vary", 1)).request.seed == 7 + 1 + 8
    enlarged = (await studio.from_button(BOB, job.id, "up2s", 0)).request
    assert isinstance(enlarged, UpscaleRequest) and (enlarged.factor, enlarged.mode) == (2, "subtle")
    for action, problem in (("sing", UserError), ("upscale", UserError)):
        with pytest.raises(problem):
            await studio.from_button(BOB, job.id, action, 0)
    with pytest.raises(ImageError, match="no picture number 8"):
        await studio.from_button(BOB, job.id, "vary", 7)
    with pytest.raises(ImageError, match="doesn't exist, or was deleted"):
        await studio.from_button(BOB, "abcdefghjkmn", "vary", 0)


async def test_a_web_job_is_its_authors_alone_and_no_message_is_due(opened: Opened) -> None:
    job = (await opened.drawn(Actor(1, None, 0, surface=Surface.WEB))).job
    assert job.origin.surface is Surface.WEB
    with pytest.raises(NotAllowedError):
        await opened.studio.rights.job(Actor(2, None, 0, surface=Surface.WEB), job.id, Action.SHOW)
    assert await opened.services.queue.undelivered() == []


async def test_the_same_press_is_one_job(opened: Opened) -> None:
    studio = opened.studio
    job = (await opened.drawn(ALICE)).job
    await opened.services.queue.pause(0)
    new = await studio.from_button(BOB, job.id, "again", 0)
    first = await studio.submit(BOB, new, key="a press")
    second = await studio.submit(BOB, new, key="a press")
    assert second.duplicate and second.job.id == first.job.id


async def test_what_is_not_built_in_is_refused_and_not_queued(opened: Opened) -> None:
    smaller = Studio(opened.services, {"imagine"})
    source = await smaller.sources.given(ALICE, Sent(png()))
    typed = await smaller.requests.imagine(ALICE, "snow", None)
    new = await smaller.from_upload(ALICE, source.sha256, "describe", typed.prompts[0])
    with pytest.raises(UserError, match="/describe isn't built into this version yet. Nothing was queued"):
        await smaller.submit(ALICE, new)
    assert (await smaller.own.jobs(ALICE)).jobs == ()
    await smaller.submit(ALICE, (await typed.jobs())[0])


async def test_pictures_come_with_a_prompt_or_by_name(opened: Opened) -> None:
    studio = opened.studio
    job = (await opened.drawn(ALICE)).job
    chosen = await studio.own.preferences(BOB)
    typed = await studio.requests.imagine(BOB, "a house like this", chosen, attached=1)
    [new] = await typed.jobs(attached([Sent(png())]))
    assert len(new.request.pictures) == 1
    assert (await studio.sources.find(BOB, None, f"{job.id} 2")).parent == (job.id, 1)
    linked = await studio.requests.imagine(BOB, "https://evil.example/a.png a house", chosen)
    with pytest.raises(ImageError, match="doesn't lead to a picture"):
        await linked.jobs()
    with pytest.raises(PromptError, match="empty"):
        await studio.requests.imagine(BOB, "--ar 3:2", chosen)


async def test_an_upload_is_its_senders_alone(opened: Opened) -> None:
    studio = opened.studio
    source = await studio.sources.given(ALICE, Sent(png(90, 60)))
    prompt = await studio.requests.read_prompt(ALICE, "snow")
    described = await studio.from_upload(ALICE, source.sha256, "describe", prompt)
    assert isinstance(described.request, DescribeRequest)
    with pytest.raises(ImageError, match="gone"):
        await studio.from_upload(BOB, source.sha256, "describe", prompt)


async def test_several_jobs_are_kept_until_their_asker_says_yes(opened: Opened) -> None:
    studio = opened.studio
    chosen = await studio.own.preferences(ALICE)
    typed = await studio.requests.imagine(ALICE, "a {red, blue} house --repeat 2", chosen)
    question = await typed.job_or_question()
    assert isinstance(question, Question)
    assert question.times == {"a red house": 2, "a blue house": 2} and typed.count == 4
    assert len(await studio.requests.confirmed(ALICE, question.draft_id)) == 4
    with pytest.raises(NotAllowedError):
        await studio.requests.confirmed(BOB, question.draft_id)
    with pytest.raises(UserError, match="expired"):
        await studio.requests.confirmed(ALICE, "abcdefghjkmn")


async def test_words_of_a_job_can_be_taken_only_from_one_that_its_asker_sees(opened: Opened) -> None:
    studio = opened.studio
    job = (await opened.drawn(ALICE)).job
    typed = await studio.requests.imagine(ALICE, "a boat", None, came_from=(job, 1))
    new = await typed.job_or_question()
    assert isinstance(new, NewJob) and new.parent == (job.id, 1) and new.own_words
    secret = replace(job, origin=replace(job.origin, private=True))
    assert (await studio.requests.imagine(ALICE, "a boat", None, came_from=(secret, 0))).private
    with pytest.raises(NotAllowedError):
        await (await studio.requests.imagine(ABROAD, "a boat", None, came_from=(job, 0))).job_or_question()


async def test_favourites_come_and_go(opened: Opened) -> None:
    own = opened.studio.own
    result = await opened.drawn(ALICE)
    assert await own.toggle_favourite(BOB, result.job.id, 1)
    kept, count, made = await own.favourite(BOB, 0)
    assert (kept.position, count) == (1, 1) and made.job.id == result.job.id
    await own.add_favourites(BOB, result.job.id, None)
    assert (await own.favourite(BOB, 0))[1] == len(result.pictures)
    assert await own.favourite(ALICE, 0) is None


async def test_one_s_own_objects_are_told_exported_and_deleted(opened: Opened) -> None:
    own = opened.studio.own
    await opened.drawn(ALICE)
    await own.set_option(ALICE, "mine", "in snow --ar 3:2")
    assert await own.options(ALICE) == {"mine": "in snow --ar 3:2"} and await own.options(BOB) == {}
    assert (await own.info(ALICE)).ever.jobs == {"imagine": 1}
    assert [part async for part in own.export(ALICE, LIMIT)]
    assert (await own.delete(ALICE)).jobs == 1
    assert (await own.holdings(ALICE)).jobs == 0 and await own.options(ALICE) == {}


async def test_one_draft_of_a_sheet_is_deleted_alone_exported_and_kept_from_others(opened: Opened) -> None:
    studio, sheet = opened.studio, await opened.drawn(ALICE, "a {red, blue} boat --sheet --stealth --seed 20")
    job_id, files = sheet.job.id, [picture.sha256 for picture in sheet.pictures]
    assert len(set(files)) == 24
    for work in (studio.trash.put, studio.trash.delete):
        with suppress(NotAllowedError, ImageError):
            await work(BOB, [(job_id, 6)])
    with pytest.raises(NotAllowedError):
        await studio.picture(BOB, job_id, 7, LIMIT)
    assert (await studio.picture(ALICE, job_id, 6, LIMIT)).data is not None, "another can't delete it"
    await studio.trash.put(ALICE, [(job_id, 6)])
    await studio.trash.delete(ALICE, [(job_id, 6)])
    left = await opened.services.queue.result(job_id)
    assert left is not None
    assert [(one.index, one.seed) for one in left.pictures] == [(n, 20 + n) for n in range(24) if n != 6]
    with pytest.raises(ImageError):
        await studio.picture(ALICE, job_id, 6, LIMIT)
    packed = b"".join([part async for part in studio.own.export(ALICE)])
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        names = archive.namelist()
        [job] = json.loads(archive.read("data.json"))["jobs"]
    kept = {name for name in files if f"pictures/{name}.png" in names}
    assert kept == {*files} - {files[6]} and job["id"] == job_id
    packed = b"".join([part async for part in studio.own.export(BOB)])
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert not any(name.startswith("pictures/") for name in archive.namelist())


async def test_unfit_pictures_leave_no_studio(tmp_path) -> None:
    class Judge:
        name = "test"

        def get_ready(self) -> None:
            pass

        async def score(self, data: bytes) -> float:
            return 0.99

    async with open_studio(tmp_path, MODERATION="strict") as opened:
        opened.services.moderator.check = Judge()
        job = (await opened.drawn(ALICE)).job
        shown = await opened.studio.picture(ALICE, job.id, 0, LIMIT)
        assert shown.data is None and shown.visibility is Visibility.BLOCK


async def test_members_decide_nothing_about_a_server(opened: Opened) -> None:
    server = opened.studio.server
    job = (await opened.drawn(ALICE)).job
    for method in _methods(Server):
        if method.__name__ in ("cancellable", "queues", "talks"):
            continue  # these tell only of what the actor may cancel, manages, and where the bot listens
        given = {"job_id": job.id, "minutes": 5, "limit": None, "word": "clown", "text": "a", "kind": "role"}
        taken = [one for one in inspect.signature(method).parameters.values() if one.default is one.empty]
        taken = [one for one in taken if one.name not in ("self", "actor", "values")]
        named = {one.name: given.get(one.name, 1) for one in taken if one.kind is one.KEYWORD_ONLY}
        with pytest.raises(NotAllowedError):
            await method(
                server, BOB, *(given.get(one.name, 1) for one in taken if one.name not in named), **named
            )
    assert await server.cancellable(BOB) == [] and await server.queues(BOB) == []


async def test_a_server_s_rules_are_not_asked_for_in_a_direct_message(tmp_path) -> None:
    async with open_studio(tmp_path, OWNER_IDS="99") as opened:
        with pytest.raises(UserError, match="belong to a server"):
            await opened.studio.server.banned(Actor(99, None, 5))


def _methods(kind: type) -> list:
    return [m for name, m in vars(kind).items() if inspect.isfunction(m) and not name.startswith("_")]


def test_every_public_method_takes_an_actor_and_says_what_it_does() -> None:
    without = {"check_kind"}  # asks nothing of anybody
    for kind in (Studio, Own, Server, Regions):
        for method in _methods(kind):
            assert method.__doc__, method.__qualname__
            second = list(inspect.signature(method).parameters)[1]
            assert second == "actor" or method.__name__ in without, method.__qualname__


BLOCKED = ("discord", "simcord", "aiohttp", "torch", "bot")
ALONE = f"""
import sys
for name in {BLOCKED!r}:
    sys.modules[name] = None  # importing it fails
import asyncio, importlib, pathlib, tempfile
for folder in ("studio", "tests/studio"):
    for path in pathlib.Path(folder).rglob("*.py"):
        importlib.import_module(".".join(path.with_suffix("").parts).removesuffix(".__init__"))
from tests.studio.conftest import ALICE, open_studio
async def draw():
    with tempfile.TemporaryDirectory() as folder:
        async with open_studio(pathlib.Path(folder), PUSH_HOSTS="none") as opened:
            result = await opened.drawn(ALICE)
            print(len(result.pictures), "pictures")
asyncio.run(draw())
"""


@pytest.mark.slow
def test_it_draws_where_neither_a_chat_service_nor_a_tensor_library_can_be_imported() -> None:
    run = subprocess.run(
        [sys.executable, "-c", ALONE], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert run.stdout.strip() == "4 pictures", run.stderr[-2000:]


@pytest.mark.parametrize(
    ("device", "settings", "count"),
    [
        ("cuda:0", {}, 4),
        ("cpu-box/cuda:0", {}, 4),
        ("cpu", {}, 1),
        ("cpu#2", {}, 1),
        ("rack/cpu", {}, 1),
        ("cuda:0", {"VIDEO_MODEL": "owner/wan"}, 1),
    ],
)
async def test_a_video_model_and_a_processor_make_one_video_unless_more_are_asked_for(
    tmp_path, device: str, settings: dict, count: int
) -> None:
    async with open_studio(tmp_path, AtOnce({device: 1}), **settings) as opened:
        studio = opened.studio
        chosen = await studio.own.preferences(ALICE)

        async def asked(text: str) -> int:
            [new] = await (await studio.requests.imagine(ALICE, text, chosen)).jobs()
            return new.request.num_images

        assert await asked("a boat sails --video") == count
        assert await asked("a boat sails --video --bs 2") == 2
        job = (await opened.drawn(ALICE, "a boat")).job
        assert (await studio.from_button(ALICE, job.id, "anilow", 0)).request.num_images == count
        prompt = parse_prompt("it sails --video --bs 2")
        words = PromptWithPictures(prompt, {})
        assert (await studio.from_button(ALICE, job.id, "anilow", 0, words)).request.num_images == 2
