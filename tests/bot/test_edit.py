"""/edit and the button Edit by words: a job like every other."""

from collections.abc import AsyncIterator

import pytest

from core.requests import EditRequest, VariationRequest
from studio.media import provenance
from tests.bot.conftest import Studio, open_studio
from tests.bot.test_presses import job_of
from tests.support.messages import actions_of, names_of, rows_of, text_of

EDITOR = "owner/kontext"


@pytest.fixture
async def edits(tmp_path) -> AsyncIterator[Studio]:
    async with open_studio(tmp_path, EDIT_MODEL=EDITOR, IMAGE_MODELS=f"v6=owner/v6,kx={EDITOR}") as studio:
        yield studio


def labels(message) -> list[str]:
    return names_of(message)


def whispers(result) -> str:
    return " ".join(text_of(m) for m in result.followups if m.ephemeral)


async def test_of_an_attached_picture(edits: Studio, picture) -> None:
    await edits.alice.slash(edits.channel, "edit", prompt="make it blue --seed 5", image=picture)
    message = edits.last()
    job = await job_of(edits, message)
    assert isinstance(job.request, EditRequest) and job.parent_id is None and job.request.seed == 5
    assert (job.request.prompt, job.request.about) == ("make it blue", "")
    assert (job.request.num_images, job.request.images, job.request.unsupported) == (1, (), ())
    assert job.request.model_or_role() == "edit"
    assert f"**make it blue** - Edit by words by <@{edits.alice.id}> (fast)" in text_of(message)
    assert provenance.EXTENDED.encode() in await message.attachments[0].read()


async def test_the_button_opens_a_window_whose_words_change_the_picture(edits: Studio) -> None:
    await edits.alice.slash(edits.channel, "imagine", prompt="a boat --seed 20 --model v6")
    await edits.alice.click(edits.last(), label="U3")
    single = edits.last()
    assert "Words" in labels(single) and "classify" in actions_of(single)
    assert all(len(row) <= 5 for row in rows_of(single))
    await edits.restart()
    opened = await edits.bob.click(single, label="Words")
    assert opened.modal["title"] == "Edit by words"
    await edits.bob.submit_modal(opened, {"prompt": "add a star"})
    job = await job_of(edits, edits.last())
    assert job.origin.user_id == edits.bob.id and job.parent_index == 2
    assert (job.request.prompt, job.request.about, job.request.model) == ("add a star", "a boat", None)


async def test_what_is_drawn_from_an_edited_picture_has_words_for_what_it_shows(edits: Studio) -> None:
    await edits.alice.slash(edits.channel, "imagine", prompt="a boat")
    await edits.alice.slash(edits.channel, "edit", prompt="make it blue --n 4")
    await edits.alice.click(edits.last(), label="V1")
    job = await job_of(edits, edits.last())
    assert isinstance(job.request, VariationRequest) and job.request.prompt == "a boat, make it blue"
    await edits.alice.slash(edits.channel, "edit", prompt="at night", source=f"{job.parent_id} 1")
    job = await job_of(edits, edits.last())
    assert (job.request.prompt, job.request.about) == ("at night", "a boat, make it blue")


async def test_a_change_takes_up_to_four_pictures(edits: Studio, picture) -> None:
    await edits.alice.slash(edits.channel, "imagine", prompt="a boat --stealth")
    made = (await edits.members.recent(edits.alice.id))[0]
    given = {"prompt": "put the boat of <2> next to the house --n 2", "image": picture}
    await edits.alice.slash(edits.channel, "edit", **given, source=f"{made.id} 1, {made.id} 2")
    job = (await edits.members.recent(edits.alice.id))[0]
    assert job.request.prompt == "put the boat of picture 2 next to the house"
    assert len(job.request.images) == 2 and job.request.num_images == 2
    assert job.origin.private, "one of its pictures is"
    many = ", ".join(f"{made.id} {n}" for n in (1, 2, 3, 4))
    refused = await edits.alice.slash(edits.channel, "edit", **given, source=many)
    assert "There are 5 pictures; a change takes up to 4." in text_of(refused.response)
    theirs = await edits.bob.slash(edits.channel, "edit", **given, source=f"{made.id} 1")
    assert "is private and belongs to somebody else" in whispers(theirs)


