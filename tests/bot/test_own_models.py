"""/inspect in Discord: the way from an empty project to a verdict, by buttons and by commands."""

import io
import json
import re
import zipfile
from pathlib import Path
from types import SimpleNamespace

import discord

from bot.ui.messages import length
from core.requests.custom_models import BundleRequest, InspectRequest, TrainRequest
from studio.authority import Actor
from tests.bot.conftest import Studio, open_studio
from tests.bot.test_presses import job_of
from tests.studio.conftest import png
from tests.support.messages import ids_of, items_of, send_window, text_of

NEW = "Press **Add pictures** and choose good parts"


def good(number: int) -> tuple[str, bytes]:
    return f"good{number}.png", png(40 + number, 30, (40, 200, 40))


def bad(number: int) -> tuple[str, bytes]:
    return f"bad{number}.png", png(40 + number, 30, (200, 40, 40))


def told(result) -> str:
    """All that an interaction answered."""
    shown = [result.response, *result.followups]
    return "\n".join(text_of(m) for m in shown if m is not None and text_of(m))


async def said(studio: Studio, what: str, by=None, channel=None, **options) -> str:
    """What a command answers."""
    return told(await (by or studio.alice).slash(channel or studio.channel, f"inspect {what}", **options))


async def card(studio: Studio, name: str = "boards", by=None):
    result = await (by or studio.alice).slash(studio.channel, "inspect show", name=name)
    return result.response


def custom_id(message, action: str) -> str:
    return next(one for one in ids_of(message) if f":{action}:" in one)


async def press(studio: Studio, message, action: str, who=None):
    return await (who or studio.alice).click(message, custom_id=custom_id(message, action))


async def bring(
    studio: Studio, *files: tuple[str, bytes], by=None, name: str = "boards", sent=None, **options
) -> str:
    """What is answered when pictures come by the window of a project. sent: what is changed in its fields."""
    shown = await (by or studio.alice).slash(studio.channel, "inspect add", name=name, **options)
    return told(await send_window(by or studio.alice, shown, pictures=list(files), **(sent or {})))


async def ask(studio: Studio, *files: tuple[str, bytes], name: str = "boards") -> None:
    """Ask a project's model about pictures, which come by the window."""
    shown = await studio.alice.slash(studio.channel, "inspect try", name=name)
    await send_window(studio.alice, shown, pictures=list(files))


async def made(studio: Studio, count: int = 5, by=None, **options) -> None:
    """A project called boards with good pictures."""
    await said(studio, "new", by, name="boards", **options)
    await bring(studio, *(good(n) for n in range(1, count + 1)), by=by, label="good")


async def trained(studio: Studio, by=None, **options):
    """The message of a project's first training."""
    await made(studio, by=by, **options)
    await (by or studio.alice).slash(studio.channel, "inspect train", name="boards")
    return studio.last()


async def test_buttons_lead_from_nothing_to_a_verdict(studio: Studio) -> None:
    result = await studio.alice.slash(studio.channel, "inspect new", name="boards")
    assert result.ephemeral and NEW in text_of(result.response)
    shown = await press(studio, result.response, "add")
    assert shown.modal["title"] == "Add pictures to boards"
    files = [good(n) for n in range(6)]
    added = await studio.alice.submit_modal(shown, {"pictures": files, "label": "l:good"})
    assert added.ephemeral and "6 taken." in told(added)
    assert "6 pictures: 6 good" in told(added) and "➡️ Press **Train**" in told(added)
    await press(studio, added.response, "train")
    trained = studio.last()
    promised = "It stops about 1 good part in 7; show it more good ones to lower that."
    assert f"**boards** · version 1\n{promised}\nLearned from 6 pictures." in text_of(trained)
    assert "It is in use. Press **Try**" in text_of(trained) and trained.attachments
    job = await job_of(studio, trained)
    assert isinstance(job.request, TrainRequest)
    shown = await press(studio, trained, "try")
    await studio.alice.submit_modal(shown, {"pictures": [bad(1)]})
    verdict = studio.last()
    assert text_of(verdict).startswith("**Not like the good ones: 1.3 × the limit**\n")
    assert "top right, 1.3 × the limit, 2.0% of the picture" in text_of(verdict)
    assert verdict.attachments, "the heat map"


