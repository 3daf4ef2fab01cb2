"""Duels: pairs of a channel's pictures without names, of which members choose the ones that they like more.

``du:<duel id>:<number>`` chooses a picture."""

import io
import logging
from typing import Any

import discord

from bot.client import Atelier, AtelierCog
from bot.discord_api.directory import POSTABLE, writable
from bot.discord_api.http import FAILURES, GONE
from bot.discord_api.interactions import actor_of
from bot.ui.buttons import KeptItem
from bot.ui.layout import layout_of
from bot.ui.replies import SILENT, Upload, answers_privately, whisper
from core.errors import UserError
from core.language import _, shared_language, speaking
from studio.authority import Place, ShownDuel, Unanswered
from studio.texts import counted

log = logging.getLogger(__name__)


class DuelButton(KeptItem, template=r"du:(?P<duel_id>[a-z2-9]{12}):(?P<number>[1-9])"):
    """Chooses one picture of a pair."""

    def __init__(self, duel_id: str, number: int | str) -> None:
        super().__init__(discord.ui.Button(label=str(number), emoji="❤️", custom_id=f"du:{duel_id}:{number}"))
        self.duel_id, self.number = duel_id, int(number)

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        await client.cogs["Duels"].vote(interaction, self.duel_id, self.number)


class Duels(AtelierCog):
    @answers_privately
    async def vote(self, interaction: discord.Interaction, duel_id: str, number: int) -> None:
        """Keep which picture of a pair the presser likes more. Raises UserError."""
        message_id = interaction.message.id if interaction.message else 0
        ends_at = await self.bot.studio.duels.vote(actor_of(interaction), duel_id, number, message_id)
        when = discord.utils.format_dt(ends_at, "R")
        said = _(
            "You like {number} more. Press the other to change it. The end: {when}.", number=number, when=when
        )
        await whisper(interaction, said)

    async def show(self, place: Place, duel: ShownDuel, message_id: int | None) -> int:
        """Post a duel, or show it in its message; return the message. Raises UserError, Unanswered."""
        guild = self.bot.get_guild(place.guild_id or 0)
        channel = guild and guild.get_channel_or_thread(place.channel_id)
        if guild is None or not isinstance(channel, POSTABLE) or not writable(channel, guild.me):
            raise UserError("The bot can't write in that channel.")
        await self.bot.studio.languages.speak(None, guild.id, "", str(guild.preferred_locale))
        with speaking(shared_language()):
            view = layout_of(*_parts(duel))
        numbered = [one for pair in duel.pairs for one in pair.items()]
        files = [Upload(io.BytesIO(data), f"{number}.webp") for number, data in numbered]
        try:
            if message_id is None:
                sent = await channel.send(view=view, files=files, allowed_mentions=SILENT)
            else:
                message = channel.get_partial_message(message_id)
                sent = await message.edit(view=view, attachments=files, allowed_mentions=SILENT)
        except FAILURES as error:
            if isinstance(error, discord.HTTPException) and error.status in GONE:
                raise UserError("The bot can't write in that channel.") from error
            raise Unanswered from error
        return sent.id


def _parts(duel: ShownDuel) -> list[discord.ui.Item[Any]]:
    """Return the parts of a duel's message, one below the other."""
    when = discord.utils.format_dt(duel.ends_at, "R")
    if duel.by_taste is None:
        asked = _(
            "**Which of each pair do you like more?** Nobody sees your vote. The end: {when}.", when=when
        )
        ended = _("**So you voted.** It teaches `--p server`, with the hearts in this server.")
    else:
        asked = _(
            "**Does this server's taste fit? Which of each pair do you like more?** One of each was drawn"
            " with `--p server`. Nobody sees your vote. The end: {when}.",
            when=when,
        )
        ended = _("**So you voted on this server's taste.** `/taste server` says what came of it.")
    parts: list[discord.ui.Item[Any]] = [discord.ui.TextDisplay(asked if duel.likes is None else ended)]
    for pair in duel.pairs:
        items = [
            discord.MediaGalleryItem(f"attachment://{number}.webp", description=_("Picture {n}", n=number))
            for number in pair
        ]
        parts.append(discord.ui.MediaGallery(*items))
        if duel.likes is None:
            parts.append(discord.ui.ActionRow(*(DuelButton(duel.id, number) for number in pair)))
        else:
            chosen = duel.by_taste or ()
            told = (
                f"**{number}**: {counted(duel.likes.get(number, 0), 'vote')}"
                + (" (`--p server`)" if number in chosen else "")
                for number in pair
            )
            parts.append(discord.ui.TextDisplay(" · ".join(told)))
    return parts


async def setup(bot: Atelier) -> None:
    bot.add_dynamic_items(DuelButton)
    await bot.add_cog(Duels(bot))
