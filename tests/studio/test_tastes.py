"""Tastes as any door asks for them: what is learned of whom, what a job is handed, codes, and deletion."""

import io
import json
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from core.errors import NotAllowedError, UserError
from core.requests import ImagineRequest, from_json
from jobs.executors.base import Outcome, Report
from jobs.queue import Result
from storage import embeddings, people, privacy, schema
from storage import wall as styles
from storage.embeddings import IN_USE, Vector
from storage.schema import taste_choices, taste_codes, taste_rows
from studio.authority import Action, Actor, CurrentDirectory, Member, Place
from studio.library.wall import WallDrawing
from studio.requests.actions import for_job, left_out
from studio.tastes import NINE, told
from tests.jobs.conftest import eventually
from tests.studio.conftest import ALICE, BOB, MIRA, AtOnce, Opened, open_studio
from vision.protocol import Answered, Declined, Done, Embed, Learn, Question, Run
from vision.taste import learn

STRANGER = Actor(7, 20, 200)  # of another server
WIDTH = 8


class Looking(AtOnce):
    """An executor that keeps what it was handed."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[Run] = []
        self.show = dict[str, int]()  # which picture of a grid a word is about

    async def ask(self, question: Question) -> Answered | Declined:
        if isinstance(question, Learn):
            return Answered(question.question_id, learn(question))
        if isinstance(question, Embed) and self.show and question.texts:
            found = tuple(vector_of(self.show.get(text, WIDTH - 1)) for text in question.texts)
            return Answered(question.question_id, found)
        if isinstance(question, Embed):
            return Declined(question.question_id, "the tests say what pictures show")
        return await super().ask(question)

    async def run(self, device: str, run: Run, report: Report) -> Outcome:
        """Draw; a taste chooses among the candidates, as it does where something sees."""
        self.runs.append(run)
        done, request = await super().run(device, run, report), from_json(run.kind, run.request)
        if (
            isinstance(done, Done)
            and isinstance(request, ImagineRequest)
            and run.taste
            and run.taste.direction
        ):
            used = {"candidates": request.candidates}
            return replace(done, output=replace(done.output, parameters={**done.output.parameters, **used}))
        return done


class Servers(CurrentDirectory):
    """Whoever hasn't left reads every channel but those that are shut."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.shut = set[int](), set[int]()

    @property
    def server_ids(self) -> set[int]:
        return {ALICE.place.guild_id}

    def age_restricted(self, place: Place) -> bool:
        return False

    async def member(self, user_id: int, guild_id: int) -> Member | None:
        if user_id in self.left:
            return None
        return Member(user_id, guild_id, "Here", False, lambda channel: channel not in self.shut, lambda: [])


class Wall:
    """A studio whose members like the last picture of each grid."""

    def __init__(self, opened: Opened, executor: Looking, servers: Servers) -> None:
        self.opened, self.executor, self.servers = opened, executor, servers
        self.seed = 0
        self.tastes, self.own = opened.studio.tastes, opened.studio.own
        self.database = opened.services.database
        self.model = opened.services.indexing.model

    async def liked(self, actor: Actor, count: int, text: str = "a red house") -> list[Result]:
        """Grids of four of which each has a heart. What a picture shows is its place in the grid."""
        return [await self.heart(await self.grid(actor, text), actor) for _ in range(count)]

    async def grid(self, actor: Actor, text: str = "a red house") -> Result:
        self.seed += 4  # by chance, two grids may have a picture in common
        result = await self.opened.drawn(actor, f"{text} --seed {self.seed}")
        first = await self.database.read(embeddings.next_place)
        made = [Vector(first + n, one.sha256, vector_of(one.index)) for n, one in enumerate(result.pictures)]
        await self.database.write(partial(embeddings.add_vectors, model=self.model, made=made))
        return result

    async def heart(self, result: Result, actor: Actor) -> Result:
        await self.own.keep(actor, result.job.id, 3)
        return result

    async def asked(self, actor: Actor, text: str) -> tuple[ImagineRequest, Run]:
        """What is queued, and what its worker is handed."""
        await self.opened.drawn(actor, text)
        run = self.executor.runs[-1]
        request = from_json(run.kind, run.request)
        assert isinstance(request, ImagineRequest)
        return request, run

    async def count(self, table: sa.Table) -> int:
        return await self.database.read(lambda c: c.scalar(sa.select(sa.func.count()).select_from(table)))


