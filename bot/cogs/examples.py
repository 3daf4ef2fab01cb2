"""/examples: sets of labelled pictures, or of questions with their right answers, that are tried on other
pictures."""

from typing import Literal

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Atelier, AtelierCog
from bot.discord_api.interactions import acknowledge, actor_of, file_limit
from bot.ui import markdown as example_text
from bot.ui import messages
from bot.ui.replies import (
    Picture,
    Post,
    answer_with_files,
    answers_privately,
    choices,
    whisper,
)
from core.errors import UserError
from core.language import N_, _
from core.limits import MAX_SET_LABELS, MAX_SHOTS
from studio.example_sets import PAGE
from studio.inputs import Given
from studio.new_job import NewJob
from studio.texts import counted

ONE = N_("A picture; leave it out to choose several in a window")
LINK = N_("Or a link to a Discord attachment or to one of my messages, or a job id and number")


class Examples(
    AtelierCog, commands.GroupCog, name="examples", description="Teach me with a few examples of your own"
):
    @app_commands.command(description="Make an empty set of examples")
    @app_commands.describe(name="Its name, for example mushrooms")
    @answers_privately
    async def new(self, interaction: discord.Interaction, name: str) -> None:
        made = await self.bot.studio.examples.create(actor_of(interaction), name)
        limits = _(
            "It takes {max_set_labels} labels with {max_shots} pictures each.",
            max_set_labels=MAX_SET_LABELS,
            max_shots=MAX_SHOTS,
        )
        await whisper(
            interaction,
            _(
                "**{name}** is ready, visible only to you. Add pictures with `/examples "
                "add`, or with *Add as example* in a message's menu. {limits}",
                name=messages.quote(made.name, 80),
                limits=limits,
            ),
        )

    @app_commands.command(description="Add pictures with a label, or a question with its right answer")
    @app_commands.describe(
        name="The set",
        label="What the pictures show; with a question, its right answer",
        image=ONE,
        link=LINK,
        question="Only for a set of questions: what is asked about the pictures",
    )
    async def add(
        self,
        interaction: discord.Interaction,
        name: str,
        label: str = "",
        image: discord.Attachment | None = None,
        link: str | None = None,
        question: str = "",
    ) -> None:
        teaching, links = self.bot.teaching, self.bot.links
        if image is None and not link:
            await teaching.open_add(interaction, name, label, question)
        elif await acknowledge(interaction, ephemeral=True):
            given: list[Given] = [*links.attached([image] if image else [])]
            if link:
                given.append(await links.given(actor_of(interaction), link))
            await teaching.add(interaction, name, label, given, question)

    @app_commands.command(description="Show a set, or list your sets")
    @app_commands.describe(name="The set; leave it out to list all", page="Of its pictures")
    @answers_privately
    async def show(
        self, interaction: discord.Interaction, name: str = "", page: app_commands.Range[int, 1, 60] = 1
    ) -> None:
        actor, studio = actor_of(interaction), self.bot.studio
        if not name.strip():
            text = example_text.sets_text(await studio.examples.all(actor), actor.user_id)
            await whisper(interaction, text)
            return
        contents = await studio.examples.contents(actor, name)
        last = max(1, -(-len(contents.examples) // PAGE))
        place = min(page, last) - 1
        text = example_text.contents_text(contents, actor.user_id, place)
        sheet = await studio.copies.sheet(actor, contents, place)
        first = place * PAGE
        shown = enumerate(contents.examples[first : first + PAGE], first + 1)
        alt = "; ".join(f"{number}: {one.label}" for number, one in shown)
        pictures = (Picture(sheet, "examples.webp", alt),) if sheet else ()
        await Post(text, pictures).answer(interaction)

    @app_commands.command(name="try", description="Say which label of a set fits a picture")
    @app_commands.describe(
        name="The set",
        image="The picture",
        link=LINK,
        question="Only for a set of questions: what to ask, if not the last of its questions",
    )
    async def try_set(
        self,
        interaction: discord.Interaction,
        name: str,
        image: discord.Attachment | None = None,
        link: str | None = None,
        question: str = "",
    ) -> None:
        files = [] if image is None else [image]
        if bool(files) == (link is not None):
            raise UserError("Attach a picture as `image`, or paste a link as `link`.")
        actor = actor_of(interaction)
        await self.bot.studio.examples.contents(actor, name)  # a wrong name is told before a file is fetched

        async def build() -> NewJob:
            links = self.bot.links
            picture = links.attached(files)[0] if link is None else await links.given(actor, link)
            return await self.bot.studio.examples.try_on(actor, name, picture, question)

        await self.bot.asking.queue(interaction, build)

    @app_commands.command(description="Delete a set, the pictures of one label, or one example")
    @app_commands.describe(
        name="The set",
        label="Only the examples with this label",
        number="Only the example with this number, as show has it",
    )
    @answers_privately
    async def forget(
        self,
        interaction: discord.Interaction,
        name: str,
        label: str | None = None,
        number: app_commands.Range[int, 1] | None = None,
    ) -> None:
        if label is not None and number is not None:
            raise UserError("Give `label` or `number`, not both.")
        gone = await self.bot.studio.examples.forget(actor_of(interaction), name, label, number)
        count, whole = counted(gone, "example"), label is None and number is None
        said = (
            _("The set is deleted, with {count}.", count=count)
            if whole
            else _("{count} deleted.", count=count)
        )
        await whisper(interaction, said)

    @app_commands.command(description="Share a set with this server, or make it private again")
    @app_commands.describe(
        name="The set", who="server: members can view it and try it here; private: only you"
    )
    @answers_privately
    async def share(
        self, interaction: discord.Interaction, name: str, who: Literal["server", "private"] = "server"
    ) -> None:
        shared = who == "server"
        found = await self.bot.studio.examples.share(actor_of(interaction), name, shared=shared)
        said = _("Members of this server can view it and try it here")
        said = said if shared else _("It is private to you again")
        await whisper(interaction, f"**{messages.quote(found.name, 80)}**: {said}.")

    @app_commands.command(description="Get the labels and pictures of a set as a ZIP file")
    @app_commands.describe(name="The set")
    @answers_privately
    async def export(self, interaction: discord.Interaction, name: str) -> None:
        parts = self.bot.studio.copies.pack(actor_of(interaction), name, file_limit(interaction) - 100_000)
        text = _("**{name}**: its labels and pictures.", name=messages.quote(name, 80))
        rest = _("There are more files than fit here. Forget some labels, or ask the operator.")
        await answer_with_files(interaction, parts, "examples", text, rest)

    @add.autocomplete("name")
    @show.autocomplete("name")
    @try_set.autocomplete("name")
    @forget.autocomplete("name")
    @share.autocomplete("name")
    @export.autocomplete("name")
    async def _names(self, interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        found = await self.bot.studio.examples.all(actor_of(interaction))
        wanted = current.strip().casefold()
        me = interaction.user.id
        return choices(
            (one.name if one.user_id == me else _("{name} (shared here)", name=one.name), one.id)
            for one in found
            if wanted in one.name.casefold()
        )


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Examples(bot))
