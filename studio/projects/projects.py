"""Projects as wholes: found by name for somebody who may, made, listed, shared and forgotten, within the
limits of how large they may grow."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from core.errors import LimitError, UserError
from core.job import Surface, new_job_id
from core.language import _, retold
from core.profiles import NO_TRAINING, can_train
from core.requests.custom_models import ALIKE, ANOMALY, DETECT, MARKED, STYLE, TASKS
from core.settings import Settings
from storage import watches
from storage.database import Database
from storage.people import pages
from storage.projects import dataset, projects, versions
from storage.projects.dataset import Counts
from storage.projects.projects import EVERYBODY, MOST_VOICES, RIGHTS, Label, Project
from storage.projects.versions import Tally, Version
from studio.authority import Action, Actor
from studio.moderation.moderator import Moderator
from studio.rights import Rights
from studio.services import Services
from studio.texts import counted
from vision.custom_models import thresholds as limits

NO_PROJECT = "There is no such project here. `/inspect new` makes one, and the list offers yours."
RULE = "A rule here doesn't allow {what}, so nothing was {done}."
FEW_GOOD = 4  # good pictures from which on an inspection is worth its while
MAX_LABELS, MAX_MEANING = 25, 300  # as many as a select menu has; characters
MAX_FILES, MAX_ZIP, MAX_UNPACKED, MAX_RATIO = 500, 25 * 2**20, 100 * 2**20, 100  # of a zip file


@dataclass(frozen=True)
class ProjectLimits:
    """per_server, per_person: projects. pictures: of a project. trainings: that wait or run at once for a
    server, or for somebody's own projects. seconds: of the device for one of them. versions: whose files are
    kept. trains: whether the machine that trains has what that takes, as far as it is known here."""

    per_server: int = 20
    per_person: int = 5
    pictures: int = 2000
    trainings: int = 2
    seconds: int = 600
    versions: int = 30
    trains: bool = True

    @classmethod
    def of(cls, settings: Settings) -> ProjectLimits:
        """Return how large projects may grow, as the host has set it."""
        return cls(
            settings.projects_per_server,
            settings.projects_per_person,
            settings.project_pictures,
            settings.trainings_waiting,
            settings.training_seconds,
            settings.project_versions,
            trains=bool(settings.bus_url) or can_train(),
        )

    def check_labels(self, names: Collection[str]) -> None:
        """Raise LimitError for more labels than a project may have."""
        if len(names) > MAX_LABELS:
            raise LimitError(f"A project takes {MAX_LABELS} labels; this would be number {len(names)}.")


class Access:
    """Every part's questions about projects end here."""

    def __init__(
        self, rights: Rights, database: Database, moderator: Moderator, limits: ProjectLimits
    ) -> None:
        self._rights, self._database, self._moderator = rights, database, moderator
        self._limits = limits
        self.may = rights.may_in  # an actor do an action to a project, here and now

    async def all(self, actor: Actor) -> list[Project]:
        """Return the actor's own projects, then those that they may look at where they are (on the web, in
        any server that they share with the studio), by name."""
        await self._rights.check(actor, Action.MINE)
        guilds = [] if actor.guild_id is None else [actor.guild_id]
        if actor.surface is Surface.WEB and not guilds:
            guilds = [member.guild_id for member, _ in await self._rights.in_servers(actor)]
        work = partial(projects.list_projects, user_id=actor.user_id, guilds=guilds)
        found = await self._database.read(work)
        return [one for one in found if await self._is_known(actor, one)]

    async def find(self, actor: Actor, name: str, action: Action) -> tuple[Project, Actor]:
        """Return the project that somebody means by its name or id, their own one before a server's, and who
        they are where it belongs. Raises UserError where there is none, or several, NotAllowedError unless
        they may do ``action`` to it."""
        wanted = " ".join(name.split())
        found = await self._database.read(partial(projects.read_project, project_id=wanted.lower()))
        if found is None or not await self._is_known(actor, found):
            found = self._named(await self.all(actor), wanted)
        return found, await self._rights.check_in(actor, action, found)

    async def _is_known(self, actor: Actor, found: Project) -> bool:
        """Return whether somebody may know that a project is there: its owner also while they are banned."""
        for one in (Action.SEE_PROJECT, Action.FORGET_PROJECT):
            if await self._rights.may_in(actor, one, found):
                return True
        return False

    def _named(self, projects: list[Project], wanted: str) -> Project:
        found: list[Project] = []
        for alike in (lambda one: one.name == wanted, lambda one: one.name.casefold() == wanted.casefold()):
            own = [one for one in projects if one.guild_id is None and alike(one)]
            found = found or own[:1] or [one for one in projects if alike(one)]
        if not found:
            raise UserError(NO_PROJECT)
        if len(found) > 1:
            raise UserError("Several projects have that name. Choose yours from the list.")
        return found[0]

    async def check_words(self, actor: Actor, words: list[str], done: str) -> None:
        """Raise UserError for words that break a rule where the actor is."""
        if None in await self._moderator.captions([text for text in words if text], actor.place):
            raise UserError(RULE.format(what="these words", done=done))

    async def read_book(self, found: Project) -> list[Label]:
        """Return the labels that a project has."""
        return await self._database.read(partial(projects.read_labels, project_id=found.id))

    async def read_labels(self, actor: Actor, found: Project, wanted: Sequence[str]) -> dict[str, str]:
        """Return each wanted label as a project has it, whatever its case; one that is new enters its book. A
        style's are captions, of which there is no book. Raises UserError for one that isn't taken, or that
        somebody may not add, LimitError for too many."""
        if found.task == STYLE:
            captions = {text: clean_label(text) for text in wanted if text}
            await self.check_words(actor, list(captions.values()), "added")
            return captions
        known, new = {MARKED: MARKED} if found.task == DETECT else {}, dict[str, str]()
        book = {one.name.casefold(): one.name for one in await self.read_book(found)}
        for text in dict.fromkeys(one for one in wanted if one and one not in known):
            label = clean_label(text)
            if found.task == ANOMALY and label.casefold() in ("ok", "normal"):
                label = GOOD
            known[text] = book.get(label.casefold()) or new.setdefault(label.casefold(), label)
        if not new:
            return known
        if not await self.may(actor, Action.MANAGE_PROJECT, found):
            have = ", ".join(sorted(book.values())) or "none yet"
            raise UserError(f"This project has no label {next(iter(new.values()))[:40]!r}; there are {have}.")
        self._limits.check_labels({*book.values(), *new.values()})
        await self.check_words(actor, list(new.values()), "added")
        for label in new.values():
            await self._database.write(partial(projects.put_label, project_id=found.id, label=Label(label)))
        return known


