"""The Discord client: loads the cogs, takes presses and uploads, turns each into a queued job that is followed to its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import aiohttp
import discord
from discord import app_commands
from discord.ext import commands

from bot import actions, buttons, hosts, messages
from bot.actions import Ask
from bot.authority import Action, Actor, Authority, Place
from bot.cogs import EXTENSIONS
from bot.delivery import Delivery
from bot.intake import Intake
from bot.modals import CaptionModal, Submission
from bot.promises import Promise
from bot.replies import SILENT, add_whisper, whisper
from bot.sources import Sources
from bot.transport import GARBLED, GONE, Transport
from core.errors import ImageError, UserError
from core.job import Job, Origin
from core.prompt import Prompt
from jobs.views import Result

if TYPE_CHECKING:
    from bot.app import Services

log = logging.getLogger(__name__)
UNEXPECTED = "Something went wrong on this side, and it is in the log. Nothing was queued; try again in a moment."
UNPOST_LATER = 600.0  # seconds, after a start
ACKNOWLEDGED = 40060  # https://discord.com/developers/docs/topics/opcodes-and-status-codes
DEFAULT_FILE_LIMIT = 10 * 2**20  # bytes, https://discord.com/developers/docs/reference#uploading-files


class Atelier(commands.Bot):
    """The bot. It is given its services and keeps no state of its own that a restart could lose."""

    def __init__(self, built: Services, transport: Transport | None = None, servers: frozenset[str] = hosts.CDN) -> None:
        """servers: hosts that attachments are taken from."""
        intents = discord.Intents.none()
        intents.guilds = intents.dm_messages = True
        super().__init__(
            command_prefix=commands.when_mentioned, intents=intents, help_command=None, allowed_mentions=SILENT, http_trace=hosts.trace(),
            allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=False),
            allowed_installs=app_commands.AppInstallationType(guild=True, user=False),
        )
        settings, queue, files, moderator = built.settings, built.queue, built.files, built.moderator
        self.settings, self.queue, self.files, self.moderator, self.privacy = settings, queue, files, moderator, built.privacy
        self.promises = built.promises
        moderator.restricted, moderator.roles = self._restricted, self._roles
        self.owners = set(settings.owner_ids)
        self.authority = Authority(self.owners, settings.home_guild_ids, lambda: len(self.guilds))
        self.intake = Intake(files, settings.max_upload_mb * 2**20, queue.note_upload, servers)
        self.sources = Sources(queue, self.intake, self.authority)
        self.delivery = Delivery(self, queue, files, self.intake, moderator, settings, transport)
        self._resumed = False
        self._unposting: asyncio.Task[int] | None = None

    # Start and stop

    async def setup_hook(self) -> None:
        for extension in EXTENSIONS:
            await self.load_extension(extension)
        self.add_dynamic_items(*buttons.DYNAMIC_ITEMS)
        self.tree.on_error = self._on_command_error  # type: ignore[method-assign]
        info = await self.application_info()
        self.owners.add(info.team.owner_id if info.team and info.team.owner_id else info.owner.id)
        await self.tree.sync()

    async def close(self) -> None:
        """Deliveries need this client's connection; what they leave is told by the next one."""
        await self.delivery.close(grace=0)
        if self._unposting is not None:
            self._unposting.cancel()
        await super().close()

    async def unpost(self, budget: float) -> int:
        """Delete the messages of deleted jobs for ``budget`` seconds; how many are left for the next start."""
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
            await self.delivery.apologise(self.promises)
            self._unposting = asyncio.create_task(self.unpost(UNPOST_LATER), name="delete messages")

    async def on_guild_available(self, guild: discord.Guild) -> None:
        await self.queue.guild_seen(guild.id, guild.name)

    async def on_guild_join(self, guild: discord.Guild) -> None:
        await self.queue.guild_seen(guild.id, guild.name)

    # From an interaction to a job

    def actor(self, interaction: discord.Interaction) -> Actor:
        """Who asks, with the rights that Discord states in this very interaction. Whether they are barred, rows say: see ``check``."""
        manages = interaction.guild_id is not None and interaction.permissions.manage_guild
        return Actor(interaction.user.id, interaction.guild_id, interaction.channel_id or 0, manages, reads=_reader(interaction))

    async def check(self, interaction: discord.Interaction, action: Action, job: Job | None = None) -> None:
        """NotAllowedError, in plain words, unless the asker may do ``action`` (to ``job``) here and now. Every entry point calls it."""
        await self.check_actor(self.actor(interaction), action, job)

    async def check_actor(self, actor: Actor, action: Action, job: Job | None = None) -> None:
        """The same for somebody who didn't come by an interaction, such as a reaction."""
        barred = await self.queue.barred(actor.user_id, actor.guild_id) or await self.moderator.in_time_out(actor.user_id, actor.guild_id)
        actor = replace(actor, barred=barred)
        shown = {Place(*place) for place in await self.queue.places(job.id)} if job else ()
        self.authority.check(actor, action, job, shown)

    def _restricted(self, place: Place) -> bool | None:
        """Whether a channel is age-restricted; a thread is what its channel is. None for one that isn't known here."""
        if place.guild_id is None:
            return False
        guild = self.get_guild(place.guild_id)
        channel = guild.get_channel_or_thread(place.channel_id) if guild is not None else None
        return channel.is_nsfw() if channel is not None and hasattr(channel, "is_nsfw") else None

    async def _roles(self, job: Job) -> tuple[int, ...]:
        """The asker's roles now; none for somebody who has left."""
        guild = self.get_guild(job.origin.guild_id or 0)
        if guild is None:
            return job.origin.roles
        try:
            return tuple(role.id for role in (await guild.fetch_member(job.origin.user_id)).roles)
        except discord.NotFound:
            return ()
        except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
            log.warning("the roles of user %d can't be read (%s)", job.origin.user_id, type(error).__name__)
            return job.origin.roles

    async def ask(self, interaction: discord.Interaction, build: Callable[[], Awaitable[Ask]], *, press_key: str | None = None) -> Job | None:
        """Acknowledge at once, build the request, queue it and follow it. Returns the job, None when there is none."""
        with self.promises.kept(Promise(interaction.id, interaction.application_id, interaction.token)):
            return await self._ask(interaction, build, press_key)

    async def _ask(self, interaction: discord.Interaction, build: Callable[[], Awaitable[Ask]], press_key: str | None) -> Job | None:
        if not await _acknowledge(interaction):
            return None
        try:
            ask = await build()
            return await self.submit(interaction, ask, press_key=press_key)
        except UserError as error:
            await whisper(interaction, str(error))
        except Exception:
            log.exception("interaction %s failed", interaction.id)
            await whisper(interaction, UNEXPECTED)
        return None

    async def submit(self, interaction: discord.Interaction, ask: Ask, *, press_key: str | None = None) -> Job | None:
        """Queue ``ask``, answer in this interaction's own message. A double click gets a whisper, not a second job."""
        submitted = await self.queue.submit(ask.request, self._origin(interaction, press_key), lane=ask.lane, parent=ask.parent)
        await self.queue.user_seen(interaction.user.id, interaction.user.name)
        if submitted.duplicate and submitted.job.origin.interaction_id != interaction.id:
            await whisper(interaction, "That is on its way already.")
            return None
        self.delivery.follow(submitted.job)
        return submitted.job

    def _origin(self, interaction: discord.Interaction, press_key: str | None = None) -> Origin:
        channel = interaction.channel
        return Origin(
            user_id=interaction.user.id,
            channel_id=interaction.channel_id or 0,
            guild_id=interaction.guild_id,
            interaction_id=interaction.id,
            interaction_token=interaction.token,
            application_id=interaction.application_id,
            press_key=press_key,
            file_limit=interaction.filesize_limit or DEFAULT_FILE_LIMIT,
            roles=tuple(role.id for role in getattr(interaction.user, "roles", ())),
            parent_channel_id=channel.parent_id if isinstance(channel, discord.Thread) else None,
        )

    # Presses. Each is checked against the row of its job

    async def on_job_button(self, interaction: discord.Interaction, job_id: str, action: str, index: int) -> None:
        try:
            await self._press(interaction, job_id, action, index)
        except UserError as error:
            await whisper(interaction, str(error))
        except Exception:
            log.exception("button %s of job %s failed", action, job_id)
            await whisper(interaction, UNEXPECTED)

    async def _press(self, interaction: discord.Interaction, job_id: str, action: str, index: int) -> None:
        if action == "caption":  # a modal must be the first answer
            result = await self.result_for(interaction, job_id, Action.IMAGINE)
            await interaction.response.send_modal(CaptionModal(job_id, index, result.captions[index]))
        elif action == "cancel":
            await interaction.response.defer(ephemeral=True, thinking=True)
            await self.cancel(interaction, job_id)
        elif action == "upscale":
            await interaction.response.defer(thinking=True)
            await self._send_single(interaction, await self.result_for(interaction, job_id, Action.PICK), index)
        elif action == "all":
            await interaction.response.defer(thinking=True)
            await self._imagine_all(interaction, await self.result_for(interaction, job_id, Action.IMAGINE))
        else:
            await self.ask(interaction, lambda: self._pressed(interaction, job_id, action, index), press_key=_press_key(interaction))

    async def _pressed(self, interaction: discord.Interaction, job_id: str, action: str, index: int) -> Ask:
        if action == "again":  # also of a job that failed
            return actions.again(await self.job_for(interaction, job_id, Action.REROLL), actions.new_seed())
        result = await self.result_for(interaction, job_id, actions.RIGHTS.get(action, Action.USE))
        return actions.after_press(result, action, index, seed=await self._child_seed(result, index))

    async def _child_seed(self, result: Result, index: int) -> int:
        """The seed of the next picture made from picture ``index``: counted on from the picture's own, so it can be told again."""
        return await self.next_seed(actions.source_of(result, index)) if result.pictures else actions.new_seed()

    async def next_seed(self, source: actions.Source) -> int:
        if source.request is None or source.job is None:
            return actions.new_seed()
        children = await self.queue.children(source.job.id, source.index)
        return (source.request.seed + source.index + 4 * (children + 1)) % 2**32

    async def job_for(self, interaction: discord.Interaction, job_id: str, action: Action) -> Job:
        """The job's row, if the asker may do ``action`` to it."""
        job = await self.queue.job(job_id)
        if job is None:
            raise ImageError(f"Job `{_shown(job_id)}` is gone.")
        await self.check(interaction, action, job)
        return job

    async def result_for(self, interaction: discord.Interaction, job_id: str, action: Action) -> Result:
        """What the job made, if the asker may do ``action`` to it."""
        await self.job_for(interaction, job_id, action)
        result = await self.queue.result(job_id)
        if result is None:
            raise ImageError(f"Job `{job_id}` has no result.")
        return result

    async def cancel(self, interaction: discord.Interaction, job_id: str) -> None:
        job = await self.job_for(interaction, job_id, Action.CANCEL)
        stopped = await self.queue.cancel(job.id)
        text = f"Job `{job.id}` is cancelled." if stopped else f"Job `{job.id}` is over already ({job.status})."
        await whisper(interaction, text)

    async def _send_single(self, interaction: discord.Interaction, result: Result, index: int) -> None:
        actions.picture_of(result, index)  # its number must exist
        await self.delivery.send_single(interaction, result, index)

    async def _imagine_all(self, interaction: discord.Interaction, result: Result) -> None:
        """Each caption becomes a job of its own; the first answers here, the others in messages of their own."""
        first = messages.asked(result.captions[0], interaction.user.id)
        await interaction.edit_original_response(content=first, allowed_mentions=SILENT)  # else the first follow-up would take its place
        for index, caption in enumerate(result.captions):
            ask = actions.imagine_prompt(Prompt(text=caption), seed=actions.new_seed(), parent=(result.job.id, index))
            if index == 0:
                await self.submit(interaction, ask, press_key=_press_key(interaction))
                continue
            try:
                await self.submit_beside(interaction, ask, messages.asked(caption, interaction.user.id))
            except UserError as error:  # the first one's message is this interaction's answer and must stay
                await add_whisper(interaction, f"{index} of {len(result.captions)} are queued. {error}")
                return

    async def submit_beside(self, interaction: discord.Interaction, ask: Ask, text: str) -> None:
        """Queue ``ask`` with a message of its own, first ``text``, as the place of its answer. A refused one leaves none behind."""
        message = await interaction.followup.send(text, wait=True, allowed_mentions=SILENT)
        beside = {"interaction_id": None, "interaction_token": None, "application_id": None}
        try:
            origin = replace(self._origin(interaction), channel_id=message.channel.id, message_id=message.id, **beside)
            submitted = await self.queue.submit(ask.request, origin, lane=ask.lane, parent=ask.parent)
        except UserError:
            await message.delete()
            raise
        self.delivery.follow(submitted.job)

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        """Submitted modals: read here, not by a view in memory, so that they outlive a restart too."""
        submission = Submission.of(interaction)
        if submission is None:
            return
        await self.ask(interaction, lambda: self._caption_asked(interaction, submission))

    async def _caption_asked(self, interaction: discord.Interaction, submission: Submission) -> Ask:
        result = await self.result_for(interaction, submission.job_id, Action.IMAGINE)
        return submission.ask(result, actions.new_seed())

    # Pictures sent in a DM

    async def on_upload_button(self, interaction: discord.Interaction, sha256: str, action: str) -> None:
        uploads: Any = self.get_cog("Uploads")
        await self.ask(interaction, lambda: uploads.pressed(interaction, sha256, action), press_key=_press_key(interaction))

    # Errors of commands

    async def _on_command_error(self, interaction: discord.Interaction, error: app_commands.AppCommandError) -> None:
        cause = error.original if isinstance(error, app_commands.CommandInvokeError) else error
        if isinstance(cause, UserError):
            await whisper(interaction, str(cause))
        elif isinstance(cause, app_commands.CheckFailure):
            await whisper(interaction, "You may not use this command here.")
        else:
            log.error("command %s failed", getattr(interaction.command, "name", "?"), exc_info=cause)
            await whisper(interaction, UNEXPECTED)


