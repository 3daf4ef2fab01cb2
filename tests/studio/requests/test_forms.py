"""Answers in a form: kept, exported, hidden and deleted with their job; asked for without a chat model."""

import io
import json
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core import profiles
from core.errors import ImageError, StorageError, UserError
from core.results import Table
from studio import texts
from studio.moderation.rules import Visibility
from studio.requests.chat import HIDDEN, NO_MODEL
from tests.studio.conftest import ALICE, MIRA, Sent, open_studio, png
from tests.studio.requests.test_talking import MODEL, Chat
from tests.studio.talker import Talker

TABLE = '{"title": "Rain", "x": "Month", "columns": ["mm"], "rows": [["Jan", 12], ["Feb", 3]]}'


@pytest.fixture
async def chat(tmp_path: Path) -> AsyncIterator[Chat]:
    talker = Talker()
    talker.say = {"Table": TABLE}
    async with open_studio(tmp_path, talker, **MODEL) as opened:
        yield Chat(opened, talker)


async def table(chat: Chat):
    return await chat.submit(ALICE, await chat.opened.ask(ALICE, "Table", [Sent(png())], "table"))


async def test_a_table_is_told_again_in_words_and_kept_as_one(chat: Chat) -> None:
    job = await table(chat)
    assert await chat.talking.table(ALICE, job.id) == Table(
        ("Month", "mm"), (("Jan", 12.0), ("Feb", 3.0)), "Rain"
    )
    later = await chat.more(ALICE, job)
    assert later.request.form == "free"
    assert [turn.text for turn in chat.talker.talks[later.id]][1] == "Rain\n\nMonth | mm\nJan | 12\nFeb | 3"
    with pytest.raises(ImageError, match="no table"):
        await chat.talking.table(ALICE, later.id)


async def test_what_a_rule_hides_is_hidden_as_table_and_chart_too(chat: Chat) -> None:
    job = await table(chat)
    gallery = chat.opened.studio.gallery
    assert (await gallery.chart(ALICE, job.id, 2**24)).data
    await chat.opened.services.moderator.add_word(MIRA.user_id, ALICE.guild_id, "jan")
    [turn] = await chat.talking.conversation(ALICE, job.id)
    assert (turn.answer.text, turn.answer.table) == (HIDDEN, None)
    with pytest.raises(ImageError):
        await chat.talking.table(ALICE, job.id)
    assert (await gallery.chart(ALICE, job.id, 2**24)).data is None
    assert (await gallery.thumbnail(ALICE, job.id, -1, 256)).data is None
    assert (await gallery.drawing(ALICE, job.id))[1] is Visibility.BLOCK


async def test_a_table_and_its_chart_are_exported_and_deleted_with_their_job(chat: Chat) -> None:
    job = await table(chat)
    services, privacy = chat.opened.services, chat.opened.services.privacy
    drawn = (await services.queue.result(job.id)).grid
    [part] = [part async for part in chat.opened.studio.own.export(ALICE, 2**24)]
    with zipfile.ZipFile(io.BytesIO(part)) as found:
        [row] = json.loads(found.read("data.json"))["jobs"]
        assert row["answer"]["table"]["rows"] == [["Jan", 12.0], ["Feb", 3.0]]
        assert any(drawn.sha256 in name for name in found.namelist())
    await privacy.delete_job(ALICE.user_id, job.id)
    with pytest.raises(StorageError):
        services.files.path(drawn.sha256)


async def test_without_a_chat_model_a_reader_of_text_is_enough_for_some(tmp_path: Path, monkeypatch) -> None:
    async with open_studio(tmp_path, Talker(), ASK_MODEL="none") as opened:
        ask = opened.ask
        monkeypatch.setattr(profiles, "packaged_models", lambda photo, ocr: {"ocr": "program:rapidocr"})
        assert (await ask(ALICE, "Table", [Sent(png())], "table")).request.form == "table"
        for form in ("free", "boxes"):
            with pytest.raises(UserError, match=NO_MODEL[:20]):
                await ask(ALICE, "Table", [Sent(png())], form)
        monkeypatch.setattr(profiles, "packaged_models", lambda photo, ocr: {})
        with pytest.raises(UserError, match=NO_MODEL[:20]):
            await ask(ALICE, "Table", [Sent(png())], "text")


async def test_boxes_are_for_one_picture(chat: Chat) -> None:
    two = [Sent(png()), Sent(png(colour=(1, 2, 3)))]
    with pytest.raises(UserError, match="one picture"):
        await chat.opened.ask(ALICE, "Where?", two, "boxes")


def test_a_wide_table_fits_and_says_what_is_missing() -> None:
    wide = Table(
        tuple(f"column {n}" for n in range(25)),
        tuple(("a name that is rather long for a row", *(1.5,) * 24) for _ in range(30)),
    )
    lines = texts.as_text(wide).split("\n")
    assert max(map(len, lines)) <= texts.WIDTH
    assert lines[-2:] == ["… 15 more columns in the file", "… 10 more rows in the file"]
    east = Table(("名前", "n"), (("東京都新宿区", 1.0), ("a`b", None)))
    assert texts.as_text(east).split("\n")[2:] == ["東京都新宿区  1", "a'b"]


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-x", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_taken_for_a_formula(cell: str) -> None:
    found = texts.as_csv(Table(("=a", "b"), ((cell, -3.0),)))
    assert found.startswith("'=a,b\r\n") and f"'{cell}" in found and found.endswith(",-3\r\n")
