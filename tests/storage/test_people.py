"""What members choose and keep, as rows. Rows of documents: versions, whose they are, how many there are,
and the files that they keep."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from core.convert import Preferences
from core.job import Job, Lane
from core.requests import ImagineRequest
from storage import documents, jobs, people, privacy
from storage.database import Database
from storage.documents import Content
from storage.job_queries import StoredOutput, StoredPicture
from storage.members import Members
from storage.people import AuditRow, RoleLimit, Rules
from storage.schema import document_files
from tests.storage.conftest import NOW, a_job, added
from tests.storage.test_trash import ANN, BEN


async def test_turns_are_kept_apart_from_names_and_flags(database: Database) -> None:
    await database.write(lambda c: people.set_served(c, 1, 7))
    await database.write(lambda c: people.user_seen(c, 1, "alice", now=NOW))
    await database.write(lambda c: people.set_flag(c, 1, "hint", True))
    await database.write(lambda c: people.set_flag(c, 1, "lane", "relax"))
    await database.write(lambda c: people.set_flag(c, 1, "hint", None))
    assert await database.read(lambda c: people.turns(c, [1, 2])) == {1: 7, 2: 0}
    assert await database.read(people.last_turn) == 7
    assert [await database.read(lambda c, k=k: people.read_flag(c, 1, k)) for k in ("hint", "lane")] == [
        None,
        "relax",
    ]
    assert await database.read(lambda c: people.read_flag(c, 2, "hint")) is None


async def test_a_ban_holds_where_it_was_spoken_or_everywhere(database: Database) -> None:
    await database.write(lambda c: people.ban(c, 1, 3, actor_id=9, now=NOW))
    await database.write(lambda c: people.ban(c, 1, 3, actor_id=9, now=NOW))
    await database.write(lambda c: people.ban(c, 2, None, actor_id=9, now=NOW))
    asked = [(1, 3), (1, 4), (1, None), (2, 3), (2, None)]
    assert [
        (await database.read(lambda c, u=u, g=g: people.read_rules(c, u, g))).banned for u, g in asked
    ] == [True, False, False, True, True]
    assert await database.read(lambda c: people.banned(c, 3)) == [1]
    assert await database.write(lambda c: people.unban(c, 1, 3))
    assert not await database.write(lambda c: people.unban(c, 1, 3))


async def test_lists_and_limits_are_a_guilds_own(database: Database) -> None:
    await database.write(lambda c: people.allow(c, 3, "channel", 30))
    await database.write(lambda c: people.allow(c, 3, "role", 31))
    await database.write(lambda c: people.set_role_rule(c, 3, RoleLimit(31, 5, 50)))
    await database.write(lambda c: people.set_role_rule(c, 3, RoleLimit(31, 6, 60)))
    assert await database.read(lambda c: people.read_rules(c, 1, 3, [31])) == Rules(
        False, frozenset({30}), frozenset({31}), (RoleLimit(31, 6, 60),)
    )
    assert await database.read(lambda c: people.read_rules(c, 1, 4, [31])) == Rules()
    assert await database.write(lambda c: people.disallow(c, 3, "channel", 30))
    assert await database.write(lambda c: people.remove_role_rule(c, 3, 31, RoleLimit))
    assert await database.read(lambda c: people.read_rules(c, 1, 3, [31])) == Rules(roles=frozenset({31}))


async def test_the_audit_trail_is_newest_first(database: Database) -> None:
    rows = [AuditRow(NOW, 9, "pause"), AuditRow(NOW, 9, "ban", 3, "1", {"why": "ü"})]
    for row in rows:
        await database.write(lambda c, r=row: people.add_audit(c, r))
    assert await database.read(people.audit_rows) == rows[::-1]


async def test_settings_are_any_json(database: Database) -> None:
    assert await database.read(lambda c: people.read_setting(c, "paused")) is None
    for value in (True, {"a": [1]}):
        await database.write(lambda c, v=value: people.set_setting(c, "paused", v))
        assert await database.read(lambda c: people.read_setting(c, "paused")) == value


ALICE, BOB = 1, 2
PICTURES = tuple(StoredPicture(f"{n}" * 64, "image/png", 64, 48, n, n, 9) for n in range(4))


async def finished_job(database: Database, request: ImagineRequest, *, user_id: int) -> Job:
    job = await added(database, replace(a_job(user=user_id), request=request))
    await database.write(lambda c: jobs.claim(c, job.id, token="t", device="cpu", now=NOW))
    await database.write(
        lambda c: jobs.finish(c, job.id, StoredOutput(PICTURES), token="t", now=NOW, run_seconds=1.5)
    )
    return job


@pytest.fixture
def members(database: Database) -> Members:
    return Members(database)


async def test_preferences_are_kept_for_each_member(members: Members) -> None:
    assert await members.preferences(ALICE) == Preferences()
    await members.change(ALICE, remix=True, lane=Lane.RELAX)
    assert await members.change(ALICE, stylize=250) == Preferences(remix=True, lane=Lane.RELAX, stylize=250)
    assert await members.preferences(BOB) == Preferences()
    await members.reset(ALICE)
    assert await members.preferences(ALICE) == Preferences()


async def test_choices_of_a_member_and_a_guild_are_read_at_once(database: Database, members: Members) -> None:
    assert await members.choices(ALICE, 3) == (Preferences(), "")
    await members.change(ALICE, language="de")
    await database.write(lambda c: people.set_setting(c, people.LANGUAGE_IN.format(3), "fr"))
    assert await members.choices(ALICE, 3) == (Preferences(language="de"), "fr")
    assert await members.choices(BOB, 4) == (Preferences(), "")


async def test_options_are_limited_in_number_and_can_be_changed_when_full(members: Members) -> None:
    assert [await members.set_option(ALICE, f"o{n}", "--ar 3:2", most=3) for n in range(4)] == [
        True,
        True,
        True,
        False,
    ]
    assert await members.set_option(ALICE, "o1", "--ar 1:1", most=3)
    assert await members.options(ALICE) == {"o0": "--ar 3:2", "o1": "--ar 1:1", "o2": "--ar 3:2"}
    assert await members.remove_option(ALICE, "o0") and not await members.remove_option(ALICE, "o0")
    assert await members.options(BOB) == {}


async def test_a_favourite_is_kept_and_let_go(database: Database, members: Members) -> None:
    job = await finished_job(database, ImagineRequest(prompt="a boat"), user_id=BOB)
    assert await members.toggle_favourites(ALICE, job.id, [1])
    assert await members.toggle_favourites(ALICE, job.id, [0, 1])  # one of them is new
    kept = await members.favourites(ALICE, limit=10)
    assert {(f.job_id, f.position, f.prompt) for f in kept} == {(job.id, 0, "a boat"), (job.id, 1, "a boat")}
    assert not await members.toggle_favourites(ALICE, job.id, [0, 1])
    assert await members.favourites(ALICE, limit=10) == [] and await members.count_favourites(ALICE) == 0


async def test_a_draft_comes_back_with_its_author(members: Members) -> None:
    name = await members.add_draft(ALICE, {"prompt": "{a, b}"})
    assert len(name) == 12 and await members.draft(name) == (ALICE, {"prompt": "{a, b}"})
    assert await members.draft("nosuchdraft2") is None


async def test_usage_counts_what_was_made(database: Database, members: Members) -> None:
    await finished_job(database, ImagineRequest(prompt="a boat"), user_id=ALICE)
    await finished_job(database, ImagineRequest(prompt="a cat"), user_id=ALICE)
    await finished_job(database, ImagineRequest(prompt="a dog"), user_id=BOB)
    used = await members.usage(ALICE)
    assert used.jobs == {"imagine": 2} and used.pictures == 8 and used.seconds == pytest.approx(3.0)
    assert (await members.usage(ALICE, datetime.now(UTC) + timedelta(days=1))).jobs == {}


async def test_recent_prompts_come_once_and_newest_first(database: Database, members: Members) -> None:
    for prompt in ("a boat", "a cat", "A Boat at night", "a boat"):
        await finished_job(database, ImagineRequest(prompt=prompt, chaos=3), user_id=ALICE)
    found = await members.recent(ALICE)
    assert [job.request.prompt for job in found] == ["a boat", "A Boat at night", "a cat"]
    assert found[0].request.chaos == 3 and len(await members.recent(ALICE, limit=2)) == 2
    assert await members.recent(BOB) == []


A, B = "a" * 64, "b" * 64


def content(text: str = "{}", *files: str) -> Content:
    return Content(text, {"width": 64}, files)


async def kept(
    database: Database, name: str = "", *files: str, user: int = ANN, most: int = 3, later: int = 0
) -> str | None:
    now = NOW + timedelta(seconds=later)
    return await database.write(
        lambda c: documents.add_document(c, user, name, content("{}", *files), now=now, most=most)
    )


async def saved(database: Database, document: str, version: int, user: int = ANN, *files: str):
    given = content('{"v":2}', *files)
    return await database.write(lambda c: documents.save_document(c, user, document, version, given, now=NOW))


async def names(database: Database, user: int = ANN) -> list[str]:
    return [one.id for one in await database.read(lambda c: documents.list_documents(c, user))]


async def test_a_change_is_written_over_the_version_it_knows_and_over_no_other(database: Database) -> None:
    document = await kept(database)
    assert document is not None
    assert await saved(database, document, 1) == 2
    assert await saved(database, document, 1) is None
    assert await saved(database, document, 3) is None
    assert await saved(database, document, 2, BEN) is None
    found = await database.read(lambda c: documents.find_document(c, ANN, document))
    assert found is not None and (found.version, found.content) == (2, '{"v":2}')
    assert await database.read(lambda c: documents.find_document(c, BEN, document)) is None
    assert not await database.write(lambda c: documents.delete_document(c, BEN, document))
    assert await database.write(lambda c: documents.delete_document(c, ANN, document))
    assert await names(database) == []


async def test_one_too_many_is_refused_and_takes_no_other_s_place(database: Database) -> None:
    named, unnamed = await kept(database, "harbour", most=2), await kept(database, later=1, most=2)
    assert await kept(database, later=2, most=2) is None
    assert await names(database) == [unnamed, named]
    assert await kept(database, user=BEN, most=1), "everybody's are counted apart"


async def test_what_a_document_needs_is_kept_though_it_was_sent_long_ago(database: Database) -> None:
    for user, sha256 in ((ANN, A), (ANN, B), (BEN, B)):
        await database.write(
            lambda c, user=user, sha256=sha256: privacy.note_upload(c, user, sha256, now=NOW)
        )
    document = await kept(database, "", A, "c" * 64)
    assert document is not None
    files = sa.select(document_files.c.sha256)
    assert await database.read(lambda c: list(c.execute(files).scalars())) == [A], "what she has sent"
    later = NOW + timedelta(days=40)
    assert await database.write(lambda c: privacy.drop_uploads(c, later)) == (2, {B})
    assert await database.read(lambda c: privacy.sent(c, ANN, A))
    assert not await database.read(lambda c: privacy.sent(c, BEN, B))
    await saved(database, document, 1)
    assert await database.read(lambda c: list(c.execute(files).scalars())) == []
    assert await database.write(lambda c: privacy.drop_uploads(c, later)) == (1, {A})


async def test_documents_without_a_name_end(database: Database) -> None:
    old, named = await kept(database, later=-10), await kept(database, "harbour", later=-10)
    fresh = await kept(database, later=10)
    await database.write(lambda c: documents.drop_unnamed(c, NOW))
    assert set(await names(database)) == {named, fresh} and old not in (named, fresh)
