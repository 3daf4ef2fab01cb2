"""/cutout and the buttons Cut out: a job like every other."""

from core.requests import CutOutRequest
from studio.media import provenance
from tests.bot.conftest import Studio, open_studio, png
from tests.bot.test_presses import job_of
from tests.support.messages import act, names_of, rows_of, text_of


async def test_of_an_attached_picture(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "cutout", image=picture)
    message = studio.last()
    job = await job_of(studio, message)
    assert isinstance(job.request, CutOutRequest) and job.parent_id is None
    assert f"Cut out by <@{studio.alice.id}> (fast)" in text_of(message) and message.attachments
    data = await message.attachments[0].read()
    assert b"DigitalSourceType" not in data  # no model made any of its pixels


async def test_of_ones_last_picture_and_of_a_button(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat --seed 20 --model v6")
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat --seed 20")
    grid = studio.last()
    await studio.alice.slash(studio.channel, "cutout")
    job = await job_of(studio, studio.last())
    assert (job.request.prompt, job.parent_index, job.request.model_or_role()) == ("a boat", 0, "cutout")
    await studio.alice.click(grid, label="U3")
    await act(studio.bob, studio.last(), "cutout")
    job = await job_of(studio, studio.last())
    assert "**a boat** - Cut out by" in text_of(studio.last()) and job.parent_index == 2
    assert job.origin.user_id == studio.bob.id
    assert provenance.MADE.encode() in await studio.last().attachments[0].read()


async def test_of_a_picture_in_a_direct_message(studio: Studio) -> None:
    dora = studio.newcomer()
    await studio.send_dm(dora, "", ("a.png", png()))
    await dora.click(studio.last(dora.dm_channel), label="Cut out")
    assert "Cut out by" in text_of(studio.last(dora.dm_channel))


async def test_what_is_cut_out_of_something_private_is_private_and_deleted(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat --stealth")
    made = (await studio.members.recent(studio.alice.id))[0]
    await studio.alice.slash(studio.channel, "cutout", source=f"{made.id} 1")
    job = (await studio.members.recent(studio.alice.id))[0]
    assert job.origin.private and job.request.kind == "cutout"
    refused = await studio.bob.slash(studio.channel, "cutout", source=f"{job.id} 1")
    assert ("is private and belongs to somebody else") in [
        text_of(m) for m in refused.followups if m.ephemeral
    ][-1]
    await studio.built.privacy.delete(studio.alice.id)
    assert (await studio.built.privacy.holdings(studio.alice.id)).jobs == 0


async def test_the_link_to_the_editor_goes_before(tmp_path) -> None:
    async with open_studio(tmp_path, WEB_PORT="8080", PUBLIC_URL="https://studio.example") as studio:
        await studio.alice.slash(studio.channel, "imagine", prompt="a red house --ar 3:2")
        await studio.alice.click(studio.last(), label="U1")
        assert "Edit" in names_of(studio.last())
        assert all(len(row) <= 5 for row in rows_of(studio.last()))


async def test_a_result_says_who_read_it(studio: Studio, picture) -> None:
    from bot.ui import messages

    await studio.alice.slash(studio.channel, "classify", image=picture)
    job = await job_of(studio, studio.last())
    told = {"model": "efficientnet_lite0", "knows": "photographs", "notes": ["*No* network."]}
    text = messages.classified(job, [("cat", 0.5)], told)
    assert "Read by the model for photographs · job" in text
    assert text.endswith("\n-# \\*No\\* network.")
    assert "Read by" not in messages.classified(job, [("cat", 0.5)], {"model": "vit"})
    await studio.alice.slash(studio.channel, "describe", image=picture)
    job = await job_of(studio, studio.last())
    text = messages.described(job, ["a cat"], None, told)
    assert "Read by the model for photographs · job" in text and "network" in text
    assert "Read by" not in messages.described(job, ["a cat"], None, {"model": "captioner"})
