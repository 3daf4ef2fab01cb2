"""Custom models from one's own pictures: /inspect finds defects, one's own labels or objects, and /style
learns a style that prompts can ask for."""

from contextlib import suppress
from typing import Any, Literal, get_args

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Atelier, AtelierCog
from bot.cogs.wall import Wall
from bot.discord_api.interactions import acknowledge, actor_of
from bot.projects import views
from bot.projects.cards import Cards
from bot.ui.replies import answers_privately, choices, whisper
from core.errors import UserError
from core.language import N_, _
from core.requests.custom_models import ANOMALY, CLASSIFY, DETECT, STYLE
from storage.projects.projects import EVERYBODY, MOST_VOICES
from studio.projects.watches import (
    MOST_ALARMS,
    MOST_DAYS,
    MOST_EVERY,
    MOST_SILENT,
    USUAL_DAYS,
    USUAL_EVERY,
)

ONE = N_("A picture; leave it out to choose several in a window")
LINK = N_("Or a link to a Discord attachment or to one of my messages, or a job id and number")
TASKS = (ANOMALY, CLASSIFY, DETECT)
Finds = Literal["find defects", "sort by label", "find objects"]
FINDS = dict(zip(get_args(Finds), (ANOMALY, CLASSIFY, DETECT), strict=True))
Move = Literal["stricter", "looser", "usual", "fewest errors"]
Alike = Literal[
    "detect automatically", "always in the same place", "same place, but rotated", "anywhere, like a surface"
]
ALIKE = dict(zip(get_args(Alike), ("auto", "fixture", "turns", "free"), strict=True))  # as a row has it
Form = Literal["a model to run elsewhere (ONNX)", "labels as CSV", "labels as COCO", "labels as YOLO"]


