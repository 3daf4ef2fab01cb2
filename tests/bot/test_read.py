"""/read and *Read text*: the text in pictures, in a block that it can't leave, under the picture with
boxes."""

import json

import pytest
from PIL import Image

from bot import posts
from core.requests import ReadRequest
from studio.authority import Actor
from tests.bot.conftest import Studio, open_studio, png
from tests.bot.pretend_worker import SIGNS, encode
from tests.bot.test_presses import job_of
from tests.support.messages import text_of


def sign(colour: tuple[int, int, int] = (9, 9, 9)) -> bytes:
    return encode(Image.new("RGB", (64, 48), colour), "PNG")


def attached(*pictures: bytes) -> list[tuple[str, bytes]]:
    return [(f"sign{n}.png", data) for n, data in enumerate(pictures)]


async def files_of(message) -> dict[str, bytes]:
    return {one.filename.rpartition(".")[2]: await one.read() for one in message.attachments}


async def test_a_picture_is_read_and_its_text_comes_as_files_too(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "read", image=picture)
    message = studio.last()
    job = await job_of(studio, message)
    assert isinstance(job.request, ReadRequest)
    assert f"Read text by <@{studio.alice.id}>\n```\nhello world\n```" in text_of(message)
    assert f"1 line · 2 words · pretend · job {job.id}" in text_of(message)
    files = await files_of(message)
    assert set(files) == {"png", "txt", "json"} and files["txt"] == b"hello world\n"
    told = json.loads(files["json"])
    assert told["rows"][0][0] == {
        "text": "hello world",
        "score": 0.9,
        "box": [2.0, 2.0, 40.0, 2.0, 40.0, 9.0, 2.0, 9.0],
    }
    assert told["reader"] == "pretend" and told["width"] == 64


async def test_text_in_a_picture_is_never_more_than_text(studio: Studio) -> None:
    [file] = attached(sign((1, 2, 3)))
    await studio.alice.slash(studio.channel, "read", image=file)
    message = studio.last()
    assert text_of(message).count("```") == 2 and "'''\n@everyone [x](https://evil.example)" in text_of(
        message
    )
    assert not message.mention_everyone


async def test_text_that_breaks_a_rule_is_not_shown_anywhere(tmp_path) -> None:
    async with open_studio(tmp_path, MODERATION="standard") as strict:
        [file] = attached(sign((1, 2, 4)))
        await strict.alice.slash(strict.channel, "read", image=file)
        message = strict.last()
        assert "held back" in text_of(message) and not message.attachments
        assert "nude" not in text_of(message)


async def test_long_text_is_cut_at_a_line_and_whole_in_its_file(studio: Studio) -> None:
    [file] = attached(sign((1, 2, 5)))
    await studio.alice.slash(studio.channel, "read", image=file)
    message = studio.last()
    assert 2000 < len(text_of(message)) <= 4000 and f"of a long page\n{posts.MORE}\n```" in text_of(message)
    assert (await files_of(message))["txt"].decode() == SIGNS[1, 2, 5] + "\n"


async def test_several_pictures_are_a_job_and_a_message_each(studio: Studio) -> None:
    files = attached(sign(), sign((1, 2, 3)), sign((1, 2, 5)))
    before = len(studio.channel.history())
    given = dict(zip(("image", "image2", "image3"), files, strict=True))
    await studio.alice.slash(studio.channel, "read", **given)
    fresh = studio.channel.history()[before:]
    assert len(fresh) == 3 and len({(await job_of(studio, message)).id for message in fresh}) == 3


async def test_without_a_picture_or_with_both_nothing_is_queued(studio: Studio, picture) -> None:
    for given in ({}, {"image": picture, "link": "abcd2345efgh 1"}):
        result = await studio.alice.slash(studio.channel, "read", **given)
        assert result.ephemeral and "Attach a picture" in text_of(result.response)


async def test_the_menu_reads_the_pictures_of_anybodys_message(studio: Studio) -> None:
    posted = await studio.bob.send(studio.channel, "look", attachments=attached(sign()))
    await studio.alice.context_menu(studio.channel, "Read text", posted)
    assert "hello world" in text_of(studio.last())
    empty = await studio.bob.send(studio.channel, "nothing")
    result = await studio.alice.context_menu(studio.channel, "Read text", empty)
    assert "no picture" in text_of(result.response)


async def test_the_menu_reads_a_picture_of_ours_as_it_is_stored(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat --seed 5")
    await studio.alice.click(studio.last(), label="U2")
    single = studio.last()
    await studio.bob.context_menu(studio.channel, "Read text", single)
    job = await job_of(studio, studio.last())
    assert job.request.kind == "read" and job.parent_index == 1 and job.origin.user_id == studio.bob.id


async def test_what_is_read_in_something_private_stays_private(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat --stealth")
    made = (await studio.members.recent(studio.alice.id))[0]
    before = len(studio.channel.history())
    await studio.alice.slash(studio.channel, "read", link=f"{made.id} 1")
    mine = studio.last(studio.alice.user.dm_channel)
    job = await job_of(studio, mine)
    assert "hello world" in text_of(mine) and job.request.kind == "read" and job.origin.private
    assert not any("hello world" in text_of(m) for m in studio.channel.history()[before:])
    refused = await studio.bob.slash(studio.channel, "read", link=f"{made.id} 1")
    assert ("is private and belongs to somebody else") in [
        text_of(m) for m in refused.followups if m.ephemeral
    ][-1]


async def test_a_picture_in_a_direct_message_has_a_button(studio: Studio) -> None:
    dora = studio.newcomer()
    await studio.send_dm(dora, "", ("a.png", png()))
    await dora.click(studio.last(dora.dm_channel), label="Read text")
    assert "hello world" in text_of(studio.last(dora.dm_channel))


async def test_it_is_exported_shown_again_and_deleted(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "read", image=picture)
    job = await job_of(studio, studio.last())
    await studio.alice.slash(studio.channel, "show", job=job.id)
    assert "hello world" in text_of(studio.last()) and len(studio.last().attachments) == 3
    rows = json.loads(await exported(studio))
    assert rows["jobs"][-1]["lines"][0][0] == "hello world"
    await studio.built.privacy.delete(studio.alice.id)
    assert (await studio.built.privacy.holdings(studio.alice.id)).jobs == 0
    assert not studio.built.files.exists(job.request.image)


async def exported(studio: Studio) -> str:
    import io
    import zipfile

    parts = [part async for part in studio.bot.studio.own.export(Actor(studio.alice.id, None), 10**8)]
    with zipfile.ZipFile(io.BytesIO(parts[0])) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".json")]
        return archive.read(name).decode()


async def test_after_a_restart_its_buttons_work(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "read", image=picture)
    message = studio.last()
    await studio.restart()
    result = await studio.bob.click(message, label="Details")
    told = [text_of(m) for m in (result.response, *result.followups) if m and m.ephemeral]
    assert any("Read text" in text for text in told)


@pytest.mark.parametrize("text", ["```", "````a`", "``` ```\n```", "`" * 11])
def test_a_block_of_code_has_no_way_out(text: str) -> None:
    shown = posts.block(text)
    assert shown.count("```") == 2 and shown.startswith("```\n") and shown.endswith("\n```")
