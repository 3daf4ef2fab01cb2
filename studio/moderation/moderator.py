"""Decides what may be asked for, run, shown and answered: by the rules of ``rules``, the rows of policies,
strikes, time-outs and scores, and the classifier process, which judges each picture once. Nothing here keeps
or repeats what somebody wrote."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import struct
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from core.errors import AtelierError, FilesAway, ImageError, NotAllowedError, NotYet, StorageError, UserError
from core.job import NOBODY, Job, Origin
from core.language import N_, _, shared_language, speaking
from core.requests.base import Answer
from core.requests.custom_models import STYLE, BundleRequest, ProjectRequest, TrainRequest
from storage import moderation as rows
from storage import people
from storage.blobs.base import Files
from storage.database import Database
from storage.moderation import Strike
from storage.people import AuditRow
from storage.projects import projects
from storage.videos import videos_of_posters
from studio.authority import TABLE, Action, Actor, Authority, Directory, Place, Unanswered
from studio.media.child import Child
from studio.media.uploads import checked_frames
from studio.moderation import rules
from studio.moderation.rules import Blocked, Deed, ModerationSettings, Rule, Verdict, Visibility, Words

log = logging.getLogger(__name__)
ANSWER = 60.0  # seconds for one picture, the start included
IDLE = 900.0  # seconds without a picture until the process is let go
PAUSE = 30.0  # seconds until it is started again after it failed


def _for_pictures(settings: ModerationSettings, place: Place) -> ModerationSettings:
    """Return what holds for pictures in a place: strict where the bot isn't."""
    return replace(settings, level="strict") if place.away else settings


class Unchecked(AtelierError):
    """There is no judgement: the classifier isn't there or can't read the picture."""


class PictureCheck:
    """``model``: a classifier's folder; empty = the one that comes as a package."""

    def __init__(self, model: str = "") -> None:
        self.child = Child(sys.executable, "-m", "vision.worker.safety", *((model,) if model else ()))
        self.name = model or "open_nsfw"
        self.starting: asyncio.Task[None] | None = None
        self._failed_at = float("-inf")

    def get_ready(self) -> None:
        """Start the process while the picture is still being made: it takes a third of a second, longer
        beside a worker's own start."""

        async def begin() -> None:
            async with self.child.turn:
                if self.child.is_gone and not self._pauses:
                    with contextlib.suppress(OSError):  # whoever asks for a score is told
                        await self.child.start(IDLE)

        if self.child.is_gone and (self.starting is None or self.starting.done()):
            self.starting = asyncio.create_task(begin(), name="start the classifier")

    @property
    def _pauses(self) -> bool:
        return asyncio.get_running_loop().time() < self._failed_at + PAUSE

    async def score(self, data: bytes) -> float:
        """Return 0 (fit to be shown) to 1 for an encoded picture of ours. Raises Unchecked when there is no
        answer."""

        async def talk(asked: asyncio.StreamWriter, answers: asyncio.StreamReader) -> dict[str, Any]:
            asked.write(struct.pack(">I", len(data)) + data)
            await asked.drain()
            return json.loads(await answers.readuntil(b"\n"))

        async with self.child.turn:
            if self._pauses:
                raise Unchecked("the classifier has failed a moment ago")
            try:
                answer = await self.child.ask(talk, ANSWER, IDLE)
            except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError) as error:
                self._failed_at = asyncio.get_running_loop().time()
                kind = type(error).__name__
                log.error("pictures can't be checked: the classifier process ended (%s)", kind)
                raise Unchecked("the classifier process ended") from error
        if "nsfw" not in answer:
            raise Unchecked(f"the classifier can't read it ({answer.get('error')})")
        return float(answer["nsfw"])

    async def close(self) -> None:
        """End the process."""
        if self.starting is not None:
            await asyncio.gather(self.starting, return_exceptions=True)
        await self.child.close()


VIDEO, LATENTS = "mp4", "safetensors"  # how the files of a video and of its ends are called
Frames = Callable[[bytes], Awaitable[Sequence[bytes]]]