def _reader(interaction: discord.Interaction) -> Callable[[int], bool]:
    """Whether the asker can read a channel of this server: by the roles that came with the interaction and the channels' own rules."""
    guild, user = interaction.guild, interaction.user

    def reads(channel_id: int) -> bool:
        channel = guild.get_channel_or_thread(channel_id) if guild is not None and isinstance(user, discord.Member) else None
        if channel is None or (isinstance(channel, discord.Thread) and channel.is_private()):
            return False  # who is in a private thread, nobody tells us; asked from inside it counts as seen anyway
        allowed = channel.permissions_for(user)
        return allowed.view_channel and allowed.read_message_history

    return reads


def _shown(job_id: str) -> str:
    """Somebody's text as an id inside a code span."""
    return "".join(c for c in job_id if c.isalnum())[:20]


async def _acknowledge(interaction: discord.Interaction) -> bool:
    """Defer, unless it was answered already. False when Discord has given the interaction up, so that nobody would see an answer.

    A lost answer to the defer may mean that it arrived: the job goes on, and is delivered by whichever rung then holds.
    """
    if interaction.response.is_done():
        return True
    try:
        await interaction.response.defer(thinking=True)
    except (discord.DiscordServerError, *GARBLED, aiohttp.ClientError, OSError, TimeoutError) as error:
        log.warning("interaction %s: acknowledged or not (%s)", interaction.id, type(error).__name__)
    except discord.HTTPException as error:
        if error.code == ACKNOWLEDGED:  # by a try whose answer was lost, or a replay, whose row is there already
            return True
        log.warning("interaction %s came too late (%s, %s)", interaction.id, error.status, error.code)
        return False
    return True


def _press_key(interaction: discord.Interaction) -> str | None:
    """One press of one button by one person: a double click is one job."""
    message, data = interaction.message, interaction.data or {}
    return f"{message.id}:{data.get('custom_id')}:{interaction.user.id}" if message else None
