"""Sets, own options, settings, privacy, reactions and message menus, as members use them."""

import asyncio

import discord
import pytest

from bot.ui.buttons import SettingButton
from core.errors import StorageError
from core.profiles import DEMO
from studio.library.gallery import Looked
from tests.bot.conftest import Studio, open_studio
from tests.bot.test_presses import job_of, press, single
from tests.support.messages import items_of, text_of
from web.views import describe_job


def said(result):
    return (result.followups or [result.response])[-1]


async def test_sets_ask_first_and_then_make_every_job(studio: Studio) -> None:
    asked = await studio.alice.slash(studio.channel, "imagine", prompt="a {red, blue} {house, boat} --ar 3:2")
    question = said(asked)
    assert asked.ephemeral and "**4 jobs**" in text_of(question) and studio.channel.history() == []
    await studio.alice.click(question, label="Yes, 4 jobs")
    prompts = sorted(text_of(m).split("**")[1] for m in studio.channel.history() if m.attachments)
    assert prompts == [
        f"a {colour} {obj} --ar 3:2" for colour in ("blue", "red") for obj in ("boat", "house")
    ]
    made = await studio.members.recent(studio.alice.id)
    [row] = {describe_job(Looked(job), studio.alice.id)["set"] for job in made}
    assert row is not None, "all of them are a row on Create"


async def test_no_makes_none_and_repeats_are_counted(studio: Studio) -> None:
    asked = await studio.alice.slash(studio.channel, "imagine", prompt="a house --r 3")
    await studio.alice.click(said(asked), label="No")
    assert studio.channel.history() == []
    asked = await studio.alice.slash(studio.channel, "imagine", prompt="a house --r 3 --seed 8")
    assert "**3 jobs**" in text_of(said(asked))
    assert "a house --seed 8 (3 times)" in text_of(said(asked)).replace("\\", "")
    await studio.restart()
    await studio.alice.click(said(asked), label="Yes, 3 jobs")
    seeds = sorted([(await job_of(studio, m)).request.seed for m in studio.channel.history()])
    assert seeds == [8, 12, 16]


async def test_too_many_are_refused_at_once(studio: Studio) -> None:
    result = await studio.alice.slash(studio.channel, "imagine", prompt="{a,b}" * 700)
    assert result.ephemeral and "the limit is 40" in text_of(result.response)