def vector_of(place: int) -> bytes:
    vector = np.full(WIDTH, 0.1)
    vector[place] = 1.0
    return (vector / np.linalg.norm(vector)).astype("<f2").tobytes()


@pytest.fixture
async def wall(tmp_path: Path) -> AsyncIterator[Wall]:
    executor = Looking()
    async with open_studio(tmp_path, executor) as opened:
        servers = Servers()
        found = Wall(opened, executor, servers)
        await found.database.write(partial(people.set_setting, key=IN_USE, value=found.model))
        with opened.services.directory.connected(servers):
            yield found


def likes(run: Run) -> list[bool]:
    """Whether a run's taste prefers the last picture of a grid to each of the others."""
    assert run.taste is not None
    direction = np.frombuffer(run.taste.direction, "<f4")
    last = np.frombuffer(vector_of(3), "<f2").astype(np.float32)
    others = [np.frombuffer(vector_of(n), "<f2").astype(np.float32) for n in range(3)]
    return [bool(last @ direction > other @ direction) for other in others]


async def test_hearts_are_learned_with_the_pictures_beside_them(wall: Wall) -> None:
    await wall.liked(ALICE, 6)
    card = await wall.tastes.card(ALICE)
    assert (card.liked, card.pages, card.is_ready) == (6, 6, True)
    request, run = await wall.asked(ALICE, "a boat --p")
    assert (request.taste, request.candidates, request.num_images) == ((("me", 1.0),), 8, 4)
    assert run.taste is not None and run.taste.model == wall.model and likes(run) == [True] * 3


async def test_a_taste_begins_at_five_hearts_and_says_so(wall: Wall) -> None:
    await wall.liked(ALICE, 4)
    _, run = await wall.asked(ALICE, "a boat --p")
    assert run.taste is not None and run.taste.direction == b"" and "your taste has 4" in run.taste.note
    assert "4 of 5" in told(await wall.tastes.card(ALICE))[0]
    assert (await wall.asked(ALICE, "a boat"))[1].taste is None


@pytest.mark.parametrize(("flags", "count"), [("--s 0", 0), ("--s 250", 12), ("--s 900", 16), ("--raw", 8)])
async def test_stylize_and_the_operator_say_how_many_are_drawn(
    tmp_path: Path, flags: str, count: int
) -> None:
    async with open_studio(tmp_path, TASTE_CANDIDATES="16") as opened:
        request = (await opened.drawn(ALICE, f"a boat --p {flags}")).job.request
    assert isinstance(request, ImagineRequest) and request.candidates == count
    assert replace(request, candidates=0).size() in request.size()


async def test_what_a_taste_did_not_choose_is_drawn_by_its_seeds(wall: Wall) -> None:
    await wall.liked(ALICE, 6)
    wall.executor.show = {"watercolor": 3, "line art": 0}
    result, studio = await wall.opened.drawn(ALICE, "a boat --p --seed 50"), wall.opened.studio
    assert "others" in for_job(result.job, result.parameters) and "others" not in for_job(result.job, {})
    new = await studio.from_button(ALICE, result.job.id, "others", 0)
    job = (await studio.submit(ALICE, new)).job
    async for _ in await studio.watch(ALICE, job.id):
        pass
    others = await studio.rights.result(ALICE, job.id, Action.SHOW)
    assert isinstance(job.request, ImagineRequest)
    assert (job.request.taste, job.request.taste_words) == ((), ("watercolor",)), "the same pictures"
    shown = [one.seed for one in (*result.pictures, *others.pictures)]
    assert sorted(shown) == list(range(50, 58)) and "others" not in for_job(others.job, others.parameters)
    with pytest.raises(UserError, match="no others"):
        await studio.from_button(ALICE, job.id, "others", 0)


