"""What members set and see of themselves: /favourites, /help, /info, /settings, /prefer, /show, /web, /fast,
/relax, /turbo, /stealth and /public; and /privacy: what is kept of them, a copy of it, and its deletion."""

import io
from collections.abc import Sequence
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Atelier, AtelierCog
from bot.cogs.queue import answer_with_lines, queue_lines
from bot.discord_api.interactions import acknowledge, actor_of, file_limit, place_of
from bot.ui import buttons, messages
from bot.ui import help as guide
from bot.ui.buttons import Danger, KeptItem, SettingButton, SettingMenu, TryButton
from bot.ui.modals import NO_JOB, Submission, Window
from bot.ui.replies import (
    SILENT,
    Post,
    add_whispers,
    answer_with_files,
    answers_privately,
    choices,
    whisper,
)
from bot.ui.translator import AUTOMATIC, LANGUAGE_CHOICES
from core.convert import STYLIZE, Preferences
from core.errors import NotAllowedError, UserError
from core.job import Lane
from core.language import LANGUAGES, N_, _, own_language
from core.prompt.parameters import VERSIONS
from core.settings import ROOT
from studio.authority import Action
from studio.requests.actions import NEWER
from studio.requests.prompts import model_of_version, remix_text
from studio.texts import code, counted, duration, plain

EMPTY = N_("You have no favourites yet. Press ❤️ under a picture, or react to one of my messages with ⭐.")


class Favourites(AtelierCog):
    @app_commands.command(description="Show the pictures you saved")
    @answers_privately
    async def favourites(self, interaction: discord.Interaction) -> None:
        await self._show(interaction, 0)

    async def turn_to(self, interaction: discord.Interaction, offset: int) -> None:
        """Show the presser's own favourite number ``offset`` (from 0) in the same message. Raises UserError
        when they have none any more."""
        await interaction.response.defer()
        await self._show(interaction, offset)

    async def _show(self, interaction: discord.Interaction, offset: int) -> None:
        actor, own = actor_of(interaction), self.bot.studio.own
        found = await own.favourite(actor, offset)
        if found is None:  # the last of them was let go meanwhile
            offset, found = 0, await own.favourite(actor, 0)
        if found is None:
            raise UserError(EMPTY)
        kept, count, result = found
        prompt = messages.quote(kept.prompt, 300) or _("no prompt")
        text = _(
            "❤️ {offset} of {count} · **{prompt}**\n-# job {job_id} {position}",
            offset=offset + 1,
            count=count,
            prompt=prompt,
            job_id=kept.job_id,
            position=kept.position + 1,
        )
        rows = buttons.for_favourite(kept.job_id, kept.position, offset, count)
        if result is None:
            post = Post(
                _("{text}\n-# Its picture is gone, or only in places that you can't see.", text=text),
                rows=rows,
            )
        else:
            limit, place = file_limit(interaction), place_of(interaction)
            post = await self.bot.posts.picture(result, kept.position, text, rows, limit, place)
        await post.answer(interaction)


MOST = 4  # examples of a model
DRAWN = ROOT / "web" / "static" / "drawn"


def example_of(topic: str, index: int) -> guide.Example:
    """Return the example of a topic, "" = one of the first page's pictures; of "prompt" also what those of a
    model are put into. Raises UserError."""
    if topic == "" and index < len(guide.DRAWN):
        return guide.DRAWN[index]
    if topic not in guide.EXAMPLES:
        raise UserError(NEWER)
    return guide.EXAMPLES[topic]


