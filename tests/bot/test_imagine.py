"""/imagine and the buttons under its picture, as members use them."""

import io
from types import SimpleNamespace

import discord
import pytest
from PIL import Image

from bot.discord_api.interactions import ACKNOWLEDGED
from bot.ui.replies import UNEXPECTED_BESIDE
from core.errors import StorageError
from studio.authority import Place
from tests.bot.conftest import Studio, open_studio, png
from tests.bot.test_presses import custom_id
from tests.support.messages import act, names_of, text_of


async def test_imagine_brings_a_grid_with_its_parameters_and_buttons(studio: Studio) -> None:
    result = await studio.alice.slash(studio.channel, "imagine", prompt="a red house --seed 5 --ar 3:2")
    message = studio.last()
    assert result.acknowledged and not result.ephemeral
    assert "**a red house --ar 3:2**" in text_of(message) and "seed 5" in text_of(message)
    assert f"<@{studio.alice.id}>" in text_of(message)
    assert [a.filename.split(".")[-1] for a in message.attachments] == ["png"] * 4
    assert names_of(message) == ["U1", "U2", "U3", "U4", "🔄", "V1", "V2", "V3", "V4"]


async def test_one_request_is_one_message(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a house")
    own = [m for m in studio.channel.history() if m.attachments]
    assert len(own) == 1


async def test_u_sends_that_picture_alone_without_a_job(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a house --seed 10")
    grid = studio.last()
    before = (await studio.built.queue.snapshot()).total_waiting
    await studio.alice.click(grid, label="U3")
    single = studio.last()
    assert single.id != grid.id and "Image #3" in text_of(single) and "seed 12" in text_of(single)
    colour = Image.open(io.BytesIO(await single.attachments[0].read())).getpixel((5, 5))
    assert colour == ((12 * 37) % 256, (12 * 91) % 256, 120)
    assert (await studio.built.queue.snapshot()).total_waiting == before


async def test_v_makes_variations_with_the_pictures_own_words(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a green boat --seed 100 --cfg 4")
    grid = studio.last()
    await studio.bob.click(grid, label="V2")
    child = studio.last()
    assert "Variations (Strong)" in text_of(child) and "a green boat" in text_of(child)
    assert f"<@{studio.bob.id}>" in text_of(child)
    assert "seed 105" in text_of(child)  # picture 2 has seed 101; its first children count on from there
    job, _ = await studio.built.queue.job_of_message(child.id)
    parent, _ = await studio.built.queue.job_of_message(grid.id)
    assert (job.parent_id, job.parent_index) == (parent.id, 1)


async def test_a_second_press_of_v_gives_other_pictures(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat --seed 100")
    grid = studio.last()
    await studio.alice.click(grid, label="V1")
    first = studio.last()
    await studio.alice.click(grid, label="V1")
    second = studio.last()
    assert "seed 104" in text_of(first) and "seed 108" in text_of(second)


async def test_reroll_keeps_the_words_and_changes_the_seed(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat --seed 3")
    grid = studio.last()
    await studio.alice.click(grid, custom_id=custom_id(grid, "again"))
    again = studio.last()
    assert again.id != grid.id and "**a boat**" in text_of(again) and "seed 3 " not in text_of(again)


async def test_every_button_of_an_old_message_works_after_a_restart(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat --seed 3")
    grid = studio.last()
    await studio.restart()
    await studio.alice.click(grid, label="U1")
    single = studio.last()
    assert "Image #1" in text_of(single)
    for action in ("subtle", "strong", "again", "zoom15", "zoom20", "left", "right", "up", "down", "cutout"):
        before = studio.last().id
        await act(studio.alice, single, action)
        assert studio.last().id != before, action
        assert "❌" not in text_of(studio.last()), text_of(studio.last())


async def test_a_picture_to_start_from_is_taken(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat --strength 0.5", image=picture)
    job, _ = await studio.built.queue.job_of_message(studio.last().id)
    assert job.request.image and job.request.strength == 0.5


async def test_settings_that_come_too_late_keep_the_answer_private(studio: Studio, monkeypatch) -> None:
    for module in ("bot.submit", "studio.languages"):  # which read them first, with the language
        monkeypatch.setattr(f"{module}.PATIENCE", 0.0)
    result = await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    assert result.ephemeral and studio.channel.history() == []


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("--seed 5", "empty"),
        ("a --sede 5", "Did you mean `--seed`"),
        ("a --ar 1:19", "14:1"),
        ("x " * 3000, "4,000"),
        ("a --strength 0.4", "attach"),
    ],
)
async def test_a_wrong_prompt_gets_a_sentence_only_its_author_sees(studio: Studio, prompt, words) -> None:
    result = await studio.alice.slash(studio.channel, "imagine", prompt=prompt)
    assert result.ephemeral and words in text_of(result.response)
    assert studio.channel.history() == []


async def test_a_failure_is_told_and_can_be_tried_again(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a broken boat")
    message = studio.last()
    assert "❌ The model can't draw that." in text_of(message)
    await studio.alice.click(message, custom_id=custom_id(message, "again"))
    assert studio.last().id != message.id


async def test_words_cannot_ping_or_format(studio: Studio) -> None:
    await studio.alice.slash(
        studio.channel, "imagine", prompt=f"@everyone **x** <@{studio.bob.id}> `y` \u202eabc"
    )
    message = studio.last()
    assert not message.mention_everyone and studio.bob.id not in [u.id for u in message.mentions]
    assert "\u202e" not in text_of(message) and "\\*\\*x" in text_of(message)


async def test_progress_is_shown_and_dropped_when_it_comes_too_fast(studio: Studio) -> None:
    result = await studio.alice.slash(studio.channel, "imagine", prompt="a slow boat")
    edits = [
        entry for entry in studio.env.http_requests if entry.method == "PATCH" and "/webhooks/" in entry.path
    ]
    assert 2 <= len(edits) <= 6  # 2 s of steps every 50 ms: not forty edits
    assert result.acknowledged


async def test_a_picture_too_large_for_discord_is_sent_smaller_and_says_so(tmp_path) -> None:
    async with open_studio(tmp_path) as studio:
        await studio.alice.slash(studio.channel, "imagine", prompt="a huge boat")
        grid = studio.last()
        job, _ = await studio.built.queue.job_of_message(grid.id)
        result = await studio.built.queue.result(job.id)
        here = Place(job.origin.guild_id, job.origin.channel_id)
        post = await studio.bot.posts.single(result, 0, studio.alice.id, 1_000_000, here)
        assert len(post.media[0].data) <= 1_000_000 and not post.media[0].name.endswith(".png")
        assert "Sent as" in post.text
        post = await studio.bot.posts.single(result, 0, studio.alice.id, 10_000_000, here)
        assert post.media[0].name.endswith(".png") and "Sent as" not in post.text


async def test_recent_prompts_are_offered_in_an_empty_field_only(studio: Studio) -> None:
    """Free words are sent as they stand: Enter would pick what is offered instead."""
    await studio.alice.slash(studio.channel, "imagine", prompt="a purple elephant")
    offered = await studio.alice.autocomplete(studio.channel, "imagine", "prompt", "")
    assert "a purple elephant" in [choice["value"] for choice in offered]
    others = await studio.bob.autocomplete(studio.channel, "imagine", "prompt", "")
    assert "a purple elephant" not in [choice["value"] for choice in others]
    for typed in ("a purple", "a purple elephant", "a red house in the snow"):
        assert await studio.alice.autocomplete(studio.channel, "imagine", "prompt", typed) == []


async def test_the_demo_models_are_explained_once_to_each_member(studio: Studio) -> None:
    first = await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    second = await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    other = await studio.bob.slash(studio.channel, "imagine", prompt="a boat")
    told = [
        [m for m in result.followups if "demo models" in text_of(m) and m.ephemeral]
        for result in (first, second, other)
    ]
    assert [len(hints) for hints in told] == [1, 0, 1]
    assert len([m for m in studio.channel.history() if m.attachments]) == 3


async def test_what_fails_beside_a_queued_job_leaves_its_message_alone(studio: Studio, monkeypatch) -> None:
    async def failing(self: object, actor: object, text: str) -> str:
        raise StorageError("the database failed: locked")

    monkeypatch.setattr("studio.account.Own.hint", failing)
    result = await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    [shown] = studio.channel.history()
    assert shown.attachments and "job " in text_of(shown)
    assert [text_of(m) for m in result.followups] == [UNEXPECTED_BESIDE]


async def test_a_name_that_cannot_be_noted_costs_no_job(studio: Studio, monkeypatch) -> None:
    def failing(connection: object, **_: object) -> None:
        raise StorageError("the database failed: disk I/O error")

    monkeypatch.setattr("storage.people.user_seen", failing)
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    [shown] = studio.channel.history()
    assert shown.attachments and "job " in text_of(shown)


@pytest.mark.parametrize(
    ("alone", "prompt", "everybody_sees_it"),
    [(True, "a boat", True), (True, "a boat --stealth", False), (False, "a boat --stealth", False)],
)
async def test_who_sees_a_result_doesnt_depend_on_what_an_earlier_process_acknowledged(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, alone: bool, prompt: str, everybody_sees_it: bool
) -> None:
    """It was killed then, and may not have known the asker's settings in time."""
    plain = discord.InteractionResponse.defer

    async def defer(response: discord.InteractionResponse, **_: bool) -> None:
        await plain(response, thinking=True, ephemeral=alone)
        response._response_type = None
        refused = SimpleNamespace(status=400, reason="Bad Request")
        raise discord.HTTPException(refused, {"code": ACKNOWLEDGED, "message": "acknowledged already"})

    monkeypatch.setattr(discord.InteractionResponse, "defer", defer)
    delivered: list[tuple[bool, str]] = []
    studio.hooks.delivered.append(lambda job, rung: delivered.append((job.origin.private, rung)))
    await studio.alice.slash(studio.channel, "imagine", prompt=prompt)
    drawn = [m for m in studio.channel.history() if m.attachments]
    assert len(drawn) == everybody_sees_it
    assert delivered == [(not everybody_sees_it, "edit" if alone or everybody_sees_it else "dm")]


async def test_it_works_in_a_dm(studio: Studio) -> None:
    user = studio.env.create_user("dora")
    await user.slash("imagine", prompt="a boat")
    assert user.dm_channel.history()[-1].attachments


def test_the_helper_makes_real_pictures() -> None:
    assert Image.open(io.BytesIO(png())).size == (64, 48)
