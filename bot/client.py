"""The Discord client: loads the cogs, and hands presses, windows and messages to whoever answers them."""

import asyncio
import hashlib
import importlib
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from contextvars import copy_context
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.button_handlers import JobButtons
from bot.chat import Questions, Teaching
from bot.cogs import EXTENSIONS
from bot.delivery import Delivery, Ladder, Sharing, apologise
from bot.discord_api import http, private_api
from bot.discord_api.attachments import Links
from bot.discord_api.directory import DiscordDirectory
from bot.discord_api.http import FAILURES, GONE, Transport
from bot.discord_api.interactions import PendingInteractions, actor_of, came_too_late
from bot.discord_api.session import KeptSessions
from bot.posts import Posts, VideoPosts
from bot.projects import views as project_items
from bot.projects.handlers import ProjectPresses
from bot.projects.results import OwnPosts
from bot.submit import Answers, Asking
from bot.talk import Turns
from bot.ui import buttons, turns
from bot.ui.modals import Submission
from bot.ui.replies import SILENT, refuse, tell_unexpected, whisper
from bot.ui.translator import add_translations
from core.errors import UserError
from core.job import Job
from core.language import _
from jobs.feed import Wait
from jobs.queue import People, Result, Snapshot
from storage.members import Members
from studio.library.clips import Strips
from studio.services import Services
from studio.studio import Studio
from studio.texts import counted

log = logging.getLogger(__name__)
UNPOST_LATER = 600.0  # seconds at a time
# https://discord.com/developers/docs/topics/opcodes-and-status-codes
TOO_MANY_COMMANDS, NO_ENTRY_POINT = 30032, 50240
_COMMANDS = "imagine edit ask describe classify read search favourites show queue settings help privacy"
_MENUS = ("Describe", "Ask", "Classify", "Vary", "Read text", "Cancel", "DM results", "Details")
WINDOWS = {"try": "Help", "blend": "Blend", "walluse": "Wall", "wallcode": "Wall"}  # that cogs answer
AWAY = frozenset((*_COMMANDS.split(), *_MENUS))  # what needs no server of the bot's
ENTRY_POINT = 4  # the type of the command by which Discord opens an Activity


class Tree(app_commands.CommandTree[Any]):
    """A tree of commands with as many message menus as Discord takes: 15, where discord.py 2.7 counts to 5.

    https://discord.com/developers/docs/interactions/application-commands#registering-a-command
    """

    def offer_away(self) -> None:
        """Let people take the commands of AWAY along to where the bot isn't; Discord asks who may use a
        command there, the studio who may use the bot."""
        for command in self.get_commands():
            if command.name in AWAY:
                command.allowed_contexts = app_commands.AppCommandContext(
                    guild=True, dm_channel=True, private_channel=True
                )
                command.allowed_installs = app_commands.AppInstallationType(guild=True, user=True)

    def add_menu(self, menu: app_commands.ContextMenu) -> None:
        """Add one more menu, whatever discord.py counts."""
        private_api.context_menus(self)[menu.name, None, menu.type.value] = menu

    async def interaction_check(self, interaction: discord.Interaction[Any], /) -> bool:
        """Return whether a command is to be done; who may not is told. The command that opens the Activity is
        done here, where Discord leaves that to the bot. The asker's language holds for the command, and for
        choices while it is typed."""
        client = self.client
        assert isinstance(client, Atelier)
        await client.speak(interaction)
        if not await client.answers.lets_in(interaction):
            return False
        given: Mapping[str, Any] = interaction.data or {}
        if given.get("type") != ENTRY_POINT:
            return True
        await client.launch(interaction, "/")
        return False

    async def sync_all(self, told: Sequence[Any]) -> None:
        """Register the commands, ``told`` as ``payloads`` has them; where Discord counts to five as well,
        without the later menus. The Entry Point command, which Discord makes where Activities are enabled and
        discord.py doesn't know, stays."""
        id_, http = self.client.application_id, self.client.http
        assert id_ is not None  # known since the login
        kept: list[Any] | None = None
        while True:
            try:
                await http.bulk_upsert_global_commands(id_, [*told, *(kept or ())])
                return
            except discord.HTTPException as error:
                later = [name for name, _unused, _unused in private_api.context_menus(self)][5:]
                if error.code == NO_ENTRY_POINT and kept is None:
                    kept = [one for one in await http.get_global_commands(id_) if one["type"] == ENTRY_POINT]
                    log.info("Discord's own command to open an Activity is kept")
                elif error.code == TOO_MANY_COMMANDS and later:
                    log.warning("Discord takes fewer menus; five are left")
                    for name in later:
                        self.remove_command(name, type=discord.AppCommandType.message)
                    told = [one for one in told if one["name"] not in later]
                else:
                    raise

    async def payloads(self) -> list[Any]:
        """Return the commands as Discord is told them, translations included."""
        told = list[Any]()
        for command in self.get_commands():
            told.append(command.to_dict(self))
            add_translations(told[-1])
            await asyncio.sleep(0)
        return told


