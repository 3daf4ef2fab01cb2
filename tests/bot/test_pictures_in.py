"""Pictures from people: what is taken, what is refused and why."""

import io
from pathlib import Path

import pytest
from PIL import Image

from studio.authority import Pace
from tests.bot.conftest import Studio, open_studio, png
from tests.support.messages import send_window, text_of


def _animated() -> bytes:
    out = io.BytesIO()
    frames = [Image.new("RGB", (64, 64), c) for c in ("red", "blue")]
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:])
    return out.getvalue()


def _half() -> bytes:
    out = io.BytesIO()
    Image.effect_noise((200, 200), 80).convert("RGB").save(out, "JPEG")
    return out.getvalue()[: len(out.getvalue()) // 2]


def _bomb() -> bytes:
    out = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.gif", png(form="GIF"), "is a GIF"),
        ("a.png", b"just text", "read as a picture"),
        ("a.png", _bomb(), "100.0 megapixels; the limit is 16.8"),
        ("a.webp", _animated(), "animated"),
        ("a.jpg", _half(), "damaged or incomplete"),
        ("a.tiff.png", png(form="TIFF"), "PNG, JPEG or WebP"),
        ("a.png", png(8, 8), "at least 16"),
    ],
    ids=["gif", "text", "bomb", "animated", "truncated", "tiff", "tiny"],
)
async def test_an_unusable_picture_is_refused_in_its_own_words(studio: Studio, name, data, words) -> None:
    result = await studio.alice.slash(studio.channel, "describe", image=(name, data))
    told = [m for m in result.followups if m.ephemeral]
    assert told and words in text_of(told[-1]) and name.split(".")[0] in text_of(told[-1])
    assert studio.channel.history() == []
    assert (await studio.built.queue.mine(studio.alice.id)).total_waiting == 0


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
async def test_the_three_formats_are_taken_without_their_metadata(studio: Studio, form: str) -> None:
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "canary of a place"  # rotated by 90°
    Image.new("RGB", (64, 48), "red").save(out, form, exif=exif)
    await studio.alice.slash(studio.channel, "describe", image=("photo.bin", out.getvalue()))
    job, _ = await studio.built.queue.job_of_message(studio.last().id)
    stored = await studio.built.files.get(job.request.image)
    assert b"canary" not in stored
    assert Image.open(io.BytesIO(stored)).size == (48, 64)


async def test_a_picture_over_the_upload_limit_is_refused(studio: Studio) -> None:
    big = png() + b"\0" * (11 * 2**20)
    result = await studio.alice.slash(studio.channel, "classify", image=("big.png", big))
    assert "the limit is 10 MB" in text_of(result.followups[-1])


@pytest.mark.parametrize("words", ["", "a castle --seed 9"])
async def test_a_dm_picture_gets_buttons_and_the_words_beside_it_are_its_prompt(
    tmp_path: Path, words: str
) -> None:
    """With words where nobody may talk to the studio; else they are a turn about the picture."""
    async with open_studio(tmp_path, TALK="off" if words else "rules") as studio:
        await _press_offers(studio, words)


async def _press_offers(studio: Studio, words: str) -> None:
    dora = studio.newcomer()
    await studio.send_dm(dora, words, ("a.png", png()), ("b.jpg", png(form="JPEG")))
    offers = [m for m in dora.dm_channel.history() if m.components]
    assert len(offers) == 2 and all("What would you like to do" in text_of(m) for m in offers)
    for label, told in (
        ("Vary", "a castle" if words else "Variations"),
        ("Outpaint", "Zoom out 1.5×"),
        ("Describe", "telling number 1"),
        ("Classify", "house"),
    ):
        await dora.click(offers[0], label=label)
        answer = dora.dm_channel.history()[-1]
        assert told in text_of(answer), (label, text_of(answer))


async def test_dm_buttons_work_after_a_restart(studio: Studio) -> None:
    dora = studio.newcomer()
    await studio.send_dm(dora, "", ("a.png", png()))
    offer = dora.dm_channel.history()[-1]
    await studio.restart()
    await dora.click(offer, label="Describe")
    assert "telling number 4" in text_of(dora.dm_channel.history()[-1])


async def test_a_dm_file_that_is_no_picture_gets_a_sentence(studio: Studio) -> None:
    dora = studio.newcomer()
    await studio.send_dm(dora, "", ("a.png", b"nothing"))
    assert "read as a picture" in text_of(dora.dm_channel.history()[-1])


async def _told_to_alice(studio: Studio, picture: tuple[str, bytes]) -> list[str]:
    """What alice reads when she sends a picture by every way there is."""
    source = f"{(await studio.built.queue.job_of_message(studio.last().id))[0].id} 1"
    await studio.send_dm(studio.alice.user, "", picture)
    told = [text_of(studio.alice.user.dm_channel.history()[-1])]
    shown = await studio.alice.slash(studio.channel, "blend")
    blended = await send_window(studio.alice, shown, pictures=[picture, picture])
    told += [text_of(m) for m in (*blended.followups, blended.response) if m and m.ephemeral][-1:]
    for command, options in (
        ("describe", {"image": picture}),
        ("classify", {"image": picture}),
        ("variation", {"image": picture}),
        ("upscale", {"image": picture}),
        ("outpaint", {"image": picture}),
        ("imagine", {"prompt": "a boat", "image": picture}),
        ("imagine", {"prompt": "a {red, blue} boat", "image": picture}),
        ("region", {"prompt": "a boat", "source": source, "mask": picture}),
    ):
        result = await studio.alice.slash(studio.channel, command, **options)
        told.append(text_of([m for m in (*result.followups, result.response) if m and m.ephemeral][-1]))
    return told


async def test_nothing_is_stored_for_somebody_who_is_banned(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    await studio.built.queue.admin.ban(studio.mira.id, studio.alice.id)  # everywhere
    files = set(studio.built.files.all())
    told = await _told_to_alice(studio, picture)
    assert all("blocked you" in text for text in told), told
    assert set(studio.built.files.all()) == files


async def test_nothing_is_stored_in_a_time_out_and_its_end_is_told(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    await studio.mira.slash(studio.channel, "moderation timeout", user=studio.alice, minutes=5)
    files = set(studio.built.files.all())
    told = await _told_to_alice(studio, picture)
    assert all("time-out here until " in text for text in told), told
    assert set(studio.built.files.all()) == files, "in a direct message neither: it is the bot's only server"


async def test_nothing_is_stored_on_a_full_disk(tmp_path, picture, monkeypatch) -> None:
    async with open_studio(tmp_path, DISK_FLOOR_MB="1") as studio:
        monkeypatch.setattr(studio.built.files, "free_bytes", lambda: 10**5)
        await studio.send_dm(studio.alice.user, "", picture)
        assert "nearly full" in text_of(studio.alice.user.dm_channel.history()[-1])
        assert not list(studio.built.files.all())


async def test_so_many_pictures_at_once_and_no_more(studio: Studio, picture, monkeypatch) -> None:
    monkeypatch.setattr(studio.bot.studio.sources, "_uploads", Pace(2, 60.0))
    await studio.send_dm(studio.alice.user, "", picture, picture, picture)
    assert "Send the next one in" in text_of(studio.alice.user.dm_channel.history()[-1])
    await studio.send_dm(studio.bob.user, "", picture)
    assert "What would you like to do" in text_of(studio.bob.user.dm_channel.history()[-1])
