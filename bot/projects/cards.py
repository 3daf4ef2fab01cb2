"""A project's card, which leads through it by buttons, and the labelling queue of its pictures without a
label: one message that each press turns to the next.

Its buttons know which picture it shows, and which came before; what was skipped comes again at the end.
"""

import io
from collections.abc import Collection, Sequence
from typing import Any

import discord
from discord import app_commands

from bot.discord_api.interactions import actor_of, file_limit
from bot.projects import views
from bot.projects.views import MARK, ProjectButton, ProjectMenu, mark_of
from bot.submit import Asking
from bot.ui.buttons import Rows, rows_of
from bot.ui.layout import Picture
from bot.ui.messages import fit_message, quote
from bot.ui.modals import Submission, uploads
from bot.ui.replies import SILENT, Post, answers_privately, choices, whisper
from core.errors import ImageError, NotAllowedError, UserError
from core.language import N_, _, n_
from core.requests.custom_models import ANOMALY, DETECT, STYLE
from storage.projects.dataset import DISPUTED
from storage.projects.projects import Project
from studio.authority import Actor
from studio.inputs import Given
from studio.library.rendition import SIZES
from studio.projects.labels import GONE
from studio.projects.projects import Card
from studio.studio import Studio
from studio.texts import counted

ZIPPED = ("application/zip", "application/x-zip-compressed")
UNFIT = {STYLE: ("label", "try"), DETECT: ("label",)}  # task → buttons that it hasn't
TOO_LARGE = N_("That file has {size:.1f} MB, which is too large for a message here.{where}")


