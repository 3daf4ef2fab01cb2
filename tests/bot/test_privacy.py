"""What a person can have told, handed over and deleted."""

import asyncio
import io
import json
import os
import time
import zipfile
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from bot.delivery import Ladder
from core.errors import StorageError
from core.events import Progress
from core.job import NOBODY
from proofs.security.deletion import canaries_in, lived
from storage import moderation, privacy, schema
from storage.blobs.removal import ORPHANS_KEPT
from storage.engines import sqlite
from storage.members import Members
from studio.authority import Actor
from studio.moderation import confusables
from studio.privacy import Retention
from tests.bot.conftest import Studio, open_studio, png
from tests.jobs.conftest import until
from tests.studio.conftest import swept
from tests.support.messages import ids_of, text_of


async def _export(studio: Studio, user) -> tuple[dict, list[str]]:
    result = await user.slash(studio.channel, "privacy export")
    (attachment,) = (
        result.response.attachments if result.response.attachments else result.followups[-1].attachments
    )
    with zipfile.ZipFile(io.BytesIO(await attachment.read())) as archive:
        return json.loads(archive.read("data.json")), archive.namelist()


def test_every_column_that_names_a_person_is_handled() -> None:
    """A new table of somebody's objects must say what becomes of them."""
    handled = {column for group in (privacy.OWNED, privacy.NAMED, privacy.KEPT) for column in group.values()}
    naming = {
        c
        for table in schema.metadata.tables.values()
        for c in table.c
        if c.name in ("user_id", "actor_id", "owner_id", "author_id")
    }
    assert naming <= handled and schema.users.c.id in handled