async def test_edit_at_the_end_of_a_prompt_makes_it_a_change(edits: Studio, picture) -> None:
    await edits.alice.slash(
        edits.channel, "imagine", prompt="make it blue --edit <1> --seed 3", image=picture
    )
    job = (await edits.members.recent(edits.alice.id))[0]
    assert isinstance(job.request, EditRequest) and job.request.image
    assert (job.request.prompt, job.request.seed, job.request.num_images) == ("make it blue", 3, 1)
    for flag, why in (("--tile", "has its own edges"), ("--video", "then animate it"), ("--oref <1>", "say")):
        text = f"make it blue --edit <1> {flag}"
        refused = await edits.alice.slash(edits.channel, "imagine", prompt=text, image=picture)
        assert why in text_of(refused.response), flag


async def test_another_model_is_refused_before_the_queue(edits: Studio, picture) -> None:
    result = await edits.alice.slash(edits.channel, "edit", prompt="at night --model v6", image=picture)
    assert "`model` is `v6`, which isn't this studio's model for edits; name `kx`, or none." in whispers(
        result
    )
    assert await edits.members.recent(edits.alice.id) == []
    await edits.alice.slash(edits.channel, "edit", prompt="at night --model kx", image=picture)
    assert (await edits.members.recent(edits.alice.id))[0].request.model == "kx"


async def test_without_an_editor_it_is_refused_and_there_is_no_button(tmp_path, picture) -> None:
    async with open_studio(tmp_path, IMAGE_MODEL="owner/sd") as studio:
        result = await studio.alice.slash(studio.channel, "edit", prompt="make it blue", image=picture)
        told = whispers(result)
        assert "Editing by words isn't set up here" in told and "FLUX.1 Kontext" in told
        assert await studio.members.recent(studio.alice.id) == []
        await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
        await studio.alice.click(studio.last(), label="U1")
        assert "Edit by words" not in labels(studio.last())


async def test_what_is_edited_from_something_private_is_private_and_is_deleted(edits: Studio) -> None:
    await edits.alice.slash(edits.channel, "imagine", prompt="a boat --stealth")
    made = (await edits.members.recent(edits.alice.id))[0]
    await edits.alice.slash(edits.channel, "edit", prompt="at night", source=f"{made.id} 1")
    job = (await edits.members.recent(edits.alice.id))[0]
    assert job.origin.private and job.request.kind == "edit"
    refused = await edits.bob.slash(edits.channel, "edit", prompt="by day", source=f"{job.id} 1")
    assert "is private and belongs to somebody else" in whispers(refused)
    await edits.built.privacy.delete(edits.alice.id)
    assert (await edits.built.privacy.holdings(edits.alice.id)).jobs == 0


async def test_words_that_a_rule_forbids_are_refused(tmp_path, picture) -> None:
    async with open_studio(tmp_path, MODERATION="standard", EDIT_MODEL=EDITOR) as strict:
        result = await strict.alice.slash(strict.channel, "edit", prompt="make her nude", image=picture)
        assert "sexual content" in whispers(result)
        assert strict.channel.history() == []


async def test_every_row_has_room_beside_videos_and_links(tmp_path) -> None:
    web = {"WEB_PORT": "8080", "PUBLIC_URL": "https://studio.example"}
    async with open_studio(tmp_path, EDIT_MODEL=EDITOR, **web) as studio:
        await studio.alice.slash(studio.channel, "imagine", prompt="a red house --ar 3:2")
        await studio.alice.click(studio.last(), label="U1")
        rows = rows_of(studio.last())
        assert all(len(row) <= 5 for row in rows) and len(rows) == 6
        assert {"Edit", "Words"} <= {*labels(studio.last())}
