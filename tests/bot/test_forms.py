"""Answers as tables, boxes and text: what their messages show, and the files that come along."""

import io
import json

from PIL import Image

from bot.ui import markdown
from tests.bot.conftest import Studio
from tests.bot.test_ask import MODEL, asked, labels, more, until_it_says
from tests.bot.test_presses import job_of
from tests.support.messages import text_of
from vision.chat.output_renderer import NO_FORM

TABLE = (
    '{"title": "Rain `mm`", "x": "Month", "columns": ["2023", "2024"],'
    ' "rows": [["Jan", 12, "3"], ["=1+1", 7.5, null]]}'
)
BOXES = (
    '[{"bbox_2d": [100, 100, 500, 600], "label": "**cat** @everyone"},'
    ' {"bbox_2d": [0, 0, 1, 1], "label": "dot"}]'
)
SETTINGS = MODEL


async def files(message) -> dict[str, bytes]:
    return {file.filename: await file.read() for file in message.attachments}


async def test_a_table_comes_in_columns_as_a_chart_and_as_files(studio: Studio) -> None:
    message = await asked(studio, f"quote {TABLE}", answer="table")
    block = text_of(message).split("```")[1]
    assert block.split("\n")[1:5] == [
        "Month  2023  2024",
        "─────────────────",
        "Jan      12     3",
        "=1+1    7.5",
    ]
    assert "Rain" in text_of(message).split("```")[0]
    assert markdown.MAY_BE_WRONG in text_of(message)
    found = await files(message)
    assert found["table.csv"].decode("utf-8-sig") == "Month,2023,2024\r\nJan,12,3\r\n'=1+1,7.5,\r\n"
    assert json.loads(found["table.json"])["rows"] == [["Jan", 12.0, 3.0], ["=1+1", 7.5, None]]
    drawn = Image.open(io.BytesIO(next(data for name, data in found.items() if name.startswith("atelier-"))))
    assert drawn.width > drawn.height > 400, "the picture stands beside its chart"
    assert labels(message)[0] == "Ask more"


async def test_boxes_come_as_a_list_and_drawn_on_the_picture(studio: Studio) -> None:
    message = await asked(studio, f"quote {BOXES}", answer="boxes")
    lines = text_of(message).split("\n")
    assert lines[1].startswith("1\\. ") and "\\*\\*cat" in lines[1] and not lines[2].startswith("2")
    assert "1 box is left out" in text_of(message)
    found = await files(message)
    [picture] = found.values()
    assert Image.open(io.BytesIO(picture)).size == (64, 48)
    assert [user.id for user in message.mentions] == [studio.alice.id], "in the title"
    assert not message.mention_everyone


async def test_what_is_no_table_is_shown_as_words_that_say_so(studio: Studio) -> None:
    message = await asked(studio, "quote I see a *cat*.", answer="table")
    assert "I see a *cat*." in text_of(message) and NO_FORM["table"] in text_of(message)
    assert message.attachments == []


async def test_after_a_table_people_ask_about_it_in_words(studio: Studio) -> None:
    message = await asked(studio, f"quote {TABLE}", answer="table")
    second = await more(studio, message, "Which month is wettest?")
    assert "This is turn 2" in text_of(second)
    assert (await job_of(studio, second)).request.form == "free"


async def test_text_comes_in_a_block_that_it_cant_leave(studio: Studio) -> None:
    message = await asked(studio, "quote EXIT ``` @everyone", answer="text")
    assert text_of(message).count("```") == 2
    assert "EXIT ''' @everyone" in text_of(message).split("```")[1]


async def test_a_table_whose_words_break_a_rule_isnt_shown_nor_drawn(studio: Studio) -> None:
    await studio.built.moderator.add_word(studio.mira.id, studio.guild.id, "telling")
    hidden = TABLE.replace("Jan", "te\\u006cling")  # as JSON may write it
    message = await asked(studio, f"quote {hidden}", answer="table")
    assert "this server's word list" in text_of(message) and message.attachments == []


async def test_the_window_under_an_answer_offers_forms_too(studio: Studio) -> None:
    first = await asked(studio)
    shown = await studio.alice.click(first, label="Ask more")
    await studio.alice.submit_modal(shown, {"question": f"quote {TABLE}", "answer": "table"})
    assert "table.csv" in await files(studio.last())
    shown = await studio.alice.click(first, label="Ask more")
    await studio.alice.submit_modal(shown, {"question": "And?"})
    assert (await job_of(studio, studio.last())).request.form == "free"


async def test_a_table_grows_in_columns_while_it_is_written(studio: Studio) -> None:
    seen: list[str] = []
    studio.hooks.edited.append(
        lambda message_id: seen.extend(text_of(m) for m in studio.channel.history() if m.id == message_id)
    )
    studio.hooks.wait = studio.outside
    rows = ", ".join(f'["Name {n}", {n}]' for n in range(40))
    await asked(studio, f'slow quote {{"columns": ["Who", "n"], "rows": [{rows}]}}', answer="table")
    message = await until_it_says(studio, "20 more rows in the file")
    growing = [text for text in seen if "Answering" in text and "```" in text]
    assert growing and all(text.count("```") == 2 and "{" not in text.split("```")[1] for text in growing)
    assert any("Name 3 " in text for text in growing) and all("in the file" not in text for text in growing)
    assert "Name 19" in text_of(message) and "Name 20" not in text_of(message)
    assert "Name 39" in (await files(message))["table.csv"].decode()
