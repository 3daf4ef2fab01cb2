"""Every cell of the matrix: who calls which route about which job, from where; and what is wrong with an
answer."""

import enum
import io
import itertools
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import aiohttp
from PIL import Image

from studio.programs import Scope
from tests.web import expected
from tests.web.conftest import Answered
from tests.web.expected import RULES, Rule
from tests.web.world import (
    CANARY,
    LOST,
    NOBODY,
    PEOPLE,
    SCOPES_ALONE,
    SUBJECTS,
    Somebody,
    Subject,
    World,
)
from web import views
from web.call import Body, Route
from web.openapi import PART

_CANARY = re.compile(rf"{CANARY}[a-z0-9]+x")


class From(enum.Enum):
    """Where a call comes from."""

    HERE = "our own page"
    NOWHERE = "no origin"
    NULL = "null"
    FOREIGN = "another site"
    PORT = "another port"
    CROSS = "another site, said by Sec-Fetch-Site"
    REBOUND = "another name for this machine"


def key_of(route: Route) -> str:
    """Return the line of the second table that a route belongs to."""
    return f"{route.method} " + PART.sub(r"{\1}", route.path)


def filled(route: Route, values: dict[str, str]) -> str:
    """Return a route's address with these values."""
    return PART.sub(lambda part: values[part[1]], route.path)


@dataclass(frozen=True)
class Cell:
    """One call. action: the button's, where the route takes one. scope: that of the token by which a program
    calls, "all" for each; "" = a browser."""

    route: Route
    person: Somebody
    subject: Subject
    origin: From
    action: str = ""
    scope: str = ""

    @property
    def rule(self) -> Rule:
        return RULES[key_of(self.route)]

    @property
    def safe(self) -> bool:
        return self.route.method == "GET"

    def __str__(self) -> str:
        name = key_of(self.route).replace("{action}", self.action)
        by = f" by a token of {self.scope}" if self.scope else ""
        return f"{name} by {self.person.name}, {self.subject.name}, from {self.origin.value}{by}"


def cells(routes: Iterable[Route]) -> Iterator[Cell]:
    """Every cell; those of routes that name no job look at none."""
    for route in routes:
        about = SUBJECTS if _names_a_job(route) else (LOST,)
        buttons = (*views.LABELS, "dm") if "{action" in route.path else ("",)
        for person, subject, origin, action in itertools.product(PEOPLE, about, From, buttons):
            yield Cell(route, person, subject, origin, action)


def token_cells(routes: Iterable[Route]) -> Iterator[Cell]:
    """Every cell of programs: of each person, with a token of each scope alone and one of all."""
    for route in routes:
        if route.everybody:
            continue
        about = SUBJECTS if _names_a_job(route) else (LOST,)
        buttons = (*views.LABELS, "dm") if "{action" in route.path else ("",)
        people = [person for person in PEOPLE if person is not NOBODY]
        for person, subject, scope, action in itertools.product(people, about, SCOPES_ALONE, buttons):
            yield Cell(route, person, subject, From.HERE, action, scope)


def _names_a_job(route: Route) -> bool:
    rule = RULES.get(key_of(route))
    return "{job" in route.path or (rule is not None and "{job}" in f"{rule.query}{rule.body}")


async def call(world: World, cell: Cell) -> Answered:
    """Make the call."""
    job = world.id_of(cell.subject, cell.person)
    values = expected.named(job, world.upload, world.session)
    path = filled(cell.route, {**values, "action": cell.action or "subtle", **cell.rule.given})
    own = world.site.web.url
    headers: dict[str, str | None] = {
        From.HERE: {"Origin": own},
        From.NOWHERE: {"Origin": None},
        From.NULL: {"Origin": "null"},
        From.FOREIGN: {"Origin": "http://evil.example"},
        From.PORT: {"Origin": own + "0"},
        From.CROSS: {"Origin": own, "Sec-Fetch-Site": "cross-site"},
        From.REBOUND: {"Origin": own, "Host": "evil.example"},
    }[cell.origin]
    headers = {**headers, **cell.rule.headers}
    path += cell.rule.query.replace("{job}", job)
    if cell.scope:
        program = world.program(cell.person, cell.scope)
        return await program.ask(
            cell.route.method, path, headers=dict(cell.rule.headers), **_sent(cell, job, world)
        )
    return await world.browser(cell.person).ask(
        cell.route.method, path, headers=headers, **_sent(cell, job, world)
    )


def _sent(cell: Cell, job: str, world: World) -> dict[str, object]:
    body = cell.rule.body
    if isinstance(body, dict):
        body = json.loads(json.dumps(body).replace("{job}", job).replace("{upload}", world.upload))
    if cell.action in ("remix", "edit"):
        body = {"words": "a blue house"}
    match cell.route.body:
        case Body.NONE:
            return {}
        case Body.JSON:
            return {"json": body if body is not None else {}}
        case Body.FORM:
            return {"data": body or {"nothing": ""}}
        case Body.PICTURE:
            return {"data": body}
        case Body.FILES:
            form = aiohttp.FormData(default_to_multipart=True)
            form.add_field("files", body or b"nothing", filename="a.png")
            return {"data": form}
    raise AssertionError(cell.route.body)


