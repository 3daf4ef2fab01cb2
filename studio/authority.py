"""Who asks for something, where, how often they may and what: one table, asked by commands, buttons, modals,
reactions and menus alike. The row decides, never the message. What only a chat service knows of people and
places is one Protocol."""

import enum
import time
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from core.errors import NotAllowedError
from core.job import NOBODY, Job, Surface
from jobs.queue import Result
from storage.projects.projects import RIGHTS, Project


@dataclass(frozen=True)
class Place:
    """Where something is shown, by the rows. guild_id None = a direct message. away: the bot isn't there."""

    guild_id: int | None
    channel_id: int
    away: bool = False


@dataclass(frozen=True)
class Actor:
    """Who asks, and where.

    guild_id: None outside of servers. channel_id: 0 for somebody who came by no channel.
    manages: has Manage Server there, as this very interaction says. barred: banned or in a time-out there.
    reads: whether they can read another channel of that server; the one they ask in always counts.
    name: to be kept with the id, "" = nothing new. roles: ids of their roles, for limits. parent_channel_id:
    of the thread they ask in. surface: the door they came by. sole: the bot is in no other server than the
    one they ask in. away: the bot is there by somebody's own installation alone; what Discord says of that
    place counts for nothing, so guild_id is None. program: they came by a token; servers that forbid programs
    count for nothing.
    """

    user_id: int
    guild_id: int | None
    channel_id: int = 0
    manages: bool = False
    barred: bool = False
    reads: Callable[[int], bool] = field(default=lambda _: False, repr=False, compare=False)
    name: str = ""
    roles: tuple[int, ...] = ()
    parent_channel_id: int | None = None
    surface: Surface = Surface.DISCORD
    sole: bool = False
    away: bool = False
    program: bool = False

    @property
    def place(self) -> Place:
        """Where what they ask for is shown."""
        return Place(self.guild_id, self.channel_id, self.away)

    def sees(self, place: Place) -> bool:
        """Return whether the actor can look at what is shown in ``place``.

        Only members of a server see what is shown there; a copy sent to somebody is seen in that very direct
        message, where nobody else is. Channel 0 is no place: it is what somebody has who came by no channel.
        Who is away sees there what is their own.
        """
        if place.channel_id == 0 or self.away:
            return False
        if place.guild_id != self.guild_id:
            return False
        if self.guild_id is None:
            return place.channel_id == self.channel_id
        return place.channel_id == self.channel_id or self.reads(place.channel_id)


class Unanswered(Exception):
    """The chat service doesn't answer at the moment."""


@dataclass(frozen=True)
class Member:
    """Somebody in a server, with the roles that they had when they were looked up.

    server: its name. manages: has Manage Server there. reads: whether they can read a channel of it, by the
    rules that it has now. channels: ids of all that it has now, threads included. writes: the name of a
    channel where both they and the bot may send pictures, None of any other.
    """

    user_id: int
    guild_id: int
    server: str
    manages: bool
    reads: Callable[[int], bool] = field(repr=False, compare=False)
    channels: Callable[[], Collection[int]] = field(repr=False, compare=False)
    writes: Callable[[int], str | None] = field(default=lambda _: None, repr=False, compare=False)


@dataclass(frozen=True)
class ShownDuel:
    """A duel as everybody in its channel sees it. pairs: pictures by their numbers, as WebP. likes: how many
    members like each more; None while they vote. ends_at: when that is told. by_taste: of a blind vote, the
    numbers of those that the server's taste has chosen; None of any other."""

    id: str
    pairs: tuple[Mapping[int, bytes], ...]
    likes: Mapping[int, int] | None
    ends_at: datetime
    by_taste: Set[int] | None = None


