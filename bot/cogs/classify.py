"""/classify: what is in a picture, with how sure the model is; also by labels that a project has learned."""

import discord
from discord import app_commands

from bot.client import Atelier, AtelierCog
from bot.discord_api.interactions import actor_of
from core.errors import UserError
from core.limits import MAX_LABELS
from core.requests import ClassifyRequest
from core.requests.custom_models import CLASSIFY
from studio.new_job import NewJob, Source

OWN = "@"  # begins the name of a project whose labels are meant


class Classify(AtelierCog):
    @app_commands.command(description="Say what a picture shows, best guess first")
    @app_commands.describe(
        image="The picture; without one it is your last",
        link="Or a link to a Discord attachment or to one of my messages, or a job id and number",
        labels=f"Your own labels, separated by commas, up to {MAX_LABELS}; or @ and the name of a project",
    )
    async def classify(
        self,
        interaction: discord.Interaction,
        image: discord.Attachment | None = None,
        labels: str | None = None,
        link: str | None = None,
    ) -> None:
        if labels and labels.strip().startswith(OWN):
            if (image is None) == (link is None):
                raise UserError("Attach a picture as `image`, or paste a link as `link`.")
            given = await self.bot.projects.cards.given(actor_of(interaction), link)
            files, name = [image] if image else [], labels.strip().removeprefix(OWN)
            await self.bot.projects.jobs.try_on(interaction, name, files, given)
            return
        asked = split_labels(labels)
        ClassifyRequest(image="0" * 64, labels=asked)  # wrong labels are told before the picture is fetched

        def build(source: Source) -> NewJob:
            request = ClassifyRequest(image=source.sha256, labels=asked)
            return NewJob(request, parent=source.parent, private=source.private)

        await self.bot.asking.queue_about(interaction, image, link, build)

    @classify.autocomplete("labels")
    async def _own_labels(
        self, interaction: discord.Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        typed = current.strip()
        if typed and not typed.startswith(OWN):  # labels of the moment
            return []
        return await self.bot.projects.cards.names(actor_of(interaction), typed, (CLASSIFY,), OWN)


def split_labels(text: str | None) -> tuple[str, ...]:
    """Return the labels of a comma list, each once, in order; none for None or only commas."""
    labels = (" ".join(part.split()) for part in (text or "").split(","))
    return tuple(dict.fromkeys(label for label in labels if label))


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Classify(bot))
