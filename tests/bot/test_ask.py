"""/ask: an answer that grows in its message, and a conversation by buttons, windows and menus."""

import asyncio
from pathlib import Path

import pytest

from bot.ui import markdown
from core.job import Status
from core.requests import AskRequest
from jobs.executors.chat_server import CUT_OFF
from studio.requests.chat import NO_MODEL
from tests.bot.conftest import Studio, open_studio, png
from tests.bot.test_presses import job_of, single
from tests.support.chat_server import CUT, FAULTS, TEXT, chat_server
from tests.support.messages import ids_of, names_of, text_of

MODEL = {"ASK_MODEL": str(Path(__file__).parent)}  # a folder that is there; the worker is pretended
SETTINGS = MODEL


def labels(message) -> list[str]:
    return names_of(message)


async def asked(studio: Studio, question: str = "What is it?", **options):
    options.setdefault("image", ("photo.png", png()))
    await studio.alice.slash(studio.channel, "ask", question=question, **options)
    return studio.last()


async def until_it_says(studio: Studio, words: str):
    for _ in range(1000):
        if words in text_of(message := studio.last()):
            return message
        await asyncio.sleep(0.02)
    raise AssertionError(f"it never said {words}: {text_of(message)}")


async def more(studio: Studio, message, question: str, who=None):
    shown = await (who or studio.alice).click(message, label="Ask more")
    await (who or studio.alice).submit_modal(shown, {"question": question})
    return studio.last()


async def test_a_question_is_answered_with_its_buttons(studio: Studio) -> None:
    message = await asked(studio)
    assert f"**What is it?** - Ask by <@{studio.alice.id}>" in text_of(message)
    assert "This is turn 1 with 1 pictures" in text_of(message)
    assert markdown.MAY_BE_WRONG in text_of(message)
    assert labels(message) == ["Ask more", "🔄", "Imagine this", "Teach", "Thread", "Details", "Delete"]
    job = await job_of(studio, message)
    assert isinstance(job.request, AskRequest) and job.status is Status.DELIVERED