def test_of_many_others_four_are_drawn_at_once_and_the_rest_later() -> None:
    seeds = tuple(range(7, 15))
    request = ImagineRequest(prompt="a boat", seed=7, seeds=seeds)
    assert left_out(request, {}) == 4 and request.seed_of(3) == 10
    assert left_out(replace(request, seeds=(), candidates=24), {"candidates": 24}) == 20
    assert left_out(replace(request, seeds=(), candidates=24), {}) <= 0, "nothing was chosen"
    assert left_out(replace(request, seeds=(), think=True), {"candidates": 8}) == 0
    for wrong in ((8, 9, 10, 11), (7, 8)):
        with pytest.raises(UserError, match="seeds"):
            replace(request, seeds=wrong)


async def test_words_fill_what_a_prompt_leaves_open(wall: Wall) -> None:
    await wall.liked(ALICE, 6)
    assert (await wall.asked(ALICE, "a boat --p"))[0].taste_words == (), "nobody can tell words now"
    wall.executor.show = {"in the snow": 3, "indoors": 0, "watercolor": 3, "line art": 0}
    card = await wall.tastes.card(ALICE)
    assert card.words == ("in the snow", "watercolor") and card.struck == ()
    assert "You like: in the snow, watercolor." in told(card)
    for text, words in {
        "a boat --p": ("in the snow", "watercolor"),
        "a photo of a boat --p": ("in the snow",),
        "a boat at sea --p": ("watercolor",),
        "a boat --p --sref 5": ("in the snow",),
        "a boat --p --no watercolor": ("in the snow",),
        "ein Boot im Hafen --p": (),
        "a boat --p --raw": (),
        "a boat --p --s 0": (),
        "a boat": (),
    }.items():
        assert (await wall.asked(ALICE, text))[0].taste_words == words, text


async def test_a_word_is_struck_out_and_taken_back(wall: Wall) -> None:
    await wall.liked(ALICE, 6)
    wall.executor.show = {"watercolor": 3, "line art": 0}
    await wall.tastes.strike(ALICE, "watercolor")
    assert (await wall.asked(ALICE, "a boat --p"))[0].taste_words == ()
    card = await wall.tastes.card(ALICE)
    assert (card.words, card.struck) == ((), ("watercolor",))
    await wall.tastes.strike(ALICE, "watercolor", struck=False)
    assert (await wall.asked(ALICE, "a boat --p"))[0].taste_words == ("watercolor",)
    with pytest.raises(UserError, match="no word"):
        await wall.tastes.strike(ALICE, "a red house")
    await wall.tastes.strike(ALICE, "line art")
    await wall.own.change(ALICE, taste=False)
    assert (await wall.own.change(ALICE, taste=True)).not_so == ()


async def test_nothing_is_learned_of_who_says_no(wall: Wall) -> None:
    await wall.liked(ALICE, 6)
    made = await wall.tastes.keep(ALICE)
    await wall.own.change(ALICE, taste=False)
    request, run = await wall.asked(ALICE, f"a boat --p me {made.code}")
    assert (request.taste, request.unsupported, run.taste) == ((), ("--p",), None)
    assert await wall.count(taste_codes) == await wall.count(taste_rows) == 0
    for work in (wall.tastes.card, wall.tastes.keep):
        with pytest.raises(UserError, match="Tastes are off"):
            await work(ALICE)


async def test_nothing_is_learned_where_the_operator_says_no(tmp_path: Path) -> None:
    async with open_studio(tmp_path, TASTE="off") as opened:
        request = (await opened.drawn(ALICE, "a boat --p")).job.request
        assert isinstance(request, ImagineRequest) and request.unsupported == ("--p",)
        with pytest.raises(UserError, match="Tastes are off"):
            await opened.studio.tastes.card(ALICE)


