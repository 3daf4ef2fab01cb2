"""Who may do what: one table, asked by commands, buttons, modals, reactions and menus alike. The row decides,
never the message."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Set
from dataclasses import dataclass

from core.errors import NotAllowedError
from core.job import NOBODY, Job
from storage.projects.projects import RIGHTS, Project
from studio.actor import Actor, Directory, Place


class Action(enum.StrEnum):
    """What a person can do. Those of the first two groups are done to a job, those of the third to a project
    of somebody's own models."""

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
    EXPORT = "export"  # labels, and what runs elsewhere
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
    reason: str = "This job belongs to somebody else, who keeps it private."


_OWN_OR_SHOWN = Row(
    Role.AUTHOR | Role.MEMBER,
    Role.AUTHOR,
    reason="This picture belongs to somebody else, who keeps it private.",
)
_STOPS = Role.AUTHOR | Role.MANAGER | Role.HOST
_ANYONE = Row(Role.ANYONE, job=False, reason="You can't use Atelier here: an admin has blocked you.")
_OWN = Row(Role.ANYONE, job=False, barred=True)
_MANAGES = Row(Role.MANAGER | Role.HOST, job=False, reason="This needs the permission Manage Server.")


def _project(*rights: str, what: str) -> Row:
    holders = Role.AUTHOR | Role.MANAGER | Role.GRANTED
    reason = f"You may not {what} this project. Its owner and the server's managers can let a role of yours."
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
        reason="This conversation belongs to somebody else, who keeps it private.",
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
    Action.SEE_PROJECT: _project(*RIGHTS, what="look at"),
    Action.ADD_TO: _project("add", what="add pictures to"),
    Action.LABEL: _project("label", what="label pictures of"),
    Action.TRAIN: _project("train", what="train the model of"),
    Action.JUDGE: _project("use", what="ask the model of"),
    Action.EXPORT: _project("export", what="take away what is in"),
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
        reason="The whole queue is in the hands of the bot's owner, since it serves more than this server.",
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

    def allows_to(self, actor: Actor, action: Action, thing: Belonging) -> bool:
        """Return whether ``actor`` may do ``action`` to what is no job: by the same rows, where what is
        shared with a server is public there, and private anywhere else."""
        row, shared = TABLE[action], thing.guild_id is not None and thing.guild_id == actor.guild_id
        found = self.roles(actor, None, barred_too=row.barred)
        if not shared:
            found &= ~Role.MANAGER
        if Role.ANYONE in found and actor.user_id == thing.user_id:
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