async def test_show_and_export_tell_what_there_is_and_only_to_oneself(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a canary boat")
    await studio.alice.slash(studio.channel, "describe", image=picture)
    shown = await studio.alice.slash(studio.channel, "privacy show")
    assert shown.ephemeral and "**Stored** 2 jobs" in text_of(shown.followups[-1])
    assert "1 uploaded picture," in text_of(shown.followups[-1])
    data, names = await _export(studio, studio.alice)
    assert [job["prompt"] for job in data["jobs"]] == ["a canary boat", None] and len(data["pictures"]) == 5
    assert len([n for n in names if n.startswith("pictures/")]) in (5, 6)  # the grid may be like one of them
    assert "interaction_token" not in json.dumps(data)
    others, _ = await _export(studio, studio.bob)
    assert "canary" not in json.dumps(others) and others["jobs"] == []


async def test_an_export_comes_in_parts_that_fit(tmp_path: Path) -> None:
    async with open_studio(tmp_path) as studio:
        await studio.alice.slash(studio.channel, "imagine", prompt="a huge boat")
        own, alice = studio.bot.studio.own, Actor(studio.alice.id, None)
        parts = [part async for part in own.export(alice, 4_000_000)]
        assert len(parts) >= 4 and all(len(part) <= 4_000_000 for part in parts)
        names = [name for part in parts for name in zipfile.ZipFile(io.BytesIO(part)).namelist()]
        assert len([n for n in names if n.startswith("pictures/")]) == 5  # four and the grid


async def test_delete_leaves_nothing_of_a_person_and_everything_of_others(tmp_path: Path, picture) -> None:
    async with open_studio(tmp_path) as studio:
        await studio.bob.slash(studio.channel, "imagine", prompt="bobs own boat --seed 1")
        await studio.mira.slash(studio.channel, "studio ban", user=studio.bob)
        await studio.mira.slash(studio.channel, "studio unban", user=studio.bob)
        await lived(studio, studio.alice, jobs=3)
        assert await asyncio.to_thread(canaries_in, tmp_path, studio.alice.id), (
            "the canaries must be there before"
        )
        asked = await studio.alice.slash(studio.channel, "privacy delete")
        began = time.monotonic()
        done = await studio.alice.click(
            asked.followups[-1] if asked.followups else asked.response, label="Delete everything"
        )
        assert time.monotonic() - began < 60 and "Deleted:" in text_of(done.followups[-1])
        assert await asyncio.to_thread(canaries_in, tmp_path, studio.alice.id) == []
        assert [m for m in studio.channel.history() if "canary" in text_of(m)] == []
        assert len((await _export(studio, studio.bob))[0]["jobs"]) >= 1
        assert (await studio.built.privacy.holdings(studio.alice.id)).jobs == 0
        await studio.alice.slash(studio.channel, "imagine", prompt="a new start")
        assert studio.last().attachments


async def test_what_goes_by_another_door_goes_from_discord_too(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    await studio.alice.click(studio.last(), label="U2")
    trash, alice = studio.bot.studio.trash, Actor(studio.alice.id, None)
    job = (await studio.bot.studio.own.recent(alice))[0].id

    async def delete(*numbers: int) -> None:
        names = [(job, n - 1) for n in numbers]
        await trash.put(alice, names)
        assert await trash.delete(alice, names) == len(numbers)

    def texts() -> list[str]:
        return [text_of(message) for message in studio.channel.history() if job in text_of(message)]

    assert len(texts()) == 2
    await delete(2)
    await until(lambda: len(texts()) == 1, patience=5)
    await studio.alice.slash(studio.channel, "show", job=job)
    assert "Some pictures of this job were deleted" in text_of(studio.last())
    again = await studio.alice.click(studio.last(), label="U2")
    assert any("no picture number 2" in text_of(said) for said in (again.response, *again.followups) if said)
    await delete(1, 3, 4)
    await until(lambda: texts() == [], patience=5)


async def test_only_the_one_it_belongs_to_can_press_delete(studio: Studio) -> None:
    from bot.cogs.account import DeleteButton

    await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    bot_channel = studio.bot.get_channel(studio.channel.id)
    import discord

    view = discord.ui.View(timeout=None)
    view.add_item(DeleteButton(studio.alice.id))
    await bot_channel.send("forged", view=view)
    result = await studio.bob.click(studio.last(), label="Delete everything")
    assert "somebody else" in text_of(result.followups[-1])
    assert (await studio.built.privacy.holdings(studio.alice.id)).jobs == 1


async def test_a_running_job_is_stopped_by_a_deletion(studio: Studio) -> None:
    queue = studio.built.queue
    studio.hooks.wait = studio.outside
    await studio.alice.slash(studio.channel, "imagine", prompt="a slow boat")
    [view] = (await queue.mine(studio.alice.id)).jobs
    async for event in queue.watch(view.job.id):
        if isinstance(event, Progress):
            break
    await studio.built.privacy.delete(studio.alice.id)
    assert (await queue.mine(studio.alice.id)).jobs == () and await queue.job(view.job.id) is None
    await until(lambda: not queue.dispatcher.running, patience=1.5)  # by itself it would take two seconds
    assert [p for p in studio.built.files.root.rglob("*") if p.suffix == ".png"] == []


async def test_a_picture_that_is_being_posted_goes_with_its_author(studio: Studio, monkeypatch) -> None:
    studio.hooks.wait = studio.outside
    posting, go_on = asyncio.Event(), asyncio.Event()
    climb = Ladder.climb

    async def slow(self, job, message, post, kept, private):
        posting.set()
        await studio.outside(go_on.wait())
        return await climb(self, job, message, post, kept, private)

    monkeypatch.setattr(Ladder, "climb", slow)
    await studio.alice.slash(studio.channel, "imagine", prompt="a canary boat")
    await posting.wait()
    await studio.built.privacy.delete(studio.alice.id)
    await studio.bot.unpost(5)
    go_on.set()
    for _ in range(100):
        await asyncio.sleep(0.02)
        await studio.env.settle()
        if not studio.bot.delivery.tasks:
            break
    assert [text_of(m) for m in studio.channel.history() if "canary" in text_of(m)] == []


async def test_a_job_deleted_before_its_delivery_ends_without_an_alarm(studio: Studio, caplog) -> None:
    studio.hooks.wait = studio.outside
    queue = studio.built.queue
    rendered, go_on = asyncio.Event(), asyncio.Event()
    result = queue.result

    async def slow(job_id: str):
        rendered.set()
        await studio.outside(go_on.wait())  # it may begin before the command has settled
        return await result(job_id)

    queue.result = slow
    await studio.alice.slash(studio.channel, "imagine", prompt="a canary boat")
    await rendered.wait()
    await studio.built.privacy.delete(studio.alice.id)
    go_on.set()
    for _ in range(100):
        await asyncio.sleep(0.02)
        await studio.env.settle()
        if not studio.bot.delivery.tasks:
            break
    assert not studio.bot.delivery.tasks
    assert [r.getMessage() for r in caplog.records if r.levelname in ("ERROR", "WARNING")] == []


async def test_bans_and_strikes_stay_until_they_expire(studio: Studio) -> None:
    database, now = studio.built.queue.database, datetime.now(UTC)
    await studio.built.queue.admin.ban(studio.mira.id, studio.alice.id, studio.guild.id)
    for days in (100, 1):
        at = now - timedelta(days=days)
        work = partial(
            moderation.add_strike,
            user_id=studio.alice.id,
            guild_id=studio.guild.id,
            rule="EXPLICIT",
            now=at,
            apart=at,
        )
        await database.write(work)
    await studio.built.privacy.delete(studio.alice.id)
    held = await studio.built.privacy.holdings(studio.alice.id)
    assert held.bans == 1 and held.strikes == 2
    await studio.built.janitor.sweep()
    assert (await studio.built.privacy.holdings(studio.alice.id)).strikes == 1


async def test_an_admin_who_is_deleted_leaves_the_audit_trail_without_a_name(studio: Studio) -> None:
    await studio.mira.slash(studio.channel, "studio ban", user=studio.bob)
    await studio.built.privacy.delete(studio.mira.id)
    (row, *_) = [row for row in await studio.built.queue.admin.audit() if row.action == "ban"]
    assert row.actor_id == NOBODY and row.target == str(studio.bob.id)
    await studio.built.privacy.delete(studio.bob.id)
    (row, *_) = [row for row in await studio.built.queue.admin.audit() if row.action == "ban"]
    assert row.target is None


# What goes by itself


async def test_what_is_over_its_time_goes_by_itself(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "describe", image=picture)
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    await studio.send_dm(studio.env.create_user("dora"), "", ("a.png", png(70, 50)))
    database, files, privacy = studio.built.queue.database, studio.built.files, studio.built.privacy
    orphan = await files.put(png(99, 33), "image/png")
    old = time.time() - ORPHANS_KEPT - 60
    for sha256 in list(files.all()):
        os.utime(files.path(sha256), (old, old))
    before = len(list(files.all()))
    await swept(studio.built.janitor)
    assert not files.exists(orphan) and len(list(files.all())) == before - 1
    past = datetime.now(UTC) - timedelta(days=40)
    await database.write(lambda c: c.execute(sa.update(schema.uploads).values(at=past)))
    await swept(studio.built.janitor)
    assert len(list(files.all())) == before - 2, "a picture that a job uses stays"
    privacy.retention = Retention(jobs=30)
    await database.write(lambda c: c.execute(sa.update(schema.jobs).values(delivered_at=past)))
    await swept(studio.built.janitor)
    assert list(files.all()) == [] and (await privacy.holdings(studio.alice.id)).jobs == 0


async def test_old_backups_go_and_a_restored_one_forgets_again(tmp_path: Path) -> None:
    async with open_studio(tmp_path) as studio:
        await studio.alice.slash(studio.channel, "imagine", prompt="a canary boat")
        alice = studio.alice.id
        saved = await studio.built.queue.database.backup("kept")
        await studio.built.privacy.delete(alice)
        made = datetime.fromtimestamp(time.time() - 20 * 86_400, UTC).strftime(sqlite.STAMP)
        other = (await studio.built.queue.database.backup("old")).with_stem(f"atelier-{made}-old")
        other.write_bytes(saved.read_bytes())  # as a copied folder has it: written today, made long ago
        await studio.built.janitor.sweep()
        assert saved.exists() and not other.exists()
    for name in ("atelier.db", "atelier.db-wal", "atelier.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / "atelier.db").write_bytes(saved.read_bytes())
    async with open_studio(tmp_path) as studio:
        assert (await studio.built.privacy.holdings(alice)).jobs == 0
    assert b"canary" not in (tmp_path / "atelier.db").read_bytes()


async def test_a_restored_backup_forgets_people_without_jobs_too(tmp_path: Path) -> None:
    async with open_studio(tmp_path) as studio:
        await studio.alice.slash(studio.channel, "prefer option set", option="mine", value="canary --ar 3:2")
        await studio.send_dm(studio.alice.user, "", ("a.png", png()))
        await studio.bob.slash(studio.channel, "prefer option set", option="mine", value="bob's own")
        alice, bob = studio.alice.id, studio.bob.id
        saved = await studio.built.database.backup("kept")
        await studio.built.privacy.delete(alice)
        await studio.alice.slash(studio.channel, "prefer option set", option="mine", value="a new one")
    for again in range(2):
        async with open_studio(tmp_path) as studio:  # nothing was restored: what came later stays
            members = Members(studio.built.database)
            assert await members.options(alice) == {"mine": "a new one"}, again
    for name in ("atelier.db", "atelier.db-wal", "atelier.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / "atelier.db").write_bytes(saved.read_bytes())
    async with open_studio(tmp_path) as studio:
        members = Members(studio.built.database)
        assert await members.options(alice) == {} and await members.options(bob) == {"mine": "bob's own"}
        assert (await studio.built.privacy.holdings(alice)).uploads == 0
    assert b"canary" not in (tmp_path / "atelier.db").read_bytes()


async def test_questions_that_nobody_answers_are_forgotten_after_a_day(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a {canary, red} boat")
    database, count = studio.built.database, sa.select(sa.func.count()).select_from(schema.drafts)
    await studio.built.janitor.sweep()
    assert await database.read(lambda c: c.execute(count).scalar_one()) == 1
    past = datetime.now(UTC) - timedelta(hours=25)
    await database.write(lambda c: c.execute(sa.update(schema.drafts).values(created_at=past)))
    await studio.built.janitor.sweep()
    assert await database.read(lambda c: c.execute(count).scalar_one()) == 0


async def test_files_that_go_while_they_are_looked_at_are_passed_over(studio: Studio, monkeypatch) -> None:
    files = studio.built.files
    monkeypatch.setattr(files, "_paths", lambda: iter([files.root / "00" / "00" / f"{'0' * 64}.png"]))
    await studio.built.janitor.sweep()


async def test_messages_that_could_not_be_deleted_are_tried_again(studio: Studio, monkeypatch) -> None:
    for _ in range(3):
        await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    refused: list[int] = []

    async def refuse(channel_id: int, message_id: int) -> bool:
        refused.append(message_id)
        return False

    with monkeypatch.context() as patch:
        patch.setattr(studio.bot, "_delete_message", refuse)
        await studio.built.privacy.delete(studio.alice.id)
        assert await studio.bot.unpost(5) == 3 and len(set(refused)) == 3  # twice each, if both tries ran
    assert await studio.bot.unpost(5) == 0
    assert studio.channel.history() == []


async def test_a_picture_sent_in_a_dm_is_its_senders_alone(studio: Studio) -> None:
    dora, eve = studio.newcomer(), studio.newcomer("eve")
    await studio.send_dm(dora, "", ("a.png", png()))
    offer = dora.dm_channel.history()[-1]
    sha256 = ids_of(offer)[0].split(":")[1]
    assert await studio.built.queue.people.has_sent(dora.id, sha256)
    assert not await studio.built.queue.people.has_sent(eve.id, sha256)
    await studio.built.privacy.delete(dora.id)
    assert not studio.built.files.exists(sha256)
    result = await dora.click(offer, label="Describe")
    assert "gone" in text_of(result.followups[-1])


async def test_a_mention_in_a_dm_puts_no_word_into_the_log(studio: Studio, caplog) -> None:
    studio.bot.extra_events.pop("on_command_error", None)  # the simulator's own handler would hide it
    await studio.send_dm(studio.alice.user, f"<@{studio.bot.user.id}> verysecretword and more")
    await studio.env.settle()
    told = [f"{record.getMessage()} {record.exc_info}" for record in caplog.records]
    assert [line for line in told if "verysecretword" in line] == []


async def test_a_deletion_that_fails_is_said(studio: Studio, monkeypatch) -> None:
    asked = await studio.alice.slash(studio.channel, "privacy delete")

    async def broken(user_id: int) -> None:
        raise StorageError("the write-ahead log can't be emptied")

    monkeypatch.setattr(studio.built.privacy, "delete", broken)
    done = await studio.alice.click(asked.response, label="Delete everything")
    assert "Something went wrong" in text_of(done.followups[-1])


async def test_a_deletion_empties_the_memory_of_read_prompts(tmp_path: Path) -> None:
    async with open_studio(tmp_path) as studio:
        await studio.alice.slash(studio.channel, "imagine", prompt="a boat of hers")
        assert confusables.read_text.cache_info().currsize
        await studio.built.privacy.delete(studio.alice.id)
        assert confusables.read_text.cache_info().currsize == 0


async def test_an_export_can_leave_the_pictures_out(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    result = await studio.alice.slash(studio.channel, "privacy export", pictures=False)
    (file,) = result.response.attachments
    with zipfile.ZipFile(io.BytesIO(await file.read())) as archive:
        assert archive.namelist() == ["data.json"] and b"a boat" in archive.read("data.json")
