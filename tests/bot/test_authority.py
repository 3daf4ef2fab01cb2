"""Who may do what: the table itself, every cell that matters."""

import itertools
from datetime import UTC, datetime

import pytest

from bot.authority import Action, Actor, Authority
from core.job import Job, Lane, Origin, Status
from core.requests import ImagineRequest

OWNER, AUTHOR, OTHER = 1, 2, 3
HERE, THERE = 10, 20


def _job(guild: int | None, ephemeral: bool) -> Job:
    origin = Origin(user_id=AUTHOR, channel_id=5, guild_id=guild, ephemeral=ephemeral)
    return Job("abcdefghjkmn", ImagineRequest(prompt="a"), origin, Status.DELIVERED, Lane.FAST, datetime.now(UTC))


CASES = list(itertools.product(Action, (OWNER, AUTHOR, OTHER), (HERE, THERE, None), (False, True), (HERE, None), (False, True)))


@pytest.mark.parametrize(("action", "user", "place", "manages", "job_guild", "ephemeral"), CASES)
def test_no_cell_of_the_table_grants_too_much(action, user, place, manages, job_guild, ephemeral) -> None:
    manages = manages and place is not None
    allowed = Authority({OWNER}).allows(Actor(user, place, manages), action, _job(job_guild, ephemeral), guilds=1)
    same = place is not None and place == job_guild
    expected = {
        Action.ADMINISTER: manages,
        Action.OPERATE: manages,
        Action.CANCEL: user == AUTHOR or (same and manages),
        Action.USE: user == AUTHOR or (same and not ephemeral),
        Action.SEE: user == AUTHOR or (same and not ephemeral),
    }[action]
    assert allowed == (expected or user == OWNER)


def test_a_manager_of_one_of_several_servers_does_not_operate_the_whole_queue() -> None:
    manager = Actor(OTHER, HERE, True)
    assert not Authority({OWNER}).allows(manager, Action.OPERATE, guilds=2)
    assert Authority({OWNER}, home={HERE}).allows(manager, Action.OPERATE, guilds=2)