class Directory(Protocol):
    """People and places of a chat service. ``None`` means that it can't be told at the moment."""

    @property
    def owner_ids(self) -> Set[int]:
        """User ids of the people the bot belongs to."""

    @property
    def server_ids(self) -> Set[int]:
        """The ids of the servers that the bot is in."""

    def age_restricted(self, place: Place) -> bool | None:
        """Return whether a place is for adults only; a thread is what its channel is."""

    async def adult(self, place: Place) -> bool | None:
        """Return the same, asked of the chat service where that isn't known at once; False of a place that is
        gone."""

    async def roles(self, user_id: int, guild_id: int) -> frozenset[int] | None:
        """Return the ids of a person's roles in a server now; none for somebody who has left."""

    def role_names(self, guild_id: int) -> Mapping[int, str]:
        """Return the roles that a server's members can be given, id → name; none while that can't be told."""

    async def can_read(self, user_id: int, place: Place) -> bool:
        """Return whether a person can read what is written in a place; False while that can't be told."""

    async def member(self, user_id: int, guild_id: int) -> Member | None:
        """Return what a person is in a server now, None where they aren't. Raises Unanswered."""

    async def post(self, place: Place, result: Result, index: int, user_id: int) -> None:
        """Send picture ``index`` (from 0) of a result to a channel in a person's name. Raises UserError when
        the chat service refuses, Unanswered while it can't be asked."""

    async def send(self, user_id: int, result: Result, index: int) -> None:
        """Send picture ``index`` (from 0) of a result to a person alone. Raises as ``post``."""

    async def tell(self, place: Place, text: str, user_id: int | None = None) -> None:
        """Write words to a channel, about a person if one is named; without a server to that person alone.
        Raises as ``post``."""

    async def show_duel(self, place: Place, duel: ShownDuel, message_id: int | None) -> int:
        """Show pairs to vote on in a channel, in a message that is there or (None) a new one; return the
        message. Raises as ``post``."""


class CurrentDirectory:
    """The directory of whichever connection to a chat service is open; it knows nothing while none is.

    The studio is built before a connection and outlives it: ``with directory.connected(other):`` lets
    ``other`` answer for the length of a block.
    """

    def __init__(self) -> None:
        self._connected: list[Directory] = []

    @contextmanager
    def connected(self, directory: Directory) -> Iterator[None]:
        """Ask ``directory`` until the block ends, or a newer one while there is one."""
        self._connected.append(directory)
        try:
            yield
        finally:
            self._connected.remove(directory)

    @property
    def _newest(self) -> Directory | None:
        return self._connected[-1] if self._connected else None

    @property
    def owner_ids(self) -> Set[int]:
        """User ids of the people the bot belongs to; none while no connection is open."""
        return self._newest.owner_ids if self._newest else frozenset()

    @property
    def server_ids(self) -> Set[int]:
        """The ids of the servers that the bot is in; none while no connection is open."""
        return self._newest.server_ids if self._newest else frozenset()

    def age_restricted(self, place: Place) -> bool | None:
        """Return whether a place is for adults only; never a direct message. None: it can't be told."""
        if place.guild_id is None:
            return False
        return self._newest.age_restricted(place) if self._newest else None

    async def adult(self, place: Place) -> bool | None:
        """Return the same, asked of the chat service if need be."""
        if (known := self.age_restricted(place)) is not None or self._newest is None:
            return known
        return await self._newest.adult(place)

    async def roles(self, user_id: int, guild_id: int) -> frozenset[int] | None:
        """Return the ids of a person's roles in a server now; None: it can't be told."""
        return await self._newest.roles(user_id, guild_id) if self._newest else None

    def role_names(self, guild_id: int) -> Mapping[int, str]:
        """Return the roles of a server, id → name; none while no connection is open."""
        return self._newest.role_names(guild_id) if self._newest else {}

    async def can_read(self, user_id: int, place: Place) -> bool:
        """Return whether a person can read what is written in a place; False while that can't be told."""
        return await self._newest.can_read(user_id, place) if self._newest else False

    async def member(self, user_id: int, guild_id: int) -> Member | None:
        """Return what a person is in a server now. Raises Unanswered, also while no connection is open."""
        if self._newest is None:
            raise Unanswered
        return await self._newest.member(user_id, guild_id)

    async def post(self, place: Place, result: Result, index: int, user_id: int) -> None:
        """Send a picture to a channel. Raises UserError, Unanswered, also while no connection is open."""
        if self._newest is None:
            raise Unanswered
        await self._newest.post(place, result, index, user_id)

    async def send(self, user_id: int, result: Result, index: int) -> None:
        """Send a picture to a person alone. Raises UserError, Unanswered, also while no connection is
        open."""
        if self._newest is None:
            raise Unanswered
        await self._newest.send(user_id, result, index)

    async def tell(self, place: Place, text: str, user_id: int | None = None) -> None:
        """Write words to a channel. Raises UserError, Unanswered, also while no connection is open."""
        if self._newest is None:
            raise Unanswered
        await self._newest.tell(place, text, user_id)

    async def show_duel(self, place: Place, duel: ShownDuel, message_id: int | None) -> int:
        """Show pairs to vote on in a channel. Raises UserError, Unanswered, also while no connection is
        open."""
        if self._newest is None:
            raise Unanswered
        return await self._newest.show_duel(place, duel, message_id)