def own(found: Project) -> bool:
    """Return whether a project is somebody's alone, so that what comes of it is for their eyes only."""
    return found.guild_id is None


GOOD, DEFECT = "good", "defect"  # labels: of a part without a defect, and of one while nobody names it
LEAST_MARKED = 4  # pictures whose objects are marked
NO_GOOD = "No good picture yet: one is enough to begin with, and 20 are better."
AGAIN = "It is being trained again, without pictures that were deleted."
MAX_NAME, MAX_WORDS = 40, 80  # characters
ACTIONS = {
    "add": Action.ADD_TO,
    "label": Action.LABEL,
    "train": Action.TRAIN,
    "use": Action.JUDGE,
    "export": Action.EXPORT,
    "manage": Action.MANAGE_PROJECT,
}
_NAME = re.compile(r"[\w][\w .+-]*")


@dataclass(frozen=True)
class Card:
    """A project as it is looked at. may: what the actor may do with it, of ACTIONS. version: the one that is
    used, None = none yet. training: job of the training that waits or runs, "" = none. new: labelled pictures
    since that version. advice: the next best thing to do, a sentence. boxes: how many there are of each
    label, where objects are marked."""

    project: Project
    book: tuple[Label, ...]
    counts: Counts
    version: Version | None
    tally: Tally
    may: frozenset[str]
    training: str = ""
    new: int = 0
    advice: str = ""
    boxes: Mapping[str, int] = field(default_factory=dict)

    @property
    def since(self) -> str:
        """How many labelled pictures are newer than the version that is used; "" where there is none, or
        nothing new."""
        if self.version is None or not self.new:
            return ""
        return _("{new} new since version {number}", new=self.new, number=self.version.number)


