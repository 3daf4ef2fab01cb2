"""What a server's managers and the host decide: the queue, bans, lists, limits, and moderation; and what
the rules say of a message, which is kept nowhere."""

import asyncio
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from core.errors import ImageError, UserError
from jobs.queue import JobView, Queue, Snapshot
from storage.moderation import Strike
from storage.people import AuditRow, RoleLimit, RoleTokens
from studio.authority import Action, Actor
from studio.embeddings import Blind
from studio.languages import Languages
from studio.media.uploads import Readable
from studio.moderation.confusables import check_pattern
from studio.moderation.moderator import Moderator
from studio.moderation.rules import THRESHOLDS, ModerationSettings, Rule, rule_of
from studio.rights import Rights
from studio.services import Services
from studio.texts import plain
from vision.protocol import Checked

MAX_WORDS = 500  # of a server's own list
MAX_RULES, MAX_RULE = 10, 200  # sentences, and characters of each
AUDIT_ROWS = 20  # that are told


@dataclass(frozen=True)
class ServerQueue:
    """What runs and waits in a server. names: of those who asked, as far as they are known, by id."""

    server: str
    snapshot: Snapshot
    names: Mapping[int, str]


class Server:
    """What managers of a server and the host decide.

    Every method raises NotAllowedError unless the actor manages the server they ask in (or the whole queue,
    where that is said), and UserError in a direct message where it belongs to a server.
    """

    def __init__(
        self,
        rights: Rights,
        queue: Queue,
        moderator: Moderator,
        languages: Languages,
        *,
        may_talk: bool,
        models: Mapping[str, str] | None = None,
    ) -> None:
        """may_talk: TALK isn't off. models: the image models that members may name, as configured."""
        self._rights, self._queue, self._moderator = rights, queue, moderator
        self._models = models or {}
        self._languages, self._may_talk = languages, may_talk

    # The queue

    async def queue(self, actor: Actor) -> Snapshot:
        """Return what runs and waits in the actor's server, for the host everywhere."""
        await self._rights.check(actor, Action.QUEUE)
        return await self._queue.snapshot(guild_id=self._rights.authority.scope(actor))

    async def queues(self, actor: Actor) -> list[ServerQueue]:
        """Return what runs and waits in each server that somebody manages who came by none; for the host
        everywhere at once, under no server's name."""
        if self._rights.authority.is_host(actor.user_id):
            return [await self._named("", actor)]
        servers = await self._rights.in_servers(actor)
        return [await self._named(member.server, one) for member, one in servers if one.manages]

    async def _named(self, server: str, actor: Actor) -> ServerQueue:
        snapshot = await self.queue(actor)
        names = await self._queue.people.names({view.job.origin.user_id for view in snapshot.jobs})
        return ServerQueue(server, snapshot, names)

    async def cancellable(self, actor: Actor) -> list[JobView]:
        """Return jobs that the actor may cancel: their own, and for managers the first of their server."""
        found = list((await self._queue.mine(actor.user_id)).jobs)
        if self._rights.authority.allows(actor, Action.QUEUE):
            scope = self._rights.authority.scope(actor)
            found += (await self._queue.snapshot(guild_id=scope)).jobs
        allows = self._rights.authority.allows
        return [v for v in {v.job.id: v for v in found}.values() if allows(actor, Action.CANCEL, v.job)]

    async def pause(self, actor: Actor) -> None:
        """Start no more jobs until ``resume``; needs a right over the whole queue."""
        await self._rights.check(actor, Action.OPERATE)
        await self._queue.pause(actor.user_id)

    async def resume(self, actor: Actor) -> None:
        """Go on after a pause or a drain; needs a right over the whole queue."""
        await self._rights.check(actor, Action.OPERATE)
        await self._queue.resume(actor.user_id)

    async def drain(self, actor: Actor) -> None:
        """Take no new jobs and finish what is there; needs a right over the whole queue."""
        await self._rights.check(actor, Action.OPERATE)
        await self._queue.drain(actor.user_id)

    async def model(self, actor: Actor, name: str) -> str:
        """Return an image model as it is configured. Raises UserError for a name that there isn't; needs a
        right over the whole queue."""
        await self._rights.check(actor, Action.OPERATE)
        if name not in self._models:
            listed = ", ".join(f"`{one}`" for one in self._models) or "none: IMAGE_MODELS names none"
            raise UserError(f"There is no image model with that name. There are {listed}.")
        return self._models[name]

    async def unload(self, actor: Actor, name: str) -> None:
        """Give up an image model where no job uses it. Raises as ``model`` does."""
        self._queue.executor.forget([await self.model(actor, name)])

    async def clear(self, actor: Actor, user_id: int | None = None) -> int:
        """Cancel what waits in the server (anywhere, for the host), of one member if given; how many."""
        await self._rights.check(actor, Action.QUEUE)
        scope = self._rights.authority.scope(actor)
        return await self._queue.clear(actor.user_id, user_id=user_id, guild_id=scope)

    async def move_to_front(self, actor: Actor, job_id: str) -> tuple[str, bool]:
        """Let a waiting job run next; its id, and False if it doesn't wait. Raises ImageError for no job."""
        job = await self._rights.job(actor, job_id, Action.FRONT)
        return job.id, await self._queue.move_to_front(actor.user_id, job.id)

    # Bans, lists, limits

    async def ban(self, actor: Actor, user_id: int) -> int:
        """Take nothing more from a member here; how many of their waiting jobs are cancelled.

        Raises UserError for the bot's owner.
        """
        guild_id = await self._enter(actor, Action.RULES)
        if self._rights.authority.is_host(user_id):
            raise UserError("The bot's owner can't be banned.")
        if user_id == actor.user_id:
            raise UserError("You can't ban yourself.")
        everywhere = await self._rights.homes() == {guild_id}  # what is asked on the web, too
        return await self._queue.admin.ban(actor.user_id, user_id, guild_id, everywhere=everywhere)

    async def unban(self, actor: Actor, user_id: int) -> bool:
        """Lift a ban; False, and nothing for the audit, when there was none."""
        guild_id = await self._enter(actor, Action.RULES)
        if user_id not in await self._queue.admin.banned(guild_id):
            return False
        return await self._queue.admin.unban(actor.user_id, user_id, guild_id)

    async def banned(self, actor: Actor) -> list[int]:
        """Return the ids of members who are banned here."""
        return await self._queue.admin.banned(await self._enter(actor, Action.RULES))

    async def allow(self, actor: Actor, kind: str, target_id: int) -> None:
        """Put a channel or role (``kind``) on the list; once one is listed, only listed ones may be used."""
        guild_id = await self._enter(actor, Action.RULES)
        await self._queue.admin.allow(actor.user_id, guild_id, kind, target_id)

    async def disallow(self, actor: Actor, kind: str, target_id: int) -> bool:
        """Take a channel or role off the list; False when it wasn't on it. An empty list allows all."""
        guild_id = await self._enter(actor, Action.RULES)
        return await self._queue.admin.disallow(actor.user_id, guild_id, kind, target_id)

    async def allowed(self, actor: Actor) -> tuple[Collection[int], Collection[int]]:
        """Return ids of the listed channels and roles."""
        return await self._queue.admin.allowed(await self._enter(actor, Action.RULES))

    async def role_limits(self, actor: Actor) -> list[RoleLimit]:
        """Return the limits that roles have here."""
        return await self._queue.admin.role_rules(await self._enter(actor, Action.RULES), RoleLimit)

    async def set_role_limit(self, actor: Actor, limit: RoleLimit) -> None:
        """Give members with a role limits of their own."""
        await self._queue.admin.set_role_rule(actor.user_id, await self._enter(actor, Action.RULES), limit)

    async def remove_role_limit(self, actor: Actor, role_id: int) -> bool:
        """Take a role's limits away; False when it had none."""
        guild_id = await self._enter(actor, Action.RULES)
        return await self._queue.admin.remove_role_rule(actor.user_id, guild_id, role_id, RoleLimit)

    async def role_tokens(self, actor: Actor) -> list[RoleTokens]:
        """Return how many tokens a day roles have here, of those with a number of their own."""
        return await self._queue.admin.role_rules(await self._enter(actor, Action.RULES), RoleTokens)

    async def set_role_tokens(self, actor: Actor, tokens: RoleTokens) -> None:
        """Give members with a role a number of tokens a day."""
        guild_id = await self._enter(actor, Action.RULES)
        await self._queue.admin.set_role_rule(actor.user_id, guild_id, tokens)

    async def remove_role_tokens(self, actor: Actor, role_id: int) -> bool:
        """Take a role's number of tokens away; False when it had none."""
        guild_id = await self._enter(actor, Action.RULES)
        return await self._queue.admin.remove_role_rule(actor.user_id, guild_id, role_id, RoleTokens)

    async def set_talk(self, actor: Actor, *, on: bool) -> None:
        """Let people talk to the studio in the server's channels, or not."""
        await self._queue.admin.set_talk(actor.user_id, await self._enter(actor, Action.RULES), on=on)

    async def set_programs(self, actor: Actor, *, on: bool) -> None:
        """Let members' programs reach what belongs to the server, or not."""
        guild_id = await self._enter(actor, Action.RULES)
        await self._queue.admin.set_programs(actor.user_id, guild_id, on=on)

    async def takes_programs(self, actor: Actor) -> bool:
        """Return whether members' programs reach what belongs to the server."""
        return await self._queue.admin.takes_programs(await self._enter(actor, Action.RULES))

    async def set_language(self, actor: Actor, language: str) -> None:
        """Let public answers in the server be in a language, "" = in the one that the server has on
        Discord."""
        guild_id = await self._enter(actor, Action.RULES)
        await self._queue.admin.set_language(actor.user_id, guild_id, language)
        self._languages.forget(guild_id)

    async def language(self, actor: Actor) -> str:
        """Return the language that was chosen for public answers in the server, "" = the one that it has on
        Discord."""
        return await self._queue.admin.language(await self._enter(actor, Action.RULES))

    async def set_alerts(self, actor: Actor, channel_id: int | None) -> None:
        """Let those who read a channel of the server be told there of members' strikes and time-outs, None =
        nobody; the channel is told so. Raises UserError where the bot can't write."""
        guild_id = await self._enter(actor, Action.MODERATE)
        await self._moderator.set_alerts(actor.user_id, guild_id, channel_id)

    async def alerts(self, actor: Actor) -> int | None:
        """Return the channel where members' strikes and time-outs are told, None for none."""
        return await self._moderator.alerts(await self._enter(actor, Action.MODERATE))

    async def talks(self, actor: Actor) -> bool:
        """Return whether the studio hears what is said where the actor is: TALK decides, and in channels the
        server's managers."""
        if not self._may_talk or actor.guild_id is None:
            return self._may_talk
        return await self._queue.admin.talks(actor.guild_id)

    async def audit(self, actor: Actor) -> list[AuditRow]:
        """Return what admins changed here (anywhere, for the host), newest first."""
        await self._enter(actor, Action.RULES)
        return await self._queue.admin.audit(self._rights.authority.scope(actor), AUDIT_ROWS)

    # Moderation

    async def moderation(self, actor: Actor) -> tuple[ModerationSettings, Sequence[str]]:
        """Return the rules that hold here and the server's own words."""
        guild_id = await self._enter(actor, Action.MODERATE)
        return await self._moderator.settings(guild_id), await self._moderator.words(guild_id)

    async def own_level(self, actor: Actor) -> str | None:
        """Return the level that this server has chosen, None = the host's."""
        return (await self._moderator.policy(await self._enter(actor, Action.MODERATE))).level

    async def set_moderation(
        self, actor: Actor, **values: str | int | tuple[str, ...] | None
    ) -> ModerationSettings:
        """Change the named settings, None = as the host has it; return what holds then."""
        guild_id = await self._enter(actor, Action.MODERATE)
        await self._moderator.set_policy(actor.user_id, guild_id, **values)
        return await self._moderator.settings(guild_id)

    async def add_word(self, actor: Actor, word: str) -> str:
        """Put a word, phrase or pattern on the server's list; how it is written there. Raises UserError for a
        bad pattern or a full list."""
        guild_id = await self._enter(actor, Action.MODERATE)
        pattern = _pattern(word)
        if len(await self._moderator.words(guild_id)) >= MAX_WORDS:
            raise UserError(f"The list is full: it holds up to {MAX_WORDS} entries.")
        await self._moderator.add_word(actor.user_id, guild_id, pattern)
        return pattern

    async def remove_word(self, actor: Actor, word: str) -> tuple[str, bool]:
        """Take a word off the list; how it is written there, and False when it wasn't. Raises UserError for a
        bad pattern."""
        guild_id = await self._enter(actor, Action.MODERATE)
        pattern = _pattern(word)
        return pattern, await self._moderator.remove_word(actor.user_id, guild_id, pattern)

    async def add_rule(self, actor: Actor, text: str) -> Sequence[str]:
        """Add a sentence to the server's own rules, which a check compares with; return all. Raises UserError
        for an empty or long one, or when there are enough."""
        rule, (settings, _) = plain(text), await self.moderation(actor)
        if not rule or len(rule) > MAX_RULE:
            raise UserError(f"A rule is a sentence of 1 to {MAX_RULE} characters; this has {len(rule)}.")
        if len(settings.rules) >= MAX_RULES:
            raise UserError(f"There are {MAX_RULES} rules, which is the limit. Remove one first.")
        rules = tuple(dict.fromkeys((*settings.rules, rule)))
        return (await self.set_moderation(actor, rules=rules)).rules

    async def remove_rule(self, actor: Actor, number: int) -> Sequence[str]:
        """Take a rule (from 1) away; return the others. Raises UserError when there is none of that
        number."""
        settings, _ = await self.moderation(actor)
        if not 1 <= number <= len(settings.rules):
            raise UserError(f"There is no rule number {number}; there are {len(settings.rules)}.")
        rules = settings.rules[: number - 1] + settings.rules[number:]
        return (await self.set_moderation(actor, rules=rules)).rules

    async def judge(self, actor: Actor, text: str) -> tuple[Rule | None, Rule | None]:
        """Return the rule that would stop ``text`` here, and that in an age-restricted channel."""
        settings, words = await self.moderation(actor)
        return rule_of(text, settings.level, tuple(words), False), rule_of(
            text, settings.level, tuple(words), True
        )

    async def strikes(self, actor: Actor, user_id: int) -> tuple[list[Strike], datetime | None]:
        """Return a member's strikes of the last 90 days, newest first, and when their time-out ends."""
        return await self._moderator.strikes(user_id, await self._enter(actor, Action.MODERATE))

    async def pardon(self, actor: Actor, user_id: int) -> int:
        """Forget a member's strikes and end their time-out; how many there were."""
        return await self._moderator.pardon(actor.user_id, user_id, await self._enter(actor, Action.MODERATE))

    async def time_out(self, actor: Actor, user_id: int, minutes: int) -> datetime:
        """Take nothing from a member for so long; when that ends. Raises UserError for the bot's owner."""
        guild_id = await self._enter(actor, Action.MODERATE)
        if self._rights.authority.is_host(user_id):
            raise UserError("The bot's owner can't be given a time-out.")
        return await self._moderator.time_out(actor.user_id, user_id, guild_id, minutes)

    async def _enter(self, actor: Actor, action: Action) -> int:
        """Check the right and return the server's id."""
        await self._rights.check(actor, action)
        if actor.guild_id is None:
            raise UserError("These rules belong to a server; use the command there.")
        return actor.guild_id


