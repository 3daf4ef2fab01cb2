"""/edit: a picture changed as words say."""

import discord
from discord import app_commands

from bot.client import Atelier, AtelierCog
from bot.discord_api.interactions import actor_of
from core.convert import numbered_plainly
from core.errors import UserError
from core.requests.images import MAX_MORE_IMAGES
from studio.new_job import NewJob, PromptWithPictures, Source
from studio.requests import actions


class Edit(AtelierCog):
    @app_commands.command(description="Change a picture by words and keep the rest")
    @app_commands.describe(
        prompt="What to change, for example: make the house blue; put the cat of 2 next to the house",
        image="The picture to change",
        image2="A picture that the words name as 2",
        image3="A picture that the words name as 3",
        image4="A picture that the words name as 4",
        source="Or message links or job ids with a number, with commas between; else your last picture",
    )
    async def edit(
        self,
        interaction: discord.Interaction,
        prompt: str,
        image: discord.Attachment | None = None,
        image2: discord.Attachment | None = None,
        image3: discord.Attachment | None = None,
        image4: discord.Attachment | None = None,
        source: str | None = None,
    ) -> None:
        attached = [one for one in (image, image2, image3, image4) if one is not None]
        named = [one.strip() for one in (source or "").split(",") if one.strip()]
        pictures = [*((one, None) for one in attached), *((None, name) for name in named)]
        if len(pictures) > 1 + MAX_MORE_IMAGES:
            raise UserError(
                f"There are {len(pictures)} pictures; a change takes up to {1 + MAX_MORE_IMAGES}."
            )
        (first, name), *rest = pictures or [(None, None)]

        async def build(found: Source, words: PromptWithPictures | None) -> NewJob:
            actor = actor_of(interaction)
            others = [await self.bot.asking.picture(actor, *one) for one in rest]
            return actions.edit_picture(found, words, others)

        text = numbered_plainly(prompt) if rest else prompt
        await self.bot.asking.about_picture(interaction, first, name, text, build)


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Edit(bot))