class Inspect(
    AtelierCog, commands.GroupCog, name="inspect", description="Train a model on your own pictures"
):
    @property
    def _cards(self) -> Cards:
        return self.bot.projects.cards

    @app_commands.command(description="Start a project; buttons guide you")
    @app_commands.describe(
        name="Its name, for example boards",
        finds="What to learn: find defects (default), sort by label, or find objects",
        only_me="Private to you. If off, it belongs to this server",
    )
    @answers_privately
    async def new(
        self,
        interaction: discord.Interaction,
        name: str,
        finds: Finds = "find defects",
        only_me: bool = False,
    ) -> None:
        made = await self.bot.studio.projects.new(
            actor_of(interaction), name, FINDS[finds], shared=False if only_me else None
        )
        await self._cards.show(interaction, made.id)

    @app_commands.command(description="Show a project and its next step, or list all projects")
    @app_commands.describe(name="The project; leave it out to list all")
    @answers_privately
    async def show(self, interaction: discord.Interaction, name: str = "") -> None:
        if name.strip():
            await self._cards.show(interaction, name)
        else:
            await self._cards.show_all(interaction, TASKS)

    @app_commands.command(description="Add pictures to a project, as files or in a ZIP file")
    @app_commands.describe(
        name="The project",
        label="Label for all these pictures, such as good or scratch (optional)",
        image=ONE,
        archive="A ZIP file of pictures; its folders are the labels",
        link=LINK,
        together="All pictures show the same object",
    )
    async def add(
        self,
        interaction: discord.Interaction,
        name: str,
        *,
        label: str = "",
        image: discord.Attachment | None = None,
        archive: discord.Attachment | None = None,
        link: str | None = None,
        together: bool = False,
    ) -> None:
        files = [file for file in (image, archive) if file is not None]
        if not files and not link:
            await self._cards.open_add(interaction, name, label, together=together)
        elif await acknowledge(interaction, ephemeral=True):
            given = await self._cards.given(actor_of(interaction), link)
            await self._cards.add(interaction, name, files, label, given, together=together)

    @app_commands.command(description="Label pictures one after the other")
    @app_commands.describe(name="The project")
    @answers_privately
    async def label(self, interaction: discord.Interaction, name: str) -> None:
        await self.bot.projects.labelling.start(interaction, name)

    @app_commands.command(description="Show the labels of a project, or change them")
    @app_commands.describe(
        name="The project",
        add="A label to add, or to give a new meaning",
        meaning="When to use it, in a sentence",
        drop="A label to remove",
        instead="New label for its pictures (empty: no label)",
    )
    @answers_privately
    async def labels(
        self,
        interaction: discord.Interaction,
        name: str,
        add: str = "",
        meaning: str = "",
        drop: str = "",
        instead: str = "",
    ) -> None:
        await self._cards.labels(interaction, name, add, meaning, drop, instead)

    @app_commands.command(description="Train the next version of a project's model")
    @app_commands.describe(name="The project")
    async def train(self, interaction: discord.Interaction, name: str) -> None:
        await self.bot.projects.jobs.train(interaction, name)

    @app_commands.command(name="try", description="Ask a project's model about pictures")
    @app_commands.describe(
        name="The project",
        image=ONE,
        link=LINK,
        version="Number of a version, if not the one in use",
    )
    async def try_model(
        self,
        interaction: discord.Interaction,
        name: str,
        image: discord.Attachment | None = None,
        link: str | None = None,
        version: app_commands.Range[int, 1] | None = None,
    ) -> None:
        if image is None and not link:
            await self.bot.projects.jobs.open_try(interaction, name, version)
            return
        given = await self._cards.given(actor_of(interaction), link)
        await self.bot.projects.jobs.try_on(interaction, name, [image] if image else [], given, version)

    @app_commands.command(description="Show how good a version is, with charts")
    @app_commands.describe(name="The project", version="Its number, if not the one in use")
    @answers_privately
    async def report(
        self, interaction: discord.Interaction, name: str, version: app_commands.Range[int, 1] | None = None
    ) -> None:
        await self.bot.projects.versions.report(interaction, name, version)

    @app_commands.command(description="Preview a stricter or looser limit, and keep it")
    @app_commands.describe(name="The project", move="Which way", version="Its number, if not the one in use")
    @answers_privately
    async def threshold(
        self,
        interaction: discord.Interaction,
        name: str,
        move: Move,
        version: app_commands.Range[int, 1] | None = None,
    ) -> None:
        await self.bot.projects.versions.move(interaction, name, move.partition(" ")[0], version)

    @app_commands.command(description="List the versions of a project's model, and choose which is used")
    @app_commands.describe(name="The project", use="Number of the version to use from now on")
    async def versions(
        self, interaction: discord.Interaction, name: str, use: app_commands.Range[int, 1] | None = None
    ) -> None:
        if use is not None:
            await self.bot.projects.versions.use(interaction, name, use)
        elif await acknowledge(interaction, ephemeral=True):
            await self.bot.projects.versions.list(interaction, name)

    @app_commands.command(description="Compare two versions on the same pictures")
    @app_commands.describe(name="The project", first="Number of a version", second="Number of another")
    @answers_privately
    async def compare(
        self,
        interaction: discord.Interaction,
        name: str,
        first: app_commands.Range[int, 1],
        second: app_commands.Range[int, 1],
    ) -> None:
        await self.bot.projects.versions.compare(interaction, name, first, second)

    @app_commands.command(description="Set what others may do with a project of this server")
    @app_commands.describe(
        name="The project",
        role="Role to change (empty: all members)",
        use="They may ask its model",
        add="They may add pictures",
        label="They may label",
        train="They may train",
        export="They may export labels and models",
    )
    @answers_privately
    async def share(
        self,
        interaction: discord.Interaction,
        name: str,
        role: discord.Role | None = None,
        use: bool = True,
        add: bool = False,
        label: bool = False,
        train: bool = False,
        export: bool = False,
    ) -> None:
        given = {"use": use, "add": add, "label": label, "train": train, "export": export}
        role_id = EVERYBODY if role is None or role.is_default() else role.id
        rights = {right for right, is_given in given.items() if is_given}
        changed = await self.bot.studio.projects.share(actor_of(interaction), name, role_id, rights)
        await whisper(interaction, views.shared(changed))

    @app_commands.command(description="Export a model to run it elsewhere, or the labels")
    @app_commands.describe(
        name="The project",
        what="What you get, as a ZIP file",
        version="Number of the model's version, if not the one in use",
    )
    async def export(
        self,
        interaction: discord.Interaction,
        name: str,
        what: Form = "a model to run elsewhere (ONNX)",
        version: app_commands.Range[int, 1] | None = None,
    ) -> None:
        if what.startswith("a model"):
            await self.bot.projects.jobs.bundle(interaction, name, version)
        elif await acknowledge(interaction, ephemeral=True):
            await self._cards.export(interaction, name, what.rpartition(" ")[2].lower())

    @app_commands.command(name="import", description="Import labels from another program: CSV, COCO or YOLO")
    @app_commands.describe(name="The project", file="A .csv or .json file, or a ZIP file made by export")
    @answers_privately
    async def import_labels(
        self, interaction: discord.Interaction, name: str, file: discord.Attachment
    ) -> None:
        await self._cards.import_(interaction, name, file)

    @app_commands.command(
        description="Rename a project, or set how parts lie and how many votes a label needs"
    )
    @app_commands.describe(
        name="The project",
        new_name="Its new name",
        parts="How parts lie",
        votes="How many people must give the same label before it counts",
    )
    @answers_privately
    async def change(
        self,
        interaction: discord.Interaction,
        name: str,
        new_name: str = "",
        parts: Alike | None = None,
        votes: app_commands.Range[int, 1, MOST_VOICES] | None = None,
    ) -> None:
        if not new_name and parts is None and votes is None:
            raise UserError("Say what to change: `new_name`, `parts` or `votes`.")
        actor, projects = actor_of(interaction), self.bot.studio.projects
        found = (await projects.card(actor, name)).project
        if parts is not None:
            await projects.set_alike(actor, found.id, ALIKE[parts])
        if votes is not None:
            await projects.set_voices(actor, found.id, votes)
        if new_name:
            await projects.rename(actor, found.id, new_name)
        await self._cards.show(interaction, found.id, _("Saved. It applies from the next version on."))

    @app_commands.command(description="Watch a camera: each new picture is judged, defects are posted")
    @app_commands.describe(
        name="The project",
        source="A folder or camera as the operator names it; leave it out to list what is watched",
        camera="What alarms call it (empty: as the source)",
        channel="Where defects are posted (empty: here)",
        keep_days="Days that its pictures are kept",
        every="Seconds between two looks at a camera; a folder is watched all the time",
        quiet_hours="When nothing is posted, such as 22:00-06:00 Europe/Berlin",
        most_a_minute="Alarms of a minute; the rest is counted in one message",
        silent_after="Minutes without a picture after which that is posted; 0: never",
    )
    @answers_privately
    async def watch(
        self,
        interaction: discord.Interaction,
        name: str,
        source: str = "",
        camera: str = "",
        channel: discord.TextChannel | None = None,
        keep_days: app_commands.Range[int, 1, MOST_DAYS] = USUAL_DAYS,
        every: app_commands.Range[int, 1, MOST_EVERY] = USUAL_EVERY,
        quiet_hours: str | None = None,
        most_a_minute: app_commands.Range[int, 1, MOST_ALARMS] | None = None,
        silent_after: app_commands.Range[int, 0, MOST_SILENT] | None = None,
    ) -> None:
        actor, watches = actor_of(interaction), self.bot.studio.watches
        rules = {"hours": quiet_hours, "most": most_a_minute, "silent_after": silent_after}
        if source.strip():
            channel_id = channel.id if channel else actor.channel_id
            how: dict[str, Any] = {"channel_id": channel_id, "every": every, "rules": rules}
            await watches.add(actor, name, source, camera=camera, keep_days=keep_days, **how)
        elif camera:
            await watches.change(actor, name, camera, rules)
        await self.bot.projects.cameras.show(interaction, name)

    @app_commands.command(description="Delete a project with its pictures and models, for good")
    @app_commands.describe(name="The project")
    @answers_privately
    async def forget(self, interaction: discord.Interaction, name: str) -> None:
        await self._cards.ask_forget(interaction, name)

    @show.autocomplete("name")
    @add.autocomplete("name")
    @label.autocomplete("name")
    @labels.autocomplete("name")
    @train.autocomplete("name")
    @try_model.autocomplete("name")
    @report.autocomplete("name")
    @threshold.autocomplete("name")
    @versions.autocomplete("name")
    @compare.autocomplete("name")
    @share.autocomplete("name")
    @export.autocomplete("name")
    @import_labels.autocomplete("name")
    @change.autocomplete("name")
    @watch.autocomplete("name")
    @forget.autocomplete("name")
    async def _names(self, interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._cards.names(actor_of(interaction), current, TASKS)

    @watch.autocomplete("source")
    async def _sources(
        self, interaction: discord.Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        wanted = current.strip().casefold()
        names = self.bot.studio.watches.sources
        return choices((name, name) for name in names if wanted in name.casefold())

    @add.autocomplete("label")
    @labels.autocomplete("drop")
    @labels.autocomplete("instead")
    @labels.autocomplete("add")
    async def _labels(self, interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        name = str(getattr(interaction.namespace, "name", "") or "")  # of the project that is named already
        labels, wanted = list[str](), current.strip().casefold()
        with suppress(UserError):
            if name:
                found = await self.bot.studio.projects.card(actor_of(interaction), name)
                labels = [one.name for one in found.book]
        return choices((label, label) for label in labels if wanted in label.casefold())


def wall_of(bot: Atelier) -> Wall:
    """Return the cog that shows the wall of styles."""
    found = bot.cogs["Wall"]
    assert isinstance(found, Wall)
    return found


class Style(AtelierCog, commands.GroupCog, name="style", description="Train a style from 5 to 40 pictures"):
    @app_commands.command(description="Start a style; buttons guide you")
    @app_commands.describe(
        name="Its name, which you write after --lora",
        words="Words that trigger it, added to every picture (empty: its name)",
        only_me="Private to you. If off, it belongs to this server",
    )
    @answers_privately
    async def new(
        self, interaction: discord.Interaction, name: str, words: str = "", only_me: bool = False
    ) -> None:
        projects, shared = self.bot.studio.projects, False if only_me else None
        made = await projects.new(actor_of(interaction), name, STYLE, shared=shared, words=words)
        await self.bot.projects.cards.show(interaction, made.id)

    @app_commands.command(description="Show a style and its next step, or list all styles")
    @app_commands.describe(name="The style; leave it out to list all")
    @answers_privately
    async def show(self, interaction: discord.Interaction, name: str = "") -> None:
        if name.strip():
            await self.bot.projects.cards.show(interaction, name)
        else:
            await self.bot.projects.cards.show_all(interaction, (STYLE,))

    @app_commands.command(description="Add pictures to a style, as files or in a ZIP file")
    @app_commands.describe(
        name="The style",
        image="A picture, or a ZIP file of many; leave it out to choose several in a window",
        link=LINK,
    )
    async def add(
        self,
        interaction: discord.Interaction,
        name: str,
        image: discord.Attachment | None = None,
        link: str | None = None,
    ) -> None:
        cards = self.bot.projects.cards
        if image is None and not link:
            await cards.open_add(interaction, name)
        elif await acknowledge(interaction, ephemeral=True):
            given = await cards.given(actor_of(interaction), link)
            await cards.add(interaction, name, [image] if image else [], "", given)

    @app_commands.command(description="Find a style number to draw with: by words, or like another")
    @app_commands.describe(
        words="Words of the style, such as watercolor mist; leave it out for all",
        order="What comes first",
    )
    @answers_privately
    async def wall(
        self, interaction: discord.Interaction, words: str = "", order: Literal["me", "new"] | None = None
    ) -> None:
        await wall_of(self.bot).show(interaction, f"{order}:{words.strip()}" if order else words.strip())

    @app_commands.command(description="Make a code for --sref of how your own pictures look")
    async def code(self, interaction: discord.Interaction) -> None:
        await wall_of(self.bot).ask_for_pictures(interaction)

    @app_commands.command(description="Train a style; then use it with --lora")
    @app_commands.describe(name="The style")
    async def train(self, interaction: discord.Interaction, name: str) -> None:
        await self.bot.projects.jobs.train(interaction, name)

    @app_commands.command(description="Show the samples drawn during training")
    @app_commands.describe(name="The style", version="Its number, if not the one in use")
    @answers_privately
    async def samples(
        self, interaction: discord.Interaction, name: str, version: app_commands.Range[int, 1] | None = None
    ) -> None:
        await self.bot.projects.versions.report(interaction, name, version)

    @app_commands.command(description="List the versions of a style, and choose which is used")
    @app_commands.describe(name="The style")
    @answers_privately
    async def versions(self, interaction: discord.Interaction, name: str) -> None:
        await self.bot.projects.versions.list(interaction, name)

    @app_commands.command(description="Set what others may do with a style of this server")
    @app_commands.describe(
        name="The style",
        role="Role to change (empty: all members)",
        use="They may draw with it",
        add="They may add pictures",
        train="They may train it",
        export="They may export it",
    )
    @answers_privately
    async def share(
        self,
        interaction: discord.Interaction,
        name: str,
        role: discord.Role | None = None,
        use: bool = True,
        add: bool = False,
        train: bool = False,
        export: bool = False,
    ) -> None:
        given = {"use": use, "add": add, "train": train, "export": export}
        role_id = EVERYBODY if role is None or role.is_default() else role.id
        rights = {right for right, is_given in given.items() if is_given}
        changed = await self.bot.studio.projects.share(actor_of(interaction), name, role_id, rights)
        await whisper(interaction, views.shared(changed))

    @app_commands.command(description="Export a style as a LoRA file")
    @app_commands.describe(name="The style", version="Its number, if not the one in use")
    async def export(
        self, interaction: discord.Interaction, name: str, version: app_commands.Range[int, 1] | None = None
    ) -> None:
        await self.bot.projects.jobs.bundle(interaction, name, version)

    @app_commands.command(description="Delete a style with its pictures and versions, for good")
    @app_commands.describe(name="The style")
    @answers_privately
    async def forget(self, interaction: discord.Interaction, name: str) -> None:
        await self.bot.projects.cards.ask_forget(interaction, name)

    @show.autocomplete("name")
    @add.autocomplete("name")
    @train.autocomplete("name")
    @samples.autocomplete("name")
    @versions.autocomplete("name")
    @share.autocomplete("name")
    @export.autocomplete("name")
    @forget.autocomplete("name")
    async def _names(self, interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self.bot.projects.cards.names(actor_of(interaction), current, (STYLE,))


async def setup(bot: Atelier) -> None:
    for cog in (Inspect, Style):
        await bot.add_cog(cog(bot))
