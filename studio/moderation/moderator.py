"""Decides what may be asked for and what may be shown, with the rows: policies, strikes, time-outs, scores.

The rules themselves are in ``rules``. Nothing here keeps or repeats what somebody wrote.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from core.errors import NotAllowedError, NotYet, StorageError
from core.job import Job, Origin
from core.requests.base import Answer
from core.requests.own_models import STYLE, TrainRequest
from storage import moderation as rows
from storage import people, records
from storage.database import Database
from storage.files import Files
from storage.moderation import Strike
from storage.records import AuditRow
from studio.authority import Place
from studio.directory import Directory
from studio.films.intake import checked_frames
from studio.moderation.classifier import PictureCheck, Unchecked
from studio.moderation.minors import Minors
from studio.moderation.rules import (
    THRESHOLDS,
    Blocked,
    Deed,
    ModerationSettings,
    Rule,
    Verdict,
    Visibility,
    Words,
    by_score,
    in_time_out,
    judge,
    names_a_minor,
    shows_all,
    words_of,
)
from studio.moderation.scoring import Frames, Scores

ONE_STRIKE = timedelta(seconds=10)  # several jobs of one command are one strike
LONG = 400  # characters; longer texts are read in a thread
WITH_MINORS = 0.5
ADVICE = {
    Rule.EXPLICIT: " You may ask for it in an age-restricted channel.",
    Rule.CHILDREN: " Most who write so mean no harm: it is no strike, and nobody is told. Try other words.",
}
_STRICTER = tuple(Visibility)  # each hides more than those before it
log = logging.getLogger(__name__)


class Moderator:
    """Asked by the queue before a job is written and again before it runs, and by delivery before a picture
    is shown.

    host: what holds where a server has no policy. frames: gives those of a film that are looked at, as
    encoded pictures.
    """

    def __init__(
        self,
        database: Database,
        files: Files,
        check: PictureCheck,
        host: ModerationSettings,
        directory: Directory,
        frames: Frames = checked_frames,
    ) -> None:
        self._database, self._files, self._check, self._host = database, files, check, host
        self._directory = directory
        self._scores, self._minors = Scores(database, files, lambda: self._check, frames), Minors(database)

    # Words

    async def gate(self, job: Job, running: bool) -> None:
        """Raise NotAllowedError (Blocked, if a rule is broken) unless a job may be queued, or (``running``)
        still may run: rules, bans and roles may have changed since it was asked for. NotYet when that hangs
        on what Discord doesn't tell at the moment."""
        origin = job.origin
        place = Place(origin.guild_id, origin.channel_id)
        standing = await self._standing(job, running)
        settings, words = self._host.under(standing.row), standing.words
        adult = self._directory.age_restricted(
            Place(origin.guild_id, origin.parent_channel_id or origin.channel_id)
        )
        adult = self._directory.age_restricted(place) if adult is None else adult
        pictures, lessons = job.request.pictures, await self._lessons(job)
        minors = await self._minors.among((*pictures, *lessons), job.request.files)
        asked = words_of(job.request, of_minor=bool(minors))
        judged = partial(self.judge_words, asked, settings, words)
        verdict = await judged(adult=bool(adult))
        if verdict is not None and adult is None and running:
            verdict, adult = await self._judge_elsewhere(place, judged)
        if verdict is None and any(lessons.values()):  # a style mixes them; each was taken by itself
            together = replace(asked, asked=" \n ".join((asked.asked, *lessons.values())))
            met = await self.judge_words(together, replace(settings, level="off"), (), adult=True)
            verdict = met and replace(met, deed=Deed.REFUSE)
        picture = None
        if verdict is None and not running:
            # who or what is put beside a minor is judged as one is
            minors = set(pictures) if minors or names_a_minor(job.request) else minors
            picture = await self._unfit(pictures, minors, settings, bool(adult))
            if picture is not None:
                is_judged = None not in await self._scores.of([picture])
                verdict = Verdict(Rule.PICTURE, Deed.STRIKE if is_judged else Deed.REFUSE)
        if verdict is None:
            drawn = (Answer.PICTURES, Answer.FILMS)
            if running and job.request.answer in drawn and not shows_all(settings, bool(adult)):
                self._check.get_ready()
            return
        log.warning(
            "moderation: rule %s stopped a /%s of user %d in guild %s",
            verdict.rule.name,
            job.request.kind,
            origin.user_id,
            origin.guild_id,
        )
        advice = ADVICE.get(verdict.rule, "")
        if verdict.rule is Rule.EXPLICIT and settings.level != "standard":
            advice = ""
        raise Blocked(verdict.rule, verdict.deed, advice, picture)

    async def _lessons(self, job: Job) -> Mapping[str, str]:
        """Return the pictures that a job learns a style from, and what each is called."""
        request = job.request
        if not isinstance(request, TrainRequest) or request.task != STYLE:
            return {}
        work = partial(rows.lessons, project_id=request.project, job_id=job.id)
        return dict(await self._database.read(work))

    async def _judge_elsewhere(
        self, place: Place, judged: Callable[..., Awaitable[Verdict | None]]
    ) -> tuple[Verdict | None, bool]:
        """Return the verdict on words in a place of which this process isn't told, and whether that is
        age-restricted. judged: tells it for one that is, or isn't (``adult``). Raises NotYet when that
        decides and can't be told."""
        if (verdict := await judged(adult=True)) is not None:
            return verdict, False  # anywhere
        if (adult := await self._directory.adult(place)) is None:
            raise NotYet(f"whether channel {place.channel_id} is age-restricted can't be told")
        return await judged(adult=adult), adult

    async def judge_words(
        self, words: Words, settings: ModerationSettings, own: tuple[str, ...], *, adult: bool
    ) -> Verdict | None:
        """Return the first rule that words break. own: of the server. adult: the channel is
        age-restricted."""
        if len(words.asked) + len(words.avoided) > LONG:
            return await asyncio.to_thread(judge, words, settings.level, own, adult)
        return judge(words, settings.level, own, adult)

    async def _standing(self, job: Job, running: bool) -> rows.Standing:
        """Return what decides about the job's words. Raise NotAllowedError if the asker is in a time-out, or
        (just before running) has been banned or lost every allowed role since asking. NotYet when Discord
        doesn't tell their roles."""
        origin = job.origin
        work = partial(rows.standing, user_id=origin.user_id, guild_id=origin.guild_id, now=datetime.now(UTC))
        standing = await self._database.read(work, once=True)
        until = standing.timed_out_until
        if until is not None:
            raise NotAllowedError(in_time_out(until))
        if not running:
            return standing
        rules = await self._database.read(
            partial(people.rules, user_id=origin.user_id, guild_id=origin.guild_id), once=True
        )
        if rules.banned:
            raise NotAllowedError("An admin blocked you after you asked; this job was not run.")
        if origin.guild_id is not None and rules.roles:
            roles = await self._directory.roles(origin.user_id, origin.guild_id)
            if roles is None:  # those of long ago tell nothing
                raise NotYet(f"the roles of user {origin.user_id} can't be told")
            if not rules.roles & roles:
                raise NotAllowedError("Your roles no longer allow Atelier here; this job was not run.")
        return standing

    async def strike(self, origin: Origin, rule: Rule, deed: Deed = Deed.STRIKE) -> None:
        """Note a strike for somebody's own words or picture, and a time-out after too many; nothing where
        they are only refused, an audit row for admins to see where that is what follows."""
        if deed is Deed.REFUSE:
            return
        now = datetime.now(UTC)
        try:
            settings = await self.settings(origin.guild_id)
            work = partial(
                rows.add_strike,
                user_id=origin.user_id,
                guild_id=origin.guild_id,
                rule=rule.name,
                now=now,
                apart=now - ONE_STRIKE,
            )
            if not await self._database.write(work):
                return
            if deed is Deed.TELL:
                await self._database.write(
                    partial(
                        records.add_audit,
                        row=AuditRow(now, origin.user_id, f"stopped: {rule}", origin.guild_id),
                    )
                )
            since = now - timedelta(hours=settings.window)
            count = len(
                await self._database.read(
                    partial(rows.strikes_of, user_id=origin.user_id, guild_id=origin.guild_id, since=since)
                )
            )
            if settings.strikes and count >= settings.strikes:
                until = now + timedelta(minutes=settings.timeout)
                await self._database.write(
                    partial(rows.set_timeout, user_id=origin.user_id, guild_id=origin.guild_id, until=until)
                )
                log.warning(
                    "moderation: user %d has %d strikes in guild %s and is in a time-out",
                    origin.user_id,
                    count,
                    origin.guild_id,
                )
        except StorageError:
            log.exception("moderation: a strike couldn't be written")

    # Pictures

    async def of_minors(self, sha256s: Iterable[str]) -> bool:
        """Return whether any of these pictures and films is of a minor."""
        return bool(await self._minors.among(sha256s))

    async def shown_nowhere(self, sha256s: Sequence[str]) -> set[str]:
        """Return those of these pictures and films that are held back in any place: of a minor, and unfit or
        not to be judged."""
        minors = await self._minors.among(sha256s)
        shown = await self._shown(tuple(minors), minors, replace(self._host, level="off"), adult=True)
        return {name for name, how in shown.items() if how is Visibility.BLOCK}

    async def unfit(self, sha256s: Sequence[str], place: Place) -> str | None:
        """Return the first of these pictures that isn't fit for ``place``, None when all are."""
        settings, minors = await self.settings(place.guild_id), await self._minors.among(sha256s)
        return await self._unfit(sha256s, minors, settings, bool(self._directory.age_restricted(place)))

    async def _unfit(
        self, asked: Sequence[str], minors: set[str], settings: ModerationSettings, adult: bool
    ) -> str | None:
        """Return the SHA-256 of the first picture that can't be shown as it is. minors: those that are judged
        as one of a minor."""
        shown = await self._shown(asked, minors, settings, adult)
        return next((name for name, how in shown.items() if how is not Visibility.SHOW), None)

    async def visibility(self, sha256s: Sequence[str], place: Place) -> Visibility:
        """Return how these pictures may be shown in ``place``, by the worst of them."""
        said = await self.visibilities(sha256s, place)
        return max(said, key=_STRICTER.index, default=Visibility.SHOW)

    async def visibilities(self, sha256s: Sequence[str], place: Place) -> list[Visibility]:
        """Return how each of many pictures may be shown in ``place``."""
        settings, minors = await self.settings(place.guild_id), await self._minors.among(sha256s)
        shown = await self._shown(sha256s, minors, settings, bool(self._directory.age_restricted(place)))
        if any(shown[sha256] is Visibility.BLOCK for sha256 in minors):
            log.error("moderation: a picture of a minor was held back")
        return [shown[sha256] for sha256 in sha256s]

    async def _shown(
        self, asked: Sequence[str], minors: set[str], settings: ModerationSettings, adult: bool
    ) -> dict[str, Visibility]:
        """Return how each picture may be shown. Where every one is, only those of minors are judged."""
        free, shown = shows_all(settings, adult), dict.fromkeys(asked, Visibility.SHOW)
        judged = [name for name in shown if not free or name in minors]
        for name, score in zip(judged, await self._scores.of(judged), strict=True):
            if name in minors and (score is None or score >= WITH_MINORS):
                shown[name] = Visibility.BLOCK
            elif not free:
                shown[name] = by_score(settings, score)
        return shown

    async def shows_preview(self, preview: bytes, job: Job, place: Place) -> bool:
        """Return whether a picture that is still being made may be seen in ``place``."""
        settings, adult = await self.settings(place.guild_id), bool(self._directory.age_restricted(place))
        if settings.level == "strict" or names_a_minor(job.request):
            return False
        if await self._minors.among(job.request.pictures, job.request.files):
            return False
        if settings.level == "off" or adult:
            return True
        try:
            return await self._check.score(preview) < THRESHOLDS["standard"]
        except Unchecked:
            return False

    async def captions(self, captions: Sequence[str], place: Place) -> list[str | None]:
        """Return ``captions`` with None in place of those that break a rule of ``place``."""
        settings, words = (
            await self.settings(place.guild_id),
            await self._database.read(partial(rows.words, guild_id=place.guild_id), once=True),
        )
        adult = bool(self._directory.age_restricted(place))
        return [
            c if await self.judge_words(Words(c), settings, tuple(words), adult=adult) is None else None
            for c in captions
        ]

    async def told(self, job: Job, place: Place) -> Job:
        """Return a job as it may be told of in ``place``: its words break no rule there, or stay out."""
        words, settings = words_of(job.request), await self.settings(place.guild_id)
        own = tuple(await self._database.read(partial(rows.words, guild_id=place.guild_id), once=True))
        adult = self._directory.age_restricted(place)
        verdict = await self.judge_words(words, settings, own, adult=bool(adult))
        if verdict is not None and adult is None:  # nobody has told this process of that place yet
            adult = await self._directory.adult(place)
            verdict = await self.judge_words(words, settings, own, adult=bool(adult))
        return replace(job, worded=verdict is None)

    async def look(self, data: bytes) -> tuple[str, float | None]:
        """Return the classifier's name and how it judges a picture that isn't kept, None when it can't."""
        with contextlib.suppress(Unchecked):
            return self._check.name, await self._check.score(data)
        return self._check.name, None

    # Policy, for admins: each change leaves an audit row

    async def settings(self, guild_id: int | None) -> ModerationSettings:
        """Return what holds in a server, or (None) in direct messages."""
        return self._host.under(await self._database.read(partial(rows.policy, guild_id=guild_id), once=True))

    async def set_policy(self, actor_id: int, guild_id: int, **values: Any) -> None:
        """Change those of ModerationRow's fields that are named; None = as the host has it."""
        await self._audited(
            actor_id,
            guild_id,
            "set moderation",
            None,
            values,
            partial(rows.set_policy, guild_id=guild_id, **values),
        )

    async def words(self, guild_id: int) -> list[str]:
        """Return the server's own list of words and patterns."""
        return await self._database.read(partial(rows.words, guild_id=guild_id), once=True)

    async def add_word(self, actor_id: int, guild_id: int, pattern: str) -> None:
        """Put a word or pattern on the server's list."""
        work = partial(
            rows.add_word, guild_id=guild_id, pattern=pattern, actor_id=actor_id, now=datetime.now(UTC)
        )
        await self._audited(actor_id, guild_id, "add filter word", None, {"pattern": pattern}, work)

    async def remove_word(self, actor_id: int, guild_id: int, pattern: str) -> bool:
        """Take a word or pattern off the list; return whether it was there."""
        work = partial(rows.remove_word, guild_id=guild_id, pattern=pattern)
        return await self._audited(actor_id, guild_id, "remove filter word", None, {"pattern": pattern}, work)

    async def strikes(self, user_id: int, guild_id: int) -> tuple[list[Strike], datetime | None]:
        """Return a member's strikes of the last 90 days, newest first, and when their time-out ends."""
        now = datetime.now(UTC)
        found = await self._database.read(
            partial(rows.strikes_of, user_id=user_id, guild_id=guild_id, since=now - timedelta(days=90))
        )
        return found, await self._database.read(
            partial(rows.timeout_until, user_id=user_id, guild_id=guild_id, now=now)
        )

    async def pardon(self, actor_id: int, user_id: int, guild_id: int) -> int:
        """Forget a member's strikes and end their time-out; return how many there were."""
        return await self._audited(
            actor_id,
            guild_id,
            "pardon",
            str(user_id),
            {},
            partial(rows.pardon, user_id=user_id, guild_id=guild_id),
        )

    async def time_out(self, actor_id: int, user_id: int, guild_id: int, minutes: int) -> datetime:
        """Take nothing from a member there for so long; return when that ends."""
        until = datetime.now(UTC) + timedelta(minutes=minutes)
        work = partial(rows.set_timeout, user_id=user_id, guild_id=guild_id, until=until)
        await self._audited(actor_id, guild_id, "time out", str(user_id), {"minutes": minutes}, work)
        return until

    async def time_out_ends(self, user_id: int, guild_id: int | None) -> datetime | None:
        """Return when a member's time-out there ends, None when they are in none."""
        work = partial(rows.timeout_until, user_id=user_id, guild_id=guild_id, now=datetime.now(UTC))
        return await self._database.read(work, once=True)

    async def _audited(
        self,
        actor_id: int,
        guild_id: int,
        action: str,
        target: str | None,
        detail: Mapping[str, object],
        work,
    ):
        row = AuditRow(datetime.now(UTC), actor_id, action, guild_id, target, dict(detail))
        return await self._database.write(records.audited(row, work))