Who = TypeVar("Who", bound=Hashable)


class Pace(Generic[Who]):
    """Lets each person do something ``burst`` times at once, and once more every ``every`` seconds.

    It keeps one number a person, and forgets whoever may do it ``burst`` times again. Generic cell rate
    algorithm: https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm.
    """

    def __init__(self, burst: int, every: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._slack, self._every, self._clock = (burst - 1) * every, every, clock
        self._full_at: dict[Who, float] = {}  # when their bucket is full again, oldest use first

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, who: Who) -> float:
        """Count once for a person and return 0, or count nothing and return the seconds they have to wait."""
        now = self._clock()
        while self._full_at and next(iter(self._full_at.values())) <= now:
            del self._full_at[next(iter(self._full_at))]
        full_at = max(self._full_at.pop(who, now), now)
        wait = full_at - now - self._slack
        self._full_at[who] = full_at if wait > 0 else full_at + self._every
        return max(wait, 0.0)


class Action(enum.StrEnum):
    """What a person can do. Those of the first two groups are done to a job, those of the third to a project
    with custom models."""

    # makes something of one's own from a job
    PICK = "pick"  # U: one picture alone
    VARY = "vary"  # V, subtle, strong, region
    REROLL = "reroll"
    REMIX = "remix"
    UPSCALE = "upscale"
    CUT_OUT = "cutout"
    ZOOM = "zoom"  # also make square
    PAN = "pan"
    DESCRIBE = "describe"
    CLASSIFY = "classify"
    READ = "read"  # the text in a picture
    BLEND = "blend"
    IMAGINE = "imagine"  # a caption
    ASK_MORE = "ask more"  # follow on from an answer
    USE = "use"  # as the source of a command
    ANIMATE = "animate"  # a video from a picture
    EXTEND = "extend"  # a video, at either end; also loop it
    REMIX_VIDEO = "remix video"
    CUT = "cut"  # a part of a video, or a frame of it
    # looks at a job, or ends it
    SHOW = "show"
    DETAILS = "details"
    DM = "dm"  # have it sent to oneself
    FAVOURITE = "favourite"
    RATE = "rate"  # say whether an answer is right
    CANCEL = "cancel"
    DELETE = "delete"
    SHARE = "share"  # show pictures to whoever has a link
    ORGANISE = "organise"  # put pictures into the trash or a folder
    FRONT = "front"  # let it run next
    # with a project
    SEE_PROJECT = "see project"
    ADD_TO = "add to"  # pictures
    LABEL = "label"  # them
    TRAIN = "train"
    JUDGE = "judge"  # ask its model, and say whether that is right
    EXPORT = "export"  # labels, and bundles that run without the studio
    MANAGE_PROJECT = "manage project"  # name, rights, label book, threshold, version; take pictures out
    FORGET_PROJECT = "forget project"
    # without a job
    ASK = "ask"  # a new job from words or an attached picture
    SETTINGS = "settings"  # one's own
    MINE = "mine"  # one's own jobs and usage
    PRIVACY = "privacy"  # one's own data
    HELP = "help"
    QUEUE = "queue"  # see and clear what waits in this server
    RULES = "rules"  # bans, lists, limits, audit of this server
    MODERATE = "moderate"  # filters, strikes, time-outs of this server
    OPERATE = "operate"  # pause, resume and drain the whole queue


