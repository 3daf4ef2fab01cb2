"""/region: a part of a picture drawn again; the rest stays pixel by pixel."""

import discord
from discord import app_commands

from bot.client import Atelier, AtelierCog
from bot.discord_api.interactions import actor_of
from core.errors import UserError
from core.limits import MAX_LABEL
from studio.new_job import NewJob, PromptWithPictures, Source, read_cells
from studio.requests import actions

Label = app_commands.Range[str, 1, MAX_LABEL]


class Region(AtelierCog):
    @app_commands.command(description="Redraw a part of a picture and leave the rest as it is")
    @app_commands.describe(
        prompt="What to draw there",
        what="The part in words, such as: the red boat",
        mask="Or a mask whose white marks the part, or the picture with the part erased or painted over",
        fields="Or fields of the numbered grid, such as 1 2 5 (the button Region shows it)",
        image="The picture to change",
        source="Or a message link, or a job id with a number; leave it out to use your last picture",
    )
    async def region(
        self,
        interaction: discord.Interaction,
        prompt: str,
        what: Label | None = None,
        mask: discord.Attachment | None = None,
        fields: str | None = None,
        image: discord.Attachment | None = None,
        source: str | None = None,
    ) -> None:
        if sum(given is not None for given in (what, mask, fields)) != 1:
            raise UserError("Choose the part in one way only: `what`, `mask` or `fields`.")
        cells = read_cells(fields)

        async def build(found: Source, words: PromptWithPictures | None) -> NewJob:
            painted = None
            if mask is not None:
                [file] = self.bot.links.attached([mask])
                regions = self.bot.studio.regions
                painted = await regions.marked(actor_of(interaction), found, file)
            return actions.redraw_region(found, words, mask=painted, cells=cells, what=what or "")

        await self.bot.asking.about_picture(interaction, image, source, prompt, build)


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Region(bot))
