"""Every button and window, as members press and fill them."""

import io

import pytest
from PIL import Image

from bot.ui.buttons import BUTTONS
from core.requests import OutpaintRequest, RegionRequest, UpscaleRequest, VariationRequest
from studio.authority import Pace
from tests.bot.conftest import Studio, open_studio, png
from tests.support.messages import act, actions_of, ids_of, items_of, rows_of, send_window, text_of

MADE_HERE = ("subtle", "strong", "again", "hd", "up2s", "up2c", "up4s", "up4c", "zoom20", "zoom15", "left")
MADE_HERE += ("right", "up", "down", "cutout", "describe", "classify", "read", "anihigh", "anilow")


def custom_id(message, action: str) -> str:
    return next(i for i in ids_of(message) if f":{action}:" in i)


async def press(studio: Studio, message, action: str, who=None):
    return await act(who or studio.alice, message, action)


async def single(studio: Studio, prompt: str = "a boat --seed 100", label: str = "U2"):
    await studio.alice.slash(studio.channel, "imagine", prompt=prompt)
    await studio.alice.click(studio.last(), label=label)
    return studio.last()


async def job_of(studio: Studio, message):
    job, _ = await studio.built.queue.job_of_message(message.id)
    return job


async def test_a_single_picture_has_every_button(studio: Studio) -> None:
    message = await single(studio)
    edits = "edit" in studio.built.settings.models
    others = {"region", "remix", "zoom", "favourite", "details", "dm", "delete"}
    others |= {"edit"} if edits else set()
    others |= {"question"} if studio.bot.studio.talking.is_possible else set()
    # Square is missing: the picture is square
    assert sorted(actions_of(message)) == sorted({*MADE_HERE, *others})
    assert all(len(row) <= 5 for row in rows_of(message))


@pytest.mark.slow
async def test_every_button_of_an_old_message_works_after_a_restart(studio: Studio) -> None:
    message = await single(studio)
    await studio.restart()
    for action in MADE_HERE:
        before = studio.last().id
        await press(studio, message, action)
        assert studio.last().id != before, action
        assert "❌" not in text_of(studio.last()), text_of(studio.last())
    for action, words in (
        ("region", "Choose the fields"),
        ("favourite", "Saved to your `/favourites`"),
        ("details", "**Job**"),
        ("dm", "to your direct messages"),
    ):
        result = await press(studio, message, action)
        told = [text_of(m) for m in (*result.followups, result.response) if m]
        assert result.ephemeral and any(words in text for text in told), (action, told)
    for action, title in (("remix", "Remix"), ("zoom", "Custom Zoom")):
        assert (await press(studio, message, action)).modal["title"] == title
    await press(studio, message, "delete")
    assert message.id not in [m.id for m in studio.channel.history()]


async def test_each_press_makes_what_its_button_says(studio: Studio) -> None:
    message = await single(studio)
    expected = {
        "subtle": ("Variations (Subtle) by", VariationRequest, {"variation": "subtle", "seed": 105}),
        "up4c": ("Upscale 4× (Creative) by", UpscaleRequest, {"factor": 4, "mode": "creative"}),
        "up2s": ("Upscale 2× (Subtle) by", UpscaleRequest, {"factor": 2, "mode": "subtle", "num_images": 1}),
        "left": ("Pan left by", OutpaintRequest, {"left": 32, "right": 0}),
        "down": ("Pan down by", OutpaintRequest, {"bottom": 32, "top": 0}),
        "zoom20": ("Zoom out 2× by", OutpaintRequest, {"left": 32, "bottom": 32}),
    }
    for action, (words, kind, values) in expected.items():
        await press(studio, message, action, studio.bob)
        child = studio.last()
        job = await job_of(studio, child)
        prompt = "a boat" + {"left": " --ar 3:2", "down": " --ar 2:3"}.get(action, "")
        assert f"**{prompt}** - {words} <@{studio.bob.id}> (fast)" in text_of(child), action
        assert type(job.request) is kind and {name: getattr(job.request, name) for name in values} == values
        assert (job.parent_index, job.request.prompt) == (1, "a boat")
    await press(studio, message, "hd")
    job = await job_of(studio, studio.last())
    assert job.request.hd and job.request.seed == 100 and "--hd" in text_of(studio.last())