class Role(enum.Flag):
    """What a person is to a job, or to the place they ask in. One can be several."""

    ANYONE = enum.auto()
    AUTHOR = enum.auto()  # asked for the job
    MEMBER = enum.auto()  # reads a channel of this server where the job is shown, by its rows
    MANAGER = enum.auto()  # has Manage Server in this server, and the job was asked here
    OPERATOR = enum.auto()  # has Manage Server in a home server, or in the bot's only one
    HOST = enum.auto()  # the bot's owner
    GRANTED = enum.auto()  # was given this right to the project by a role, in its server


@dataclass(frozen=True)
class Row:
    """Who may: ``public`` with a job that others may see (or without one), ``private`` with one its author
    keeps private. Of a project: ``public`` with one of a server, ``private`` with somebody's own.

    job: the action is done to a job. project: it is done to a project. right: which a role may be given for
    it, any of these. barred: those who are banned or in a time-out keep it.
    """

    public: Role
    private: Role = Role(0)
    job: bool = True
    barred: bool = False
    project: bool = False
    right: frozenset[str] = frozenset()
    reason: str = "This job is private and belongs to somebody else."


_OWN_OR_SHOWN = Row(
    Role.AUTHOR | Role.MEMBER,
    Role.AUTHOR,
    reason="This picture is private and belongs to somebody else.",
)
_STOPS = Role.AUTHOR | Role.MANAGER | Role.HOST
_ANYONE = Row(Role.ANYONE, job=False, reason="You can't use Atelier here: an admin has blocked you.")
_OWN = Row(Role.ANYONE, job=False, barred=True)
_MANAGES = Row(Role.MANAGER | Role.HOST, job=False, reason="This needs the permission Manage Server.")


def _project(*rights: str, what: str) -> Row:
    holders = Role.AUTHOR | Role.MANAGER | Role.GRANTED
    reason = f"You don't have permission to {what} this project. Ask its owner or a server manager."
    return Row(holders, Role.AUTHOR, job=False, project=True, right=frozenset(rights), reason=reason)