class Help(AtelierCog):
    def __init__(self, bot: Atelier) -> None:
        super().__init__(bot)
        shown = enumerate(guide.DRAWN)
        self._drawn = [(n, one, (DRAWN / f"{n + 1}.webp").read_bytes()) for n, one in shown]

    @app_commands.command(description="Show the commands, and how to write a prompt")
    @app_commands.describe(topic="prompt, flags, or the name of a command or flag")
    async def help(self, interaction: discord.Interaction, topic: str | None = None) -> None:
        name = (topic or "").strip().lower().lstrip("/-")
        known: Sequence[str] = ()
        if name == "prompt":
            known = (await self.bot.studio.own.examples(actor_of(interaction)))[:MOST]
        first, *others = messages.pages([*guide.lines(topic), *([_(guide.BEGIN)] if known else [])])
        if not name:
            files = [
                discord.File(io.BytesIO(data), f"{n}.webp", description=one.text)
                for n, one, data in self._drawn
            ]
            offered = [TryButton("", n, one.text) for n, one, _unused in self._drawn]
        else:
            files, found = [], guide.EXAMPLES.get(name)
            offered = [] if found is None else [TryButton(name, 0, found.label)]
        offered += [TryButton(name, n, messages.cut_text(one, 80)) for n, one in enumerate(known, 1)]
        await interaction.response.send_message(
            first, files=files, view=buttons.view_of(*offered), ephemeral=True, allowed_mentions=SILENT
        )
        if topic is None and self.bot.studio.hints.prompts:
            others.append(messages.fit_message(self.bot.studio.hints.text()))
        await add_whispers(interaction, others)

    async def try_it(self, interaction: discord.Interaction, topic: str, index: int) -> None:
        """Open a window with an example's words, or do it at once where it has none. Raises UserError."""
        if topic == "prompt" and index:  # those of a model are the member's, who may have chosen another
            known = await self.bot.studio.own.examples(actor_of(interaction))
            if index > len(known):
                raise UserError(NEWER)
            example = guide.Example("imagine", "prompt", known[index - 1])
        else:
            example = example_of(topic, index)
        if not example.option:
            return await self._do(interaction, example, "")
        window = Window(f"/{example.command}", "try", NO_JOB, index, topic)
        window.add_text(example.option.title(), "prompt", example.text, long=True)
        await interaction.response.send_modal(window)

    async def on_window(self, interaction: discord.Interaction, sent: Submission) -> None:
        """Do the example of a window that came back, with its words. Raises UserError."""
        await self._do(interaction, example_of(sent.more, sent.index), sent.text("prompt"))

    async def _do(self, interaction: discord.Interaction, example: guide.Example, text: str) -> None:
        command: Any = self.bot.tree
        for name in example.command.split():
            command = command.get_command(name)
        given = {**example.others, **({example.option: text} if example.option else {})}
        await command.callback(command.binding, interaction, **given)

    @help.autocomplete("topic")
    async def _topics(self, interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        return choices((topic, topic) for topic in guide.topics() if current.strip().lower() in topic)


class Info(AtelierCog):
    @app_commands.command(description="Show your usage, your modes and your jobs")
    @answers_privately
    async def info(self, interaction: discord.Interaction) -> None:
        own = await self.bot.studio.own.info(actor_of(interaction))
        chosen, ever, month = own.preferences, own.ever, own.month
        speed = chosen.lane.value if chosen.lane else "fast"
        modes = (
            f"{(_('stealth') if chosen.private else _('public'))}{(_(' · remix') if chosen.remix else '')}"
        )
        by_count = sorted(ever.jobs.items(), key=lambda pair: -pair[1])
        kinds = ", ".join(f"{count} /{kind}" for kind, count in by_count) or _("nothing yet")
        running, waiting = counted(self.bot.settings.user_running, "job"), self.bot.settings.user_waiting
        head = [
            f"**<@{interaction.user.id}>** · {speed} · {modes}",
            _(
                "**This month** {jobs}, {seconds} of drawing time, {pictures}",
                jobs=counted(sum(month.jobs.values()), "job"),
                seconds=_time(month.seconds),
                pictures=counted(month.pictures, "picture"),
            ),
            _(
                "**In total** {kinds}; {seconds}, {pictures}, {favourites}",
                kinds=kinds,
                seconds=_time(ever.seconds),
                pictures=counted(ever.pictures, "picture"),
                favourites=counted(ever.favourites, "favourite"),
            ),
            _(
                "**Limits** {running} at once, {waiting} waiting; your roles may change them",
                running=running,
                waiting=waiting,
            ),
        ]
        jobs = queue_lines(own.jobs, heading=_("Your jobs"), show_user=False)
        await answer_with_lines(interaction, [*head, *jobs])


def _time(seconds: float) -> str:
    return duration(seconds) if seconds else "0 s"


TOGGLES = {
    "raw": "RAW",
    "remix": N_("Remix"),
    "private": N_("Stealth"),
    "sticky": N_("Sticky Style"),
    "auto_dm": N_("DM results"),
}
AWAY_LABEL = N_("Public elsewhere")
RENAMED = {"stealth": "private"}  # settings on the buttons of older panels


class Settings(AtelierCog):
    @app_commands.command(description="Change your settings for new prompts")
    @answers_privately
    async def settings(self, interaction: discord.Interaction) -> None:
        actor = actor_of(interaction)
        await self.bot.studio.rights.check(actor, Action.SETTINGS)
        chosen = await self.bot.studio.own.preferences(actor)
        await self._show(interaction, chosen)

    async def _show(self, interaction: discord.Interaction, chosen: Preferences) -> None:
        """Put the panel into the answer of a deferred interaction; what holds now is green, also where
        nothing was chosen."""
        names = self.bot.settings.image_models
        models = [("default", _("The studio's default model")), *((f"model {name}", name) for name in names)]
        models += [
            (
                f"version {name}",
                _("Midjourney's version {name}: the operator's {model}", name=name, model=model),
            )
            for name in (*VERSIONS[::-1], "niji")
            if (model := model_of_version(name, names)) is not None
        ]
        version = f"version {chosen.version}" if chosen.version else "default"
        stylize = chosen.stylize or (None if chosen.suffix else STYLIZE["med"])
        lane, away = chosen.lane or Lane.FAST, self.bot.settings.user_apps != "off"
        view = buttons.view_of(
            SettingMenu("model", models, f"model {chosen.model}" if chosen.model else version, row=0),
            *(
                SettingButton("stylize", name, _("Stylize {name}", name=name), on=stylize == value, row=1)
                for name, value in STYLIZE.items()
            ),
            *(
                SettingButton(name, "toggle", label, on=getattr(chosen, name), row=2)
                for name, label in TOGGLES.items()
            ),
            *(SettingButton("lane", one.value, one.value.title(), on=lane is one, row=3) for one in Lane),
            *(
                SettingButton(
                    "strong", name, _("V: {name} variation", name=name), on=chosen.strong is is_high, row=4
                )
                for name, is_high in (("high", True), ("low", False))
            ),
            SettingButton("reset", "all", _("Reset Settings"), row=4),
            *(
                [SettingButton("shown_away", "toggle", _(AWAY_LABEL), on=chosen.shown_away, row=4)]
                if away
                else []
            ),
        )
        suffix = (
            _("\nSuffix {suffix} replaces model, RAW and Stylize.", suffix=code(chosen.suffix, 300))
            if chosen.suffix
            else ""
        )
        text = _(
            "**Your settings** apply to your new prompts; flags that you type override them.{suffix}",
            suffix=suffix,
        )
        await interaction.edit_original_response(content=text, view=view, allowed_mentions=SILENT)

    async def on_change(self, interaction: discord.Interaction, setting: str, value: str) -> None:
        """A button or menu was used: change the presser's own setting, whoever opened the panel. Raises
        UserError for a setting of another version, NotAllowedError for a barred person."""
        await interaction.response.defer()
        actor = actor_of(interaction)
        if setting == "reset":
            chosen = await self.bot.studio.own.reset(actor)
        else:
            now = await self.bot.studio.own.preferences(actor)
            chosen = await self.bot.studio.own.change(actor, **self._change(now, setting, value))
        await self._show(interaction, chosen)

    def _change(self, now: Preferences, setting: str, value: str) -> dict[str, Any]:
        """Return the change that a press stands for; pressing what is chosen takes it back."""
        setting = RENAMED.get(setting, setting)
        if setting in (*TOGGLES, "shown_away"):
            return {setting: not getattr(now, setting)}
        if setting == "lane" and value in list(Lane):
            return {"lane": None if now.lane == value else Lane(value)}
        if setting == "stylize" and value in STYLIZE:
            return {"stylize": None if now.stylize == STYLIZE[value] else STYLIZE[value]}
        if setting == "strong" and value in ("high", "low"):
            return {"strong": value == "high"}
        if setting == "model":
            kind, _unused, name = value.partition(" ")
            if kind == "default":
                return {"model": None, "version": None}
            if kind == "model" and name in self.bot.settings.image_models:
                return {"model": name, "version": None}
            if kind == "version" and name in (*VERSIONS, "niji"):
                return {"model": None, "version": name}
        raise UserError("This setting belongs to another version of the studio; open `/settings` again.")


class Prefer(
    AtelierCog,
    commands.GroupCog,
    name="prefer",
    description="Your own options, a suffix, and other settings for your prompts",
):
    option = app_commands.Group(
        name="option", description="Your own options, such as --mine, that stand for words and flags"
    )

    @option.command(
        name="set",
        description="Make --mine, for example, stand for words and flags; leave out the value to remove it",
    )
    @app_commands.describe(
        option="Its name, such as mine",
        value="What --mine stands for, such as: cinematic, dramatic --ar 3:2 --s 250",
    )
    @answers_privately
    async def option_set(
        self, interaction: discord.Interaction, option: str, value: str | None = None
    ) -> None:
        own = self.bot.studio.own
        name, text, there = await own.set_option(actor_of(interaction), option, value)
        if text:
            said = _("`--{name}` stands for {text}.", name=name, text=code(text, 1500))
        elif there:
            said = _("`--{name}` is removed.", name=name)
        else:
            said = _("`--{name}` did not exist.", name=name)
        await whisper(interaction, said)

    @option.command(name="list", description="Show your own options")
    @answers_privately
    async def option_list(self, interaction: discord.Interaction) -> None:
        own = await self.bot.studio.own.options(actor_of(interaction))
        lines = [f"`--{name}` {code(value, 300)}" for name, value in own.items()]
        none = _("You have no options of your own yet. `/prefer option set` makes one.")
        await whisper(interaction, messages.pages(lines)[0] or none)

    @option_set.autocomplete("option")
    async def _options(
        self, interaction: discord.Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        own = await self.bot.studio.own.options(actor_of(interaction))
        return choices((name, name) for name in own if name.startswith(current.lower().lstrip("-")))

    @app_commands.command(description="Add flags to every new prompt; leave out the value to stop")
    @app_commands.describe(new_value="Such as --ar 3:2 --s 250")
    @answers_privately
    async def suffix(self, interaction: discord.Interaction, new_value: str | None = None) -> None:
        text = (await self.bot.studio.own.change(actor_of(interaction), suffix=new_value or "")).suffix
        said = _("{text} is added to each new prompt.", text=code(text, 1500))
        await whisper(interaction, said if text else _("Nothing is added to your prompts."))

    @app_commands.command(
        description="Turn on or off: edit the words first when you press V, re-roll, zoom or pan"
    )
    async def remix(self, interaction: discord.Interaction) -> None:
        on = _("Remix is on: V, re-roll, Vary, Zoom and Pan ask for the words first.")
        off = _("Remix is off: V, re-roll, Vary, Zoom and Pan don't ask for the words first.")
        await self._toggle(interaction, "remix", on, off)

    @app_commands.command(description="Choose the language that Atelier answers you in")
    @app_commands.describe(language="Automatic: as your Discord app has it")
    @app_commands.choices(language=LANGUAGE_CHOICES)
    @answers_privately
    async def language(self, interaction: discord.Interaction, language: str) -> None:
        chosen = "" if language == AUTOMATIC else language
        await self.bot.studio.own.change(actor_of(interaction), language=chosen)
        await self.bot.speak(interaction)
        await whisper(
            interaction, _("Atelier answers you in {language}.", language=LANGUAGES[own_language()])
        )

    @app_commands.command(description="Choose how far V moves away from the picture: high or low")
    async def variability(self, interaction: discord.Interaction) -> None:
        strong, subtle = _("V makes strong variations."), _("V makes subtle variations.")
        await self._toggle(interaction, "strong", strong, subtle)

    @app_commands.command(description="Turn on or off: get finished jobs by direct message too")
    async def auto_dm(self, interaction: discord.Interaction) -> None:
        on = _("Direct messages are on: finished jobs are also sent to you.")
        off = _("Direct messages are off: finished jobs aren't sent to you.")
        await self._toggle(interaction, "auto_dm", on, off)

    @answers_privately
    async def _toggle(self, interaction: discord.Interaction, name: str, on: str, off: str) -> None:
        chosen = await self.bot.studio.own.toggle(actor_of(interaction), name)
        await whisper(interaction, on if getattr(chosen, name) else off)


class Show(AtelierCog):
    @app_commands.command(description="Bring a job back with working buttons")
    @app_commands.describe(job="Its id, which you find under every picture")
    async def show(self, interaction: discord.Interaction, job: str) -> None:
        actor, job_id = actor_of(interaction), job.strip().lower()
        row, result = await self.bot.studio.made(actor, job_id, Action.SHOW)
        alone = await self.bot.asking.is_alone(actor, row)
        if not await acknowledge(interaction, ephemeral=alone):
            return
        if not row.status.over:
            await self.bot.sharing.bring_back_live(interaction, row)
        elif result is None:
            await whisper(interaction, _("Job `{id}` has no result.", id=row.id))
        else:
            await self.bot.sharing.bring_back(interaction, result)

    @show.autocomplete("job")
    async def _jobs(self, interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        jobs = await self.bot.studio.own.recent(actor_of(interaction), limit=200)
        offered = [(f"{job.id} · {plain(remix_text(job)) or _('no prompt')}", job.id) for job in jobs]
        return choices(one for one in offered if current.lower() in one[0].lower())


SAID = {
    Lane.FAST: N_("Your new jobs go into the normal queue."),
    Lane.RELAX: N_("Your new jobs run only when nobody else is waiting."),
    Lane.TURBO: N_("Your new jobs go before other people's."),
}


class Speed(AtelierCog):
    @app_commands.command(description="Put your new jobs into the normal queue")
    async def fast(self, interaction: discord.Interaction) -> None:
        await self._set(interaction, _(SAID[Lane.FAST]), lane=Lane.FAST)

    @app_commands.command(description="Run your new jobs when nobody else is waiting")
    async def relax(self, interaction: discord.Interaction) -> None:
        await self._set(interaction, _(SAID[Lane.RELAX]), lane=Lane.RELAX)

    @app_commands.command(description="Put your new jobs first")
    async def turbo(self, interaction: discord.Interaction) -> None:
        await self._set(interaction, _(SAID[Lane.TURBO]), lane=Lane.TURBO)

    @app_commands.command(description="Let only you see your new jobs")
    async def stealth(self, interaction: discord.Interaction) -> None:
        text = _("Only you see your new jobs, and nobody else can use or bring back what they made.")
        await self._set(
            interaction, _("{text} Late results come by direct message.", text=text), private=True
        )

    @app_commands.command(description="Let everybody in the channel see your new jobs")
    async def public(self, interaction: discord.Interaction) -> None:
        text = _("Everybody in the channel sees your new jobs. Your earlier private jobs stay private.")
        await self._set(interaction, text, private=False)

    @answers_privately
    async def _set(self, interaction: discord.Interaction, text: str, **values: Any) -> None:
        await self.bot.studio.own.change(actor_of(interaction), **values)
        await whisper(interaction, text)


class Web(AtelierCog):
    @app_commands.command(description="Open the studio in your browser")
    @app_commands.describe(
        sign_out="End all your sessions in browsers instead",
        tokens="Show the tokens of your programs instead, to make and end some",
    )
    @answers_privately
    async def web(
        self, interaction: discord.Interaction, sign_out: bool = False, tokens: bool = False
    ) -> None:
        own, actor = self.bot.studio.own, actor_of(interaction)
        if sign_out:
            text = f"{counted(await own.sign_out(actor), 'session')} ended."
        elif tokens:
            lines = [
                _(
                    "**{name}** {scopes} · until {day}",
                    name=plain(one.label),
                    scopes=one.scopes.replace(" ", ", "),
                    day=f"{one.ends_at:%Y-%m-%d}",
                )
                for one in await self.bot.studio.programs.all(actor)
            ]
            link = await own.web_link(actor, "/programs")
            text = "\n".join([*lines, _("Make and end tokens here: <{link}>", link=link)])
        else:
            link = await own.web_link(actor)
            text = _("<{link}>\nThe link signs you in once, within ten minutes. Don't pass it on.", link=link)
        await interaction.edit_original_response(content=text, allowed_mentions=SILENT)


UNPOST_NOW = 40.0  # seconds for messages, so that the whole is over within a minute


class DeleteButton(KeptItem, template=r"pv:(?P<user_id>[0-9]{1,20}):delete"):
    """ "Yes, delete everything": works for the one person whose id it holds, also after a restart."""

    def __init__(self, user_id: int) -> None:
        custom_id = f"pv:{user_id}:delete"
        super().__init__(discord.ui.Button(label=_("Delete everything"), style=Danger, custom_id=custom_id))
        self.user_id = user_id

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        if not await acknowledge(interaction, ephemeral=True):
            return
        if interaction.user.id != self.user_id:
            raise NotAllowedError("This button belongs to somebody else.")
        deleted = await client.studio.own.delete(actor_of(interaction))
        left = await client.unpost(UNPOST_NOW) if deleted.messages else 0
        rest = (
            " " + _("I will delete the remaining {messages} soon.", messages=counted(left, "message"))
            if left
            else ""
        )
        gone = _(
            "{jobs}, {pictures} and their messages",
            jobs=counted(deleted.jobs, "job"),
            pictures=counted(deleted.files, "picture"),
        )
        await whisper(interaction, _("Deleted: {gone}.{rest}", gone=gone, rest=rest))


class Privacy(
    AtelierCog,
    commands.GroupCog,
    name="privacy",
    description="See, copy or delete what Atelier stores about you",
):
    @app_commands.command(description="Show what Atelier stores about you, and for how long")
    @answers_privately
    async def show(self, interaction: discord.Interaction) -> None:
        own = self.bot.studio.own
        held, periods = await own.holdings(actor_of(interaction)), own.retention
        sent = _("Nothing is sent to anyone else: pictures are made on the operator's own machine.")
        if server := self.bot.studio.talking.server:
            said = [
                _(
                    "Questions of `/ask`, with their pictures and the conversation before, are sent to"
                    " `{server}`, which answers them.",
                    server=server,
                )
            ]
            if self.bot.studio.talking.sends_sentences:
                said.append(_("What you say in conversations is sent there too, to find out what you mean."))
            sent = " ".join([*said, _("Nothing else is sent to anyone.")])
        kept = counted(periods.jobs, "day") if periods.jobs else _("until you delete them")
        videos = counted(periods.videos, "day") if periods.videos else kept
        lines = (
            (
                _(
                    "**Stored** {jobs} with prompts and settings, {pictures} and {videos} "
                    "({bytes:.1f} MB) · {pictures2}, {turns} in conversations, {examples} in "
                    "your sets, {pictures3} in projects, {answers} that you rated right or "
                    "wrong, and the ids of my {messages} that show them",
                    jobs=counted(held.jobs, "job"),
                    pictures=counted(held.pictures, "picture"),
                    videos=counted(held.videos, "video"),
                    bytes=held.bytes / 1000000.0,
                    pictures2=counted(held.uploads, "uploaded picture"),
                    turns=counted(held.turns, "turn"),
                    examples=counted(held.examples, "example"),
                    pictures3=counted(held.items, "picture"),
                    answers=counted(held.feedback, "answer"),
                    messages=counted(held.messages, "message"),
                )
            ),
            (
                _(
                    "**How long** jobs and pictures: {kept}; those with videos: {videos}; uploads that no"
                    " job uses: {uploads} days; backups: {backups} days; strikes: 90 days.",
                    kept=kept,
                    videos=videos,
                    uploads=periods.uploads,
                    backups=periods.backups,
                )
            ),
            (
                _(
                    "**Rules** {strikes}, {bans}. `/privacy delete` leaves these and time-outs "
                    "in place until they expire or are lifted.",
                    strikes=counted(held.strikes, "strike"),
                    bans=counted(held.bans, "ban"),
                )
            ),
            _("**Also** your Discord id and name, and your settings. {sent}", sent=sent),
            *(
                [
                    _(
                        "**Away** {jobs} of them from places that Atelier isn't in",
                        jobs=counted(held.away, "job"),
                    )
                ]
                if held.away
                else []
            ),
            _("`/privacy export` gives you a copy, `/privacy delete` deletes it all."),
            *([_("**More** <{policy}>", policy=policy)] if (policy := self.bot.settings.privacy_url) else []),
        )
        await whisper(interaction, "\n".join(lines))

    @app_commands.command(description="Get a copy of everything Atelier stores about you")
    @app_commands.describe(pictures="Off: leave your pictures out and get one small file")
    @answers_privately
    async def export(self, interaction: discord.Interaction, pictures: bool = True) -> None:
        limit = file_limit(interaction) - 100_000
        parts = self.bot.studio.own.export(actor_of(interaction), limit, pictures=pictures)
        text = _("Your data as JSON, with your pictures.") if pictures else _("Your data as JSON.")
        rest = _(
            "There are more files than fit here. Get everything as one file on the web (`/web`), under"
            " Settings, Your data; or ask the operator."
        )
        await answer_with_files(interaction, parts, "atelier", text, rest)

    @app_commands.command(description="Permanently delete everything Atelier stores about you")
    @answers_privately
    async def delete(self, interaction: discord.Interaction) -> None:
        held = await self.bot.studio.own.holdings(actor_of(interaction))
        days = self.bot.studio.own.retention.backups
        text = _(
            "This stops your running jobs and permanently deletes {jobs}, {pictures} "
            "and my {messages} with them. They are gone from backups within {days} "
            "days. Messages that only you could see, and your own, stay where they are.",
            jobs=counted(held.jobs, "job"),
            pictures=counted(held.pictures, "picture"),
            messages=counted(held.messages, "message"),
            days=days,
        )
        await Post(text, rows=buttons.rows_of(DeleteButton(interaction.user.id))).answer(interaction)


async def setup(bot: Atelier) -> None:
    bot.add_dynamic_items(DeleteButton, TryButton)
    for cog in (Favourites, Help, Info, Settings, Prefer, Show, Speed, Web, Privacy):
        await bot.add_cog(cog(bot))