def _pattern(word: str) -> str:
    try:
        return check_pattern(word)
    except ValueError as error:
        raise UserError(f"`word` {error}.") from error


MOST_PICTURES = 4  # pictures of one message
SERVER_ASKED = "questions go to another server here, which doesn't check rules"
NOTHING = "That message has neither words nor a picture to check."


@dataclass(frozen=True)
class Judged:
    """A picture. score: of the classifier, 0..1, None when it can't tell. problem: why it wasn't read."""

    score: float | None = None
    problem: str = ""


@dataclass(frozen=True)
class Report:
    """What a check found. threshold: score from which on a picture is flagged here, None = none is. words,
    read: the rule that the message, and the text in its pictures, break. left_out: pictures that weren't
    looked at. found: what the worker says. rules: of the server, in the order of ``found.chances``."""

    level: str
    classifier: str
    threshold: float | None
    pictures: tuple[Judged, ...]
    has_text: bool
    words: Rule | None
    read: Rule | None
    left_out: int
    rules: tuple[str, ...]
    found: Checked


class Checks:
    """Checks messages for those who may moderate where they are."""

    def __init__(self, rights: Rights, services: Services) -> None:
        self._rights, self._services = rights, services

    async def check(self, actor: Actor, text: str, files: Sequence[Readable]) -> Report:
        """Return what the rules of the actor's server say of a message.

        Raises NotAllowedError unless the actor moderates it, UserError in a direct message or for nothing to
        look at.
        """
        await self._rights.check(actor, Action.MODERATE)
        if actor.guild_id is None:
            raise UserError("These rules belong to a server; use the menu there.")
        if not text.strip() and not files:
            raise UserError(NOTHING)
        moderator, services = self._services.moderator, self._services
        settings = await moderator.settings(actor.guild_id)
        words = tuple(await moderator.words(actor.guild_id))
        adult = bool(services.directory.age_restricted(actor.place))
        with tempfile.TemporaryDirectory(prefix="atelier-") as folder:
            pictures, paths, classifier = await self._pictures(files[:MOST_PICTURES], Path(folder))
            try:
                found = await services.eyes.check(paths, text, settings.rules)
                if services.settings.vlm_url and settings.rules and not found.chances:
                    found = found._replace(unjudged=SERVER_ASKED)
            except Blind as error:
                found = Checked(unread=str(error), unjudged=str(error))
        read = "\n".join(found.texts)
        return Report(
            settings.level,
            classifier,
            None if settings.level == "standard" and adult else THRESHOLDS.get(settings.level),
            tuple(pictures),
            bool(text.strip()),
            await asyncio.to_thread(rule_of, text, settings.level, words, adult),
            await asyncio.to_thread(rule_of, read, settings.level, words, adult),
            len(files[MOST_PICTURES:]),
            settings.rules,
            found,
        )

    async def _pictures(
        self, files: Sequence[Readable], folder: Path
    ) -> tuple[list[Judged], list[Path], str]:
        """Return how the classifier judges each picture, where their clean copies lie, and its name."""
        judged, paths, name = list[Judged](), list[Path](), ""
        for number, file in enumerate(files):
            try:
                data = await self._services.intake.clean(file)
            except ImageError as error:
                judged.append(Judged(problem=str(error)))
                continue
            name, score = await self._services.moderator.look(data)
            judged.append(Judged(score))
            paths.append(folder / f"{number}.png")
            await asyncio.to_thread(paths[-1].write_bytes, data)
        return judged, paths, name