async def test_a_wrong_verdict_teaches_the_next_version(studio: Studio) -> None:
    message = await trained(studio)
    shown = await press(studio, message, "try")
    await studio.alice.submit_modal(shown, {"pictures": [good(20)]})
    verdict = studio.last()
    assert text_of(verdict).startswith("**Like the good ones: 0.7 × the limit**")
    await studio.restart()
    shown = await press(studio, verdict, "iswrong")
    assert shown.modal["title"] == "What is it really?"
    noted = await studio.alice.submit_modal(shown, {"label": "l:defect"})
    assert "Saved; 1 new since version 1." in told(noted)
    assert "5 good" in (shown_card := text_of(await card(studio))) and "1 defect" in shown_card
    await press(studio, noted.response, "train")
    second = studio.last()
    assert "version 2" in text_of(second) and "**Use it**" in text_of(second)
    used = await press(studio, second, "use")
    assert "Version 2 is in use from now on." in told(used)
    compared = await said(studio, "compare", name="boards", first=1, second=2)
    assert "no clear difference between versions 1 and 2" in compared
    listed = await studio.alice.slash(studio.channel, "inspect versions", name="boards")
    assert "**2** in use" in text_of(listed.response) and "**1** used before" in text_of(listed.response)
    back = await studio.alice.select(listed.response, ["1"], custom_id=custom_id(listed.response, "use"))
    assert "Version 1 is in use from now on." in told(back)


async def test_right_is_noted_and_details_are_json(studio: Studio) -> None:
    message = await trained(studio)
    await studio.alice.submit_modal(await press(studio, message, "try"), {"pictures": [bad(1)]})
    verdict = studio.last()
    await studio.restart()
    assert told(await press(studio, verdict, "isright", studio.bob)).startswith("Saved.")
    details = await press(studio, verdict, "verdict")
    table, file = details.response.attachments
    assert table.filename.endswith(".csv") and len(verdict.attachments) == 1
    found = json.loads(await file.read())
    assert found["verdicts"][0]["strange"] is True and found["version"] == 1
    assert "1 verdict of this version, 1 not like the good ones" in text_of(await card(studio))


async def test_several_pictures_come_as_a_sheet_and_on_request_as_a_table(studio: Studio) -> None:
    await trained(studio)
    await ask(studio, good(21), bad(2), bad(3))
    message = studio.last()
    assert text_of(message).startswith("**2 of 3 pictures not like the good ones**\n")
    assert "-# 2: Not like the good ones" in text_of(message)
    assert len(message.attachments) == 1, "nobody has asked for the table"
    table, _ = (await press(studio, message, "verdict")).response.attachments
    rows = (await table.read()).decode().splitlines()
    assert rows[0] == "picture,version,score,strange,label,found" and len(rows) == 4
    shown = await press(studio, message, "iswrong")
    noted = await studio.alice.submit_modal(shown, {"number": "3", "label": "l:good"})
    assert "Saved" in told(noted)
    noted = await studio.alice.submit_modal(await press(studio, message, "iswrong"), {"number": "9"})
    assert "no verdict number 9" in told(noted)


async def test_a_training_that_lacks_pictures_is_refused_in_one_sentence(studio: Studio) -> None:
    await said(studio, "new", name="boards")
    shown = await card(studio)
    none = "No good picture yet: one is enough to begin with, and 20 are better."
    assert none in text_of(shown)
    assert none in told(await press(studio, shown, "train"))
    assert none in await said(studio, "train", name="boards")
    assert "has no model yet" in told(await press(studio, shown, "try"))
    assert studio.channel.history() == []
    assert "no such project" in await said(studio, "train", name="nothing")


async def test_from_one_good_picture_it_is_trained_once_it_is_said_what_that_is_worth(studio: Studio) -> None:
    await made(studio, count=1)
    shown = await card(studio)
    assert "➡️ Press **Add pictures**" in text_of(shown)
    assert "with one, the limit is only a guess" in text_of(shown)
    await press(studio, shown, "train")
    assert "**boards** · version 1" in text_of(studio.last())
    assert "➡️ Press **Try**" in text_of(await card(studio))