async def test_attached_pictures_can_be_named(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat --sref <1>::2", image=picture)
    request = (await job_of(studio, studio.last())).request
    assert len(request.style_references) == 1 and request.style_references[0][1] == 2
    assert not request.image_prompts
    assert "--sref <1>::2" in text_of(studio.last()).replace("\\", "") and "--sref" in text_of(studio.last())
    result = await studio.alice.slash(studio.channel, "imagine", prompt="<2> a boat", image=picture)
    assert "no picture" in text_of(said(result))


@pytest.mark.parametrize(
    "link",
    [
        "https://example.com/a.png",
        "http://169.254.169.254/latest/a.png",
        "https://cdn.discordapp.com.evil.org/a.png",
    ],
)
async def test_links_lead_nowhere_but_to_discord(studio: Studio, link: str) -> None:
    result = await studio.alice.slash(studio.channel, "imagine", prompt=f"{link} a boat")
    assert "Discord's own" in text_of(said(result))
    assert not [m for m in studio.channel.history() if m.attachments]


async def test_a_link_to_an_attachment_or_a_message_is_a_picture(studio: Studio) -> None:
    message = await single(studio)
    await studio.alice.slash(studio.channel, "imagine", prompt=f"{message.attachments[0].url} a cat")
    assert len((await job_of(studio, studio.last())).request.image_prompts) == 1
    link = f"https://discord.com/channels/{studio.guild.id}/{studio.channel.id}/{message.id}"
    await studio.alice.slash(studio.channel, "imagine", prompt=f"{link} a cat --iw 2")
    request = (await job_of(studio, studio.last())).request
    assert len(request.image_prompts) == 1 and request.image_weight == 2 and request.image is None


async def test_own_options_and_a_suffix_fill_in(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "prefer option set", option="mine", value="at night --s 250")
    await studio.alice.slash(studio.channel, "prefer suffix", new_value="--ar 3:2 --no people")
    assert "`--mine`" in text_of(said(await studio.alice.slash(studio.channel, "prefer option list")))
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat --mine")
    assert "**a boat at night --ar 3:2 --no people --stylize 250**" in text_of(studio.last())
    await studio.alice.slash(studio.channel, "prefer option set", option="mine")
    result = await studio.alice.slash(studio.channel, "imagine", prompt="a boat --mine")
    assert "no `--mine`" in text_of(said(result))
    result = await studio.bob.slash(studio.channel, "prefer option set", option="ar", value="x")
    assert "already a flag" in text_of(said(result))


async def test_the_panel_changes_ones_own_settings(studio: Studio) -> None:
    panel = said(await studio.alice.slash(studio.channel, "settings"))
    await studio.alice.click(panel, label="Stylize high")
    await studio.alice.click(panel, label="RAW")
    await studio.alice.click(panel, label="Relax")
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    assert "**a boat --stylize 250 --raw**" in text_of(studio.last()) and "(relaxed)" in text_of(
        studio.last()
    )
    await studio.alice.click(panel, label="Reset Settings")
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    assert "**a boat**" in text_of(studio.last())


async def test_a_button_of_an_older_panel_changes_what_it_did(studio: Studio) -> None:
    view = discord.ui.View(timeout=None)
    view.add_item(SettingButton("stealth", "toggle", "Stealth"))
    await studio.bot.get_channel(studio.channel.id).send("an older panel", view=view)
    await studio.alice.click(studio.last(), label="Stealth")
    assert (await studio.members.preferences(studio.alice.id)).private


@pytest.mark.parametrize(
    ("command", "words"), [("fast", "(fast)"), ("relax", "(relaxed)"), ("turbo", "(turbo)")]
)
async def test_a_speed_holds_for_new_jobs(studio: Studio, command: str, words: str) -> None:
    await studio.alice.slash(studio.channel, command)
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    assert words in text_of(studio.last())


async def test_a_speed_as_a_flag_holds_for_one_job_and_orders_the_queue(studio: Studio) -> None:
    studio.hooks.wait = studio.outside
    await studio.alice.slash(studio.channel, "turbo")
    await studio.built.queue.pause(studio.mira.id)
    for flag in ("relax", "fast", "turbo"):
        await studio.alice.slash(studio.channel, "imagine", prompt=f"a {flag} boat --{flag}")
    views = (await studio.built.queue.mine(studio.alice.id)).waiting
    waiting = [view.job for view in sorted(views, key=lambda view: view.position)]
    assert [job.request.prompt for job in waiting] == ["a turbo boat", "a fast boat", "a relax boat"]
    assert [job.lane.value for job in waiting] == ["turbo", "fast", "relax"]
    for job in waiting:
        await studio.built.queue.cancel(job.id)


async def test_a_flag_makes_one_job_private_or_public(studio: Studio) -> None:
    result = await studio.alice.slash(studio.channel, "imagine", prompt="a boat --stealth")
    assert result.ephemeral and studio.channel.history() == []
    await studio.alice.slash(studio.channel, "stealth")
    result = await studio.alice.slash(studio.channel, "imagine", prompt="a boat --public")
    assert not result.ephemeral and studio.last().attachments and "stealth" not in text_of(studio.last())


@pytest.mark.parametrize(
    ("typed", "model"),
    [
        ("--v 6", "v6"),
        ("--v 6.1", "v6"),
        ("--niji", "niji"),
        ("--niji 6", "niji"),
        ("--model V6", "v6"),
        ("--v 5", None),
    ],
)
async def test_a_version_is_the_model_that_the_host_has_named_so(tmp_path, typed, model) -> None:
    demo = str(DEMO / "stable-diffusion")
    async with open_studio(tmp_path, IMAGE_MODELS=f"v6={demo},niji={demo}") as studio:
        await studio.alice.slash(studio.channel, "imagine", prompt=f"a boat {typed}")
        assert (await job_of(studio, studio.last())).request.model == model
        assert ("isn't installed here; the default model was used" in text_of(studio.last())) is (
            model is None
        )


async def test_the_panel_offers_versions_that_are_there(tmp_path) -> None:
    async with open_studio(tmp_path, IMAGE_MODELS=f"v6={DEMO / 'stable-diffusion'}") as studio:
        panel = said(await studio.alice.slash(studio.channel, "settings"))
        offered = list(items_of(panel)[0].values)
        assert offered == ["default", "model v6", "version 6.1", "version 6"]


async def test_what_is_private_stays_with_its_author(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "stealth")
    result = await studio.alice.slash(studio.channel, "imagine", prompt="a secret boat")
    shown = said(result) if not result.response or not result.response.attachments else result.response
    assert result.ephemeral and studio.channel.history() == []
    job = (await studio.members.recent(studio.alice.id))[0]
    assert job.origin.private and shown is not None
    refused = await studio.bob.slash(studio.channel, "show", job=job.id)
    assert "is private and belongs to somebody else" in text_of(said(refused))
    refused = await studio.bob.slash(studio.channel, "variation", source=f"{job.id} 1")
    assert "is private and belongs to somebody else" in text_of(said(refused))
    back = await studio.alice.slash(studio.channel, "show", job=job.id)
    assert back.ephemeral
    await studio.alice.slash(studio.channel, "public")
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    assert studio.last().attachments


async def test_private_jobs_of_a_set_show_their_progress_to_their_author_alone(studio: Studio) -> None:
    studio.hooks.wait = studio.outside
    asked = await studio.alice.slash(studio.channel, "imagine", prompt="a slow {red, blue} boat --stealth")
    pressed = await studio.alice.click(said(asked), label="Yes, 2 jobs")
    begun = [text_of(message) for message in pressed.followups]
    assert len(begun) == 2 and all(message.ephemeral for message in pressed.followups)
    seen = {message.id: set() for message in pressed.followups}
    for _ in range(400):
        await studio.env.settle()
        for message in pressed.followups:
            seen[message.id].add(text_of(message))
        if all(message.attachments and "job " in text_of(message) for message in pressed.followups):
            break
        await asyncio.sleep(0.02)
    assert all(any("%)" in text for text in texts) for texts in seen.values()), seen
    assert all("(fast, stealth)" in text_of(message) and message.attachments for message in pressed.followups)
    assert studio.channel.history() == [] and not studio.alice.user.dm_channel.history()


async def test_info_tells_usage_and_modes(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    text = text_of(said(await studio.alice.slash(studio.channel, "info")))
    assert "1 /imagine" in text and "4 pictures" in text and "public" in text and "Your jobs" in text


async def test_info_of_many_jobs_takes_more_messages_and_breaks_no_line(tmp_path) -> None:
    async with open_studio(tmp_path, USER_WAITING="15") as studio:
        studio.hooks.wait = studio.outside
        await studio.built.queue.pause(studio.mira.id)
        for number in range(15):
            await studio.alice.slash(studio.channel, "imagine", prompt=f"boat {number}")
        result = await studio.alice.slash(studio.channel, "info")
        pages = [text_of(result.response), *(text_of(m) for m in result.followups)]
        rows = [line for page in pages for line in page.splitlines() if ". **boat" in line]
        assert len(pages) == 2 and len(rows) == 15
        assert all("· [its message](https://discord.com/channels/" in row for row in rows)
        await studio.built.queue.clear(studio.mira.id)


async def test_auto_dm_sends_a_copy_of_what_is_finished(studio: Studio, picture) -> None:
    inbox = studio.alice.user.dm_channel
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    assert inbox.history() == []
    await studio.alice.slash(studio.channel, "prefer auto_dm")
    await studio.alice.slash(studio.channel, "imagine", prompt="a cat")
    await studio.bob.slash(studio.channel, "imagine", prompt="a dog")
    [copy] = inbox.history()
    assert copy.attachments and "**a cat**" in text_of(copy)
    assert text_of(copy) == text_of(studio.channel.history()[-2])
    await studio.alice.user.click(copy, label="U1")
    assert "Image #1" in text_of(inbox.history()[-1])
    await studio.alice.slash(studio.channel, "describe", image=picture)
    assert "telling number 1" in text_of(inbox.history()[-1])
    await studio.alice.slash(studio.channel, "imagine", prompt="a broken boat")
    assert "❌" in text_of(studio.last()) and "broken" not in text_of(inbox.history()[-1])
    await studio.alice.user.slash("imagine", prompt="a tree")
    assert len([m for m in inbox.history() if "**a tree**" in text_of(m)]) == 1


async def test_reactions_send_keep_and_delete(studio: Studio) -> None:
    message = await single(studio)
    await studio.bob.react(message, "⭐")
    assert await studio.members.count_favourites(studio.bob.id) == 1
    await studio.bob.unreact(message, "⭐")  # or a moderator: Discord tells the same
    assert await studio.members.count_favourites(studio.bob.id) == 1
    await studio.bob.react(message, "✉️")
    assert studio.bob.user.dm_channel.history()[-1].attachments
    await studio.bob.react(message, "❌")  # not his
    assert message.id in [m.id for m in studio.channel.history()]
    await studio.alice.react(message, "❌")
    assert message.id not in [m.id for m in studio.channel.history()]


@pytest.mark.parametrize(
    ("menu", "words"),
    [("Describe", "Describe by"), ("Classify", "Classify by"), ("Vary", "Variations (Strong)")],
)
async def test_a_message_menu_works_on_its_picture(studio: Studio, menu: str, words: str) -> None:
    message = await single(studio)
    await studio.bob.context_menu(studio.channel, menu, message)
    assert words in text_of(studio.last())


async def test_other_message_menus(studio: Studio) -> None:
    message = await single(studio)
    assert "seed 101" in text_of(said(await studio.bob.context_menu(studio.channel, "Details", message)))
    await studio.bob.context_menu(studio.channel, "DM results", message)
    assert studio.bob.user.dm_channel.history()[-1].attachments
    assert "over already" in text_of(said(await studio.alice.context_menu(studio.channel, "Cancel", message)))


async def test_p_goes_by_ones_own_taste_and_begins_at_no_picture(studio: Studio) -> None:
    await press(studio, await single(studio), "favourite")
    await studio.alice.slash(studio.channel, "imagine", prompt="a cat --p")
    request = (await job_of(studio, studio.last())).request
    assert (request.taste, request.candidates) == ((("me", 1.0),), 8)
    assert request.style_references == request.image_prompts == () and request.image is None


async def test_unsupported_flags_are_told(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat --uplight --v 6 --hd --tile")
    assert "`--uplight`: no longer exists" in text_of(studio.last())
    assert "isn't installed here" in text_of(studio.last())
    result = await studio.alice.slash(studio.channel, "imagine", prompt="a boat --model big")
    assert "no model `big`" in text_of(said(result))


async def test_prompts_are_completed(studio: Studio) -> None:
    async def offered(text: str) -> list[str]:
        return [
            choice["value"]
            for choice in await studio.alice.autocomplete(studio.channel, "imagine", "prompt", text)
        ]

    assert "a --sampler euler" in await offered("a --sampler eu") and "a --chaos" in await offered("a --ch")
    assert all(len(text) <= 100 for text in await offered(""))


async def test_enter_sends_what_is_complete(studio: Studio) -> None:
    """Where anything is offered Enter picks it, and the prompt isn't sent."""
    for text in ("a boat --tile", "a boat --v 6", "a boat --draft"):
        assert await studio.alice.autocomplete(studio.channel, "imagine", "prompt", text) == []


async def test_a_refused_prompt_comes_back_to_be_copied(studio: Studio) -> None:
    typed = "a boat {by, at} sea ``` --stylise 200"
    refused = said(await studio.alice.slash(studio.channel, "imagine", prompt=typed))
    assert "Did you mean `--stylize`" in text_of(refused)
    assert text_of(refused).endswith("\n```\na boat {by, at} sea ''' --stylise 200\n```")
    message = await single(studio)
    shown = await press(studio, message, "zoom")
    refused = said(await studio.alice.submit_modal(shown, {"prompt": "a boat of many words", "zoom": "9"}))
    assert "from 1 to 2" in text_of(refused) and text_of(refused).endswith("\n```\na boat of many words\n```")
    refused = said(await studio.alice.slash(studio.channel, "imagine", prompt="a boat " * 800))
    assert "up to 4,000" in text_of(refused) and "```" not in text_of(refused)


async def test_what_may_not_be_done_is_told_without_the_prompt(studio: Studio) -> None:
    await studio.mira.slash(studio.channel, "studio ban", user=studio.alice)
    refused = said(await studio.alice.slash(studio.channel, "imagine", prompt="a boat"))
    assert "blocked" in text_of(refused) and "```" not in text_of(refused)


async def test_recent_prompts_whose_pictures_are_gone_are_not_offered(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat of old")
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat like this --sref <1>", image=picture)
    offered = [
        choice["value"] for choice in await studio.alice.autocomplete(studio.channel, "imagine", "prompt", "")
    ]
    assert "a boat of old" in offered and not any("<1>" in text for text in offered)


def green(panel) -> list[str]:
    return [
        child["label"]
        for row in panel.components
        for child in row["components"]
        if child.get("style") == discord.ButtonStyle.success.value
    ]


async def test_the_panel_shows_what_holds_also_where_nothing_was_chosen(studio: Studio) -> None:
    panel = said(await studio.alice.slash(studio.channel, "settings"))
    assert green(panel) == ["Stylize med", "Fast", "V: high variation"]
    await studio.alice.click(panel, label="Relax")
    await studio.alice.slash(studio.channel, "prefer suffix", new_value="--s 20")
    assert green(said(await studio.alice.slash(studio.channel, "settings"))) == ["Relax", "V: high variation"]


async def test_a_failed_database_leaves_no_message_behind(studio: Studio, monkeypatch) -> None:
    asked = await studio.alice.slash(studio.channel, "imagine", prompt="a {red, blue} boat")

    async def down(*args: object, **named: object) -> None:
        raise StorageError("the database failed")

    monkeypatch.setattr(studio.built.queue, "submit", down)
    result = await studio.alice.click(asked.response, label="Yes, 2 jobs")
    assert studio.channel.history() == []
    assert "Something went wrong" in text_of(result.followups[-1])