TABLE: dict[Action, Row] = {
    Action.PICK: _OWN_OR_SHOWN,
    Action.VARY: _OWN_OR_SHOWN,
    Action.REROLL: _OWN_OR_SHOWN,
    Action.REMIX: _OWN_OR_SHOWN,
    Action.UPSCALE: _OWN_OR_SHOWN,
    Action.CUT_OUT: _OWN_OR_SHOWN,
    Action.ZOOM: _OWN_OR_SHOWN,
    Action.PAN: _OWN_OR_SHOWN,
    Action.DESCRIBE: _OWN_OR_SHOWN,
    Action.CLASSIFY: _OWN_OR_SHOWN,
    Action.READ: _OWN_OR_SHOWN,
    Action.BLEND: _OWN_OR_SHOWN,
    Action.IMAGINE: _OWN_OR_SHOWN,
    Action.ASK_MORE: Row(
        Role.AUTHOR | Role.MEMBER,
        Role.AUTHOR,
        reason="This conversation is private and belongs to somebody else.",
    ),
    Action.USE: _OWN_OR_SHOWN,
    Action.ANIMATE: _OWN_OR_SHOWN,
    Action.EXTEND: _OWN_OR_SHOWN,
    Action.REMIX_VIDEO: _OWN_OR_SHOWN,
    Action.CUT: _OWN_OR_SHOWN,
    Action.SHOW: Row(Role.AUTHOR | Role.MEMBER, Role.AUTHOR),
    Action.DETAILS: Row(Role.AUTHOR | Role.MEMBER, Role.AUTHOR),
    Action.DM: Row(Role.AUTHOR | Role.MEMBER, Role.AUTHOR),
    Action.FAVOURITE: Row(Role.AUTHOR | Role.MEMBER, Role.AUTHOR),
    Action.RATE: Row(Role.AUTHOR | Role.MEMBER, Role.AUTHOR),
    Action.CANCEL: Row(
        _STOPS,
        _STOPS,
        barred=True,
        reason="Only the person who asked for this job, or somebody with Manage Server, can cancel it.",
    ),
    Action.DELETE: Row(
        _STOPS,
        Role.AUTHOR | Role.HOST,
        barred=True,
        reason="Only the person who asked for this job, or somebody with Manage Server, can delete it.",
    ),
    Action.SHARE: Row(Role.AUTHOR, Role.AUTHOR, reason="These pictures belong to somebody else."),
    Action.ORGANISE: Row(
        Role.AUTHOR, Role.AUTHOR, barred=True, reason="These pictures belong to somebody else."
    ),
    Action.FRONT: Row(
        Role.MANAGER | Role.HOST,
        Role.MANAGER | Role.HOST,
        reason="This needs the permission Manage Server in the job's server.",
    ),
    Action.SEE_PROJECT: _project(*RIGHTS, what="view"),
    Action.ADD_TO: _project("add", what="add pictures to"),
    Action.LABEL: _project("label", what="label pictures of"),
    Action.TRAIN: _project("train", what="train the model of"),
    Action.JUDGE: _project("use", what="use the model of"),
    Action.EXPORT: _project("export", what="export from"),
    Action.MANAGE_PROJECT: Row(
        Role.AUTHOR | Role.MANAGER,
        Role.AUTHOR,
        job=False,
        project=True,
        reason="Only the project's owner, or somebody with Manage Server, can change that.",
    ),
    Action.FORGET_PROJECT: Row(
        Role.AUTHOR | Role.MANAGER | Role.HOST,
        Role.AUTHOR | Role.HOST,
        job=False,
        project=True,
        barred=True,
        reason="Only the project's owner, or somebody with Manage Server, can delete it.",
    ),
    Action.ASK: _ANYONE,
    Action.SETTINGS: _ANYONE,
    Action.MINE: _OWN,
    Action.PRIVACY: _OWN,
    Action.HELP: _OWN,
    Action.QUEUE: _MANAGES,
    Action.RULES: _MANAGES,
    Action.MODERATE: _MANAGES,
    Action.OPERATE: Row(
        Role.OPERATOR | Role.HOST,
        job=False,
        reason="Only the bot's owner can change the whole queue, since it serves more than this server.",
    ),
}


@dataclass(frozen=True)
class Belonging:
    """What is no job and belongs to somebody, such as a set of examples. guild_id: the server whose members
    may use it, None = its owner alone."""

    user_id: int
    guild_id: int | None = None


def is_sole(guild_id: int | None, seen: Set[int], here: Set[int]) -> bool:
    """Return whether the bot is in one server and no other. seen: by the rows. here: as Discord tells, which
    may be some of them only while connections are begun."""
    return guild_id is not None and seen | here == {guild_id}


