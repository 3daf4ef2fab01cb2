"""Every cell of who may do what with projects of own models, walked against rules that were written down
apart from the table: roles × rights × places × whether one is barred.

``python -m proofs.studio.project_cells`` prints the number of cells, of escalations, and how many seeded bugs
the walk catches.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from unittest import mock

from core.job import NOBODY
from proofs.studio.authority_cells import HERE, HOST, OTHER, STUDIO, THERE
from storage.projects.projects import EVERYBODY, RIGHTS, Project
from studio import authority
from studio.authority import TABLE, Action, Actor, Authority, CurrentDirectory, Role

OWNER = 1
WELDER = 77  # a role
ACTIONS = tuple(action for action in Action if TABLE[action].project)
NEEDS = {"add to": "add", "label": "label", "train": "train", "judge": "use", "export": "export"}


@dataclass(frozen=True)
class Cell:
    """What somebody does to a project."""

    action: Action
    actor: Actor
    project: Project


def projects() -> list[Project]:
    """Somebody's own, and a server's, with every right given to nobody, to a role, or to everybody; also one
    whose owner's data was deleted."""
    at = datetime.now(UTC)
    given = [frozenset[tuple[int, str]]()]
    given += [frozenset({(role, right)}) for role in (EVERYBODY, WELDER) for right in RIGHTS]
    made = [
        Project("abcdefghjkmn", user, guild, "boards", "anomaly", at, granted=granted)
        for user in (OWNER, NOBODY)
        for guild in (HERE, THERE)
        for granted in given
    ]
    return [Project("abcdefghjkmn", OWNER, None, "mine", "anomaly", at, granted=one) for one in given] + made


def cells(actions: tuple[Action, ...] = ACTIONS) -> Iterator[Cell]:
    """Yield every cell."""
    people = itertools.product(
        (OWNER, OTHER, HOST, NOBODY), (HERE, THERE, None), (False, True), (False, True), ((), (WELDER,), (5,))
    )
    every = projects()
    for user, guild, manages, barred, roles in people:
        actor = Actor(user, guild, STUDIO, manages, barred, roles=roles)
        for project, action in itertools.product(every, actions):
            yield Cell(action, actor, project)


def answer(cell: Cell) -> bool:
    """What the program says."""
    rights = Authority(CurrentDirectory(), {HOST})
    return rights.allows_in(cell.actor, cell.action, cell.project)


def expected(cell: Cell) -> bool:
    """What the rules say, a sentence each."""
    actor, project, name = cell.actor, cell.project, cell.action.value
    ends = name == "forget project"
    if ends and actor.user_id == HOST:  # the host ends anything, and looks at nothing
        return True
    if project.guild_id is None:  # one's own is one's own, wherever one is, and a ban takes all but its end
        return actor.user_id == OWNER and (ends or not actor.barred)
    if actor.guild_id != project.guild_id:  # what is a server's is there for nobody who isn't in it
        return False
    if actor.manages:  # who runs the server has everything in it; a ban doesn't take that
        return True
    if actor.user_id == project.user_id and project.user_id != NOBODY:
        return ends or not actor.barred
    if actor.barred or name in ("manage project", "forget project"):
        return False
    given = {right for role, right in project.granted if role == EVERYBODY or role in actor.roles}
    return bool(given) if name == "see project" else NEEDS[name] in given


def walk(actions: tuple[Action, ...] = ACTIONS) -> tuple[int, list[Cell], list[Cell]]:
    """(cells, those allowed against the rules, those refused against the rules)."""
    count, escalations, refusals = 0, list[Cell](), list[Cell]()
    for cell in cells(actions):
        count += 1
        says, should = answer(cell), expected(cell)
        if says and not should:
            escalations.append(cell)
        elif should and not says:
            refusals.append(cell)
    return count, escalations, refusals


def mutants() -> Iterator[tuple[str, Action, authority.Row]]:
    """The table with one thing wrong: a role or a right too many or too few, or what a ban leaves turned
    round."""
    for action in ACTIONS:
        row = TABLE[action]
        for role in (Role.ANYONE, Role.AUTHOR, Role.MANAGER, Role.HOST):
            yield f"{action} public {role.name}", action, replace(row, public=row.public ^ role)
            if role is not Role.MANAGER:  # nobody manages what is somebody's own
                yield f"{action} private {role.name}", action, replace(row, private=row.private ^ role)
        for right in RIGHTS if Role.GRANTED in row.public else ():
            yield f"{action} right {right}", action, replace(row, right=row.right ^ {right})
        if Role.GRANTED in row.public:
            yield f"{action} granted", action, replace(row, public=row.public ^ Role.GRANTED)
        yield f"{action} barred", action, replace(row, barred=not row.barred)


def caught() -> tuple[int, list[str]]:
    """How many seeded bugs there are, and those that the walk doesn't see."""
    count, missed = 0, list[str]()
    for action, changes in itertools.groupby(mutants(), key=lambda mutant: mutant[1]):
        rules = [(cell, expected(cell)) for cell in cells((action,))]
        for name, _, row in changes:
            count += 1
            with mock.patch.dict(authority.TABLE, {action: row}):
                if not any(answer(cell) != should for cell, should in rules):
                    missed.append(name)
    return count, missed


def main() -> int:
    """Print what was found."""
    count, escalations, refusals = walk()
    bugs, missed = caught()
    print(f"projects: {count:,} cells, {len(escalations)} escalations, {len(refusals)} wrong refusals")
    print(f"  negative control: {bugs - len(missed)} of {bugs} seeded bugs in the table are caught")
    print("".join(f"  not caught: {name}\n" for name in missed), end="")
    return 1 if escalations or refusals or missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