async def test_make_square_is_there_for_what_is_not(studio: Studio) -> None:
    message = await single(studio)
    await press(studio, message, "left")
    wide = studio.last()
    assert "square" in actions_of(wide)
    await press(studio, wide, "square")
    job = await job_of(studio, studio.last())
    assert "Made taller by" in text_of(studio.last())
    assert (job.request.top, job.request.bottom, job.request.left) == (16, 16, 0)
    assert "square" not in actions_of(studio.last())


@pytest.mark.slow
async def test_what_would_be_too_large_is_not_offered(studio: Studio) -> None:
    message = await single(studio, "a huge boat")  # 1024 px
    assert "up4s" in actions_of(message) and "zoom20" in actions_of(message)
    await press(studio, message, "up2s")
    large = studio.last()
    gone = {"up4s", "zoom20", "zoom15", "zoom", "square", "left", "right", "up", "down"}
    assert gone & set(actions_of(large)) == set() and "up2s" in actions_of(large)
    await press(studio, message, "left")
    wide = actions_of(studio.last())  # 1536 × 1024 px
    small = await single(studio)
    await studio.alice.submit_modal(
        await press(studio, small, "zoom"), {"prompt": "a boat", "aspect": "4:1", "zoom": "1"}
    )
    await press(studio, studio.last(), "up4s")
    await press(studio, studio.last(), "up4s")  # 4096 × 1024 px: no canvas fits around it
    assert {"zoom", "square", "left", "right", "up", "down"} & set(actions_of(studio.last())) == set()
    assert {"up", "down", "zoom", "square"} <= set(wide)
    assert {"left", "right", "zoom20", "zoom15"} & set(wide) == set()


# Windows


async def test_custom_zoom_takes_words_a_shape_and_a_factor(studio: Studio) -> None:
    message = await single(studio)
    window = await press(studio, message, "zoom")
    await studio.alice.submit_modal(
        window, {"prompt": "a boat at sea --no trees", "aspect": "2:1", "zoom": "1.5"}
    )
    job = await job_of(studio, studio.last())
    request = job.request
    assert (request.left + request.right, request.top + request.bottom) == (
        128,
        32,
    )  # 96 px high, so 192 wide
    assert (request.prompt, request.negative_prompt) == ("a boat at sea", "trees")
    assert "--ar 2:1" in text_of(studio.last()), "the title tells the shape that came of it"


async def test_custom_zoom_takes_its_flags_among_the_words_as_midjourney_does(studio: Studio) -> None:
    message = await single(studio, "a boat --ar 1:1 --seed 100")
    window = await press(studio, message, "zoom")
    await studio.alice.submit_modal(window, {"prompt": "a boat at sea —zoom 1.5 --ar 2:1", "zoom": "2"})
    request = (await job_of(studio, studio.last())).request
    assert (request.left + request.right, request.top + request.bottom) == (128, 32)
    assert request.prompt == "a boat at sea"
    window = await press(studio, message, "zoom")
    # Its own --ar is no wish for another shape
    await studio.alice.submit_modal(window, {"prompt": "a boat --ar 1:1", "zoom": "1.5"})
    request = (await job_of(studio, studio.last())).request
    assert (request.left + request.right, request.top + request.bottom) == (32, 32)
    assert request.unsupported == ()
    said = await studio.alice.submit_modal(
        await press(studio, message, "zoom"), {"prompt": "a boat --zoom 5", "zoom": "2"}
    )
    assert "1 to 2" in text_of(said.followups[-1])


