"""Projects as wholes: names, limits, rights, label books, and what a card says."""

from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import LimitError, NotAllowedError, UserError
from core.job import Surface
from storage.projects.projects import Project
from studio.authority import Actor
from tests.studio.conftest import ALICE, BOB, MIRA, open_studio
from tests.studio.projects.conftest import ALONE, World

STRANGER = Actor(7, 20, 200)


async def test_a_new_inspection_knows_good_parts_and_lets_members_ask_its_model(world: World) -> None:
    made = await world.projects.new(ALICE, "  boards ")
    card = await world.projects.card(BOB, "Boards")
    assert (made.name, made.task, made.guild_id) == ("boards", "anomaly", ALICE.guild_id)
    assert [label.name for label in card.book] == ["good"]
    assert card.may == {"use"} and (await world.projects.card(MIRA, made.id)).may > {"manage"}
    assert card.advice == "No good picture yet: one is enough to begin with, and 20 are better."


async def test_a_project_of_ones_own_is_nobody_elses(world: World) -> None:
    made = await world.projects.new(ALONE, "secret")
    assert made.guild_id is None
    assert [one.id for one in await world.projects.all(ALICE)] == [made.id], "wherever she is"
    for other in (BOB, MIRA, STRANGER):
        assert await world.projects.all(other) == []
        with pytest.raises(UserError, match="no such project"):
            await world.projects.card(other, made.id)
    with pytest.raises(UserError, match="private to you"):
        await world.projects.share(ALICE, "secret", 0, ["use"])


@pytest.mark.parametrize("name", ["", "   ", "x" * 41, "../etc", "<@5>", "a\nb/c", "@everyone"])
async def test_a_name_that_could_be_something_else_is_refused(world: World, name: str) -> None:
    with pytest.raises(UserError, match="letters, digits"):
        await world.projects.new(ALICE, name)


async def test_names_are_taken_once_in_a_server_and_once_by_a_person(world: World) -> None:
    await world.projects.new(ALICE, "boards")
    with pytest.raises(UserError, match="called boards already"):
        await world.projects.new(BOB, "boards")
    await world.projects.new(BOB, "caps")
    with pytest.raises(UserError, match="called boards already"):
        await world.projects.rename(BOB, "caps", "boards")
    assert (await world.projects.new(BOB, "boards", shared=False)).guild_id is None
    assert (await world.projects.card(BOB, "boards")).project.guild_id is None, "one's own comes first"
    assert (await world.projects.rename(BOB, "caps", "lids")).name == "lids"


async def test_a_server_and_a_person_have_so_many_projects_and_no_more(tmp_path: Path) -> None:
    async with open_studio(tmp_path, PROJECTS_PER_SERVER="2", PROJECTS_PER_PERSON="1") as opened:
        shelf = opened.studio.projects
        await shelf.new(ALICE, "one")
        await shelf.new(BOB, "two")
        with pytest.raises(LimitError, match="This server has 2 projects, which is the limit"):
            await shelf.new(ALICE, "three")
        await shelf.new(ALONE, "mine")
        with pytest.raises(LimitError, match="You have 1 projects"):
            await shelf.new(ALONE, "another")
        await shelf.forget(ALICE, "one")
        await shelf.new(ALICE, "three")


async def test_rights_are_given_to_roles_and_taken_back(world: World, boards: Project) -> None:
    shelf, worker = world.projects, replace(BOB, roles=(77,))
    with pytest.raises(NotAllowedError, match="train the model"):
        await world.training.train(worker, "boards")
    await shelf.share(ALICE, "boards", 77, ["add", "train"])
    assert (await shelf.card(worker, "boards")).may == {"use", "add", "train"}
    assert (await shelf.card(BOB, "boards")).may == {"use"}, "who has not that role"
    await shelf.share(ALICE, "boards", 77, [])
    await shelf.share(MIRA, "boards", 0, [])
    with pytest.raises(UserError, match="no such project"):
        await shelf.card(worker, "boards")
    await shelf.share(ALICE, "boards", 0, ["use"])
    with pytest.raises(UserError, match=r"no right 'own'.*add, label, train, use, export"):
        await shelf.share(ALICE, "boards", 77, ["own"])
    with pytest.raises(NotAllowedError, match="owner, or somebody with Manage Server"):
        await shelf.share(worker, "boards", 0, ["export"])


async def test_a_server_s_project_is_not_there_in_another_server(world: World, boards: Project) -> None:
    abroad = replace(ALICE, guild_id=20, channel_id=200)
    assert await world.projects.all(abroad) == []
    for name in ("boards", boards.id):
        with pytest.raises(UserError, match="no such project"):
            await world.projects.card(abroad, name)


async def test_on_the_web_nobody_is_in_a_server_that_does_not_know_them(
    world: World, boards: Project
) -> None:
    web = Actor(STRANGER.user_id, None, 0, surface=Surface.WEB)
    with pytest.raises(UserError, match="no such project"):
        await world.projects.card(web, boards.id)


async def test_a_label_that_goes_takes_its_word_along_or_gives_it_another(
    world: World, boards: Project
) -> None:
    await world.projects.put_label(ALICE, "boards", "dent")
    book = await world.projects.drop_label(ALICE, "boards", "scratch", "dent")
    assert [label.name for label in book] == ["good", "dent"]
    assert (await world.projects.card(ALICE, "boards")).counts.labels == {"dent": 2, "good": 5}
    await world.projects.drop_label(ALICE, "boards", "dent")
    assert (await world.projects.card(ALICE, "boards")).counts.states == {"labelled": 5, "new": 2}
    with pytest.raises(UserError, match="needs the label 'good'"):
        await world.projects.drop_label(ALICE, "boards", "good")
    with pytest.raises(UserError, match="no label 'gone'"):
        await world.projects.drop_label(ALICE, "boards", "good", "gone")


async def test_a_book_takes_25_labels_of_300_characters(world: World, boards: Project) -> None:
    for number in range(23):
        await world.projects.put_label(ALICE, "boards", f"kind {number}")
    with pytest.raises(LimitError, match="25 labels; this would be number 26"):
        await world.projects.put_label(ALICE, "boards", "one more")
    with pytest.raises(UserError, match="300 characters; this has 301"):
        await world.projects.put_label(ALICE, "boards", "scratch", "x" * 301)


async def test_a_rule_of_the_server_holds_for_names_and_labels(world: World, boards: Project) -> None:
    await world.studio.server.add_word(MIRA, "clown")
    for work in (
        world.projects.new(ALICE, "clown"),
        world.projects.rename(ALICE, "boards", "a clown"),
        world.projects.put_label(ALICE, "boards", "clown"),
        world.projects.put_label(ALICE, "boards", "scratch", "like a clown"),
    ):
        with pytest.raises(UserError, match="rule here"):
            await work


async def test_who_is_banned_may_forget_their_project_and_nothing_else(world: World) -> None:
    await world.projects.new(BOB, "caps")
    await world.studio.server.ban(MIRA, BOB.user_id)
    with pytest.raises(NotAllowedError, match="blocked you"):
        await world.projects.rename(BOB, "caps", "lids")
    await world.projects.forget(BOB, "caps")
    assert await world.projects.all(MIRA) == []
