"""/examples in Discord: commands, the message menu, and Teach under an answer."""

import io
import json
import zipfile
from pathlib import Path

from bot.ui import help
from core.requests import AskRequest, TryRequest
from studio.example_sets import GONE
from tests.bot.conftest import Studio, png
from tests.bot.test_own_models import told
from tests.bot.test_presses import job_of
from tests.support.messages import ids_of, send_window, text_of

SETTINGS = {"ASK_MODEL": str(Path(__file__).parent)}  # a folder that is there; the worker is pretended


def picture(number: int) -> tuple[str, bytes]:
    return f"{number}.png", png(40 + number, 30)


async def said(studio: Studio, what: str, by=None, **options) -> str:
    """What an ephemeral command answers."""
    return told(await (by or studio.alice).slash(studio.channel, f"examples {what}", **options))


async def brought(studio: Studio, *numbers: int, by=None, sent=None, **options) -> str:
    """What is answered when pictures come by the window. sent: what is changed in its fields."""
    shown = await (by or studio.alice).slash(studio.channel, "examples add", **options)
    files = [picture(number) for number in numbers]
    return told(await send_window(by or studio.alice, shown, pictures=files, **(sent or {})))


async def filled(studio: Studio, name: str = "Pets") -> None:
    await said(studio, "new", name=name)
    await brought(studio, 1, 2, name=name, label="cat")
    await said(studio, "add", name=name, label="dog", image=picture(3))


async def test_a_set_is_made_filled_shown_and_tried(studio: Studio) -> None:
    assert "**Pets** is ready, visible only to you" in await said(studio, "new", name="Pets")
    answer = await brought(studio, 1, 2, name="pets", label="cat")
    assert answer == "**cat** has 2 pictures in **Pets** now."
    await said(studio, "add", name="Pets", label="dog", image=picture(3))
    result = await studio.alice.slash(studio.channel, "examples show", name="Pets")
    shown = result.response
    assert "-# 1 to 2: cat · 3: dog" in text_of(shown)
    assert "cat: 2\ndog: 1" in text_of(shown) and "3 examples · private" in text_of(shown)
    assert shown.attachments and result.ephemeral
    assert "**Pets** private" in await said(studio, "show")
    await studio.alice.slash(studio.channel, "examples try", name="Pets", image=picture(9))
    message = studio.last()
    assert f"**Pets** - Try by <@{studio.alice.id}>\n**dog** 66.7%" in text_of(message)
    assert "pretend answered: 3 of 4 test examples right, about 80% of new" in text_of(message)
    assert "chat says dog (75%): 2 of 4 test examples right\n" in text_of(message)
    assert message.attachments, "the chart of both"
    job = await job_of(studio, message)
    assert isinstance(job.request, TryRequest)
    assert (await studio.built.queue.result(job.id)).parameters["examples"] == 3


async def test_a_window_asks_for_what_the_command_leaves_out(studio: Studio) -> None:
    await said(studio, "new", name="Prices")
    for number, answer in ((1, "tea, 3"), (2, "milk, 2")):
        words = {"label": answer, "question": "What does it cost?"}
        assert "in **Prices**" not in await brought(studio, number, sent=words, name="Prices")
    assert "1. What does it cost? → tea, 3" in await said(studio, "show", name="Prices")
    await said(studio, "share", name="Prices", who="server")
    shown = await studio.bob.slash(studio.channel, "examples add", name="Prices")
    assert shown.modal is None and "Only the owner" in told(shown), "before anything is chosen"
    shown = await studio.alice.slash(studio.channel, "examples add", name="Prices")
    set_id = shown.modal["custom_id"].split(":")[2]
    other = await studio.bob.slash(studio.channel, "help")
    window = await studio.bob.click(other.response, label="a yellow star at night")
    forged = await studio.submit_as(studio.bob, window, f"mo:examples:{set_id}:0:", {"prompt": "cat"})
    assert "Only the owner" in told(forged)
    assert "takes 1 to" in await said(studio, "add", name="Prices", image=picture(3)), "no label"
    await said(studio, "forget", name="Prices")
    gone = await send_window(studio.alice, shown, pictures=[picture(3)], label="cat")
    assert "There is no such set" in told(gone)


async def test_a_try_is_held_back_where_a_label_is_forbidden(studio: Studio) -> None:
    await filled(studio)
    await studio.alice.slash(studio.channel, "examples try", name="Pets", image=picture(9))
    job = text_of(studio.last()).rpartition("job ")[2].split()[0]
    await studio.mira.slash(studio.channel, "moderation add", word="cat")
    await studio.alice.slash(studio.channel, "show", job=job)
    assert "held back" in text_of(studio.last()) and not studio.last().attachments


async def test_try_again_sees_what_was_added_meanwhile(studio: Studio) -> None:
    await filled(studio)
    await studio.alice.slash(studio.channel, "examples try", name="Pets", image=picture(9))
    message = studio.last()
    await said(studio, "add", name="Pets", label="bird", image=picture(4))
    await studio.alice.click(message, label="Details")
    await studio.alice.click(message, custom_id=next(i for i in ids_of(message) if ":again:" in i))
    assert "**bird** 50.0%" in text_of(studio.last())