async def test_a_server_s_project_is_answered_for_all_after_a_slow_read(studio: Studio, monkeypatch) -> None:
    await made(studio)
    await said(studio, "new", name="mine", only_me=True)
    await said(studio, "add", name="mine", label="good", image=good(30))
    monkeypatch.setattr("bot.submit.PATIENCE", 0.0)
    result = await studio.alice.slash(studio.channel, "inspect train", name="boards")
    assert result.ephemeral and "The answer is posted below" in told(result)
    trained = studio.last()
    assert "**boards** · version 1" in text_of(trained) and trained.attachments
    count = len(studio.channel.history())
    alone = await studio.alice.slash(studio.channel, "inspect train", name="mine")
    assert alone.ephemeral and len(studio.channel.history()) == count
    refused = await studio.bob.slash(studio.channel, "inspect train", name="boards")
    assert refused.ephemeral and "You don't have permission to train the model" in told(refused)
    assert len(studio.channel.history()) == count


async def test_the_limit_is_moved_after_it_was_shown_what_changes(studio: Studio) -> None:
    message = await trained(studio)
    shown = await press(studio, message, "stricter")
    assert shown.ephemeral and "Nothing has changed yet." in told(shown)
    assert "good test pictures are stopped" in told(shown)
    await studio.restart()
    kept = await press(studio, shown.response, "keepstricter")
    assert "Saved: version 1 uses the new limit" in told(kept)
    assert "Looser:" in await said(studio, "threshold", name="boards", move="looser")
    fewest = await said(studio, "threshold", name="boards", move="fewest errors")
    assert "It learned from 0 defects" in fewest
    refused = await press(studio, message, "stricter", studio.bob)
    assert "Only the project's owner" in told(refused)


async def test_the_report_has_charts_and_a_bundle_is_packed(studio: Studio) -> None:
    message = await trained(studio)
    shown = await studio.alice.slash(studio.channel, "inspect report", name="boards")
    assert "version 1 · in use" in text_of(shown.response) and shown.response.attachments
    assert "learned from 3 good" in text_of(shown.response) and "tested on 2 good" in text_of(shown.response)
    mistakes = await studio.alice.click(shown.response, label="Mistakes")
    assert "Mistakes of version 1" in told(mistakes) and mistakes.response.attachments
    await press(studio, message, "bundle")
    packed = studio.last()
    assert isinstance((await job_of(studio, packed)).request, BundleRequest)
    [file] = packed.attachments
    assert file.filename == "boards-v1.zip"
    assert "README.md" in zipfile.ZipFile(io.BytesIO(await file.read())).namelist()
    await said(studio, "change", name="boards", new_name="huge")
    await studio.alice.slash(studio.channel, "inspect export", name="huge")
    assert "too large for a message" in text_of(studio.last()) and not studio.last().attachments


async def test_labels_go_out_and_come_back(studio: Studio) -> None:
    await made(studio, count=4)
    result = await studio.alice.slash(studio.channel, "inspect export", name="boards", what="labels as CSV")
    [file] = result.response.attachments
    data = await file.read()
    again = await said(studio, "import", name="boards", file=("labels.zip", data))
    assert "4 pictures labelled." in again
    wrong = await said(studio, "import", name="boards", file=("labels.zip", b"nothing"))
    assert "labels.zip" in wrong


async def test_a_zip_file_brings_pictures_with_folders_as_labels(studio: Studio) -> None:
    await said(studio, "new", name="trees", finds="sort by label")
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for n in range(3):
            archive.writestr(f"oak/{n}.png", png(50 + n, 30, (40, 200, 40)))
            archive.writestr(f"elm/{n}.png", png(60 + n, 30, (40, 90, 40)))
        archive.writestr("notes.txt", "nothing")
    answer = await said(studio, "add", name="trees", archive=("trees.zip", held.getvalue()))
    assert "6 taken" in answer and "3 elm, 3 oak" in answer and "Press **Train**" in answer
    await studio.alice.slash(studio.channel, "inspect train", name="trees")
    assert "Training of own labels" in text_of(studio.last())
    await studio.alice.slash(studio.channel, "classify", image=good(1), labels="@trees")
    message = studio.last()
    assert text_of(message).startswith("**oak, 90 % sure**\n") and "oak 90% · elm 10%" in text_of(message)
    assert isinstance((await job_of(studio, message)).request, InspectRequest)
    result = await studio.bob.slash(studio.channel, "classify", image=good(1), labels="@nothing")
    assert "no such project" in told(result)