class Shelf:
    """What people do with whole projects."""

    def __init__(self, access: Access, rights: Rights, services: Services, limits: ProjectLimits) -> None:
        self._access, self._rights = access, rights
        self._limits, self._directory = limits, services.directory
        self._database, self._privacy, self._queue = services.database, services.privacy, services.queue

    async def new(
        self, actor: Actor, name: str, task: str = ANOMALY, *, shared: bool | None = None, words: str = ""
    ) -> Project:
        """Make an empty project of the actor's, with the labels that its task needs.

        shared: it belongs to the server where the actor is, whose members may use it; None = wherever there
        is one. words: what calls a style. Raises UserError for what isn't taken, LimitError for too many
        projects, NotAllowedError for a barred person.
        """
        shared = actor.guild_id is not None if shared is None else shared
        await self._rights.check(actor, Action.ASK)
        if shared and actor.guild_id is None:
            raise UserError("Create a server's project in that server. Here it would be private to you.")
        if task not in TASKS:
            raise UserError(f"`task` is {task[:40]!r}; it takes {', '.join(TASKS)}.")
        wanted, words = clean_name(name), " ".join(words.split())
        if len(words) > MAX_WORDS:
            raise UserError(
                f"The words of a style take up to {MAX_WORDS} characters; these have {len(words)}."
            )
        await self._access.check_words(actor, [wanted, words], "made")
        guild_id, granted = (actor.guild_id, {(EVERYBODY, "use")}) if shared else (None, set())
        made = Project(new_job_id(), actor.user_id, guild_id, wanted, task, datetime.now(UTC))
        words = words or (wanted if task == STYLE else "")
        made = replace(made, words=words, granted=frozenset(granted))
        names = [GOOD] if task == ANOMALY else []
        most = self._limits.per_server if shared else self._limits.per_person
        work = partial(projects.add_project, made=made, names=names, most=most)
        try:
            written = await self._database.write(work)
        except IntegrityError as error:
            raise UserError(f"There is a project called {wanted} already.") from error
        if written is None:
            whose = "This server has" if shared else "You have"
            raise LimitError(f"{whose} {most} projects, which is the limit. Delete one first.")
        return written

    async def all(self, actor: Actor) -> list[Project]:
        """Return the actor's own projects, then those that they may look at where they are, by name."""
        return await self._access.all(actor)

    async def card(self, actor: Actor, name: str) -> Card:
        """Return a project with what there is of it. name: its name or id. Raises UserError where there is
        none, NotAllowedError unless the actor may look at it."""
        found, _ = await self._access.find(actor, name, Action.SEE_PROJECT)
        book = tuple(await self._access.read_book(found))
        work = partial(dataset.count_items, project_id=found.id, user_id=actor.user_id)
        counts = await self._database.read(work)
        version = await self._database.read(partial(versions.read_version, project_id=found.id))
        waiting = await self._database.read(partial(versions.unfinished, project_id=found.id))
        tally, new = Tally(), 0
        if version is not None:
            number, asked = version.number, version.asked_at
            tally = await self._database.read(partial(versions.tally, project_id=found.id, number=number))
            new = await self._database.read(partial(versions.new_since, project_id=found.id, asked_at=asked))
        may = {right for right, action in ACTIONS.items() if await self._access.may(actor, action, found)}
        card = Card(found, book, counts, version, tally, frozenset(may), next(iter(waiting), ""), new)
        if found.task == DETECT:
            boxes = await self._database.read(partial(dataset.count_boxes, project_id=found.id))
            card = replace(card, boxes=boxes)
        trains = self._limits.trains or found.task == STYLE
        return replace(card, advice=advice(card) if trains else NO_TRAINING)

    async def rename(self, actor: Actor, name: str, new: str) -> Project:
        """Call a project something else. Raises UserError for a name that isn't taken, NotAllowedError unless
        the actor is its owner or manages its server."""
        found, _ = await self._access.find(actor, name, Action.MANAGE_PROJECT)
        wanted = clean_name(new)
        await self._access.check_words(actor, [wanted], "changed")
        return await self._change(found, name=wanted)

    async def set_alike(self, actor: Actor, name: str, alike: str) -> Project:
        """Say how parts lie in an inspection's pictures, see ``core.requests.custom_models.ALIKE``. Raises
        UserError for another word, NotAllowedError as ``rename`` does."""
        found, _ = await self._access.find(actor, name, Action.MANAGE_PROJECT)
        if alike not in ALIKE:
            raise UserError(f"`alike` is {alike[:40]!r}; it takes {', '.join(ALIKE)}.")
        return await self._change(found, alike=alike)

    async def set_voices(self, actor: Actor, name: str, voices: int) -> Project:
        """Say how many people have to agree on a label before it counts, 1 to MOST_VOICES; pictures that have
        fewer are asked about again. Raises UserError for another number, or where nobody else labels,
        NotAllowedError as ``rename`` does."""
        found, _ = await self._access.find(actor, name, Action.MANAGE_PROJECT)
        if not 1 <= voices <= MOST_VOICES:
            raise UserError(f"`voices` is {voices}; it takes 1 to {MOST_VOICES}.")
        if voices > 1 and (found.guild_id is None or found.task == STYLE):
            raise UserError("Only a server's project can require several votes. Nobody else labels this one.")
        work = partial(dataset.take_voices, project_id=found.id, voices=voices, now=datetime.now(UTC))
        await self._database.write(work)
        return replace(found, voices=voices)

    async def _change(self, found: Project, **values: str) -> Project:
        try:
            await self._database.write(partial(projects.change_project, project_id=found.id, values=values))
        except IntegrityError as error:
            raise UserError(f"There is a project called {values['name']} already.") from error
        return replace(found, **values)  # type: ignore[arg-type]

    async def share(self, actor: Actor, name: str, role_id: int, rights: Collection[str]) -> Project:
        """Let a role of the project's server (0 = every member) have exactly these of RIGHTS. Raises
        UserError for another right, or a project that is somebody's alone, NotAllowedError unless the actor
        is its owner or manages its server."""
        found, _ = await self._access.find(actor, name, Action.MANAGE_PROJECT)
        if found.guild_id is None:
            raise UserError("This project is private to you. Create one in a server to share it.")
        if wrong := sorted(set(rights) - set(RIGHTS)):
            raise UserError(f"There is no right {wrong[0][:40]!r}; there are {', '.join(RIGHTS)}.")
        work = partial(projects.grant, project_id=found.id, role_id=role_id, rights=set(rights))
        await self._database.write(work)
        changed = await self._database.read(partial(projects.read_project, project_id=found.id))
        return changed or found

    async def roles(self, actor: Actor, name: str) -> Mapping[int, str]:
        """Return the roles that a project can be shared with, id → name; none of somebody's own project.
        Raises as ``share`` does."""
        found, _ = await self._access.find(actor, name, Action.MANAGE_PROJECT)
        return {} if found.guild_id is None else self._directory.role_names(found.guild_id)

    async def forget(self, actor: Actor, name: str) -> None:
        """Delete a project for good: pictures, those of its cameras too, labels, versions, and trainings that
        wait or run. Raises UserError where there is none, NotAllowedError unless the actor may."""
        found, _ = await self._access.find(actor, name, Action.FORGET_PROJECT)
        for job_id in await self._database.read(partial(versions.unfinished, project_id=found.id)):
            await self._queue.cancel(job_id)
        await self._database.write(partial(watches.turn_off, project_id=found.id))
        for page in pages(await self._database.read(partial(watches.jobs_of, project_id=found.id))):
            await self._privacy.drop(partial(watches.drop_pictures, ids=page, now=datetime.now(UTC)))
        await self._privacy.delete_learned(partial(projects.forget_project, project_id=found.id))

    async def put_label(self, actor: Actor, name: str, label: str, meaning: str = "") -> tuple[Label, ...]:
        """Add a label to the book of a project, or change what it means; return the book. Raises UserError
        for words that aren't taken or too many labels, NotAllowedError unless the actor is the project's
        owner or manages its server."""
        found, _ = await self._access.find(actor, name, Action.MANAGE_PROJECT)
        made = Label(clean_label(label), " ".join(meaning.split()))
        if (size := len(made.meaning)) > MAX_MEANING:
            raise UserError(f"What a label means takes up to {MAX_MEANING} characters; this has {size}.")
        await self._access.check_words(actor, [made.name, made.meaning], "changed")
        self._limits.check_labels({made.name, *(one.name for one in await self._access.read_book(found))})
        await self._database.write(partial(projects.put_label, project_id=found.id, label=made))
        return tuple(await self._access.read_book(found))

    async def drop_label(self, actor: Actor, name: str, label: str, instead: str = "") -> tuple[Label, ...]:
        """Take a label out of the book; its pictures get the label ``instead``, "" = none. Raises UserError
        where there is no such label, or it is "good" of an inspection, NotAllowedError as ``put_label``."""
        found, _ = await self._access.find(actor, name, Action.MANAGE_PROJECT)
        book = {one.name for one in await self._access.read_book(found)}
        if label not in book or (instead and instead not in book):
            raise UserError(f"There is no label {(label if label not in book else instead)[:40]!r}.")
        if label == GOOD and found.task == ANOMALY:
            raise UserError(f"An inspection needs the label {GOOD!r}.")

        def work(connection: sa.Connection) -> None:
            dataset.relabel(connection, found.id, label, instead, now=datetime.now(UTC))
            projects.drop_label(connection, found.id, label)

        await self._database.write(work)
        return tuple(await self._access.read_book(found))


