"""Who may ask, and how much at once: pure functions over plain values."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from core.errors import LimitError, NotAllowedError
from core.job import NOBODY, Origin
from jobs.films import FilmLimits, in_proportion, is_film
from jobs.order.fairness import Takes, Waiting
from storage.conversations import Use
from storage.people import RoleLimit, Rules


@dataclass(frozen=True)
class Limits:
    """What may be asked at once. ``disk_floor``: bytes that must stay free on the disk. ``tokens_per_day``:
    of one person's questions and answers, 0 = as many as they like; ``answer_tokens``: most of an answer;
    ``conversation_tokens``: most that are sent with a question and answered; ``turns``: most that are told
    again.
    ``trainings``: of own models that wait or run for a server, or for somebody's own projects."""

    user_running: int = 3
    user_waiting: int = 10
    guild_waiting: int = 200
    disk_floor: int = 500 * 10**6
    tokens_per_day: int = 0
    answer_tokens: int = 512
    conversation_tokens: int = 8192
    turns: int = 24
    trainings: int = 2
    films: FilmLimits = FilmLimits()


@dataclass(frozen=True)
class Allowance:
    """The limits of one member, with the best of their roles."""

    user_running: int
    user_waiting: int


def allowance(limits: Limits, roles: Iterable[RoleLimit]) -> Allowance:
    """Return what a member with limits by role may have: the best of each, or else everybody's."""
    roles = tuple(roles)
    if not roles:
        return Allowance(limits.user_running, limits.user_waiting)
    return Allowance(max(role.user_running for role in roles), max(role.user_waiting for role in roles))


def check_limits(
    origin: Origin, rules: Rules, allowed: Allowance, limits: Limits, *, user_waiting: int, guild_waiting: int
) -> None:
    """Raise, in plain words with the limit named, when this request may not be queued. What the studio asks
    by itself always may."""
    if origin.user_id == NOBODY:
        return
    if rules.banned:
        raise NotAllowedError("You can't use Atelier here: an admin has blocked you.")
    if rules.channels and not rules.channels & {origin.channel_id, origin.parent_channel_id}:
        places = ", ".join(f"<#{channel}>" for channel in sorted(rules.channels)[:5])
        raise NotAllowedError(f"Atelier isn't allowed in this channel. It works in {places}.")
    if rules.roles and not rules.roles & set(origin.roles):
        names = ", ".join(f"<@&{role}>" for role in sorted(rules.roles)[:5])
        raise NotAllowedError(f"Only members with these roles can use Atelier here: {names}.")
    if not allowed.user_running:
        raise LimitError(
            "Your roles may have 0 jobs running here, so none would ever start; the server's managers set"
            " that."
        )
    if user_waiting >= allowed.user_waiting:
        raise LimitError(
            f"You have {user_waiting} jobs waiting; the limit is {allowed.user_waiting}. One has to start or"
            " be cancelled first."
        )
    if origin.guild_id is not None and guild_waiting >= limits.guild_waiting:
        raise LimitError(
            f"This server has {guild_waiting} jobs waiting; the limit is {limits.guild_waiting}. Try again in"
            " a while."
        )


def check_trainings(most: int, waiting: int) -> None:
    """Raise LimitError when no further training of a server's, or of somebody's own projects, may wait."""
    if waiting >= most:
        raise LimitError(
            f"{waiting} trainings wait or run already; the limit is {most}. One has to end first."
        )


def films_fit(limits: Limits, filming: Mapping[int, int]) -> Takes:
    """Return whether a job may start beside those films of its member that run. filming: member → films."""

    def fits(job: Waiting) -> bool:
        return not is_film(job.cost_key) or filming.get(job.user_id, 0) < films_at_once(limits, job)

    return fits


def films_at_once(limits: Limits, job: Waiting) -> int:
    """Return how many films the member of ``job`` may have running."""
    return in_proportion(limits.films.running, job.max_running, limits.user_running)


def tokens_a_day(everybody: int, roles: Collection[int]) -> int:
    """Return how many tokens a member may use a day, 0 = as many as they like: the most of their roles that
    have a number of their own, or else what everybody has."""
    if not roles:
        return everybody
    return 0 if 0 in roles else max(roles)


def check_tokens(most: int, used: Use, coming: int, question: int) -> None:
    """Raise LimitError when a question that is sent with about so many tokens is more than its asker may have
    today, at ``most``. coming: tokens of those that aren't answered yet, with answers as long as they may
    be."""
    if used.tokens + coming + question > most:
        waiting = f" and {used.open} questions not answered yet" if used.open else ""
        raise LimitError(
            f"You have used {used.tokens:,} of today's {most:,} tokens{waiting}, so this question doesn't"
            " fit. New ones come at 0:00 UTC."
        )