async def test_what_is_somebodys_alone_is_shown_to_them_alone(studio: Studio) -> None:
    before = studio.last().id if studio.channel.history() else 0
    await made(studio, only_me=True)
    result = await studio.alice.slash(studio.channel, "inspect train", name="boards")
    assert result.ephemeral and "version 1" in text_of(result.response)
    assert not [m for m in studio.channel.history() if m.id > before]
    verdict = await studio.alice.slash(studio.channel, "inspect try", name="boards", image=bad(1))
    assert verdict.ephemeral and "Not like the good ones" in text_of(verdict.response)
    for what, options in (("show", {}), ("try", {"image": bad(1)}), ("report", {}), ("forget", {})):
        assert "no such project" in await said(studio, what, studio.bob, name="boards", **options)
    project = re.search(r"pj:([a-z2-9]{12})", str(ids_of(result.response)))[1]
    for what in ("show", "train"):  # somebody who has its id
        assert "no such project" in await said(studio, what, studio.bob, name=project)
    assert "private to you" in text_of(await card(studio))


async def test_members_use_a_servers_project_and_no_more_until_they_may(studio: Studio) -> None:
    message = await trained(studio)
    shown = await card(studio, by=studio.bob)
    assert [i.split(":")[2] for i in ids_of(shown)] == ["try", "report", "cameras"]
    assert text_of(shown).endswith("➡️ Press **Try** and give it a picture.")
    for action, word in (
        ("stricter", "Only the project's owner"),
        ("bundle", "don't have permission to export"),
    ):
        assert word in told(await press(studio, message, action, studio.bob))
    assert "have permission" in await said(studio, "add", studio.bob, name="boards", image=bad(1))
    assert "have permission" in await said(studio, "train", studio.bob, name="boards")
    shown = await press(studio, message, "try", studio.bob)
    await studio.bob.submit_modal(shown, {"pictures": [bad(1)]})
    assert "Not like the good ones" in text_of(studio.last())
    assert "Someone with permission to add and label pictures" in told(
        await studio.bob.submit_modal(await press(studio, studio.last(), "iswrong", studio.bob), {})
    )
    answer = await said(studio, "share", studio.mira, name="boards", add=True, label=True)
    assert "Every member: add pictures, label, ask its model" in answer
    assert "1 taken." in await said(studio, "add", studio.bob, name="boards", image=bad(1))
    assert "Only the project's owner" in await said(studio, "share", studio.bob, name="boards", train=True)


async def test_a_message_gives_its_pictures_to_a_project_or_has_them_judged(studio: Studio) -> None:
    message = await studio.bob.send(studio.channel, "look", attachments=[bad(5)])
    nothing = await studio.alice.context_menu(studio.channel, "Add to project", message)
    assert "There is no project" in told(nothing)
    await trained(studio)
    actor = Actor(studio.alice.id, studio.guild.id, studio.channel.id)
    project = (await studio.bot.studio.projects.all(actor))[0].id
    shown = await studio.alice.context_menu(studio.channel, "Add to project", message)
    added = await studio.alice.submit_modal(shown, {"project": [project], "label": "scratch"})
    assert "1 taken." in told(added) and "1 scratch" in told(added)
    forwarded = await studio.bob.forward(message, studio.channel)
    shown = await studio.bob.context_menu(studio.channel, "Inspect", forwarded)
    await studio.bob.submit_modal(shown, {"project": [project]})
    assert text_of(studio.last()).startswith("**Not like the good ones")


async def test_forget_asks_first_and_deletes_then(studio: Studio) -> None:
    message, shown = await trained(studio), await card(studio)
    asked = await studio.alice.slash(studio.channel, "inspect forget", name="boards")
    assert "with 5 pictures and 1 version? This can't be undone." in text_of(asked.response)
    refused = await studio.bob.slash(studio.channel, "inspect forget", name="boards")
    assert "Only the project's owner" in told(refused)
    await studio.restart()
    assert "**boards** is deleted." in told(await press(studio, asked.response, "forget"))
    assert "There is no project here yet" in await said(studio, "show")
    assert message.id not in [m.id for m in studio.channel.history()], "its jobs go with it"
    for action in ("add", "label", "train", "try", "report"):
        assert "no such project" in told(await press(studio, shown, action))