def clean_name(text: str) -> str:
    """Return the name of a project as it is kept. Raises UserError."""
    name = " ".join(text.split())
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME:
        raise UserError(
            f"A project's name takes 1 to {MAX_NAME} letters, digits, spaces and .+-_; this one is"
            f" {text[:MAX_NAME]!r}."
        )
    return name


def clean_label(text: str) -> str:
    """Return a label as it is kept. Raises UserError."""
    label = " ".join(text.split())
    if not label or len(label) > MAX_WORDS or not label.isprintable():
        raise UserError(f"A label takes 1 to {MAX_WORDS} characters; this one is {text[:40]!r}.")
    return label


def few_marked(count: int) -> str:
    """Return that a detector needs more pictures whose objects are marked."""
    return f"{counted(count, 'picture')} with boxes; at least {LEAST_MARKED} are needed, and 10 are better."


def advice(card: Card) -> str:
    """Return the next best thing to do with a project, in a sentence; "" when there is nothing to say."""
    task, there = card.project.task, card.counts
    if card.project.due:
        return AGAIN
    if card.training:
        return _("A version is being trained.")
    if task == STYLE:
        return "" if there.total >= 5 else _("{total} pictures; a style needs at least 5.", total=there.total)
    if task == ANOMALY:
        good = there.labels.get(GOOD, 0)
        if good == 0:
            return NO_GOOD
        if good < FEW_GOOD and card.version is None:
            said = f"{counted(good, 'good picture')}. It can be trained, but"
            better = f"{FEW_GOOD} are better, 20 are good."
            if good == 1:
                return f"{said} with one, the limit is only a guess. {better}"
            return f"{said} may stop 1 good part in {good + 1}. {better}"
        if card.version is None:
            return "Train it: there are enough good pictures."
        if good < 20 and (promise := card.version.promise):
            fewer = round((good + 10) / good / promise)
            said = retold(limits.promise_sentence(promise)).rstrip(".。")
            return _("{said}: with 10 more, about 1 in {fewer}.", said=said, fewer=fewer)
    elif task == DETECT:
        if (marked := there.states.get(dataset.LABELLED, 0)) < LEAST_MARKED or not card.boxes:
            return few_marked(marked)
        if card.version is None:
            return "Train it: there are enough pictures with boxes."
    elif len([name for name, count in there.labels.items() if count >= 3]) < 2:
        return "A classifier needs two labels with 3 pictures each; 10 each are better."
    elif card.version is None:
        return "Train it: there are enough labelled pictures."
    if there.states.get(dataset.DISPUTED):
        return _("People disagree about {n} pictures. Review them.", n=there.states[dataset.DISPUTED])
    if card.new and card.version is not None:
        return _("{since}. Train version {number}.", since=card.since, number=card.version.number + 1)
    return ""