@dataclass
class Tally:
    """What a walk has found. wrong: what an answer should not have been, in words."""

    cells: int = 0
    escalations: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        return self.escalations + self.refusals


async def walk(world: World, some: Iterable[Cell], *, patient: bool = True) -> Tally:
    """Make every call and compare. patient: don't stop at the first that is wrong."""
    tally = Tally()
    nothing: dict[tuple[str, str, str], tuple[int, bytes]] = {}
    for cell in some:
        answer = await call(world, cell)
        changed = await world.has_changed()
        tally.cells += 1
        escalated, refused = _judge(world, cell, answer, changed)
        if not escalated and answer.status == 404 and "{job" in cell.route.path:
            alike = nothing.setdefault(
                (key_of(cell.route), cell.action, cell.person.name), (answer.status, answer.body)
            )
            if alike != (answer.status, answer.body):
                escalated = "a job that isn't theirs is told from one that never was"
        if escalated:
            tally.escalations.append(f"{cell}: {escalated}")
        if refused:
            tally.refusals.append(f"{cell}: {refused}")
        if changed:
            await world.put_back()
        if tally.wrong and not patient:
            break
    return tally


def _judge(world: World, cell: Cell, answer: Answered, changed: bool) -> tuple[str, str]:
    """Return what was let through that shouldn't be, and what was refused that should be let through."""
    status = answer.status
    said = f"{status}{', changed rows' if changed else ''}"
    if cell.scope:
        if cell.person.id is None:
            return ("" if (status, changed) == (401, False) else said), ""
        opened = set(cell.route.scopes) <= (set(Scope) if cell.scope == "all" else {cell.scope})
        if not (cell.route.scopes and opened):
            return ("" if (status, changed) == (403, False) else said), ""
    if cell.origin is From.REBOUND:
        return ("" if (status, changed) == (421, False) else said), ""
    if cell.origin is not From.HERE and not cell.safe:
        return ("" if (status, changed) == (403, False) else said), ""
    if words := leaked(cell.person, answer):
        return f"{status}, the words of {words}", ""
    rule = cell.rule
    if expected.may(cell.person, rule, cell.subject) and cell.action != "dm":
        good = expected.WITHOUT_SENSE.get(cell.action, rule.good)
        asks_more = cell.action or rule.who in (expected.GIVE, expected.ASK)  # than to be looked at
        if cell.subject.blocked or (cell.subject.spoiler and asks_more):
            good = good | rule.when_blocked if cell.action else rule.when_blocked
        if changed and not rule.changes and rule.who != expected.STOP:
            return said, ""
        return _spoiler(cell, answer), "" if status in good else said
    if rule.kept and cell.person.id is not None:
        return ("" if (status in rule.good and not changed) else said), ""
    return ("" if _is_refused(cell, answer) and not changed else said), ""


def _is_refused(cell: Cell, answer: Answered) -> bool:
    """Return whether an answer is the refusal that the rules want."""
    if cell.rule.who == expected.SHARED:
        return answer.status == 404
    if cell.person.id is None:
        page = cell.safe and cell.route.is_page
        way_in = answer.status == 303 and answer.headers["Location"].split("?")[0] == "/in"
        return way_in if page else answer.status == 401
    if "{job" in cell.route.path:
        if not expected.knows_of(cell.person, cell.subject) or cell.action == "dm":
            return answer.status == 404
        # who may look but not ask is told first what makes no sense
        looks = expected.may_look(cell.person, cell.subject)
        without_sense = {status for status in cell.rule.good if status >= 400}
        senseless = expected.WITHOUT_SENSE.get(cell.action, without_sense) if looks else frozenset()
        return answer.status == 403 or answer.status in senseless
    return answer.status in expected.SPENT


def leaked(person: Somebody, answer: Answered) -> str:
    """Return the canary of a job that the person may not look at."""
    known = {
        subject.word_of(person.id or 0) for subject in SUBJECTS if expected.may_look(person, subject)
    } | (
        {f"{CANARY}{one}x" for one in ("draft", "folder", "document", "set", "project", "turn")}
        if person.id == 1
        else set()
    )
    if person.id is not None:  # one's own list is one's own, also while one is barred
        known |= {subject.word_of(person.id) for subject in SUBJECTS if expected.owns(person, subject)}
    text = answer.body.decode("utf-8", "replace") + str(dict(answer.headers))
    return next((word for word in _CANARY.findall(text) if word not in known), "")


def _spoiler(cell: Cell, answer: Answered) -> str:
    """Return what is wrong with the small copy of a picture that should be blurred."""
    small = "{side" in cell.route.path and cell.subject.spoiler and answer.status == 200
    return "the picture isn't veiled" if small and _width(answer.body) != 8 else ""


def _width(webp: bytes) -> int:
    with Image.open(io.BytesIO(webp)) as picture:
        return picture.width


def without_line(routes: Iterable[Route]) -> list[str]:
    """Return the routes that the second table doesn't have, and its lines that are no route's."""
    there = {key_of(route) for route in routes}
    return sorted(there ^ set(RULES))