async def test_a_code_is_frozen_and_the_same_pictures_give_the_same_one(wall: Wall) -> None:
    grids = await wall.liked(ALICE, 6)
    first = await wall.tastes.keep(ALICE)
    _, before = await wall.asked(ALICE, f"a boat --p {first.code}")
    more = await wall.heart(await wall.grid(ALICE), ALICE)
    assert (await wall.tastes.keep(ALICE)).code != first.code
    await wall.own.let_go(ALICE, more.job.id, 3)
    assert await wall.tastes.keep(ALICE) == first, "what was taken out brings the old code back"
    await wall.own.let_go(ALICE, grids[0].job.id, 3)
    _, after = await wall.asked(ALICE, f"a boat --p {first.code}")
    assert before.taste == after.taste and likes(after) == [True] * 3


async def test_a_code_is_of_use_to_others_only_where_it_is_shared(wall: Wall) -> None:
    await wall.liked(ALICE, 6)
    hidden = await wall.liked(ALICE, 1, "a red house --stealth")
    own = await wall.tastes.keep(ALICE)
    shared = await wall.tastes.keep(ALICE, shared=True)
    assert (own.left_out, shared.left_out) == (0, 1) and own.code != shared.code
    rows = await wall.database.read(
        lambda c: c.execute(sa.select(taste_rows.c.job_id).where(taste_rows.c.code == shared.code)).all()
    )
    assert hidden[0].job.id not in {row.job_id for row in rows}
    request, run = await wall.asked(BOB, f"a boat --p {shared.code} {own.code}")
    assert request.taste == ((shared.code, 1.0),) and request.unsupported == (f"--p {own.code}",)
    assert likes(run) == [True] * 3
    request, run = await wall.asked(STRANGER, f"a boat --p {shared.code}")
    assert request.taste == () and run.taste is None
    assert [one.code for one in await wall.tastes.codes(BOB)] == [shared.code]
    assert await wall.tastes.codes(STRANGER) == []


async def test_a_code_is_taken_back_by_its_owner_or_a_manager_of_the_server(wall: Wall) -> None:
    await wall.liked(ALICE, 6)
    own, shared = await wall.tastes.keep(ALICE), await wall.tastes.keep(ALICE, shared=True)
    assert own.code == shared.code, "nothing was left out"
    with pytest.raises(NotAllowedError):
        await wall.tastes.take_back(BOB, shared.code)
    with pytest.raises(UserError, match="no such code"):
        await wall.tastes.take_back(STRANGER, shared.code)
    await wall.tastes.take_back(MIRA, shared.code)
    assert await wall.count(taste_rows) == 0
    request, _ = await wall.asked(BOB, f"a boat --p {shared.code}")
    assert request.unsupported == (f"--p {shared.code}",)


async def test_what_was_asked_for_before_a_code_was_taken_back_is_told(wall: Wall) -> None:
    await wall.liked(ALICE, 6)
    code = (await wall.tastes.keep(ALICE, shared=True)).code
    result = await wall.opened.drawn(BOB, f"a boat --p {code}")
    await wall.tastes.take_back(ALICE, code)
    studio = wall.opened.studio
    new = await studio.from_button(BOB, result.job.id, "again", 0)
    assert isinstance(new.request, ImagineRequest) and new.request.taste == ((code, 1.0),)
    job = (await studio.submit(BOB, new)).job
    assert isinstance(job.request, ImagineRequest) and job.request.unsupported == (f"--p {code}",)


async def test_folders_are_tastes_and_weights_act(wall: Wall) -> None:
    grids = [await wall.grid(ALICE) for _ in range(6)]
    folder = await wall.opened.studio.folders.create(ALICE, "Evening Light")
    await wall.opened.studio.folders.put(ALICE, folder.id, [(one.job.id, 3) for one in grids])
    assert await wall.tastes.names(ALICE) == ["me", "evening-light"]
    _, run = await wall.asked(ALICE, "a boat --p evening-light::2")
    assert likes(run) == [True] * 3
    _, less = await wall.asked(ALICE, "a boat --p evening-light::-1")
    assert likes(less) == [False] * 3
    with pytest.raises(UserError, match="no such taste"):
        await wall.tastes.card(BOB, "evening-light")


