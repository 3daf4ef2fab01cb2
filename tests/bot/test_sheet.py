"""A sheet of drafts in Discord: one picture, and menus of its drafts."""

import io
from dataclasses import replace

from PIL import Image

from bot.ui.buttons import for_sheet
from core.requests import ImagineRequest, VariationRequest
from studio.library.gallery import Looked
from studio.moderation.rules import Visibility
from tests.bot.conftest import Studio
from tests.support.messages import act, actions_of, ids_of, parts_of, text_of
from web.views import describe_job

SHEET = "a {red, blue} boat --sheet --seed 20"


def menu(message, action: str) -> str:
    return next(one for one in ids_of(message) if one.startswith("sh:") and one.endswith(action))


async def job_of(studio: Studio, message):
    return (await studio.built.queue.job_of_message(message.id))[0]


async def drawn(studio: Studio, prompt: str = SHEET):
    await studio.alice.slash(studio.channel, "imagine", prompt=prompt)
    return studio.last()


async def test_a_sheet_is_one_picture_with_menus_of_its_drafts(studio: Studio) -> None:
    message = await drawn(studio)
    [picture] = message.attachments
    assert Image.open(io.BytesIO(await picture.read())).size == (1578, 1054)
    parts = [part for part in parts_of(message.components) if part.get("options")]
    labels = [option["label"] for option in parts[0]["options"]]
    assert len(labels) == 24 and labels[:2] == ["1 · a red boat", "2 · a blue boat"]
    assert {"next", "again"} <= set(actions_of(message))
    result = await studio.built.queue.result((await job_of(studio, message)).id)
    assert [(one.index, one.seed) for one in result.pictures] == [(i, 20 + i) for i in range(24)]


async def test_chosen_drafts_are_drawn_in_full_one_job_each(studio: Studio) -> None:
    message = await drawn(studio)
    sheet = await job_of(studio, message)
    await studio.alice.select(message, ["2", "23"], custom_id=menu(message, "full"))
    jobs = [await job_of(studio, one) for one in studio.channel.history()[-2:]]
    found = {(one.parent_id, one.parent_index): one.request for one in jobs}
    assert set(found) == {(sheet.id, 2), (sheet.id, 23)}
    for (_, index), request in found.items():
        assert isinstance(request, VariationRequest) and request.variation == "full"
        assert (request.seed, request.num_images, request.draft) == (20 + index, 1, False)
        assert request.prompt == ("a red boat", "a blue boat")[index % 2]


async def test_the_menus_of_somebody_elses_sheet_answer_privately(studio: Studio) -> None:
    message = await drawn(studio)
    shown = await studio.bob.select(message, ["11"], custom_id=menu(message, "upscale"))
    assert shown.ephemeral and "Image #12" in text_of(shown.response) and "seed 31" in text_of(shown.response)
    made = await studio.bob.select(message, ["11"], custom_id=menu(message, "full"))
    assert made.ephemeral and "Drawn in full" in text_of(made.response)


async def test_a_draft_alone_is_worked_on_by_its_own_words_and_seed(studio: Studio) -> None:
    message = await drawn(studio)
    await studio.alice.select(message, ["11"], custom_id=menu(message, "upscale"))
    alone = studio.last()
    assert "a blue boat" in text_of(alone) and "red" not in text_of(alone)
    await act(studio.alice, alone, "seed")
    again = (await job_of(studio, studio.last())).request
    assert isinstance(again, ImagineRequest) and not again.draft and not again.is_sheet
    assert (again.seed, again.prompt, again.num_images) == (31, "a blue boat", 1)
    await act(studio.alice, alone, "favourite")
    [kept] = await studio.members.favourites(studio.alice.id, limit=9)
    assert kept.position == 11


def field_of(shown, name: str) -> str:
    """What stands in a field of the window that a press opened."""
    parts = [label["component"] for label in shown.modal["components"]]
    return next(part["value"] for part in parts if part["custom_id"] == name)


async def test_windows_of_a_draft_open_with_its_own_words(studio: Studio) -> None:
    message = await drawn(studio)
    for place, words in (("11", "a blue boat"), ("4", "a red boat")):
        await studio.alice.select(message, [place], custom_id=menu(message, "upscale"))
        alone = studio.last()
        for action in ("remix", "zoom"):
            prompt = field_of(await act(studio.alice, alone, action), "prompt")
            assert prompt.startswith(words) and "{" not in prompt, action
        panel = (await act(studio.alice, alone, "region")).response
        fields, button = sorted(ids_of(panel))
        chosen = await studio.alice.select(panel, ["1", "2"], custom_id=fields)
        for window in (chosen, await studio.alice.click(panel, custom_id=button)):
            assert field_of(window, "prompt").startswith(words)


async def test_more_drafts_go_on_where_the_last_ended(studio: Studio) -> None:
    message = await drawn(studio)
    await act(studio.alice, message, "next")
    request = (await job_of(studio, studio.last())).request
    assert request.is_sheet and request.seed == 44 and request.choices == ("a red boat", "a blue boat")


async def test_a_whole_sheet_comes_by_direct_message_as_one(studio: Studio) -> None:
    await studio.alice.react(await drawn(studio), "✉️")
    sent = studio.alice.user.dm_channel.history()[-1]
    assert len(sent.attachments) == 1 and menu(sent, "full")


async def test_what_a_sheet_cannot_be_is_said(studio: Studio) -> None:
    for flags in ("--video", "--repeat 2", "--hd", "--think"):
        refused = await studio.alice.slash(studio.channel, "imagine", prompt=f"a boat --sheet {flags}")
        assert "quick drafts" in text_of(refused.response), flags


async def test_a_taste_orders_the_drafts_and_each_keeps_its_number(studio: Studio) -> None:
    job = await job_of(studio, await drawn(studio))
    plain = await studio.built.queue.result(job.id)
    liked = replace(plain, parameters={**plain.parameters, "order": [23, *range(23)]})
    [(menu_of_full,), *_] = for_sheet(job, liked.in_order)
    labels = [option.label for option in menu_of_full.item.options]
    assert labels[:2] == ["24 · a blue boat", "1 · a red boat"] and menu_of_full.item.options[0].value == "23"
    one = describe_job(Looked(job, liked, (Visibility.SHOW,) * 24), studio.alice.id)
    assert [(shown["n"], shown["seed"]) for shown in one["pictures"][:2]] == [(24, 43), (1, 20)]
    assert plain.in_order == plain.pictures


async def test_a_draft_that_is_found_tells_its_own_words(studio: Studio) -> None:
    await drawn(studio)
    found = await studio.alice.slash(studio.channel, "search", words="boat")
    assert "1: a blue boat" in text_of(found.response) and "{" not in text_of(found.response)