async def test_flags_that_a_button_cannot_follow_are_told(studio: Studio) -> None:
    message = await single(studio, "a boat --ar 3:2 --chaos 10")
    await studio.alice.slash(studio.channel, "prefer remix")
    window = await press(studio, message, "left")
    await studio.alice.submit_modal(window, {"prompt": "a boat --ar 1:2 --chaos 10 --hd"})
    assert (await job_of(studio, studio.last())).request.unsupported == (
        "--ar 1:2",
        "--hd",
    )  # what stood there before is no new wish
    assert "`--ar 1:2`: not available here" in text_of(studio.last())
    assert "`--hd`: not available here: it works only on new" in text_of(studio.last())
    window = await press(studio, message, "strong")
    await studio.alice.submit_modal(window, {"prompt": "a boat --ar 1:2"})
    request = (await job_of(studio, studio.last())).request
    assert request.aspect_ratio == (1, 2) and request.unsupported == ()  # a variation can have another shape


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"zoom": "3"}, "1 to 2"),
        ({"zoom": "1"}, "Nothing to add"),
        ({"zoom": "2", "aspect": "wide"}, "16:9"),
        ({"zoom": "2", "prompt": "a --sede 1"}, "--seed"),
        ({"zoom": "2", "prompt": "a {b, c}"}, "You can use only one prompt"),
    ],
)
async def test_a_wrong_window_is_told_to_its_author(studio: Studio, values, words: str) -> None:
    message = await single(studio)
    window = await press(studio, message, "zoom")
    said = await studio.alice.submit_modal(window, {"prompt": "a", **values})
    assert words in text_of(said.followups[-1]) and said.followups[-1].ephemeral
    assert studio.last().id == message.id


async def test_remix_mode_opens_a_window_first(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "prefer remix")
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat --seed 100 --no blue --chaos 20")
    grid = studio.last()
    for action in ("vary", "again"):
        window = await press(studio, grid, action)
        assert window.modal["title"].startswith("Remix")
        assert window.modal["components"][0]["component"]["value"] == "a boat --no blue --chaos 20"
    window = await studio.alice.click(grid, label="V2")
    await studio.alice.submit_modal(window, {"prompt": "a red boat --no green --s 300"})
    job = await job_of(studio, studio.last())
    assert "**a red boat --no green --stylize 300** - Remix (Strong) by" in text_of(studio.last())
    assert (job.request.variation, job.request.negative_prompt) == ("strong", "green")
    assert (job.request.stylize, job.parent_index) == (300, 1)
    window = await studio.alice.click(grid, label="V2")
    await studio.alice.submit_modal(window, {"prompt": "a boat --no blue"})
    assert "Variations (Strong) by" in text_of(studio.last())  # the words are the old ones
    result = await studio.bob.click(grid, label="V1")  # it is alice's mode
    assert result.modal is None


async def test_a_remixed_reroll_and_pan_take_the_new_words(studio: Studio) -> None:
    message = await single(studio)
    await studio.alice.slash(studio.channel, "prefer remix")
    for action in ("again", "left"):
        window = await press(studio, message, action)
        await studio.alice.submit_modal(window, {"prompt": "a lighthouse"})
        shape = " --ar 3:2" if action == "left" else ""
        assert f"**a lighthouse{shape}**" in text_of(studio.last()), action


async def test_the_remix_button_asks_also_without_the_mode(studio: Studio) -> None:
    message = await single(studio)
    window = await press(studio, message, "remix")
    await studio.alice.submit_modal(window, {"prompt": "a lighthouse"})
    assert "Remix (Strong) by" in text_of(studio.last())


