"""Every cell of who may do what, walked against rules that were written down apart from the table.

``python -m proofs.studio.authority_cells`` prints the number of cells, of escalations, and how many seeded
bugs the walk catches.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from unittest import mock

from core.job import Job, Lane, Origin, Status
from core.requests import ImagineRequest
from studio import authority
from studio.authority import Action, Actor, Authority, CurrentDirectory, Place, Role

AUTHOR, OTHER, HOST = 1, 2, 3
HERE, THERE = 10, 20
STUDIO, LOUNGE, STAFF, THREAD, DIRECT, ABROAD, FOREIGN = 100, 101, 102, 103, 104, 105, 106
READABLE = {STUDIO, LOUNGE, THREAD}  # of HERE, by a plain member


@dataclass(frozen=True)
class Spot:
    """Where the person acts. away: the bot isn't there."""

    guild_id: int | None
    channel_id: int
    away: bool = False


@dataclass(frozen=True)
class Subject:
    """What is acted on. job None: a forged id, or that of a job which is gone. shown: other places where its
    rows say it is shown."""

    job: Job | None
    shown: tuple[Place, ...] = ()


@dataclass(frozen=True)
class Cell:
    action: Action
    actor: Actor
    subject: Subject
    seen: frozenset[int]  # servers that the bot is in, by the rows
    here: frozenset[int]  # those of them that Discord has told of
    home: frozenset[int]


def _job(guild: int | None, channel: int, private: bool, away: bool = False) -> Job:
    origin = Origin(user_id=AUTHOR, channel_id=channel, guild_id=guild, private=private, away=away)
    return Job(
        "abcdefghjkmn", ImagineRequest(prompt="a"), origin, Status.DELIVERED, Lane.FAST, datetime.now(UTC)
    )


def subjects() -> list[Subject]:
    asked = [(HERE, STUDIO), (HERE, STAFF), (HERE, THREAD), (None, DIRECT), (THERE, ABROAD)]
    shown = [(), (Place(HERE, LOUNGE),), (Place(None, DIRECT),)]
    abroad = (Place(None, FOREIGN),)  # brought back where the bot isn't
    jobs = [Subject(_job(*place, private), s) for place in asked for private in (False, True) for s in shown]
    jobs += [Subject(_job(*place, private), abroad) for place in asked for private in (False, True)]
    return [Subject(None), *jobs, *(Subject(_job(None, FOREIGN, True, True), s) for s in (*shown, abroad))]


ACTIONS = tuple(action for action in Action if not authority.TABLE[action].project)


def cells(actions: tuple[Action, ...] = ACTIONS) -> Iterator[Cell]:
    spots = [
        Spot(HERE, STUDIO),
        Spot(HERE, LOUNGE),
        Spot(HERE, STAFF),
        Spot(HERE, THREAD),
        Spot(None, DIRECT),
        Spot(THERE, ABROAD),
        Spot(None, FOREIGN, away=True),
    ]
    one, two, none = frozenset({HERE}), frozenset({HERE, THERE}), frozenset[int]()
    worlds = [
        (one, one, none),
        (two, two, none),
        (two, two, one),
        (one, one, frozenset({THERE})),
    ]
    half_told = [  # they matter to whoever would operate the whole queue
        (two, one, none),  # the other one's connection isn't begun yet
        (two, frozenset({THERE}), none),
        (one, none, none),  # its own isn't
        (none, one, none),  # the row of a server that was joined just now isn't written yet
        (one, two, none),
        (none, none, none),
        (two, one, one),
    ]
    people = itertools.product((AUTHOR, OTHER, HOST), (False, True), (False, True), spots)
    every_subject = subjects()
    for user, manages, barred, spot in people:
        reads = (lambda c: c in READABLE) if spot.guild_id == HERE else (lambda c: c == ABROAD)
        actor = Actor(user, spot.guild_id, spot.channel_id, manages, barred, reads, away=spot.away)
        for subject, action in itertools.product(every_subject, actions):
            for world in [*worlds, *(half_told if action is Action.OPERATE else ())]:
                yield Cell(action, actor, subject, *world)


def answer(cell: Cell) -> bool:
    """What the program says."""
    rights = Authority(CurrentDirectory(), {HOST}, cell.home)
    actor = replace(cell.actor, sole=authority.is_sole(cell.actor.guild_id, cell.seen, cell.here))
    return rights.allows(actor, cell.action, cell.subject.job, cell.subject.shown)


def counting_those_here() -> AbstractContextManager[object]:
    """A program that takes the servers which Discord has told of for all there are."""
    return mock.patch.object(authority, "is_sole", lambda guild_id, seen, here: len(here) == 1)


# The rules, one sentence each

ABOUT_ONESELF = {"mine", "privacy", "help"}
FOR_OWN_WORK = {"ask", "settings"}
OF_A_SERVER = {"queue", "rules", "moderate"}
WHOLE_QUEUE = {"operate"}
FOR_ITS_AUTHOR = {"organise", "share"}  # whoever else sees the job
KEPT_BY_THE_BARRED = {"organise"}  # one's own things can always be put away
WITHOUT_A_JOB = ABOUT_ONESELF | FOR_OWN_WORK | OF_A_SERVER | WHOLE_QUEUE


def expected(cell: Cell) -> bool:
    """What the rules say."""
    return _without_a_job(cell) if cell.action.value in WITHOUT_A_JOB else _with_a_job(cell)


def _runs_the_server(cell: Cell) -> bool:
    """Manage Server counts in a server, and only there."""
    return cell.actor.manages and cell.actor.guild_id is not None