def digest_of(told: Sequence[Any]) -> str:
    """Return what tells whether commands, as ``Tree.payloads`` has them, are the same as at another time."""
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:16]


def wanted_intents(*, mentions: bool = False) -> discord.Intents:
    """Return which events Discord shall send; none of them is privileged. mentions: messages of servers, too,
    whose words arrive only where they mention the bot."""
    intents = discord.Intents.none()
    intents.guilds = intents.dm_messages = intents.guild_reactions = intents.dm_reactions = True
    intents.guild_messages = mentions
    return intents


class Atelier(commands.AutoShardedBot):
    """The bot. It is given its services and keeps no state of its own that a restart could lose."""

    def __init__(
        self,
        services: Services,
        studio: Studio,
        pending: PendingInteractions,
        transport: Transport | None = None,
        servers: frozenset[str] = http.CDN,
        sessions: KeptSessions | None = None,
        *,
        on_identify: Callable[[], None] | None = None,
        on_edit: Callable[[int], None] | None = None,
        on_delivered: Callable[[Job, str], None] | None = None,
        wait: Wait | None = None,
    ) -> None:
        """servers: hosts that attachments are taken from. sessions: the gateway's, resumed and kept; without
        them each client begins its own. on_identify: called before a session with Discord
        is begun (and not resumed). on_edit: called with the id of each message that shows a job and was
        edited. on_delivered: called with each job whose end was told, and the rung that took it. wait: every
        wait for a job goes through it."""
        transport, trace = transport or Transport(), http.trace()
        transport.watch(trace)
        if sessions is not None:
            sessions.watch(trace)
        super().__init__(
            command_prefix=commands.when_mentioned,
            intents=wanted_intents(mentions=services.settings.talk != "off"),
            help_command=None,
            allowed_mentions=SILENT,
            http_trace=trace,
            tree_cls=Tree,
            allowed_contexts=app_commands.AppCommandContext(
                guild=True, dm_channel=True, private_channel=False
            ),
            allowed_installs=app_commands.AppInstallationType(guild=True, user=False),
        )
        self.settings, self.studio = services.settings, studio
        self._services, self._pending, self.kept_sessions = services, pending, sessions
        queue = services.queue
        web = services.settings.public_url if services.settings.web_port else ""
        pages = buttons.INSIDE + web if services.settings.activity else web
        strips = Strips(services.files, queue, services.moderator)
        self.posts = Posts(
            services.showing,
            services.moderator,
            services.intake,
            strips,
            VideoPosts(studio.video_requests.showing, services.showing, services.moderator, pages),
            OwnPosts(services.database, services.files, web),
            pages,
            dialogues=studio.dialogues,
            asks=studio.talking.is_possible,
            animates=studio.video_requests.is_possible,
            edits=studio.can_edit,
        )
        self._ladder = Ladder(self, queue, transport, on_edit)
        members = Members(services.database)
        self.sharing = Sharing(queue, self.posts, members, transport, self.fetch_user, on_edit, wait)
        copy = self.sharing.copy_for_asker
        self.delivery = Delivery(
            queue, self.posts, self._ladder, wait=wait, afterwards=copy, on_delivered=on_delivered
        )
        max_bytes = services.settings.max_upload_mb * 2**20
        max_video = max(services.settings.max_video_mb, services.settings.clip_max_mb) * 2**20
        self.links = Links(studio, lambda: self.http, max_bytes, max_video, servers)
        self.answers = Answers(studio, pending, self.delivery.follow)
        self.asking = Asking(studio, self.answers, self.links, self.delivery.shown_once)
        self.questions = Questions(studio, self.asking)
        self.turns = Turns(
            studio,
            self.asking,
            self.answers,
            self.delivery,
            self.posts,
            lambda actor, text: self.cogs["Search"].post_of(actor, text),  # type: ignore[attr-defined]
            channel=self.get_partial_messageable,
            possible=services.settings.talk != "off",
        )
        self.teaching = Teaching(studio, self.asking, self.questions)
        self.projects = ProjectPresses(studio, self.answers, self.asking, self.questions, web)
        parts = (self.sharing, self.questions, self.teaching, self.projects.verdicts, self.turns)
        self.job_buttons = JobButtons(studio, self.answers, self.asking, *parts)
        self._on_identify, self._taken_up, self._wait = on_identify, False, wait
        self._launching: asyncio.Task[None] | None = None
        self._attached = ExitStack()
        self._unposting: asyncio.Task[int] | None = None

    # Start and stop

    async def setup_hook(self) -> None:
        """Load the cogs, attach to the studio's directory, and register the commands."""
        for extension in EXTENSIONS:
            await importlib.import_module(extension).setup(self)  # load_extension would run its text anew
            await asyncio.sleep(0)  # all at once held the event loop up for 25 ms
        self.add_dynamic_items(*buttons.DYNAMIC_ITEMS, *turns.DYNAMIC_ITEMS, *project_items.DYNAMIC_ITEMS)
        self.tree.on_error = self._on_command_error  # type: ignore[method-assign]
        info = self.application  # as of the login
        assert info is not None
        owner_id = info.team.owner_id if info.team and info.team.owner_id else info.owner.id
        show_duel = self.cogs["Duels"].show  # type: ignore[attr-defined]
        here = DiscordDirectory(self, {owner_id}, self.sharing.post, self._send_alone, show_duel)
        self._attached.enter_context(self._services.directory.connected(here))
        assert isinstance(self.tree, Tree)
        if self.settings.user_apps != "off":
            self.tree.offer_away()
        await self._register_commands()

    async def _send_alone(self, user_id: int, result: Result, index: int) -> None:
        """Send picture ``index`` (from 0) to somebody who asks for it on the web. Raises UserError."""
        try:
            user = await self.fetch_user(user_id)
        except FAILURES as error:
            raise UserError("Discord doesn't answer right now. Try again in a minute.") from error
        await self.sharing.hand_over(user, result, [index])

    async def launch(self, interaction: discord.Interaction, page: str) -> None:
        """Open a page of the studio inside Discord; where Discord refuses that, hand over a link to it."""
        try:
            opened = await interaction.response.launch_activity()
        except FAILURES as error:
            if came_too_late(error):
                raise
            log.warning("Discord opens no Activity (%s)", error)
            link = await self.studio.own.web_link(actor_of(interaction), page)
            await whisper(
                interaction, _("Discord can't open it here. [Open it in your browser](<{link}>).", link=link)
            )
            return
        if opened.activity_id is not None:
            self._services.web.launch(opened.activity_id, interaction.user.id, page)

    async def _register_commands(self) -> None:
        """Register the commands, unless the sessions that will be resumed began with the same ones."""
        sessions, tree = self.kept_sessions, self.tree
        assert isinstance(tree, Tree)
        told = await tree.payloads()
        if sessions is None:
            await tree.sync_all(told)
        elif not sessions.take_up(self.user.id if self.user else 0, digest_of(told)):
            await tree.sync_all(told)
            sessions.registered()

    async def connect(self, *, reconnect: bool = True) -> None:
        """Connect to the gateway until closed; with kept sessions as they were left, caches included."""
        async with self.kept_sessions.serving(self) if self.kept_sessions else nullcontext():
            await super().connect(reconnect=reconnect)

    async def launch_shards(self) -> None:
        """Begin the connections that Discord asks for; discord.py would try to begin the next one for ever
        after this client is closed."""
        self._launching = asyncio.create_task(super().launch_shards(), name="begin connections")
        try:
            await asyncio.wait({self._launching})
        finally:
            self._launching.cancel()
        if not self._launching.cancelled():
            self._launching.result()

    def outside(self, awaitable: Awaitable[Any]) -> Awaitable[Any]:
        """Return what to await for something that isn't Discord's, as ``wait`` has it."""
        return awaitable if self._wait is None else self._wait(awaitable)

    async def overview(self) -> Snapshot:
        """Return what runs, and how much waits, of everybody: for what the bot says of itself."""
        return await self._services.queue.snapshot(limit=0)

    @property
    def people(self) -> People:
        """What is known of people and servers beside their jobs."""
        return self._services.queue.people

    @property
    def is_connected(self) -> bool:
        """Whether all of the gateway's connections are open."""
        shards = self.shards.values()
        return len(shards) == self.shard_count and not any(one.is_closed() for one in shards)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Count the identify before it is sent; discord.py waits before those that aren't the first. Raises
        BudgetSpent when there were too many."""
        if self.kept_sessions is not None:
            self.kept_sessions.forget(shard_id or 0)
        if self._on_identify is not None:
            self._on_identify()
        await super().before_identify_hook(shard_id, initial=initial)

    async def close(self) -> None:
        """Stop. Deliveries need this client's connection; what they leave is told by the next one."""
        await self.delivery.close(grace=0)
        if self._unposting is not None:
            self._unposting.cancel()
        if self._launching is not None:
            self._launching.cancel()
        await private_api.cancel_ready(self)
        await super().close()
        self._attached.close()

    async def unpost(self, budget: float) -> int:
        """Wait for up to ``budget`` seconds while messages of deleted jobs are deleted; return how many are
        left."""
        await asyncio.wait({self._unpost_soon()}, timeout=budget)
        return await self._services.privacy.unpost(self._delete_message, 0.0)

    def _unpost_soon(self) -> asyncio.Task[int]:
        """Delete the messages of what was deleted, unless that is under way."""
        if self._unposting is None or self._unposting.done():
            work = self._services.privacy.unpost(self._delete_message, UNPOST_LATER)
            self._unposting = asyncio.create_task(work, name="delete messages")
        return self._unposting

    async def _delete_message(self, channel_id: int, message_id: int) -> bool:
        """Return whether a message needs no further try: it is deleted, gone, or out of our reach."""
        try:
            await self.get_partial_messageable(channel_id).get_partial_message(message_id).delete()
        except discord.HTTPException as error:
            return error.status in (*GONE, 400)
        except FAILURES:
            return False
        return True

    async def on_ready(self) -> None:
        """Take up what an earlier process left, once: "ready" comes again after lost sessions."""
        log.info("connected as %s, %s", self.user, counted(len(self.guilds), "server"))
        if not self._taken_up:
            self._taken_up = True
            own = copy_context()  # the bot's; what another door does is told in that door's
            told = self.studio.dialogues.telling(
                lambda turn: own.run(self.turns.told, turn),
                self._wait,
                lambda actor, turn: asyncio.create_task(self.turns.show(actor, turn), context=own),
            )
            self._attached.enter_context(told)
            follow = self.studio.watches.telling(lambda job: own.run(self.delivery.follow, job))
            self._attached.enter_context(follow)
            await self.turns.resume()
            await self.studio.dialogues.resume()
            if count := await self.delivery.resume():
                log.info("taken up: %s", counted(count, "job"))
            self._unpost_soon()
            telling = self._services.privacy.telling(lambda: own.run(self._unpost_soon))
            self._attached.enter_context(telling)

    async def on_shard_ready(self, shard_id: int) -> None:
        """Note which servers a connection tells of. This comes again after each lost session; before a kept
        one is resumed, discord.py says it of its caches alone."""
        count = self.shard_count or 1
        here = {guild.id: guild.name or "" for guild in self.guilds if guild.shard_id == shard_id}
        await self._services.queue.people.guilds_are(here, lambda id_: (id_ >> 22) % count == shard_id)
        await self._apologise()

    async def on_shard_resumed(self, shard_id: int) -> None:
        """Discord has told a connection again all that was missed; what it didn't tell is lost."""
        log.info("session %d with Discord is resumed", shard_id)
        await self._apologise()

    async def _apologise(self) -> None:
        """Apologise for what is lost, when no session is to be resumed any more."""
        if self.kept_sessions is None or not self.kept_sessions.resuming:
            await apologise(self._pending, self._services.queue, self._ladder)

    async def on_message(self, message: discord.Message) -> None:
        """Take no commands from messages: discord.py would log the first word after a mention of the bot."""

    async def on_guild_available(self, guild: discord.Guild) -> None:
        """Note a server's name."""
        await self._services.queue.people.guild_seen(guild.id, guild.name)

    on_guild_join = on_guild_available

    async def on_guild_remove(self, guild: discord.Guild) -> None:
        """Note that a server has been left."""
        await self._services.queue.people.guild_left(guild.id)

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        """A window was sent, or something else came that discord.py hands on itself."""
        self.answers.note(interaction)
        submission = Submission.of(interaction)
        if submission is None:
            return
        await self.speak(interaction)
        if await self.answers.lets_in(interaction):
            windows: Any = self.projects if self.projects.opens(submission) else self.job_buttons
            windows = self.cogs[WINDOWS[submission.what]] if submission.what in WINDOWS else windows
            await self.answers.guarded(interaction, windows.on_window(interaction, submission))

    async def speak(self, interaction: discord.Interaction) -> None:
        """Let the languages of who asks, and of everybody there, hold in this task."""
        own, there = str(interaction.locale), str(interaction.guild_locale or "")
        await self.studio.languages.speak(interaction.user.id, interaction.guild_id, own, there)

    async def _on_command_error(
        self, interaction: discord.Interaction, error: app_commands.AppCommandError
    ) -> None:
        cause = error.original if isinstance(error, app_commands.CommandInvokeError) else error
        if isinstance(cause, UserError):
            await refuse(interaction, cause)
        elif isinstance(cause, app_commands.CheckFailure):
            await whisper(interaction, _("You don't have permission to use this command here."))
        elif came_too_late(cause):
            log.warning("interaction %s came too late", interaction.id)
        else:
            log.error("command %s failed", getattr(interaction.command, "name", "?"), exc_info=cause)
            await tell_unexpected(interaction)


class AtelierCog(commands.Cog):
    """A part of the bot's commands and listeners, in ``bot.cogs``."""

    def __init__(self, bot: Atelier) -> None:
        self.bot = bot