ALERTS_IN = "alerts in {}"  # setting: the channel where strikes in a server are told
ALERTED = N_("Strikes and time-outs of this server's members are reported here from now on.")
STRUCK = N_("A request was stopped: {rule}. Strikes within {window} h: {count}.")
OUT = N_("A time-out of {timeout} min follows; `/moderation pardon` ends it.")
ONE_STRIKE = timedelta(seconds=10)  # several jobs of one command are one strike
LONG = 400  # characters; longer texts are read in a thread
WITH_MINORS = 0.5
ADVICE = {
    Rule.EXPLICIT: " You may ask for it in an age-restricted channel.",
    Rule.CHILDREN: " Most who write this mean no harm: no strike, and nobody is notified. Try other words.",
}
_STRICTER = tuple(Visibility)  # each hides more than those before it


class Moderator:
    """Asked by the queue before a job is written and again before it runs, and by delivery before a picture
    is shown.

    host: what holds where a server has no policy. frames: gives those of a video that are looked at, as
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
        self._database, self._files, self.check, self._host = database, files, check, host
        self._directory = directory
        self._frames, self._minors = frames, rules.Minors(database)
        self._telling = set[asyncio.Task[None]]()

    # Words

    async def gate(self, job: Job, running: bool) -> None:
        """Raise NotAllowedError (Blocked, if a rule is broken) unless a job may be queued, or (``running``)
        still may run: rules, bans and roles may have changed since it was asked for. NotYet when that hangs
        on what Discord doesn't tell at the moment."""
        origin = job.origin
        place = Place(origin.guild_id, origin.channel_id, origin.away)
        standing = await self._standing(job, running)
        settings, words = self._host.under(standing.row), standing.words
        settings = settings.away() if origin.away else settings
        parent = replace(place, channel_id=origin.parent_channel_id or origin.channel_id)
        adult = self._directory.age_restricted(parent)
        adult = self._directory.age_restricted(place) if adult is None else adult
        pictures, lessons = job.request.pictures, await self._lessons(job)
        minors = await self._minors.among((*pictures, *lessons), job.request.files)
        asked = rules.judged_words(job.request, of_minor=bool(minors))
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
            minors = set(pictures) if minors or rules.names_a_minor(job.request) else minors
            shown = _for_pictures(settings, place)
            picture = await self._unfit(pictures, minors, shown, bool(adult))
            if picture is not None:
                is_judged = None not in await self._scores([picture])
                verdict = Verdict(Rule.PICTURE, Deed.STRIKE if is_judged else Deed.REFUSE)
        if verdict is None:
            drawn = (Answer.PICTURES, Answer.VIDEOS)
            if running and job.request.answer in drawn and not rules.shows_all(settings, bool(adult)):
                self.check.get_ready()
            return
        rule, kind, user_id, guild_id = verdict.rule, job.request.kind, origin.user_id, origin.guild_id
        said = "moderation: rule %s stopped a /%s of user %d in guild %s"
        log.warning(said, rule.name, kind, user_id, guild_id)
        helps = rule is not Rule.EXPLICIT or settings.level == "standard"
        raise Blocked(rule, verdict.deed, ADVICE.get(rule, "") if helps else "", picture)

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
            raise NotYet(f"whether channel {place.channel_id} is age-restricted isn't known")
        return await judged(adult=adult), adult

    async def check_said(self, origin: Origin, said: str) -> None:
        """Raise Blocked for what somebody says that breaks a rule where they are, and note the strike."""
        place = Place(origin.guild_id, origin.parent_channel_id or origin.channel_id)
        settings, own = await self._rules(place)
        verdict = await self.judge_words(Words(said), settings, own, adult=self._is_adult(place))
        if verdict is not None:
            await self.strike(origin, verdict.rule, verdict.deed)
            helps = verdict.rule is not Rule.EXPLICIT or settings.level == "standard"
            raise Blocked(verdict.rule, verdict.deed, ADVICE.get(verdict.rule, "") if helps else "")

    async def judge_words(
        self, words: Words, settings: ModerationSettings, own: tuple[str, ...], *, adult: bool
    ) -> Verdict | None:
        """Return the first rule that words break. own: of the server. adult: the channel is
        age-restricted."""
        if len(words.asked) + len(words.avoided) > LONG:
            return await asyncio.to_thread(rules.judge, words, settings.level, own, adult)
        return rules.judge(words, settings.level, own, adult)

    async def _standing(self, job: Job, running: bool) -> rows.Standing:
        """Return what decides about the job's words. Raise NotAllowedError if the asker is in a time-out, or
        (just before running) has been banned or lost every allowed role since asking. NotYet when Discord
        doesn't tell their roles."""
        origin = job.origin
        work = partial(rows.standing, user_id=origin.user_id, guild_id=origin.guild_id, now=datetime.now(UTC))
        standing = await self._database.read(work, once=True)
        if standing.timed_out_until is not None:
            raise NotAllowedError(rules.in_time_out(standing.timed_out_until))
        if not running:
            return standing
        read = partial(people.read_rules, user_id=origin.user_id, guild_id=origin.guild_id)
        held = await self._database.read(read, once=True)
        if held.banned:
            raise NotAllowedError("An admin blocked you after you asked; this job was not run.")
        if origin.guild_id is not None and held.roles:
            roles = await self._directory.roles(origin.user_id, origin.guild_id)
            if roles is None:  # those of long ago tell nothing
                raise NotYet(f"the roles of user {origin.user_id} aren't known")
            if not held.roles & roles:
                raise NotAllowedError("Your roles no longer allow Atelier here; this job was not run.")
        return standing

    async def strike(self, origin: Origin, rule: Rule, deed: Deed = Deed.STRIKE) -> None:
        """Note a strike for somebody's own words or picture, and a time-out after too many; nothing where
        they are only refused, an audit row for admins to see where that is what follows."""
        if deed is Deed.REFUSE:
            return
        now, user_id, guild_id = datetime.now(UTC), origin.user_id, origin.guild_id
        try:
            settings = await self.settings(guild_id)
            work = partial(rows.add_strike, user_id=user_id, guild_id=guild_id, rule=rule.name)
            if not await self._database.write(partial(work, now=now, apart=now - ONE_STRIKE)):
                return
            if deed is Deed.TELL:
                row = AuditRow(now, user_id, f"stopped: {rule}", guild_id)
                await self._database.write(partial(people.add_audit, row=row))
            since = now - timedelta(hours=settings.window)
            of_them = partial(rows.strikes_of, user_id=user_id, guild_id=guild_id, since=since)
            count = len(await self._database.read(of_them))
            out = bool(settings.strikes) and count >= settings.strikes
            if out:
                until = now + timedelta(minutes=settings.timeout)
                over = partial(rows.set_timeout, user_id=user_id, guild_id=guild_id, until=until)
                await self._database.write(over)
                told = "moderation: user %d has %d strikes in guild %s and is in a time-out"
                log.warning(told, user_id, count, guild_id)
            if guild_id is not None:
                with speaking(shared_language()):
                    shown = _(STRUCK, rule=rule, count=count, window=settings.window)
                    over_for = _(OUT, timeout=settings.timeout) if out else ""
                self._alert(guild_id, user_id, f"{shown} {over_for}".rstrip())
        except StorageError:
            log.exception("moderation: a strike couldn't be written")

    async def alerts(self, guild_id: int) -> int | None:
        """Return the channel where strikes in a server are told, None for none."""
        work = partial(people.read_setting, key=ALERTS_IN.format(guild_id))
        return await self._database.read(work, once=True)

    async def set_alerts(self, actor_id: int, guild_id: int, channel_id: int | None) -> None:
        """Choose the channel where strikes in a server are told, None = none; the channel is told so. Raises
        UserError where nothing can be written there."""
        if channel_id is not None:
            with speaking(shared_language()):
                text = _(ALERTED)
            try:
                await self._directory.tell(Place(guild_id, channel_id), text)
            except Unanswered as error:
                raise UserError("Discord doesn't answer at the moment. Try again in a minute.") from error
        work = partial(people.set_setting, key=ALERTS_IN.format(guild_id), value=channel_id)
        await self._audited(actor_id, guild_id, "set alerts", work, channel=channel_id)

    def _alert(self, guild_id: int, user_id: int, text: str) -> None:
        """Tell a server's channel for it, if it has one, of a member, while they are answered."""

        async def tell() -> None:
            try:
                if (channel_id := await self.alerts(guild_id)) is not None:
                    await self._directory.tell(Place(guild_id, channel_id), text, user_id)
            except (StorageError, Unanswered, UserError) as error:
                log.warning("moderation: a strike in guild %d isn't told there: %s", guild_id, error)

        task = asyncio.create_task(tell())
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    # Pictures

    async def of_minors(self, sha256s: Iterable[str]) -> bool:
        """Return whether any of these pictures and videos is of a minor."""
        return bool(await self._minors.among(sha256s))

    async def shown_nowhere(self, sha256s: Sequence[str]) -> set[str]:
        """Return those of these pictures and videos that are held back in any place: of a minor, and unfit or
        not to be judged."""
        minors = await self._minors.among(sha256s)
        shown = await self._shown(tuple(minors), minors, replace(self._host, level="off"), adult=True)
        return {name for name, how in shown.items() if how is Visibility.BLOCK}

    async def unfit(self, sha256s: Sequence[str], place: Place) -> str | None:
        """Return the first of these pictures that isn't fit for ``place``, None when all are."""
        settings, minors = await self.settings_in(place), await self._minors.among(sha256s)
        return await self._unfit(sha256s, minors, _for_pictures(settings, place), self._is_adult(place))

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

    def rows_of(self, sha256s: Iterable[str], place: Place) -> list[partial[Any]]:
        """Return what is read to decide how these pictures may be shown in ``place``, and the words beside
        them, see ``Database.look_up``."""
        names = tuple(dict.fromkeys(sha256s))
        return [
            partial(rows.policy, guild_id=place.guild_id),
            partial(rows.words, guild_id=place.guild_id),
            partial(rows.of_minors, sha256s=frozenset(names)),
            partial(videos_of_posters, posters=names),
            partial(rows.scores, sha256s=names, classifier=self.check.name),
        ]

    async def visibilities(self, sha256s: Sequence[str], place: Place) -> list[Visibility]:
        """Return how each of many pictures may be shown in ``place``."""
        settings, minors = await self.settings_in(place), await self._minors.among(sha256s)
        settings = _for_pictures(settings, place)
        shown = await self._shown(sha256s, minors, settings, self._is_adult(place))
        if any(shown[sha256] is Visibility.BLOCK for sha256 in minors):
            log.error("moderation: a picture of a minor was held back")
        return [shown[sha256] for sha256 in sha256s]

    async def _shown(
        self, asked: Sequence[str], minors: set[str], settings: ModerationSettings, adult: bool
    ) -> dict[str, Visibility]:
        """Return how each picture may be shown. Where every one is, only those of minors are judged."""
        free, shown = rules.shows_all(settings, adult), dict.fromkeys(asked, Visibility.SHOW)
        judged = [name for name in shown if not free or name in minors]
        for name, score in zip(judged, await self._scores(judged), strict=True):
            if name in minors and (score is None or score >= WITH_MINORS):
                shown[name] = Visibility.BLOCK
            elif not free:
                shown[name] = rules.by_score(settings, score)
        return shown

    async def _scores(self, sha256s: Sequence[str]) -> list[float | None]:
        """Return the score of each stored picture, video or file of latents; None for one that can't be
        judged. A video and its poster are as the worst of its frames that were looked at."""
        if not sha256s:
            return []
        [videos] = await self._database.look_up(partial(videos_of_posters, posters=tuple(sha256s)), once=True)
        groups = [(name, *sorted(videos.get(name, ()))) for name in sha256s]
        every = tuple(dict.fromkeys(name for group in groups for name in group))
        work = partial(rows.scores, sha256s=every, classifier=self.check.name)
        [judged] = await self._database.look_up(work, once=True)
        known = dict(judged)
        for name in every:
            if name not in known and (score := await self._score(name)) is not None:
                known[name] = score
        return [
            max(known[name] for name in group) if known.keys() >= set(group) else None for group in groups
        ]

    async def _score(self, sha256: str) -> float | None:
        """Return what the classifier says of a stored file, and keep that; None when it can't judge it."""
        try:
            kind, score = (await self._files.entry(sha256)).extension, 0.0
            if kind != LATENTS:  # of which nothing can be seen
                data = await self._files.get(sha256)
                seen = await self._frames(data) if kind == VIDEO else [data]
                score = max([await self.check.score(one) for one in seen])
        except FilesAway:
            raise  # later it can be judged
        except (Unchecked, StorageError, ImageError) as error:
            log.warning("moderation: a picture wasn't judged: %s", error)
            return None
        name = self.check.name
        await self._database.write(partial(rows.set_score, sha256=sha256, classifier=name, nsfw=score))
        return score

    async def shows_preview(self, preview: bytes, job: Job, place: Place) -> bool:
        """Return whether a picture that is still being made may be seen in ``place``."""
        settings, adult = _for_pictures(await self.settings_in(place), place), self._is_adult(place)
        if settings.level == "strict" or rules.names_a_minor(job.request):
            return False
        if await self._minors.among(job.request.pictures, job.request.files):
            return False
        if settings.level == "off" or adult:
            return True
        try:
            return await self.check.score(preview) < rules.THRESHOLDS["standard"]
        except Unchecked:
            return False

    async def captions(self, captions: Sequence[str], place: Place) -> list[str | None]:
        """Return ``captions`` with None in place of those that break a rule of ``place``."""
        broken = await self.rules_broken(captions, place)
        return [one if rule is None else None for one, rule in zip(captions, broken, strict=True)]

    async def rules_broken(self, texts: Sequence[str], place: Place) -> list[Rule | None]:
        """Return the first rule of ``place`` that each text breaks, None for none."""
        settings, own = await self._rules(place)
        judged = partial(self.judge_words, settings=settings, own=own, adult=self._is_adult(place))
        verdicts = [await judged(Words(one)) for one in texts]
        return [None if verdict is None else verdict.rule for verdict in verdicts]

    async def told(self, job: Job, place: Place) -> Job:
        """Return a job as it may be told of in ``place``: its words break no rule there, or stay out."""
        judged = partial(self.judge_words, rules.judged_words(job.request), *await self._rules(place))
        adult = self._directory.age_restricted(place)
        verdict = await judged(adult=bool(adult))
        if verdict is not None and adult is None:  # nobody has told this process of that place yet
            verdict = await judged(adult=bool(await self._directory.adult(place)))
        return replace(job, worded=verdict is None)

    async def listener(self, job: Job, pictures: Iterable[str] = ()) -> Listener:
        """Return who hears the answer to a question where it was asked. pictures: of the turns before it."""
        place = Place(job.origin.guild_id, job.origin.channel_id, job.origin.away)
        settings, own = await self._rules(place)
        of_minor = await self.of_minors((*job.request.pictures, *pictures))
        words, adult = rules.all_text(job.request), self._is_adult(place)
        return Listener(words, settings.level, own, adult=adult, of_minor=of_minor)

    async def _rules(self, place: Place) -> tuple[ModerationSettings, tuple[str, ...]]:
        """Return what holds in a place, and the words of its server."""
        return await self.settings_in(place), tuple(await self.words(place.guild_id))

    def _is_adult(self, place: Place) -> bool:
        return bool(self._directory.age_restricted(place))

    async def look(self, data: bytes) -> tuple[str, float | None]:
        """Return the classifier's name and how it judges a picture that isn't kept, None when it can't."""
        with contextlib.suppress(Unchecked):
            return self.check.name, await self.check.score(data)
        return self.check.name, None

    # Policy, for admins: each change leaves an audit row

    async def settings(self, guild_id: int | None) -> ModerationSettings:
        """Return what holds in a server, or (None) in direct messages."""
        return self._host.under(await self.policy(guild_id))

    async def policy(self, guild_id: int | None) -> rows.ModerationRow:
        """Return what a server has chosen itself, None in each field that it leaves to the host."""
        [found] = await self._database.look_up(partial(rows.policy, guild_id=guild_id), once=True)
        return found

    async def settings_in(self, place: Place) -> ModerationSettings:
        """Return what holds in a place: where the bot isn't, what the host chose, but at least standard."""
        settings = await self.settings(place.guild_id)
        return settings.away() if place.away else settings

    async def set_policy(self, actor_id: int, guild_id: int, **values: Any) -> None:
        """Change those of ModerationRow's fields that are named; None = as the host has it."""
        work = partial(rows.set_policy, guild_id=guild_id, **values)
        await self._audited(actor_id, guild_id, "set moderation", work, **values)

    async def words(self, guild_id: int | None) -> list[str]:
        """Return the server's own list of words and patterns, none in direct messages."""
        [found] = await self._database.look_up(partial(rows.words, guild_id=guild_id), once=True)
        return list(found)

    async def add_word(self, actor_id: int, guild_id: int, pattern: str) -> None:
        """Put a word or pattern on the server's list."""
        work = partial(rows.add_word, guild_id=guild_id, pattern=pattern, actor_id=actor_id)
        work = partial(work, now=datetime.now(UTC))
        await self._audited(actor_id, guild_id, "add filter word", work, pattern=pattern)

    async def remove_word(self, actor_id: int, guild_id: int, pattern: str) -> bool:
        """Take a word or pattern off the list; return whether it was there."""
        work = partial(rows.remove_word, guild_id=guild_id, pattern=pattern)
        return await self._audited(actor_id, guild_id, "remove filter word", work, pattern=pattern)

    async def strikes(self, user_id: int, guild_id: int) -> tuple[list[Strike], datetime | None]:
        """Return a member's strikes of the last 90 days, newest first, and when their time-out ends."""
        since = datetime.now(UTC) - timedelta(days=90)
        work = partial(rows.strikes_of, user_id=user_id, guild_id=guild_id, since=since)
        return await self._database.read(work), await self.time_out_ends(user_id, guild_id)

    async def pardon(self, actor_id: int, user_id: int, guild_id: int) -> int:
        """Forget a member's strikes and end their time-out; return how many there were."""
        work = partial(rows.pardon, user_id=user_id, guild_id=guild_id)
        return await self._audited(actor_id, guild_id, "pardon", work, str(user_id))

    async def time_out(self, actor_id: int, user_id: int, guild_id: int, minutes: int) -> datetime:
        """Take nothing from a member there for so long; return when that ends."""
        until = datetime.now(UTC) + timedelta(minutes=minutes)
        work = partial(rows.set_timeout, user_id=user_id, guild_id=guild_id, until=until)
        await self._audited(actor_id, guild_id, "time out", work, str(user_id), minutes=minutes)
        return until

    async def time_out_ends(self, user_id: int, guild_id: int | None) -> datetime | None:
        """Return when a member's time-out there ends, None when they are in none."""
        work = partial(rows.timeout_until, user_id=user_id, guild_id=guild_id)
        [until] = await self._database.look_up(work, once=True)
        return until if until is not None and until > datetime.now(UTC) else None

    async def _audited(
        self, actor_id: int, guild_id: int, action: str, work, target: str | None = None, **detail: object
    ):
        row = AuditRow(datetime.now(UTC), actor_id, action, guild_id, target, detail)
        return await self._database.write(people.audited(row, work))