class Authority:
    """Decides by the table.

    owner_ids: users who are the host, besides those that ``directory`` names. home: servers whose managers
    may operate the queue; empty = the only one, while the bot is in no other.
    """

    def __init__(
        self, directory: Directory, owner_ids: Iterable[int] = (), home: Collection[int] = ()
    ) -> None:
        self._directory, self._owner_ids, self._home = directory, frozenset(owner_ids), home

    @property
    def owner_ids(self) -> frozenset[int]:
        """Return the user ids of everybody who is the host."""
        return self._owner_ids | self._directory.owner_ids

    def is_host(self, user_id: int) -> bool:
        """Return whether somebody is the host, by the settings or by the chat service."""
        return user_id in self._owner_ids or user_id in self._directory.owner_ids

    def homes(self, seen: Set[int]) -> Set[int]:
        """Return the servers whose managers speak for the whole bot: those that are named, or its only one.
        seen: all servers that it is in."""
        if self._home:
            return frozenset(self._home)
        return seen if len(seen) == 1 else frozenset()

    def check(
        self, actor: Actor, action: Action, job: Job | None = None, shown: Iterable[Place] = ()
    ) -> None:
        """Raise NotAllowedError, with the reason, unless ``actor`` may do ``action``.

        shown: places besides the one it was asked in where the rows say that the job is shown.
        """
        if not self.allows(actor, action, job, shown):
            if actor.barred and not TABLE[action].barred:
                action = Action.ASK
            elif action is Action.OPERATE and not actor.manages:
                action = Action.QUEUE
            raise NotAllowedError(TABLE[action].reason)

    def allows(
        self, actor: Actor, action: Action, job: Job | None = None, shown: Iterable[Place] = ()
    ) -> bool:
        """Return whether ``actor`` may do ``action``; arguments are those of ``check``."""
        row = TABLE[action]
        if row.project or row.job and job is None:  # a forged id, or of a job that is gone
            return False
        needed = row.private if row.job and job is not None and job.origin.private else row.public
        return bool(needed & self.roles(actor, job if row.job else None, shown, barred_too=row.barred))

    def roles(
        self, actor: Actor, job: Job | None, shown: Iterable[Place] = (), *, barred_too: bool = False
    ) -> Role:
        """Return what ``actor`` is to ``job``, or to the place.

        A barred one keeps only what gives rights over others, unless ``barred_too``.
        """
        found = Role.HOST if self.is_host(actor.user_id) else Role(0)
        manages = actor.manages and actor.guild_id is not None
        if manages and (job is None or job.origin.guild_id == actor.guild_id):
            found |= Role.MANAGER
        only = actor.sole and not self._home
        if manages and (actor.guild_id in self._home or only):
            found |= Role.OPERATOR
        if actor.barred and not barred_too:
            return found
        found |= Role.ANYONE
        if job is not None and job.origin.user_id == actor.user_id:
            found |= Role.AUTHOR
        asked = (
            ()
            if job is None or job.origin.guild_id is None
            else (Place(job.origin.guild_id, job.origin.channel_id),)
        )
        if job is not None and any(map(actor.sees, (*asked, *shown))):
            found |= Role.MEMBER
        return found

    def allows_to(self, actor: Actor, action: Action, belonging: Belonging) -> bool:
        """Return whether ``actor`` may do ``action`` to what is no job: by the same rows, where what is
        shared with a server is public there, and private anywhere else."""
        row, shared = TABLE[action], belonging.guild_id is not None and belonging.guild_id == actor.guild_id
        found = self.roles(actor, None, barred_too=row.barred)
        if not shared:
            found &= ~Role.MANAGER
        if Role.ANYONE in found and actor.user_id == belonging.user_id:
            found |= Role.AUTHOR
        if Role.ANYONE in found and shared:
            found |= Role.MEMBER
        return bool(found & (row.public if shared else row.private))

    def allows_in(self, actor: Actor, action: Action, project: Project) -> bool:
        """Return whether ``actor`` may do ``action`` to a project. A server's is there for those who ask in
        that server; somebody's own is theirs wherever they ask."""
        row, shared = TABLE[action], project.guild_id is not None
        found = self.roles(actor, None, barred_too=row.barred)
        here = not shared or project.guild_id == actor.guild_id
        if not (shared and here):
            found &= ~Role.MANAGER
        if Role.ANYONE in found and here:
            if actor.user_id == project.user_id != NOBODY:
                found |= Role.AUTHOR
            if shared and row.right & project.rights_of(actor.roles):
                found |= Role.GRANTED
        return bool(found & (row.public if shared else row.private))

    def scope(self, actor: Actor) -> int | None:
        """Return the server whose matters ``actor`` may look into, once a check has passed; None = every
        server's, for the host."""
        return None if self.is_host(actor.user_id) else actor.guild_id
