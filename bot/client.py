"""The Discord client: loads the cogs, takes presses and uploads, turns each into a queued job that is
followed to its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import aiohttp
import discord
from discord import app_commands
from discord.ext import commands

from bot.asking import Asking
from bot.cogs import EXTENSIONS
from bot.delivery.apology import apologise
from bot.delivery.follow import Delivery
from bot.delivery.ladder import Ladder
from bot.delivery.posts import Posts
from bot.delivery.sharing import Sharing
from bot.ui import buttons, messages
from bot.ui.job_buttons import Presses, press_key
from bot.ui.replies import SILENT, refuse, whisper
from bot.ui.windows import Submission
from bot.wire import addresses, private_api
from bot.wire.attachments import Pictures
from bot.wire.directory import DiscordDirectory, reader
from bot.wire.pending import PendingInteraction, PendingInteractions
from bot.wire.transport import GARBLED, GONE, Transport
from core.errors import ImageError, UserError
from core.job import Job, Origin, Reply
from jobs.views import Result
from storage.members import Members
from studio.asking import actions
from studio.asking.actions import Ask
from studio.asking.regions import Regions
from studio.asking.sources import Sources
from studio.authority import Action, Actor, Authority, Place
from studio.pictures.intake import Intake
from studio.pictures.showing import Showing
from studio.services import Services
from vision.capabilities import CAPABILITIES

log = logging.getLogger(__name__)
UNEXPECTED = (
    "Something went wrong on this side, and it is in the log. Nothing was queued; try again in a moment."
)
UNPOST_LATER = 600.0  # seconds, after a start
ACKNOWLEDGED = 40060  # https://discord.com/developers/docs/topics/opcodes-and-status-codes
TOO_MANY_COMMANDS = 30032  # https://discord.com/developers/docs/topics/opcodes-and-status-codes
DEFAULT_FILE_LIMIT = 10 * 2**20  # bytes, https://discord.com/developers/docs/reference#uploading-files


class Tree(app_commands.CommandTree[Any]):
    """Discord takes 15 message menus
    (https://discord.com/developers/docs/interactions/application-commands#registering-a-command), discord.py
    2.7 counts to five."""

    def add_menu(self, menu: app_commands.ContextMenu) -> None:
        private_api.context_menus(self)[menu.name, None, menu.type.value] = menu

    async def sync_all(self) -> None:
        """As many menus as Discord takes; the later ones stay out where it counts to five as well."""
        try:
            await self.sync()
        except discord.HTTPException as error:
            if error.code != TOO_MANY_COMMANDS:
                raise
            log.warning("Discord takes fewer menus; five are left")
            for name in [name for name, _, _ in private_api.context_menus(self)][5:]:
                self.remove_command(name, type=discord.AppCommandType.message)
            await self.sync()


class Atelier(commands.Bot):
    """The bot. It is given its services and keeps no state of its own that a restart could lose."""

    def __init__(
        self,
        built: Services,
        pending: PendingInteractions,
        transport: Transport | None = None,
        servers: frozenset[str] = addresses.CDN,
        *,
        on_edit: Callable[[int], None] | None = None,
        on_delivered: Callable[[Job, str], None] | None = None,
    ) -> None:
        """servers: hosts that attachments are taken from. on_edit: called with the id of each message that
        shows a job and was edited. on_delivered: called with each job whose end was told, and the rung that
        took it."""
        intents = discord.Intents.none()
        intents.guilds = intents.dm_messages = intents.guild_reactions = intents.dm_reactions = True
        super().__init__(
            command_prefix=commands.when_mentioned,
            intents=intents,
            help_command=None,
            allowed_mentions=SILENT,
            http_trace=addresses.trace(),
            tree_cls=Tree,
            allowed_contexts=app_commands.AppCommandContext(
                guild=True, dm_channel=True, private_channel=False
            ),
            allowed_installs=app_commands.AppInstallationType(guild=True, user=False),
        )
        settings, queue, files, moderator = built.settings, built.queue, built.files, built.moderator
        self.settings, self.queue, self.files, self.moderator, self.privacy = (
            settings,
            queue,
            files,
            moderator,
            built.privacy,
        )
        self.pending, self.directory = pending, built.directory
        self.authority = Authority(built.directory, settings.owner_ids, settings.home_guild_ids)
        self.intake = Intake(files, settings.max_upload_mb * 2**20, queue.note_upload, servers)
        self.sources = Sources(queue, self.intake, self.authority)
        self.capabilities = frozenset(CAPABILITIES)  # kinds that the workers can do
        self.members = Members(built.database)
        pictures = Pictures(self.intake, self.sources, lambda: self.http, settings.max_upload_mb * 2**20)
        self.asking = Asking(self, self.members, pictures)
        self.presses = Presses(self, self.asking, self.members)
        self.regions = Regions(self)
        transport = transport or Transport()
        showing = Showing(
            files,
            self.intake,
            moderator,
            ai_mark=settings.ai_mark,
            parameters=settings.picture_parameters,
        )
        self.posts = Posts(showing, moderator, self.intake)
        self.ladder = Ladder(self, queue, transport, on_edit)
        self.sharing = Sharing(queue, self.posts, self.members, transport, self.fetch_user, on_edit)
        self.delivery = Delivery(
            queue,
            self.posts,
            self.ladder,
            afterwards=self.sharing.copy_for_asker,
            on_delivered=on_delivered,
        )
        self._resumed = False
        self._attached = ExitStack()
        self._unposting: asyncio.Task[int] | None = None

    # Start and stop

    async def setup_hook(self) -> None:
        for extension in EXTENSIONS:
            await self.load_extension(extension)
            await asyncio.sleep(0)  # all at once held the event loop up for 25 ms
        self.add_dynamic_items(*buttons.DYNAMIC_ITEMS)
        self.tree.on_error = self._on_command_error  # type: ignore[method-assign]
        info = await self.application_info()
        owner_id = info.team.owner_id if info.team and info.team.owner_id else info.owner.id
        self._attached.enter_context(self.directory.connected(DiscordDirectory(self, {owner_id})))
        await self.tree.sync_all()  # type: ignore[attr-defined]

    async def close(self) -> None:
        """Deliveries need this client's connection; what they leave is told by the next one."""
        await self.delivery.close(grace=0)
        if self._unposting is not None:
            self._unposting.cancel()
        await super().close()
        self._attached.close()

    async def unpost(self, budget: float) -> int:
        """Delete the messages of deleted jobs for ``budget`` seconds; how many are left for the next
        start."""
        return await self.privacy.unpost(self._delete_message, budget)

    async def _delete_message(self, channel_id: int, message_id: int) -> bool:
        """Whether that message needs no further try: deleted, gone, or out of our reach."""
        try:
            await self.get_partial_messageable(channel_id).get_partial_message(message_id).delete()
        except discord.HTTPException as error:
            return error.status in (*GONE, 400)
        except (aiohttp.ClientError, OSError):
            return False
        return True

    async def on_ready(self) -> None:
        log.info("connected as %s, %d servers", self.user, len(self.guilds))
        if not self._resumed:
            self._resumed = True
            count = await self.delivery.resume()
            if count:
                log.info("%d jobs go on", count)
            await apologise(self.pending, self.queue, self.ladder)
            self._unposting = asyncio.create_task(self.unpost(UNPOST_LATER), name="delete messages")

    async def on_guild_available(self, guild: discord.Guild) -> None:
        await self.queue.guild_seen(guild.id, guild.name)

    async def on_guild_join(self, guild: discord.Guild) -> None:
        await self.queue.guild_seen(guild.id, guild.name)

    # From an interaction to a job

    def actor(self, interaction: discord.Interaction) -> Actor:
        """Who asks, with the rights that Discord states in this very interaction. Whether they are barred,
        rows say: see ``check``."""
        manages = interaction.guild_id is not None and interaction.permissions.manage_guild
        return Actor(
            interaction.user.id,
            interaction.guild_id,
            interaction.channel_id or 0,
            manages,
            reads=reader(interaction),
        )

    async def check(self, interaction: discord.Interaction, action: Action, job: Job | None = None) -> None:
        """NotAllowedError, in plain words, unless the asker may do ``action`` (to ``job``) here and now.
        Every entry point calls it."""
        await self.check_actor(self.actor(interaction), action, job)

    async def check_actor(self, actor: Actor, action: Action, job: Job | None = None) -> None:
        """The same for somebody who didn't come by an interaction, such as a reaction."""
        barred = await self.queue.barred(actor.user_id, actor.guild_id) or await self.moderator.in_time_out(
            actor.user_id, actor.guild_id
        )
        actor = replace(actor, barred=barred)
        shown = {Place(*place) for place in await self.queue.places(job.id)} if job else ()
        self.authority.check(actor, action, job, shown)

    async def ask(
        self,
        interaction: discord.Interaction,
        build: Callable[[], Awaitable[Ask]],
        *,
        press_key: str | None = None,
        ephemeral: bool = False,
    ) -> Job | None:
        """Acknowledge at once (``ephemeral``: for the asker alone), build the request, queue it and follow
        it. Returns the job, None when there is none."""
        with self.pending.kept(
            PendingInteraction(interaction.id, interaction.application_id, interaction.token)
        ):
            return await self._ask(interaction, build, press_key, ephemeral)

    async def _ask(
        self,
        interaction: discord.Interaction,
        build: Callable[[], Awaitable[Ask]],
        press_key: str | None,
        ephemeral: bool,
    ) -> Job | None:
        if not await self.acknowledge(interaction, ephemeral=ephemeral):
            return None
        try:
            ask = await build()
            ask = replace(ask, stealth=ask.stealth or ephemeral)
            return await self.submit(
                interaction, ask, press_key=press_key, shown=not ask.stealth or ephemeral
            )
        except UserError as error:
            await refuse(interaction, error)
        except Exception:
            log.exception("interaction %s failed", interaction.id)
            await whisper(interaction, UNEXPECTED)
        return None

    async def acknowledge(self, interaction: discord.Interaction, *, ephemeral: bool = False) -> bool:
        """Defer, unless it was answered already. False when Discord has given the interaction up, so that
        nobody would see an answer."""
        return await _acknowledge(interaction, ephemeral)

    async def submit(
        self, interaction: discord.Interaction, ask: Ask, *, press_key: str | None = None, shown: bool = True
    ) -> Job | None:
        """Queue ``ask``, answer in this interaction's own message, or (not ``shown``: others see that
        message) by direct message. A double click gets a whisper, not a second job."""
        self._check_kind(ask)
        origin = replace(self._origin(interaction, press_key), private=ask.stealth)
        reply = _reply(interaction) if shown else _reply_beside(interaction)
        submitted = await self.queue.submit(ask.request, origin, reply, lane=ask.lane, parent=ask.parent)
        await self.queue.user_seen(interaction.user.id, interaction.user.name)
        if submitted.duplicate and submitted.job.reply.interaction_id != interaction.id:
            await whisper(interaction, "That is on its way already.")
            return None
        self.delivery.follow(submitted.job)
        if not shown:
            await whisper(interaction, "This is private: the result comes by direct message.")
        return submitted.job

    def _check_kind(self, ask: Ask) -> None:
        if ask.request.kind not in self.capabilities:
            raise UserError(f"/{ask.request.kind} isn't built into this version yet. Nothing was queued.")

    def _origin(self, interaction: discord.Interaction, press_key: str | None = None) -> Origin:
        channel = interaction.channel
        return Origin(
            user_id=interaction.user.id,
            channel_id=interaction.channel_id or 0,
            guild_id=interaction.guild_id,
            press_key=press_key,
            roles=tuple(role.id for role in getattr(interaction.user, "roles", ())),
            parent_channel_id=channel.parent_id if isinstance(channel, discord.Thread) else None,
        )

    # Presses. Each is checked against the row of its job

    async def on_job_button(
        self, interaction: discord.Interaction, job_id: str, action: str, index: int
    ) -> None:
        await self._guarded(interaction, self.presses.pressed(interaction, job_id, action, index))

    async def on_draft_button(self, interaction: discord.Interaction, draft_id: str, answer: str) -> None:
        await self._guarded(interaction, self.asking.answered(interaction, draft_id, answer == "yes"))

    async def on_region(
        self, interaction: discord.Interaction, job_id: str, index: int, cells: tuple[int, ...]
    ) -> None:
        await self._guarded(interaction, self.presses.region_chosen(interaction, job_id, index, cells))

    async def on_setting(self, interaction: discord.Interaction, setting: str, value: str) -> None:
        cog: Any = self.get_cog("Settings")
        await self._guarded(interaction, cog.changed(interaction, setting, value))

    async def on_leaf(self, interaction: discord.Interaction, offset: int) -> None:
        cog: Any = self.get_cog("Favourites")
        await self._guarded(interaction, cog.leaf(interaction, offset))

    async def _guarded(self, interaction: discord.Interaction, work: Awaitable[None]) -> None:
        """What goes wrong is said to the one who pressed."""
        try:
            await work
        except UserError as error:
            await refuse(interaction, error)
        except Exception:
            log.exception("interaction %s failed", interaction.id)
            await whisper(interaction, UNEXPECTED)

    async def next_seed(self, source: actions.Source) -> int:
        if source.request is None or source.job is None:
            return actions.new_seed()
        children = await self.queue.children(source.job.id, source.index)
        return (source.request.seed + source.index + 4 * (children + 1)) % 2**32

    async def job_for(self, interaction: discord.Interaction, job_id: str, action: Action) -> Job:
        """The job's row, if the asker may do ``action`` to it."""
        job = await self.queue.job(job_id)
        if job is None:
            raise ImageError(
                f"Job `{_shown(job_id)}` is gone, or never was; a job's id stands under its picture."
            )
        await self.check(interaction, action, job)
        return job

    async def result_for(self, interaction: discord.Interaction, job_id: str, action: Action) -> Result:
        """What the job made, if the asker may do ``action`` to it."""
        return await self.result_of(await self.job_for(interaction, job_id, action))

    async def result_of(self, job: Job) -> Result:
        """What the job made, whoever asks."""
        result = await self.queue.result(job.id)
        if result is None:
            raise ImageError(f"Job `{job.id}` has no result.")
        return result

    async def cancel(self, interaction: discord.Interaction, job_id: str) -> None:
        job = await self.job_for(interaction, job_id, Action.CANCEL)
        stopped = await self.queue.cancel(job.id)
        text = (
            f"Job `{job.id}` is cancelled." if stopped else f"Job `{job.id}` is over already ({job.status})."
        )
        await whisper(interaction, text)

    async def submit_beside(
        self, interaction: discord.Interaction, ask: Ask, *, press_key: str | None = None
    ) -> None:
        """Queue ``ask`` with a message of its own as the place of its answer, for the asker alone if it is
        private: that one can be edited with the interaction's token only. A refused one leaves no message
        behind, one asked before (``press_key``) makes no second job."""
        self._check_kind(ask)
        message = await interaction.followup.send(
            messages.asked(ask.request, interaction.user.id),
            wait=True,
            ephemeral=ask.stealth,
            allowed_mentions=SILENT,
        )
        origin = self._origin(interaction, press_key)
        origin = replace(origin, private=ask.stealth, channel_id=message.channel.id)
        reply = _reply(interaction) if ask.stealth else _reply_beside(interaction)
        reply = replace(reply, interaction_id=None, message_id=message.id)
        try:
            submitted = await self.queue.submit(ask.request, origin, reply, lane=ask.lane, parent=ask.parent)
        except UserError:
            await message.delete()
            raise
        if submitted.duplicate:
            await message.delete()
        self.delivery.follow(submitted.job)

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        """Submitted modals: read here, not by a view in memory, so that they outlive a restart too."""
        submission = Submission.of(interaction)
        if submission is not None:
            await self._guarded(interaction, self.presses.submitted(interaction, submission))

    # Pictures sent in a DM

    async def on_upload_button(self, interaction: discord.Interaction, sha256: str, action: str) -> None:
        uploads: Any = self.get_cog("Uploads")
        await self.ask(
            interaction,
            lambda: uploads.pressed(interaction, sha256, action),
            press_key=press_key(interaction),
        )

    # Errors of commands

    async def _on_command_error(
        self, interaction: discord.Interaction, error: app_commands.AppCommandError
    ) -> None:
        cause = error.original if isinstance(error, app_commands.CommandInvokeError) else error
        if isinstance(cause, UserError):
            await refuse(interaction, cause)
        elif isinstance(cause, app_commands.CheckFailure):
            await whisper(interaction, "You may not use this command here.")
        else:
            log.error("command %s failed", getattr(interaction.command, "name", "?"), exc_info=cause)
            await whisper(interaction, UNEXPECTED)


def _shown(job_id: str) -> str:
    """Somebody's text as an id inside a code span."""
    return "".join(c for c in job_id if c.isalnum())[:20]


def _reply(interaction: discord.Interaction) -> Reply:
    """The answer to ``interaction`` itself."""
    return Reply(
        interaction_id=interaction.id,
        interaction_token=interaction.token,
        application_id=interaction.application_id,
        file_limit=interaction.filesize_limit or DEFAULT_FILE_LIMIT,
    )


def _reply_beside(interaction: discord.Interaction) -> Reply:
    """An answer that isn't the interaction's own."""
    return Reply(file_limit=interaction.filesize_limit or DEFAULT_FILE_LIMIT)


async def _acknowledge(interaction: discord.Interaction, ephemeral: bool = False) -> bool:
    """Defer, unless it was answered already. False when Discord has given the interaction up, so that nobody
    would see an answer.

    A lost answer to the defer may mean that it arrived: the job goes on, and is delivered by whichever rung
    then holds.
    """
    if interaction.response.is_done():
        return True
    try:
        await interaction.response.defer(thinking=True, ephemeral=ephemeral)
    except (discord.DiscordServerError, *GARBLED, aiohttp.ClientError, OSError, TimeoutError) as error:
        log.warning("interaction %s: acknowledged or not (%s)", interaction.id, type(error).__name__)
    except discord.HTTPException as error:
        if (
            error.code == ACKNOWLEDGED
        ):  # by a try whose answer was lost, or a replay, whose row is there already
            return True
        log.warning("interaction %s came too late (%s, %s)", interaction.id, error.status, error.code)
        return False
    return True