async def test_another_member_cannot_try_a_private_set_by_its_message(studio: Studio) -> None:
    await filled(studio)
    await studio.alice.slash(studio.channel, "examples try", name="Pets", image=picture(9))
    message = studio.last()
    await studio.bob.click(message, custom_id=next(i for i in ids_of(message) if ":again:" in i))
    assert GONE in text_of(studio.last()) and "cat" not in text_of(studio.last())
    assert "There is no such set" in await said(studio, "show", studio.bob, name="Pets")
    await said(studio, "share", name="Pets", who="server")
    assert "cat: 2" in await said(studio, "show", studio.bob, name="Pets")
    assert "Only the owner" in await said(studio, "add", studio.bob, name="Pets", label="x", image=picture(5))
    await studio.bob.slash(studio.channel, "examples try", name="Pets", image=picture(9))
    assert "**dog**" in text_of(studio.last())
    await said(studio, "share", name="Pets", who="private")
    assert "There is no such set" in await said(studio, "show", studio.bob, name="Pets")


async def test_forget_takes_one_label_one_number_or_all(studio: Studio) -> None:
    await filled(studio)
    await said(studio, "add", name="Pets", label="bird", image=picture(4))
    assert "1 example deleted" in await said(studio, "forget", name="Pets", label="Dog")
    assert "1 example deleted" in await said(studio, "forget", name="Pets", number=1)
    assert "no such example" in await said(studio, "forget", name="Pets", number=7)
    assert "cat: 1\nbird: 1" in await said(studio, "show", name="Pets")
    assert "The set is deleted, with 2 examples." in await said(studio, "forget", name="Pets")
    assert "You have no sets yet" in await said(studio, "show")


async def test_export_brings_labels_and_pictures(studio: Studio) -> None:
    await filled(studio)
    result = await studio.alice.slash(studio.channel, "examples export", name="Pets")
    [file] = result.response.attachments
    archive = zipfile.ZipFile(io.BytesIO(await file.read()))
    told = json.loads(archive.read("examples.json"))
    assert told["name"] == "Pets" and [one["label"] for one in told["examples"]] == ["cat", "cat", "dog"]
    assert set(archive.namelist()) == {
        "examples.json",
        *(name for one in told["examples"] for name in one["pictures"]),
    }


async def test_a_set_of_questions_is_tried_as_a_question(studio: Studio) -> None:
    await said(studio, "new", name="Prices")
    for number, answer in ((1, "tea, 3"), (2, "milk, 2")):
        options = {"question": "What does it cost?", "image": picture(number)}
        said_of_it = await said(studio, "add", name="Prices", label=answer, **options)
    assert said_of_it == "**Prices** has 2 questions now."
    assert "labelled pictures need a set of their own" in await said(
        studio, "add", name="Prices", label="cat", image=picture(3)
    )
    assert "1. What does it cost? → tea, 3" in await said(studio, "show", name="Prices")
    await studio.alice.slash(studio.channel, "examples try", name="Prices", image=picture(9))
    message = studio.last()
    assert "**What does it cost?** - Ask by" in text_of(message)
    assert "This is turn 3 with 3 pictures" in text_of(message), "the two examples are turns before it"
    job = await job_of(studio, message)
    assert isinstance(job.request, AskRequest) and job.request.examples is not None


async def test_the_menu_adds_a_messages_picture(studio: Studio) -> None:
    message = await studio.bob.send(studio.channel, "look", attachments=[picture(1)])
    shown = await studio.alice.context_menu(studio.channel, "Add as example", message)
    await studio.alice.submit_modal(shown, {"set": "Pets", "label": "cat"})
    assert "cat: 1" in await said(studio, "show", name="Pets")
    await studio.alice.slash(studio.channel, "imagine", prompt="a dog")
    shown = await studio.alice.context_menu(studio.channel, "Add as example", studio.last())
    assert "Pets" in str(shown.modal), "the set that was used last stands there"
    await studio.alice.submit_modal(shown, {"set": "Pets", "label": "dog"})
    assert "cat: 1\ndog: 4" in await said(studio, "show", name="Pets")


async def test_teach_under_an_answer_tells_later_answers(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "ask", question="What is it?", image=picture(1))
    first = studio.last()
    shown = await studio.alice.click(first, label="Teach")
    await studio.restart()
    result = await studio.alice.submit_modal(shown, {"answer": "quote a blick"})
    told = "\n".join(text_of(m) for m in (result.response, *result.followups) if m)
    assert told.startswith("Saved for later answers in this conversation")
    job = await job_of(studio, first)
    assert "1. What is it? → quote a blick" in await said(studio, "show", name=f"taught {job.id}")


async def test_help_has_a_page(studio: Studio) -> None:
    assert "Add as example" in "".join(help.lines("examples"))