async def test_a_deleted_picture_leaves_the_bytes_as_if_it_had_never_been_there(wall: Wall) -> None:
    grids = await wall.liked(ALICE, 6)
    never = (await wall.asked(ALICE, f"a boat --p {(await wall.tastes.keep(ALICE)).code}"))[1].taste
    more = await wall.grid(ALICE)
    await wall.own.keep(ALICE, more.job.id, 0)
    code = (await wall.tastes.keep(ALICE)).code
    assert (await wall.asked(ALICE, f"a boat --p {code}"))[1].taste != never
    await wall.opened.studio.delete(ALICE, more.job.id)
    assert (await wall.asked(ALICE, f"a boat --p {code}"))[1].taste == never
    for grid in grids:
        await wall.opened.studio.delete(ALICE, grid.job.id)
    assert await wall.count(taste_rows) == 0


async def test_codes_are_in_the_copy_of_ones_data_and_go_with_the_person(wall: Wall) -> None:
    await wall.liked(ALICE, 6)
    await wall.tastes.keep(ALICE)
    parts = b"".join([part async for part in wall.own.export(ALICE, pictures=False)])
    data = json.loads(zipfile.ZipFile(io.BytesIO(parts)).read("data.json"))
    assert len(data["taste_codes"]) == 1 and len(data["taste_rows"]) == 24
    await wall.own.delete(ALICE)
    assert await wall.count(taste_codes) == await wall.count(taste_rows) == 0


async def test_a_heart_for_anothers_picture_teaches_nothing_of_what_they_passed_over(wall: Wall) -> None:
    for grid in [await wall.grid(BOB) for _ in range(6)]:
        await wall.heart(grid, ALICE)
    card = await wall.tastes.card(ALICE)
    assert (card.liked, card.pages, card.is_ready) == (6, 0, False)


async def test_a_picture_that_somebody_may_see_no_more_teaches_nothing(wall: Wall) -> None:
    await wall.liked(ALICE, 6)
    never = (await wall.asked(ALICE, "a boat --p"))[1].taste
    await wall.heart(await wall.grid(BOB), ALICE)
    assert (await wall.asked(ALICE, "a boat --p"))[1].taste != never
    code = (await wall.tastes.keep(ALICE, shared=True)).code
    wall.servers.shut.add(ALICE.place.channel_id)
    assert (await wall.asked(ALICE, "a boat --p"))[1].taste == never
    assert (await wall.asked(BOB, f"a boat --p {code}"))[1].taste == never, "nor in a code of theirs"
    assert (await wall.tastes.card(ALICE)).liked == 6


