"""Who may do what: one table, asked by commands, buttons and modals alike. The row decides, never the message."""

from __future__ import annotations

import enum
from collections.abc import Container
from dataclasses import dataclass

from core.errors import NotAllowedError
from core.job import Job


class Action(enum.StrEnum):
    """What a person can do to a job, or to the queue."""

    USE = "use"  # enlarge, vary, re-roll, extend, imagine a caption: makes a job of one's own
    SEE = "see"  # bring it back with /show
    CANCEL = "cancel"
    ADMINISTER = "administer"  # queue show, cancel and clear in this server
    OPERATE = "operate"  # pause, resume and drain the whole queue


@dataclass(frozen=True)
class Actor:
    """Who asks, and where. ``manages``: has Manage Server there, read from the interaction's own permissions."""

    user_id: int
    guild_id: int | None
    manages: bool = False


class Authority:
    """``owners``: user ids of the host. ``home``: the servers whose managers may operate the queue; empty = the only one."""

    def __init__(self, owners: Container[int], home: Container[int] = ()) -> None:
        self.owners, self._home = owners, home

    def check(self, actor: Actor, action: Action, job: Job | None = None, *, guilds: int = 1) -> None:
        """NotAllowedError with the reason, or nothing. ``guilds``: how many servers the bot is in."""
        if not self.allows(actor, action, job, guilds=guilds):
            plain = action is Action.OPERATE and not actor.manages
            raise NotAllowedError(_REASONS[Action.ADMINISTER if plain else action])

    def allows(self, actor: Actor, action: Action, job: Job | None = None, *, guilds: int = 1) -> bool:
        if actor.user_id in self.owners:
            return True
        match action:
            case Action.ADMINISTER:
                return actor.manages and actor.guild_id is not None
            case Action.OPERATE:
                return actor.manages and actor.guild_id is not None and (guilds == 1 or actor.guild_id in self._home)
        if job is None:
            return False
        if job.origin.user_id == actor.user_id:
            return True
        same_guild = actor.guild_id is not None and job.origin.guild_id == actor.guild_id
        if action is Action.CANCEL:
            return same_guild and actor.manages
        return same_guild and not job.origin.ephemeral


_REASONS = {
    Action.USE: "This picture belongs to somebody else, who keeps it private.",
    Action.SEE: "This job belongs to somebody else, who keeps it private.",
    Action.CANCEL: "Only the person who asked for this job, or somebody with Manage Server, can cancel it.",
    Action.ADMINISTER: "This needs the permission Manage Server.",
    Action.OPERATE: "The whole queue is in the hands of the bot's owner, since it serves more than this server.",
}
