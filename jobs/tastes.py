"""What a job's candidates are chosen by: tastes are learned anew from the rows as it is handed out, in a
process of the executor, and kept nowhere."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial

from core.errors import AtelierError
from core.job import NOBODY, Job
from core.limits import Weighted
from core.prompt.values import OWN
from core.requests import ImagineRequest
from jobs.executors.base import Executor
from storage import tastes as stored
from storage.database import Database
from storage.embeddings import IN_USE
from storage.people import read_setting
from storage.server_tastes import FEWEST_VOTERS, SERVER, read_noted, read_server_lesson
from storage.tastes import Row, Spot, Told
from vision.protocol import Declined, Learn, Learned, Shown, Taste

FEWEST_HEARTS = 5
PATIENCE = 15.0  # seconds
UNKNOWN = "`--p` had no effect: {} isn't there any more, or isn't shared here."
NOTHING_SEEN = "`--p` had no effect: no model here has looked at the pictures yet."
NOT_NOW = "`--p` had no effect: nothing here can learn a taste now."
FEW_MEMBERS = "`--p server` had no effect: it begins when hearts of {} members count in this server."
UNTRIED = (
    "`--p server` had no effect: first a blind vote of members has to say that it fits. Managers begin one:"
    " `/taste trial`."
)
WORDS_ALONE = "`--p {name}` chose nothing: it has no grid of yours in which you liked one picture more."
TOO_FEW = "`--p` had no effect: it begins at {fewest} grids with a liked picture, and {name} has {count}."

# which of some places a person can read now
Sees = Callable[[int, Collection[Spot]], Awaitable[Collection[Spot]]]


async def sees_nothing(user_id: int, spots: Collection[Spot]) -> Collection[Spot]:
    """Return no place: nobody can say who reads what."""
    return ()


class Unlearned(AtelierError):
    """Nothing can learn a taste now."""


async def learn(
    told: Sequence[Told],
    executor: Executor,
    *,
    how_well: bool = False,
    kinds: Sequence[tuple[bytes, ...]] = (),
    reference: tuple[bytes, ...] = (),
) -> Learned:
    """Return what tastes say together. how_well, kinds, reference: see ``Learn``. Raises Unlearned."""
    shown = tuple(Shown(one.pages, one.vectors, one.weight, one.voters) for one in told)
    try:
        async with asyncio.timeout(PATIENCE):
            answer = await executor.ask(Learn(secrets.token_hex(8), shown, how_well, tuple(kinds), reference))
    except TimeoutError as error:
        raise Unlearned("it takes too long") from error
    if isinstance(answer, Declined):
        raise Unlearned(answer.reason)
    return Learned(*answer.answer)


def known_grids(told: Told) -> int:
    """Return in how many grids pictures were liked more than others that were seen as well."""
    seen = told.vectors.keys()
    return sum(not seen.isdisjoint(liked) and not seen.isdisjoint(passed) for liked, passed in told.pages)


def is_board(told: Told) -> bool:
    """Return whether a taste is liked pictures alone, as many as words of them can be told of: hearts on
    others' pictures, or a folder of whole jobs, beside which nothing was passed over."""
    alone = not told.voters and not any(passed for _liked, passed in told.pages)
    return alone and told.likes >= FEWEST_HEARTS


async def seen_rows(database: Database, user_id: int, rows: Sequence[Row], sees: Sees) -> list[Row]:
    """Return those of somebody's rows whose pictures they may see now: others' only where they are shown in
    a place that this person can read."""
    work = partial(stored.others_shown, user_id=user_id, rows=rows)
    others, shown = await database.read(work)
    for spot in await sees(user_id, shown) if shown else ():
        others -= shown[spot]
    return [row for row in rows if row.job_id not in others]


async def read_lessons(
    database: Database, tastes: Weighted, user_id: int, guild_id: int | None, sees: Sees
) -> tuple[str, list[Told]]:
    """Return the model whose vectors answer now, "" = none, and what those tastes tell that somebody may use
    in a server."""
    model, found = await database.read(partial(read_setting, key=IN_USE)), list[Told]()
    if not isinstance(model, str):
        return "", found
    for name, weight in tastes:
        if name == SERVER:
            server = partial(read_server_lesson, guild_id=guild_id or 0, model=model, weight=weight)
            found += [told] if guild_id and (told := await database.read(server)) is not None else []
            continue
        find = partial(stored.find_rows, user_id=user_id, name=name, guild_id=guild_id)
        if (rows := await database.read(find)) is None:
            continue
        owner = await database.read(partial(stored.owner_of, name=name, user_id=user_id))
        rows = await seen_rows(database, owner, rows, sees)
        read = partial(stored.read_lesson, rows=rows, model=model, name=name, weight=weight)
        found.append(await database.read(read))
    return model, found


async def taste_of(job: Job, database: Database, executor: Executor, sees: Sees) -> Taste | None:
    """Return what a job's pictures are chosen by, None for a request that names no taste. Whose they are,
    whom they are shared with, and what their owners may see, counts now."""
    request = job.request
    if not isinstance(request, ImagineRequest) or not request.taste:
        return None
    model, told = await read_lessons(database, request.taste, job.origin.user_id, job.origin.guild_id, sees)
    if not model:
        return Taste(note=NOTHING_SEEN)
    gone = [name for name, _ in request.taste if name not in {one.name for one in told}]
    notes = [UNKNOWN.format(", ".join(f"`{name}`" for name in gone))] if gone else []
    enough = list[Told]()
    noted = await database.read(partial(read_noted, guild_id=job.origin.guild_id or 0))
    for one in told:
        if one.name == SERVER and not one.voters:
            notes.append(FEW_MEMBERS.format(FEWEST_VOTERS))
        elif one.name == SERVER and not noted.in_use and job.origin.user_id != NOBODY:  # whose are trials
            notes.append(UNTRIED)
        elif (count := known_grids(one)) >= FEWEST_HEARTS:
            enough.append(one)
        elif is_board(one) and request.taste_words:
            notes.append(WORDS_ALONE.format(name=one.name))
        else:
            name = "your taste" if one.name == OWN else f"`{one.name}`"
            notes.append(TOO_FEW.format(fewest=FEWEST_HEARTS, name=name, count=count))
    direction = b""
    if enough:
        try:
            direction = (await learn(enough, executor)).direction
        except Unlearned:
            notes.append(NOT_NOW)
    return Taste(model, direction, " ".join(notes))