async def hung(wall: Wall, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw the first tiles of the wall of styles. What a tile shows is whether its number is even."""
    monkeypatch.setattr("studio.library.wall.vocabulary_of", lambda spec, folder: frozenset())
    services = wall.opened.services
    drawing = WallDrawing(services.database, services.queue, replace(services.settings, wall_seconds=600))

    async def idle() -> bool:
        return not services.queue.unfinished

    hanging = partial(styles.list_tiles, model=services.settings.models["image"])

    async def all_hang() -> bool:
        return len(await wall.database.read(hanging)) == count

    for _ in range(count):
        assert await drawing.ask_for_next()
        await eventually(idle)
    await eventually(all_hang)
    tiles = await wall.database.read(hanging)
    first = await wall.database.read(embeddings.next_place)
    made = [Vector(first + n, one.sha256, vector_of(one.style % 2)) for n, one in enumerate(tiles)]
    await wall.database.write(partial(embeddings.add_vectors, model=wall.model, made=made))


async def test_what_is_liked_alone_has_words_beside_the_wall(
    wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studio.tastes.FEWEST_USUAL", 12)
    wall.executor.show = {"watercolor": 3, "line art": 0, "pixel art": 1}
    await hung(wall, 12, monkeypatch)
    for count in range(6):
        if count == 4:
            assert (await wall.tastes.card(ALICE)).words == (), "four are too few"
        await wall.own.keep(ALICE, (await wall.grid(BOB)).job.id, 3)
    card = await wall.tastes.card(ALICE)
    assert (card.words, card.passed, card.is_ready) == (("watercolor",), (), False)
    assert "You like: watercolor." in told(card)
    request, run = await wall.asked(ALICE, "a boat --p")
    assert request.taste_words == ("watercolor",)
    assert run.taste is not None and run.taste.direction == b"" and "chose nothing" in run.taste.note
    monkeypatch.setattr("studio.tastes.FEWEST_USUAL", 13)
    assert (await wall.tastes.card(ALICE)).words == (), "too little is there to compare with"
    _, run = await wall.asked(ALICE, "a boat --p")
    assert run.taste is not None and "your taste has 0" in run.taste.note


async def test_pages_of_nine_teach_once_and_are_forgotten(
    wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hung(wall, 6 * NINE + 2, monkeypatch)
    seen = set[int]()
    for _ in range(6):
        page = await wall.tastes.next_page(ALICE)
        assert page is not None and len(page.styles) == NINE and seen.isdisjoint(page.styles)
        assert len({medium for medium, _palette, _light in page.styles.values()}) >= 5, "all are shown alike"
        seen |= page.styles.keys()
        even = [style for style in page.styles if style % 2 == 0]
        odd = [style for style in page.styles if style % 2]
        for liked, passed in ((odd, even), (even, odd), (even, odd)):  # the last is what they say
            await wall.tastes.rate(ALICE, page.page, liked, passed)
    assert await wall.tastes.next_page(ALICE) is None
    assert await wall.count(taste_choices) == 6 * NINE
    card = await wall.tastes.card(ALICE)
    assert card.is_ready and card.liked == sum(style % 2 == 0 for style in seen)
    _, run = await wall.asked(ALICE, "a boat --p")
    assert run.taste is not None
    direction = np.frombuffer(run.taste.direction, "<f4")
    assert direction[0] > direction[1]
    code = (await wall.tastes.keep(ALICE, shared=True)).code
    assert (await wall.asked(BOB, f"a boat --p {code}"))[1].taste == run.taste, "as they were, page by page"
    with pytest.raises(UserError, match="any more"):
        await wall.tastes.rate(ALICE, "0" * 16, [4_000_000_000], [])
    await wall.own.change(ALICE, taste=False)
    assert await wall.count(taste_choices) == 0
    with pytest.raises(UserError, match="off"):
        await wall.tastes.next_page(ALICE)
    with pytest.raises(UserError, match="off"):
        await wall.tastes.rate(ALICE, page.page, [], [*page.styles])


async def test_what_was_rated_goes_with_the_picture_and_the_person(
    wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    await wall.liked(ALICE, 6)
    never = (await wall.asked(ALICE, "a boat --p"))[1].taste
    await hung(wall, NINE + 1, monkeypatch)
    page = await wall.tastes.next_page(ALICE)
    assert page is not None
    first, *rest = page.styles
    await wall.tastes.rate(ALICE, page.page, [], [first, *rest])
    refused = (await wall.asked(ALICE, "a boat --p"))[1].taste
    assert refused != never, '"none of these" teaches, too'
    await wall.tastes.rate(ALICE, page.page, [first], rest)
    assert (await wall.asked(ALICE, "a boat --p"))[1].taste not in (never, refused)
    parts = b"".join([part async for part in wall.own.export(ALICE, pictures=False)])
    data = json.loads(zipfile.ZipFile(io.BytesIO(parts)).read("data.json"))
    assert len(data["taste_choices"]) == NINE
    jobs = sa.select(schema.style_tiles.c.job_id)
    gone = await wall.database.read(lambda c: list(c.scalars(jobs)))
    await wall.database.write(lambda c: privacy.delete_jobs(c, gone, now=datetime.now(UTC)) and None)
    assert await wall.count(taste_choices) == 0
    assert (await wall.asked(ALICE, "a boat --p"))[1].taste == never, "the same bytes"
    await wall.own.delete(ALICE)