async def test_v_is_as_strong_as_its_presser_wants(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    grid = studio.last()
    await studio.alice.slash(studio.channel, "prefer variability")
    await studio.alice.click(grid, label="V1")
    assert "Variations (Subtle)" in text_of(studio.last())
    await studio.bob.click(grid, label="V1")
    assert "Variations (Strong)" in text_of(studio.last())


# Vary (Region)


async def test_a_region_by_numbered_fields(studio: Studio) -> None:
    message = await single(studio)
    shown = await press(studio, message, "region")
    panel = shown.followups[-1] if shown.followups else shown.response
    picture = Image.open(io.BytesIO(await panel.attachments[0].read())).convert("RGB")
    plain = Image.open(io.BytesIO(await message.attachments[0].read())).convert("RGB")
    assert shown.ephemeral and picture.size == plain.size and picture.tobytes() != plain.tobytes()
    window = await studio.alice.select(panel, ["1", "6"])
    await studio.alice.submit_modal(window, {"prompt": "a red sail"})
    job = await job_of(studio, studio.last())
    assert job.request.boxes == ((0, 0, 16, 16), (16, 16, 32, 32)) and job.request.prompt == "a red sail"
    assert "Part redrawn by" in text_of(studio.last())
    result = await studio.built.queue.result(job.id)
    assert len(result.pictures) == 4


async def test_a_region_by_words_and_by_each_kind_of_mask(studio: Studio) -> None:
    message = await single(studio)
    panel = await press(studio, message, "region")
    shown = panel.followups[-1] if panel.followups else panel.response
    window = await studio.alice.click(shown, label="By words or with a mask")
    await studio.alice.submit_modal(window, {"prompt": "a boat", "region": "the sail"})
    job = await job_of(studio, studio.last())
    assert isinstance(job.request, RegionRequest) and job.request.region == "the sail"
    assert "Part redrawn by" in text_of(studio.last())
    original = Image.open(io.BytesIO(await message.attachments[0].read())).convert("RGB")
    for name, file in masks(original).items():
        window = await studio.alice.click(shown, label="By words or with a mask")
        await studio.alice.submit_modal(window, {"prompt": "a boat", "mask": ("mask.png", file)})
        job = await job_of(studio, studio.last())
        mask = Image.open(studio.built.files.path(job.request.mask_image)).convert("L")
        assert [mask.getpixel(at) for at in ((20, 20), (50, 50))] == [255, 0], name


def masks(original: Image.Image) -> dict[str, bytes]:
    """The field (16, 16) to (32, 32) marked in three ways."""
    tones = Image.new("L", original.size, 0)
    tones.paste(255, (16, 16, 32, 32))
    erased, painted = original.convert("RGBA"), original.copy()
    erased.paste((0, 0, 0, 0), (16, 16, 32, 32))
    painted.paste((255, 0, 255), (16, 16, 32, 32))
    found = {}
    for name, picture in (("black and white", tones), ("erased", erased), ("painted over", painted)):
        out = io.BytesIO()
        picture.save(out, "PNG")
        found[name] = out.getvalue()
    return found


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (png(64, 64, (0, 0, 0)), "marks nothing"),
        (png(64, 64, (90, 140, 40)), "isn't a mask"),
        (b"x", "read as a picture"),
    ],
)
async def test_what_is_no_mask_is_told(studio: Studio, file: bytes, words: str) -> None:
    message = await single(studio)
    panel = await press(studio, message, "region")
    shown = panel.followups[-1] if panel.followups else panel.response
    window = await studio.alice.click(shown, label="By words or with a mask")
    said = await studio.alice.submit_modal(window, {"prompt": "a boat", "mask": ("mask.png", file)})
    assert words in text_of(said.followups[-1])
    window = await studio.alice.click(shown, label="By words or with a mask")
    said = await studio.alice.submit_modal(window, {"prompt": "a boat"})
    assert "but not both" in text_of(said.followups[-1])


async def test_a_region_as_a_command(studio: Studio) -> None:
    await single(studio)
    await studio.alice.slash(studio.channel, "region", prompt="a red sail", fields="1 2")
    job = await job_of(studio, studio.last())
    assert job.request.boxes == ((0, 0, 16, 16), (16, 0, 32, 16))
    said = await studio.alice.slash(studio.channel, "region", prompt="a", fields="17")
    assert "1 to 16" in text_of(said.response)
    said = await studio.alice.slash(studio.channel, "region", prompt="a")
    assert "one way" in text_of(said.response)


async def test_upscale_as_a_command(studio: Studio, picture) -> None:
    await studio.alice.slash(
        studio.channel, "upscale", image=picture, factor="4", mode="creative", prompt="a red wall --s 50"
    )
    job = await job_of(studio, studio.last())
    assert (job.request.factor, job.request.mode, job.request.prompt) == (4, "creative", "a red wall")
    assert job.request.stylize == 50