class Cards:
    """Shows projects and takes pictures and labels in. Answers are for whoever asks alone. web: the address
    of the studio on the web, "" = none."""

    def __init__(self, studio: Studio, asking: Asking, web: str = "") -> None:
        self._studio, self._asking, self._web = studio, asking, web

    async def all(self, actor: Actor, tasks: Collection[str]) -> list[Project]:
        """Return the projects of these tasks that somebody may look at. Raises NotAllowedError."""
        return [one for one in await self._studio.projects.all(actor) if one.task in tasks]

    async def names(
        self, actor: Actor, typed: str, tasks: Collection[str], before: str = ""
    ) -> list[app_commands.Choice[str]]:
        """Return the projects of these tasks whose name has what was ``typed``, none for who may see none.
        before: stands before each name."""
        try:
            found = await self.all(actor, tasks)
        except UserError:
            return []
        wanted = typed.strip().removeprefix(before).casefold()
        fits = [one for one in found if wanted in one.name.casefold()]
        kinds = [
            f"{_(views.TASKS[one.task])}{(_(', yours') if one.guild_id is None else '')}" for one in fits
        ]
        return choices(
            (f"{before}{one.name} ({kind})", f"{before}{one.id}")
            for one, kind in zip(fits, kinds, strict=True)
        )

    async def show(self, interaction: discord.Interaction, name: str, said: str = "") -> None:
        """Show a project with what to do next, below what was ``said``; the interaction was deferred, for its
        asker alone. Raises UserError, NotAllowedError."""
        found = await self._studio.projects.card(actor_of(interaction), name)
        content = f"{said}\n{views.card(found)}" if said else views.card(found)
        await Post(fit_message(content), rows=self.rows(found)).answer(interaction)

    def rows(self, found: Card) -> Rows:
        """Return the buttons of a project: what somebody may do with it, the next thing in green."""
        project, wanted = found.project.id, views.next_action(found)
        shown = [
            action
            for action, right in (("add", "add"), ("label", "label"), ("train", "train"), ("try", "use"))
            if right in found.may and action not in UNFIT.get(found.project.task, ())
        ]
        items = [ProjectButton(project, action, next_step=action == wanted, row=0) for action in shown]
        report = [ProjectButton(project, "report", row=0)] if found.version is not None else []
        watches = found.project.task == ANOMALY and self._studio.watches.is_possible
        cameras = [ProjectButton(project, "cameras", row=1)] if watches and "use" in found.may else []
        web = f"{self._web}/projects/{project}"
        links = [discord.ui.Button[Any](label=_("Web"), url=web, row=1)] if self._web else []
        says = found.project.task == STYLE and found.counts.total and "label" in found.may
        captions = [ProjectButton(project, "captions", row=1)] if says else []
        draw = self.draw(project) if found.project.task == DETECT and "label" in found.may else []
        return rows_of(*items, *report, *captions, *draw, *cameras, *links)

    def draw(self, project: str, more: str = "") -> list[discord.ui.Button[Any]]:
        """Return the button that opens the page where boxes are drawn, none without a web. more: of its
        address."""
        url = f"{self._web}/projects/{project}/label{more}"
        return [discord.ui.Button[Any](label=_("Draw boxes"), url=url, row=1)] if self._web else []

    async def show_all(self, interaction: discord.Interaction, tasks: Collection[str]) -> None:
        """Say which projects there are; the interaction was deferred."""
        await whisper(interaction, views.projects(await self.all(actor_of(interaction), tasks)))

    # Pictures

    async def open_add(
        self, interaction: discord.Interaction, project: str, label: str = "", *, together: bool = False
    ) -> None:
        """Open the window that brings pictures. label, together: what its fields say first. Raises UserError,
        NotAllowedError."""
        found = await self._studio.projects.card(actor_of(interaction), project)
        if "add" not in found.may:
            raise UserError(
                "You don't have permission to add pictures to this project. Ask its owner or a server"
                " manager."
            )
        await interaction.response.send_modal(views.add_window(found, label, together=together))

    @answers_privately
    async def added(self, interaction: discord.Interaction, sent: Submission) -> None:
        """Take the pictures of that window. Raises UserError, NotAllowedError."""
        label = views.label_of_window(sent)
        files = uploads(interaction, sent, "pictures")
        await self.add(interaction, sent.job_id, files, label, together="together" in sent.ticked)

    async def add(
        self,
        interaction: discord.Interaction,
        name: str,
        files: Sequence[discord.Attachment],
        label: str,
        given: Sequence[Given] = (),
        *,
        together: bool = False,
    ) -> None:
        """Take pictures and ZIP files in, and show the project with what is next; the interaction was
        deferred. given: pictures of ours, or linked ones. Raises UserError, NotAllowedError."""
        actor, pictures = actor_of(interaction), self._studio.dataset
        plain = [file for file in files if not _is_zip(file)]
        said = []
        for file in self._asking.links.attached([file for file in files if _is_zip(file)]):
            said.append((await pictures.add_zip(actor, name, file, label)).sentence)
        if plain or given or not said:
            coming = [*self._asking.links.attached(plain), *given]
            said.append((await pictures.add(actor, name, coming, label, together=together)).sentence)
        await self.show(interaction, name, " ".join(said))

    async def given(self, actor: Actor, link: str | None) -> list[Given]:
        """Return what a link leads to, or the picture of ours that it names; nothing for none. Raises
        UserError, NotAllowedError."""
        return [await self._asking.links.given(actor, link)] if link else []

    # Labels

    async def labels(
        self,
        interaction: discord.Interaction,
        name: str,
        add: str = "",
        meaning: str = "",
        drop: str = "",
        instead: str = "",
    ) -> None:
        """Change the label list as asked, and show it; the interaction was deferred. Raises UserError,
        NotAllowedError."""
        actor, projects = actor_of(interaction), self._studio.projects
        if add and drop:
            raise UserError("Give `add` or `drop`, not both.")
        if add:
            await projects.put_label(actor, name, add, meaning)
        if drop:
            await projects.drop_label(actor, name, drop, instead)
        found = await projects.card(actor, name)
        await Post(views.label_list(found), rows=self.rows(found)).answer(interaction)

    async def export(self, interaction: discord.Interaction, name: str, form: str) -> None:
        """Hand out a project's labels; the interaction was deferred. Raises UserError, NotAllowedError."""
        data = await self._studio.labelling.export(actor_of(interaction), name, form)
        if len(data) > file_limit(interaction):
            where = " " + _("Get it from the project's page on the web (`/web`).") if self._web else ""
            raise ImageError(TOO_LARGE.format(size=len(data) / 2**20, where=where))
        file = discord.File(io.BytesIO(data), f"labels-{form}.zip")
        content = _(
            "The labels, as {upper}. Pictures are named by their SHA-256 and aren't included.",
            upper=form.upper(),
        )
        await interaction.edit_original_response(content=content, attachments=[file], allowed_mentions=SILENT)

    async def import_(self, interaction: discord.Interaction, name: str, file: discord.Attachment) -> None:
        """Take labels that another program wrote; the interaction was deferred. Raises UserError,
        NotAllowedError."""
        [attached] = self._asking.links.attached([file])
        done = await self._studio.labelling.import_(actor_of(interaction), name, attached)
        pictures = counted(done.labelled, "picture")
        said = _("{pictures} labelled.", pictures=pictures)
        if done.boxes:
            boxes = n_("{n} box", "{n} boxes", done.boxes)
            said = _("{pictures} labelled with {boxes}.", pictures=pictures, boxes=boxes)
        if done.unknown:
            said += " " + _("{rows} of pictures that aren't here.", rows=counted(done.unknown, "row"))
        await self.show(interaction, name, said)

    # The whole project

    async def ask_forget(self, interaction: discord.Interaction, name: str) -> None:
        """Ask whether a project is to be deleted; the interaction was deferred. Raises UserError,
        NotAllowedError."""
        actor = actor_of(interaction)
        found = await self._studio.projects.card(actor, name)
        if "manage" not in found.may:
            raise NotAllowedError("Only the project's owner, or somebody with Manage Server, can delete it.")
        versions = await self._studio.training.versions(actor, name)
        there = _(
            "{pictures} and {versions}",
            pictures=counted(found.counts.total, "picture"),
            versions=counted(len(versions), "version"),
        )
        content = _(
            "Delete {project} with {there}? This can't be undone.",
            project=views.name(found.project),
            there=there,
        )
        await Post(content, rows=rows_of(ProjectButton(found.project.id, "forget"))).answer(interaction)

    @answers_privately
    async def forget(self, interaction: discord.Interaction, project: str) -> None:
        """Delete a project. Raises UserError, NotAllowedError."""
        actor = actor_of(interaction)
        found = (await self._studio.projects.card(actor, project)).project
        await self._studio.projects.forget(actor, project)
        await whisper(interaction, _("{found} is deleted.", found=views.name(found)))


