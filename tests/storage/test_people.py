from storage import people
from storage.database import Database
from storage.people import AuditRow, RoleLimit, Rules
from tests.storage.conftest import NOW


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