# Favourites, details, direct messages, delete


async def test_a_favourite_is_kept_shown_and_let_go(studio: Studio) -> None:
    message = await single(studio)
    said = await press(studio, message, "favourite", studio.bob)
    assert "Saved" in text_of(said.followups[-1])
    page = await studio.bob.slash(studio.channel, "favourites")
    shown = page.response or page.followups[-1]
    assert page.ephemeral and "1 of 1" in text_of(shown) and "a boat" in text_of(shown) and shown.attachments
    page = await studio.alice.slash(studio.channel, "favourites")
    assert "no favourites yet" in text_of(page.followups[-1])
    said = await press(studio, message, "favourite", studio.bob)
    assert "Removed" in text_of(said.followups[-1])


async def test_favourites_are_leafed_through(studio: Studio) -> None:
    for prompt in ("a boat", "a cat", "a star"):
        await press(studio, await single(studio, prompt), "favourite")
    page = await studio.alice.slash(studio.channel, "favourites")
    shown = page.response or page.followups[-1]

    def sides() -> dict[str, bool]:
        """Custom id of each arrow → whether it can be pressed."""
        return {c.custom_id: not c.disabled for c in items_of(shown) if c.custom_id.startswith("fv:")}

    assert "1 of 3" in text_of(shown) and "a star" in text_of(shown)
    assert sides() == {"fv:0:l": False, "fv:1:r": True}
    seen = []
    for custom_id in ("fv:1:r", "fv:2:r", "fv:1:l"):
        await studio.alice.click(shown, custom_id=custom_id)
        seen.append((text_of(shown).split("**")[0].strip("❤️ ·"), text_of(shown).split("**")[1]))
    assert seen == [("2 of 3", "a cat"), ("3 of 3", "a boat"), ("2 of 3", "a cat")]
    assert sides() == {"fv:0:l": True, "fv:2:r": True} and shown.attachments
    await studio.restart()
    await studio.alice.click(shown, custom_id="fv:2:r")
    assert "3 of 3" in text_of(shown) and sides() == {"fv:1:l": True, "fv:3:r": False}
    kept = next(custom_id for custom_id in ids_of(shown) if ":favourite:" in custom_id)
    await studio.alice.click(shown, custom_id=kept)  # takes it out
    await studio.alice.click(shown, custom_id="fv:1:l")
    assert "2 of 2" in text_of(shown)


async def test_details_can_be_copied(studio: Studio) -> None:
    message = await single(studio, "a boat --no blue --seed 100 --uplight --v 6")
    said = await press(studio, message, "details")
    text = "\n".join(text_of(m) for m in said.followups) or text_of(said.response)
    assert "```\na boat --seed 100 --no blue --v 6 --uplight\n```" in text and "seed 101" in text
    assert "`--uplight`" in text
    assert "64×64 · seed 100" in text


async def test_dm_me_sends_it_with_seed_and_id(studio: Studio) -> None:
    message = await single(studio)
    job = await job_of(studio, message)
    await press(studio, message, "dm", studio.bob)
    bob = studio.bob.user
    sent = bob.dm_channel.history()[-1]
    assert sent.attachments and f"seed 101 · job {job.id} 2" in text_of(sent)
    await bob.click(sent, custom_id=custom_id(sent, "subtle"))
    assert "Variations (Subtle)" in text_of(bob.dm_channel.history()[-1])


async def test_only_the_author_deletes(studio: Studio) -> None:
    message = await single(studio)
    said = await press(studio, message, "delete", studio.bob)
    assert "can delete it" in text_of(said.response)
    assert message.id in [m.id for m in studio.channel.history()]