async def test_what_a_model_says_it_cannot_do_is_told_with_its_verdicts(studio: Studio) -> None:
    await made(studio)
    await said(studio, "change", name="boards", parts="anywhere, like a surface")
    await studio.alice.slash(studio.channel, "inspect train", name="boards")
    message = studio.last()
    assert "It is weak on these pictures" in text_of(message) and "It may miss tints" in text_of(message)
    await studio.alice.slash(studio.channel, "inspect try", name="boards", image=bad(1))
    assert "It is weak on these pictures" in text_of(studio.last())


async def test_names_and_labels_are_completed(studio: Studio) -> None:
    await made(studio)
    await said(studio, "new", name="trees", finds="sort by label")
    found = await studio.alice.autocomplete(studio.channel, "inspect show", "name", "oar")
    assert [choice["name"] for choice in found] == ["boards (inspection)"]
    found = await studio.alice.autocomplete(studio.channel, "classify", "labels", "@")
    assert [choice["name"] for choice in found] == ["@trees (own labels)"]


async def test_a_running_training_is_cancelled_by_its_button(studio: Studio) -> None:
    await made(studio)
    await said(studio, "change", name="boards", parts="anywhere, like a surface")
    studio.hooks.wait = studio.outside
    await studio.alice.slash(studio.channel, "inspect train", name="boards")
    message = studio.last()
    assert "Training of an inspection by" in text_of(message) and "version" not in text_of(message)
    assert "A version is being trained." in text_of(await card(studio))
    await studio.alice.click(message, label="Cancel")
    await studio.env.settle()
    studio.hooks.wait = None
    cancelled = next(m for m in studio.channel.history() if m.id == message.id)
    assert "(Cancelled)" in text_of(cancelled)
    await studio.restart()
    shown = await press(studio, cancelled, "project")
    assert "➡️ Press **Train**" in told(shown), "nothing was trained"


async def test_in_a_direct_message_a_project_is_ones_own(studio: Studio) -> None:
    dora = studio.newcomer()
    result = await dora.slash("inspect new", name="boards")
    assert "private to you" in told(result)
    shown = await dora.slash("inspect add", name="boards", label="good")
    added = await send_window(dora, shown, pictures=[good(n) for n in range(1, 6)])
    assert "5 taken" in told(added)
    await dora.slash("inspect train", name="boards")
    result = await dora.slash("inspect try", name="boards", image=bad(1))
    assert "Not like the good ones" in told(result)
    assert "There is no project" in await said(studio, "show", studio.bob)


async def test_a_card_leads_to_the_web_where_there_is_one(tmp_path: Path) -> None:
    settings = {"WEB_PORT": "8080", "PUBLIC_URL": "https://studio.example"}
    async with open_studio(tmp_path, **settings) as studio:
        await made(studio, count=1)
        message = await card(studio)
        [web] = [item.url for item in items_of(message) if item.url]
        assert re.fullmatch(r"https://studio\.example/projects/[a-z2-9]{12}", web)


async def test_a_card_fits_below_however_much_was_refused(studio: Studio) -> None:
    await said(studio, "new", name="trees", finds="sort by label")
    shown: list[str] = []

    async def edit_original_response(*, view: discord.ui.LayoutView, **_: object) -> None:
        shown.append(text_of(SimpleNamespace(content="", components=view.to_components())))

    interaction = SimpleNamespace(
        _integration_owners={},
        user=SimpleNamespace(id=studio.alice.id, name="alice", roles=[]),
        guild_id=studio.guild.id,
        guild=None,
        channel_id=studio.channel.id,
        channel=None,
        permissions=discord.Permissions.none(),
        edit_original_response=edit_original_response,
    )
    await studio.bot.projects.cards.show(
        interaction, "trees", "1 taken, 3 refused: " + "a long name.png; " * 150
    )
    assert length(shown[0]) <= 2000 and shown[0].startswith("1 taken, 3 refused") and "➡️" in shown[0]