def _without_a_job(cell: Cell) -> bool:
    name, host = cell.action.value, cell.actor.user_id == HOST
    if name in ABOUT_ONESELF:  # nobody is ever kept from their own data, or from help
        return True
    if name in FOR_OWN_WORK:  # a ban ends it
        return not cell.actor.barred
    if name in OF_A_SERVER:
        return host or _runs_the_server(cell)
    if cell.home:
        return host or _runs_the_server(cell) and cell.actor.guild_id in cell.home
    # one of several servers must not stop everybody's queue, though Discord hasn't told of the others yet
    others = (cell.seen | cell.here) - {cell.actor.guild_id}
    return host or _runs_the_server(cell) and bool(cell.seen | cell.here) and not others


def _with_a_job(cell: Cell) -> bool:
    job, actor, name = cell.subject.job, cell.actor, cell.action.value
    if job is None:  # nothing can be done to what isn't there
        return False
    own = job.origin.user_id == actor.user_id
    if name in FOR_ITS_AUTHOR:
        return own and (not actor.barred or name in KEPT_BY_THE_BARRED)
    ends = name in ("cancel", "delete")
    if own and ends:  # also while banned
        return True
    if own and not actor.barred and name != "front":
        return True
    if actor.user_id == HOST and (
        ends or name == "front"
    ):  # the host ends and reorders, and sees no more than others do
        return True
    if _runs_the_server(cell) and job.origin.guild_id == actor.guild_id:
        if name in ("cancel", "front") or (name == "delete" and not job.origin.private):
            return True
    if ends or name == "front" or actor.barred or job.origin.private:
        return False
    return _can_see_it(cell)


def _can_see_it(cell: Cell) -> bool:
    """In this server, in a channel where it was asked for or is shown, which the person stands in or can
    read; or as a copy sent to them by direct message, which they stand in. Nobody sees anything of others' by
    standing where the bot isn't."""
    if cell.actor.away:
        return False
    job = cell.subject.job
    shown = [
        (job.origin.guild_id, job.origin.channel_id),
        *((p.guild_id, p.channel_id) for p in cell.subject.shown),
    ]
    here = [channel for guild, channel in shown if guild is not None and guild == cell.actor.guild_id]
    copies = [p.channel_id for p in cell.subject.shown if p.guild_id is None and cell.actor.guild_id is None]
    return (
        any(channel == cell.actor.channel_id or cell.actor.reads(channel) for channel in here)
        or cell.actor.channel_id in copies
    )


def walk(actions: tuple[Action, ...] = ACTIONS) -> tuple[int, list[Cell], list[Cell]]:
    """(cells, those allowed against the rules, those refused against the rules)."""
    count, escalations, refusals = 0, [], []
    for cell in cells(actions):
        count += 1
        says, should = answer(cell), expected(cell)
        if says and not should:
            escalations.append(cell)
        elif should and not says:
            refusals.append(cell)
    return count, escalations, refusals


def mutants() -> Iterator[tuple[str, Action, authority.Row]]:
    """The table with one thing wrong: a role too many or too few in a column, or what a ban leaves turned
    round."""
    for action in ACTIONS:
        row = authority.TABLE[action]
        for role in Role:
            if role is Role.GRANTED:  # of projects alone, see project_cells
                continue
            yield f"{action} public {role.name}", action, replace(row, public=row.public ^ role)
            if row.job:
                yield f"{action} private {role.name}", action, replace(row, private=row.private ^ role)
        yield f"{action} barred", action, replace(row, barred=not row.barred)


def caught() -> tuple[int, list[str]]:
    """How many seeded bugs there are, and those that the walk doesn't see."""
    count, missed = 0, []
    for action, changes in itertools.groupby(mutants(), key=lambda mutant: mutant[1]):
        rules = [(cell, expected(cell)) for cell in cells((action,))]
        for name, _, row in changes:
            if not _matters(row, authority.TABLE[action]):
                continue
            count += 1
            with mock.patch.dict(authority.TABLE, {action: row}):
                if not any(answer(cell) != should for cell, should in rules):
                    missed.append(name)
    return count, missed


def _matters(changed: authority.Row, row: authority.Row) -> bool:
    """Some changes change nothing: without a job nobody is its author or sees it; an operator is a manager;
    ANYONE stays in the way of a narrower role that is added beside it; a ban leaves rights over others as
    they are."""
    toggled = (changed.public ^ row.public) | (changed.private ^ row.private)
    if changed.barred != row.barred:
        return bool((row.public | row.private) & (Role.ANYONE | Role.AUTHOR | Role.MEMBER))
    if not row.job and toggled & (Role.AUTHOR | Role.MEMBER):
        return False
    if toggled == Role.OPERATOR and Role.MANAGER in row.public and not row.job:
        return False
    implied = Role.ANYONE in row.public and Role.ANYONE in changed.public
    return not implied or not row.barred


def main() -> int:
    count, escalations, refusals = walk()
    with counting_those_here():
        _, found, _ = walk((Action.OPERATE,))
    bugs, missed = caught()
    print(f"authority: {count:,} cells, {len(escalations)} escalations, {len(refusals)} wrong refusals")
    print(
        f"  negative control: {bugs - len(missed)} of {bugs} seeded bugs in the table are"
        f" caught{': not ' + ', '.join(missed) if missed else ''}"
    )
    print(f"  a program that counts the servers of its own process: {len(found)} escalations")
    return 1 if escalations or refusals or missed or not found else 0


if __name__ == "__main__":
    raise SystemExit(main())