@pytest.mark.parametrize("way", ["button", "reaction"])
async def test_what_somebody_brought_themselves_they_may_take_away(studio: Studio, way: str) -> None:
    async def take_away(who, message) -> None:
        await (press(studio, message, "delete", who) if way == "button" else who.react(message, "❌"))

    carol = studio.guild.add_member(studio.env.create_user("carol"))
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    grid = studio.last()
    await studio.bob.click(grid, label="U1")
    copy = studio.last()
    await take_away(carol, copy)
    assert copy.id in [m.id for m in studio.channel.history()]
    await take_away(studio.bob, copy)
    assert [m.id for m in studio.channel.history()] == [grid.id]
    await press(studio, await single(studio), "dm", studio.bob)
    user = studio.bob.user
    [sent] = user.dm_channel.history()
    if way == "button":
        await act(user, sent, "delete")
    else:  # simcord's people react in servers only
        studio.env.backend.set_reaction(user.dm_channel.id, sent.id, "❌", user.id, True)
        await studio.env.settle()
    assert user.dm_channel.history() == []


# Describe and shorten


async def test_the_captions_of_a_picture_can_be_changed_and_imagined(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "describe", image=picture)
    described = studio.last()
    window = await studio.alice.click(described, label="2")
    await studio.alice.submit_modal(window, {"prompt": "a picture --ar 3:2"})
    assert "**a picture --ar 3:2**" in text_of(studio.last())
    before = len(studio.channel.history())
    await press(studio, described, "all")
    assert len(studio.channel.history()) == before + 4


async def test_shorten_strikes_out_and_offers_shorter_prompts(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "shorten", prompt="a very wonderful lighthouse by it --ar 3:2")
    message = studio.last()
    assert "**lighthouse**" in text_of(message) and "~~a~~" in text_of(message) and "1️⃣" in text_of(message)
    said = await press(studio, message, "weights")
    assert "`1.00` lighthouse" in text_of(said.followups[-1])
    window = await studio.alice.click(message, label="1")
    await studio.alice.submit_modal(window, {"prompt": window.modal["components"][0]["component"]["value"]})
    assert studio.last().attachments and "lighthouse" in text_of(studio.last())


async def test_blend_needs_no_words(studio: Studio) -> None:
    shown = await studio.alice.slash(studio.channel, "blend", dimensions="Landscape")
    await studio.restart()
    await send_window(studio.alice, shown, pictures=[(f"{n}.png", png(40 + n, 40)) for n in range(3)])
    job = await job_of(studio, studio.last())
    assert len(job.request.images) == 3 and job.request.aspect_ratio == (3, 2)
    assert "Blend of 3 by" in text_of(studio.last())


async def test_a_button_of_a_newer_version_says_so(tmp_path) -> None:
    async with open_studio(tmp_path) as studio:
        await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
        job = await job_of(studio, studio.last())

        class Later:
            pass

        from core.errors import UserError

        with pytest.raises(UserError, match="newer version"):
            await studio.bot.job_buttons.on_press(Later(), job.id, "sing", 0)


def test_every_button_has_a_look() -> None:
    assert all(look.label or look.emoji for look in BUTTONS.values())


async def test_a_favourite_that_is_out_of_view_is_not_shown(studio: Studio) -> None:
    message = await single(studio)
    await press(studio, message, "favourite", studio.bob)
    await press(studio, message, "favourite")
    away = studio.bob.user
    assert (await away.slash("favourites")).response.attachments  # a direct message; he can read the channel
    studio.guild.remove_member(studio.bob)
    page = (await away.slash("favourites")).response
    assert not page.attachments and "only in places that you can't see" in text_of(page)
    own = (await studio.alice.user.slash("favourites")).response
    assert own.attachments


async def test_so_many_direct_messages_at_once_and_no_more(studio: Studio, monkeypatch) -> None:
    message = await single(studio)
    monkeypatch.setattr(studio.bot.sharing, "_pace", Pace(1, 60.0))
    await press(studio, message, "dm")
    said = await press(studio, message, "dm")
    assert "Ask again in" in text_of(said.followups[-1])
    assert len(studio.alice.user.dm_channel.history()) == 1
    await studio.alice.react(message, "✉")
    assert len(studio.alice.user.dm_channel.history()) == 1