def _is_zip(file: discord.Attachment) -> bool:
    return file.filename.lower().endswith(".zip") or file.content_type in ZIPPED


MOST_BUTTONS = 10  # labels that have a button each; more are a menu
MOST_SHOWN = 10  # pictures in a message of captions
SIDE = 512  # px of the picture that is shown
BOXES = N_("Objects are marked by boxes. Draw them on the web or import a file; a message can't hold them.")
CHANGED = N_(
    "That label isn't in the label list any more. Press Skip, and the next picture has the new ones."
)


class LabellingQueue:
    """Shows pictures that wait for a label, and takes what they are called."""

    def __init__(self, studio: Studio, cards: Cards) -> None:
        self._studio, self._cards = studio, cards

    @answers_privately
    async def start(self, interaction: discord.Interaction, name: str) -> None:
        """Show the first picture in a message of its own. Raises UserError, NotAllowedError."""
        actor = actor_of(interaction)
        found = await self._studio.projects.card(actor, name)
        if found.project.task == DETECT:
            await self._cards.show(interaction, name, _(BOXES))
            return
        await self._turn(interaction, actor, name, "")

    async def press(
        self, interaction: discord.Interaction, project: str, action: str, sha256: str, value: str = ""
    ) -> None:
        """Do what a button or the menu says of a picture, and show the next one. Raises UserError,
        NotAllowedError."""
        if action == "newlabel":
            await interaction.response.send_modal(views.name_window(project, sha256))
            return
        await interaction.response.defer()
        actor, labelling = actor_of(interaction), self._studio.labelling
        if action == "back":
            await self._back(interaction, actor, project, sha256)
            return
        if action == "done":
            await self._end(interaction, actor, project)
            return
        if action == "leave":
            await labelling.leave_out(actor, project, [sha256])
        elif action != "skip":
            if not value:
                found = await self._studio.projects.card(actor, project)
                value = next((one.name for one in found.book if mark_of(one.name) == action), "")
            if not value:
                raise UserError(CHANGED)
            await labelling.mark(actor, project, sha256, value)
        await self._turn(interaction, actor, project, sha256)

    async def named(self, interaction: discord.Interaction, sent: Submission) -> None:
        """Take the new label of a window. Raises UserError, NotAllowedError."""
        await interaction.response.defer()
        actor = actor_of(interaction)
        await self._studio.labelling.mark(actor, sent.job_id, sent.more, sent.text("label"))
        await self._turn(interaction, actor, sent.job_id, sent.more)

    @answers_privately
    async def captions(self, interaction: discord.Interaction, name: str) -> None:
        """Show the captions of a style, with menus that change them. Raises UserError, NotAllowedError."""
        await self._captions(interaction, actor_of(interaction), name)

    async def _captions(self, interaction: discord.Interaction, actor: Actor, name: str) -> None:
        project = (await self._studio.projects.card(actor, name)).project
        found, pictures = await self._studio.labelling.captions(actor, project.id), list[Picture]()
        for number, one in enumerate(found[:MOST_SHOWN], 1):
            data = await self._studio.dataset.show(actor, project.id, one.item.sha256, SIZES[0])
            pictures.append(Picture(data, f"{number}.webp", one.text or _("none yet")))
        rows = views.caption_menus(project, found)
        await Post(views.captions(project, found), tuple(pictures), rows).answer(interaction)

    @answers_privately
    async def describe(self, interaction: discord.Interaction, name: str) -> None:
        """Have captions written of the presser's pictures in a style. Raises UserError, NotAllowedError."""
        asked, left = await self._studio.write_captions(actor_of(interaction), name)
        said = _("Captions being written: {asked}. Press **Captions** again in a moment.", asked=asked)
        later = " " + _("{left} more fit later.", left=left) if left else ""
        rows = rows_of(ProjectButton(name, "captions"))
        await Post(f"{said}{later}", rows=rows).answer(interaction)

    async def open_caption(self, interaction: discord.Interaction, project: str, sha256: str) -> None:
        """Open the window that changes a picture's caption. Raises UserError, NotAllowedError."""
        found = await self._studio.labelling.captions(actor_of(interaction), project)
        chosen = next((one for one in found if one.item.sha256 == sha256), None)
        if chosen is None:
            raise ImageError(GONE)
        await interaction.response.send_modal(views.caption_window(project, chosen))

    async def captioned(self, interaction: discord.Interaction, sent: Submission) -> None:
        """Take the caption of that window; "" leaves it to the studio. Raises UserError, NotAllowedError."""
        await interaction.response.defer()
        actor = actor_of(interaction)
        await self._studio.labelling.mark(actor, sent.job_id, sent.more, sent.text("label"))
        await self._captions(interaction, actor, sent.job_id)

    async def _turn(self, interaction: discord.Interaction, actor: Actor, project: str, sha256: str) -> None:
        """Show the picture after this one, or of those before it the first without a label."""
        item = await self._studio.labelling.next(actor, project, after=sha256)
        if item is None:
            doubted = await self._studio.labelling.doubted(actor, project, after=sha256)
            if doubted is None:
                await self._end(interaction, actor, project)
                return
            said = _(
                "version {version} labels it **{rather}**. Check it again:",
                version=doubted.version,
                rather=quote(doubted.rather, 80),
            )
            item = doubted.item
            await self._picture(interaction, actor, project, item.sha256, item.label, sha256, doubt=said)
            return
        disputed = item.state == DISPUTED
        await self._picture(interaction, actor, project, item.sha256, item.label, sha256, disputed=disputed)

    async def _back(self, interaction: discord.Interaction, actor: Actor, project: str, sha256: str) -> None:
        """Show a picture that was there before; one that was left out is taken in again."""
        labelling = self._studio.labelling
        await labelling.leave_out(actor, project, [sha256], out=False)
        said = {mark.label for mark in await labelling.marks(actor, project, sha256)}
        label = next(iter(said)) if len(said) == 1 else ""
        await self._picture(interaction, actor, project, sha256, label, disputed=len(said) > 1)

    async def _picture(
        self,
        interaction: discord.Interaction,
        actor: Actor,
        name: str,
        sha256: str,
        label: str,
        before: str = "",
        *,
        disputed: bool = False,
        doubt: str = "",
    ) -> None:
        found = await self._studio.projects.card(actor, name)
        data = await self._studio.dataset.show(actor, name, sha256, SIDE)
        # what is known of it, and what each label means
        lines = [
            _(
                "{project} · {pictures} to label",
                project=views.name(found.project),
                pictures=counted(views.unlabelled(found), "picture"),
            )
        ]
        if disputed:
            marks = await self._studio.labelling.marks(actor, found.project.id, sha256)
            people = [f"<@{one.user_id}>" if one.user_id else _("a former member") for one in marks]
            said = [
                _("{label} by {who}", label=quote(one.label, 40), who=who)
                for one, who in zip(marks, people, strict=True)
            ]
            lines.append(_("People disagree: {said}. What is it?", said=", ".join(said)))
        elif label:
            called = _("Its label is **{label}**", label=quote(label, 80))
            lines.append(
                _("{called}; {doubt} what is it?", called=called, doubt=doubt)
                if doubt
                else _("{called}. What is it?", called=called)
            )
        else:
            lines.append(
                _("What is it?") if found.book else _("What is it? Press **New label** and name it.")
            )
        lines += [f"-# {quote(one.name, 80)}: {quote(one.meaning, 150)}" for one in found.book if one.meaning]
        content = fit_message("\n".join(lines))
        pictures = (Picture(data, f"{sha256[:12]}.webp", _("a picture of {name}", name=found.project.name)),)
        # a button, or an entry of a menu, for each label, and what turns to another picture
        project, labels = found.project.id, [one.name for one in found.book]
        naming: list[discord.ui.Item[Any]] = [
            ProjectButton(project, mark_of(label), sha256, label=label, row=place // 5)
            for place, label in enumerate(labels)
        ]
        if len(labels) > MOST_BUTTONS:
            options = {label: label for label in labels}
            naming = [ProjectMenu(project, MARK, sha256, options, hint=_("It is …"), row=0)]
        turning = [ProjectButton(project, action, sha256, row=2) for action in ("skip", "leave", "newlabel")]
        back = [ProjectButton(project, "back", before, row=2)] if before else []
        sure = found.version is not None and "use" in found.may and views.unlabelled(found) > 1
        look = [ProjectButton(project, "look", row=3)] if sure else []
        rows = rows_of(*naming, *back, *turning, ProjectButton(project, "done", row=2), *look)
        await Post(content, pictures, rows).answer(interaction)

    async def _end(self, interaction: discord.Interaction, actor: Actor, name: str) -> None:
        found = await self._studio.projects.card(actor, name)
        count = views.unlabelled(found)
        said = _("{pictures} still without a label.", pictures=counted(count, "picture"))
        said = said if count else _("Every picture has a label.")
        if found.counts.said:  # by whoever looks
            said += " " + n_(
                "{n} of your labels needs a second person.",
                "{n} of your labels need a second person.",
                found.counts.said,
            )
        await Post(f"{said}\n{views.card(found)}", rows=self._cards.rows(found)).answer(interaction)