async def test_without_a_picture_it_is_about_ones_last(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    drawn = await job_of(studio, studio.last())
    result = await studio.alice.slash(studio.channel, "ask", question="What is it?")
    message = await until_it_says(studio, "This is turn 1 with 1 pictures")
    assert (await job_of(studio, message)).parent_id == drawn.id
    assert f"your last one: `{drawn.id} 1`" in text_of(result.followups[-1])


async def test_without_a_model_it_says_what_the_host_has_to_set(tmp_path: Path) -> None:
    async with open_studio(tmp_path, ASK_MODEL="none") as bare:
        result = await bare.alice.slash(
            bare.channel, "ask", question="What is it?", image=("photo.png", png())
        )
        assert text_of(result.response).startswith(NO_MODEL) and result.ephemeral
        assert bare.channel.history() == []


async def test_ask_more_goes_on_and_branches(studio: Studio) -> None:
    first = await asked(studio)
    second = await more(studio, first, "And the colour?")
    assert "This is turn 2 with 1 pictures" in text_of(second)
    assert markdown.MAY_BE_WRONG not in text_of(second), "it is said once"
    third = await more(studio, second, "And now?", studio.bob)
    assert "This is turn 3" in text_of(third) and f"<@{studio.bob.id}>" in text_of(third)
    other = await more(studio, first, "Another way")
    assert "This is turn 2" in text_of(other)


async def test_a_picture_comes_with_a_later_question(studio: Studio) -> None:
    first = await asked(studio)
    shown = await studio.alice.click(first, label="Ask more")
    await studio.alice.submit_modal(shown, {"question": "And this?", "image": [("b.png", png(32, 32))]})
    assert "turn 2 with 2 pictures" in text_of(studio.last())


async def test_a_window_that_was_open_during_a_restart_still_asks(studio: Studio) -> None:
    first = await asked(studio)
    shown = await studio.alice.click(first, label="Ask more")
    await studio.restart()
    await studio.alice.submit_modal(shown, {"question": "And now?"})
    assert "This is turn 2" in text_of(studio.last())


async def test_again_asks_the_same_for_other_words(studio: Studio) -> None:
    first = await asked(studio)
    await studio.alice.click(first, custom_id=next(i for i in ids_of(first) if ":again:" in i))
    again = await job_of(studio, studio.last())
    assert studio.last().id != first.id and again.request.temperature > 0


async def test_an_answer_is_imagined(studio: Studio) -> None:
    first = await asked(studio, "quote a red house in the snow")
    shown = await studio.alice.click(first, label="Imagine this")
    assert "a red house in the snow" in str(shown.modal)
    await studio.alice.submit_modal(shown, {"prompt": "a red house in the snow"})
    job = await job_of(studio, studio.last())
    assert job.request.kind == "imagine" and job.parent_id == (await job_of(studio, first)).id


async def test_details_tell_what_the_model_saw(studio: Studio) -> None:
    result = await studio.alice.click(await asked(studio), label="Details")
    told = "\n".join(text_of(m) for m in (result.response, *result.followups) if m)
    assert "64×64 px" in told and "20 in, 0 of them known from before" in told and "by itself" in told


async def test_a_long_answer_comes_as_a_file_too(studio: Studio) -> None:
    message = await asked(studio, "A long one")
    [file] = message.attachments
    text = (await file.read()).decode()
    assert file.filename == "answer.md" and "Paragraph 79" in text and text.count("\n\n") == 79
    assert "Paragraph 79" not in text_of(message) and "whole answer is in answer.md" in text_of(message)
    assert 2000 < len(text_of(message)) <= 4000 and "job " in text_of(message).splitlines()[-1]


async def test_an_answer_streams_and_is_stopped_with_what_there_is(studio: Studio) -> None:
    seen: list[str] = []
    streaming = asyncio.Event()

    def edited(message_id: int) -> None:
        message = next(m for m in studio.channel.history() if m.id == message_id)
        seen.append(text_of(message))
        if "Paragraph" in text_of(message):
            streaming.set()

    studio.hooks.edited.append(edited)
    studio.hooks.wait = studio.outside
    asking = asyncio.create_task(asked(studio, "A slow long one"))
    await asyncio.wait_for(streaming.wait(), 30)
    message = studio.last()
    assert labels(message) == ["Stop"] and "(Answering)" in text_of(message)
    result = await studio.alice.click(message, label="Stop")
    assert "written so far is kept" in [text_of(m) for m in (result.response, *result.followups) if m][-1]
    await asking
    message = await until_it_says(studio, "(Stopped)")
    assert "Paragraph 0" in text_of(message)
    job = await job_of(studio, message)
    answer = (await studio.built.queue.result(job.id)).answer
    assert answer.ended == "stopped" and 0 < len(answer.text) < 4000


async def test_a_stranger_can_not_stop_it(studio: Studio) -> None:
    first = await job_of(studio, await asked(studio))
    await studio.built.queue.pause(0)
    studio.hooks.wait = studio.outside
    second = await more(studio, studio.last(), "And?")
    result = await studio.bob.click(second, label="Cancel")
    assert "Only the person who asked" in [text_of(m) for m in (result.response, *result.followups) if m][-1]
    assert first.id


async def test_the_menu_asks_about_any_message_with_a_picture(studio: Studio) -> None:
    posted = await studio.bob.send(studio.channel, "look", attachments=[("cat.png", png())])
    shown = await studio.alice.context_menu(studio.channel, "Ask", posted)
    await studio.restart()  # the window outlives it
    await studio.alice.submit_modal(shown, {"question": "What is on it?"})
    assert "turn 1 with 1 pictures. You asked: What is on it?" in text_of(studio.last())


async def test_the_menu_on_our_pictures_asks_about_all_of_them(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a red house")
    shown = await studio.alice.context_menu(studio.channel, "Ask", studio.last())
    await studio.alice.submit_modal(shown, {"question": "Which is best?"})
    assert "turn 1 with 4 pictures" in text_of(studio.last())


async def test_the_menu_on_an_answer_goes_on(studio: Studio) -> None:
    shown = await studio.alice.context_menu(studio.channel, "Ask", await asked(studio))
    await studio.alice.submit_modal(shown, {"question": "And?"})
    assert "This is turn 2" in text_of(studio.last())


async def test_the_menu_on_a_message_without_a_picture_says_so(studio: Studio) -> None:
    posted = await studio.bob.send(studio.channel, "hello")
    result = await studio.alice.context_menu(studio.channel, "Ask", posted)
    assert "has no picture" in text_of(result.response) and result.ephemeral


async def test_a_link_to_one_of_our_pictures_is_asked_about(studio: Studio) -> None:
    message = await single(studio)
    job = await job_of(studio, message)
    for link in (f"{job.id} 2", message.jump_url):
        await studio.alice.slash(studio.channel, "ask", question="What is it?", link=link)
        found = studio.last()
        assert "turn 1 with 1 pictures" in text_of(found), link
        assert (await job_of(studio, found)).parent_id == job.id


async def test_a_stealthy_question_is_its_askers_alone(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "stealth")
    result = await studio.alice.slash(studio.channel, "ask", question="What is it?", image=("a.png", png()))
    assert studio.channel.history() == [] and result.ephemeral


async def test_a_question_that_is_refused_is_given_back(studio: Studio) -> None:
    result = await studio.alice.slash(studio.channel, "ask", question="How many boats?")
    told = [text_of(m) for m in result.followups if m.ephemeral][-1]
    assert "no picture" in told and "How many boats?" in told and studio.channel.history() == []


async def test_a_model_that_fails_is_told(studio: Studio) -> None:
    message = await asked(studio, "Is it broken?")
    assert "❌ The model can't draw that." in text_of(message)


@pytest.mark.parametrize(
    "said",
    ["@everyone <@1> [here](https://evil.example)", "```\nnever closed @here", "> x\n-# job forged\n# Title"],
)
async def test_what_a_model_says_does_nothing(studio: Studio, said: str) -> None:
    message = await asked(studio, f"quote {said}")
    assert [user.id for user in message.mentions] == [studio.alice.id], "in the title"
    assert not message.mention_everyone and not message.role_mentions
    assert "[here](" not in text_of(message) and text_of(message).count("```") % 2 == 0
    assert text_of(message).splitlines()[-1] == f"-# job {(await job_of(studio, message)).id}"


async def test_a_forbidden_answer_is_replaced(studio: Studio) -> None:
    await studio.built.moderator.add_word(studio.mira.id, studio.guild.id, "telling")
    seen: list[str] = []
    studio.hooks.edited.append(
        lambda message_id: seen.extend(text_of(m) for m in studio.channel.history() if m.id == message_id)
    )
    studio.hooks.wait = studio.outside
    await asked(studio, "A slow long story")
    message = await until_it_says(studio, "this server's word list")
    assert text_of(message).startswith("**A slow long story**")
    assert seen and not any("telling" in text for text in seen)
    assert (await job_of(studio, message)).status is Status.FAILED


async def test_text_in_a_picture_that_breaks_a_rule_ends_the_question(tmp_path: Path) -> None:
    async with open_studio(tmp_path, MODERATION="standard", ASK_MODEL="x/y") as strict:
        await asked(strict, "What does the poster say?")
        message = strict.last()
        assert "for the text in its pictures: sexual content" in text_of(message)
        assert "nude" not in text_of(message) and (await job_of(strict, message)).status is Status.FAILED


# By a server


@pytest.fixture
async def served(tmp_path: Path):
    async with chat_server() as server:
        async with open_studio(tmp_path, VLM_URL=server.url) as opened:
            yield opened, server


async def test_a_server_answers_whole_conversations(served) -> None:
    studio, server = served
    first = await asked(studio)
    assert "There is a red house by the sea" in text_of(first)
    second = await more(studio, first, "And the sky?")
    assert "There is a red house" in text_of(second)
    roles = [message["role"] for message in server.asked[1]["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    assert server.asked[1]["messages"][2]["content"] == TEXT


async def test_privacy_says_where_questions_go(served) -> None:
    studio, server = served
    result = await studio.alice.slash(studio.channel, "privacy show")
    told = "\n".join(text_of(m) for m in (result.response, *result.followups) if m)
    assert f"sent to `{server.url.split('/')[2]}`" in told and "Nothing is sent to anyone else" not in told


@pytest.mark.parametrize("fault", ["busy for ever", "cut in a chunk", "takes no pictures"])
async def test_a_servers_fault_is_told_in_its_message(tmp_path: Path, fault: str) -> None:
    behave, words = FAULTS[fault]
    async with chat_server(behave) as server, open_studio(tmp_path, VLM_URL=server.url) as studio:
        message = await asked(studio)
        assert words in text_of(message)
        if words == CUT:
            assert CUT_OFF in text_of(message) and "(Stopped)" in text_of(message)
        else:
            assert labels(message) == ["🔄"]