HELD_BACK = 60  # characters at the end of a growing answer that nobody reads yet: a word may be half written
_SPELLED = re.compile(r"\s*\S(?:\s+\S)*(?=\s|\Z)")  # letters by themselves, read from the end
JUDGED_EVERY = 0.5  # seconds; judging 2,000 characters takes some milliseconds


class AnswerBlocked(NotAllowedError):
    """A rule stopped an answer. The text names the rule, never what was said."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(f"A rule stopped this answer: {rule}. Its text was deleted.")
        self.rule = rule


class TextBlocked(NotAllowedError):
    """A rule stopped a question for the text in its pictures. The text names the rule, never what was
    read."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(f"A rule stopped this question for the text in its pictures: {rule}.")
        self.rule = rule


class Listener:
    """Hears one answer. level, words: the rules where it is read. adult: that place is age-restricted.
    question: judged together with the answer, for some rules look at both. of_minor: so does what they say
    of a picture of one."""

    def __init__(
        self,
        question: str,
        level: str,
        words: tuple[str, ...],
        *,
        adult: bool,
        of_minor: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._question = question
        self._words = partial(Words, of_minor=of_minor)
        self._judge = partial(rules.judge, level=level, own=words, adult=adult)
        self._level = level
        self._clock, self._judged_at, self._shown = clock, float("-inf"), ""

    def see(self, text: str) -> None:
        """Take in what was read in the pictures of the question, which is judged with it and its answer.
        Raises TextBlocked."""
        self._question = f"{self._question}\n{text}"
        verdict = self._judge(self._words(self._question))
        if verdict is not None:
            raise TextBlocked(verdict.rule)

    def __call__(self, text: str, whole: bool) -> str:
        """Return what may be read of an answer so far: at level strict nothing before its end. Raises
        AnswerBlocked."""
        if not whole:
            now = self._clock()
            if now < self._judged_at + JUDGED_EVERY:
                return self._shown
            self._judged_at = now
        verdict = self._judge(self._words(f"{self._question}\n{text}"))
        if verdict is not None:
            raise AnswerBlocked(verdict.rule)
        if whole:
            return text
        if self._level == "strict":
            return ""
        # Without its last characters, nor a word that this would cut, also one whose letters are spelled out
        kept = text[:-HELD_BACK]
        if not text[len(kept) : len(kept) + 1].isspace():
            kept = kept[: max((place for place, char in enumerate(kept) if char.isspace()), default=0)]
        spelled = _SPELLED.match(kept[::-1])
        self._shown = kept[: -spelled.end()] if spelled else kept
        return self._shown


ACTIONS = {TrainRequest.kind: Action.TRAIN, BundleRequest.kind: Action.EXPORT}
GONE = "Its project was deleted after you asked; this job was not run."
BARRED = "An admin blocked you after you asked; this job was not run."
TAKEN = "This job was not run, since you may no longer ask for it. {reason}"


class Starting:
    """Asks the moderator about every job, and the table of rights about trainings and bundles, by what people
    are now where the project belongs."""

    def __init__(
        self, database: Database, moderator: Moderator, authority: Authority, directory: Directory
    ) -> None:
        self._database, self._moderator = database, moderator
        self._authority, self._directory = authority, directory

    async def gate(self, job: Job, running: bool) -> None:
        """Raise NotAllowedError or UserError unless a job may be queued, or (``running``) still may run,
        NotYet when that can't be told at the moment. What the studio asks by itself has no roles that could
        have been taken from it."""
        by_itself = job.origin.user_id == NOBODY
        await self._moderator.gate(job, running and not by_itself)
        action = ACTIONS.get(job.request.kind)
        if running and not by_itself and isinstance(job.request, ProjectRequest) and action is not None:
            await self._check(job.origin, action, job.request.project)

    async def _check(self, origin: Origin, action: Action, project_id: str) -> None:
        project = await self._database.read(partial(projects.read_project, project_id=project_id))
        if project is None:
            raise UserError(GONE)
        user_id, guild_id = origin.user_id, project.guild_id
        asker = Actor(user_id, None, surface=origin.surface)
        # 1. What they are where the project belongs, now: the roles of when they asked tell nothing
        if guild_id is not None:
            try:
                if (roles := await self._directory.roles(user_id, guild_id)) is not None:
                    member = await self._directory.member(user_id, guild_id)
            except Unanswered:
                roles = None
            if roles is None:
                raise NotYet(f"the roles of user {user_id} aren't known")
            if member is not None:  # who has left is nothing there
                roles_now = tuple(sorted(roles))
                asker = replace(asker, guild_id=guild_id, manages=member.manages, roles=roles_now)
        # 2. Whether they may
        work = partial(people.read_rules, user_id=user_id, guild_id=guild_id)
        held = await self._database.read(work, once=True)
        barred = held.banned or await self._moderator.time_out_ends(user_id, guild_id) is not None
        if not self._authority.allows_in(replace(asker, barred=barred), action, project):
            raise NotAllowedError(BARRED if barred else TAKEN.format(reason=TABLE[action].reason))
