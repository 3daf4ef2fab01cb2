"""/favourites: pictures one has kept, one at a time.

/help: what there is, how to write a prompt, and each command and flag by name.

/info: one's own usage, and what of one's own runs and waits.

/settings: a panel of one's own choices; /prefer: own options, a suffix, and the same choices as
commands.

/show: bring a finished job back, with live buttons.

/fast, /relax, /turbo, /stealth, /public: one's own speed and visibility for all new jobs.

/web: a link that opens the studio in the asker's browser, for their eyes alone."""

from __future__ import annotations

from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Atelier, AtelierCog
from bot.cogs.queue import answer, render
from bot.discord_api.interactions import actor_of
from bot.ui import help as guide
from bot.ui import messages
from bot.ui.replies import SILENT, answers_privately, choices, whisper
from core.job import Lane
from studio.account import Info as Own
from studio.authority import Action
from studio.requests.prompts import remix_text
from studio.texts import code, counted, duration, plain


class Favourites(AtelierCog):
    @app_commands.command(description="Show the pictures you saved")
    @answers_privately
    async def favourites(self, interaction: discord.Interaction) -> None:
        await self.bot.favourites.show(interaction)


class Help(AtelierCog):
    @app_commands.command(description="Show the commands, and how to write a prompt")
    @app_commands.describe(topic="prompt, flags, or the name of a command or flag")
    async def help(self, interaction: discord.Interaction, topic: str | None = None) -> None:
        first, *others = messages.pages(guide.lines(topic))
        await interaction.response.send_message(first, ephemeral=True, allowed_mentions=SILENT)
        for page in others:
            await interaction.followup.send(page, ephemeral=True, allowed_mentions=SILENT)
        if topic is None and self.bot.studio.hints.prompts:
            text = messages.fit(self.bot.studio.hints.text())
            await interaction.followup.send(text, ephemeral=True, allowed_mentions=SILENT)

    @help.autocomplete("topic")
    async def _topics(self, interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        return choices((topic, topic) for topic in guide.topics() if current.strip().lower() in topic)


class Info(AtelierCog):
    @app_commands.command(description="Show your usage, your modes and your jobs")
    @answers_privately
    async def info(self, interaction: discord.Interaction) -> None:
        own = await self.bot.studio.own.info(actor_of(interaction))
        settings = self.bot.settings
        head = _head(interaction.user.id, own, settings.user_running, settings.user_waiting)
        jobs = render(own.jobs, heading="Your jobs", show_user=False)
        await answer(interaction, [*head, *jobs])


def _head(user: int, own: Own, running: int, waiting: int) -> list[str]:
    chosen, ever, month = own.preferences, own.ever, own.month
    speed = chosen.lane.value if chosen.lane else "fast"
    kinds = (
        ", ".join(f"{count} /{kind}" for kind, count in sorted(ever.jobs.items(), key=lambda pair: -pair[1]))
        or "nothing yet"
    )
    return [
        (
            f"**<@{user}>** · {speed} ·"
            f" {'stealth' if chosen.private else 'public'}{' · remix' if chosen.remix else ''}"
        ),
        (
            f"**This month** {counted(sum(month.jobs.values()), 'job')},"
            f" {_time(month.seconds)} of drawing time,"
            f" {counted(month.pictures, 'picture')}"
        ),
        (
            f"**In all** {kinds}; {_time(ever.seconds)}, {counted(ever.pictures, 'picture')},"
            f" {counted(ever.favourites, 'favourite')}"
        ),
        f"**Limits** {counted(running, 'job')} at once, {waiting} waiting; your roles may change them",
    ]


def _time(seconds: float) -> str:
    return duration(seconds) if seconds else "0 s"


class Settings(AtelierCog):
    @app_commands.command(description="Change your settings for new prompts")
    @answers_privately
    async def settings(self, interaction: discord.Interaction) -> None:
        actor = actor_of(interaction)
        await self.bot.studio.rights.check(actor, Action.SETTINGS)
        chosen = await self.bot.studio.own.preferences(actor)
        await self.bot.settings_panel.show(interaction, chosen)


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
            await whisper(interaction, f"`--{name}` stands for {code(text, 1500)}.")
        else:
            await whisper(interaction, f"`--{name}` {'is taken away' if there else 'was not there'}.")

    @option.command(name="list", description="Show your own options")
    @answers_privately
    async def option_list(self, interaction: discord.Interaction) -> None:
        own = await self.bot.studio.own.options(actor_of(interaction))
        lines = [f"`--{name}` {code(value, 300)}" for name, value in own.items()]
        await whisper(
            interaction,
            messages.pages(lines)[0]
            or "You have no options of your own yet. `/prefer option set` makes one.",
        )

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
        await whisper(
            interaction,
            (
                f"{code(text, 1500)} is added to each new prompt."
                if text
                else "Nothing is added to your prompts."
            ),
        )

    @app_commands.command(
        description="Turn on or off: edit the words first when you press V, re-roll, zoom or pan"
    )
    async def remix(self, interaction: discord.Interaction) -> None:
        await self._toggle(
            interaction,
            "remix",
            "Remix is {}: V, re-roll, Vary, Zoom and Pan {} for the words first.",
            ("ask", "don't ask"),
        )

    @app_commands.command(description="Choose how far V moves away from the picture: high or low")
    @answers_privately
    async def variability(self, interaction: discord.Interaction) -> None:
        chosen = await self.bot.studio.own.toggle(actor_of(interaction), "strong")
        await whisper(interaction, f"V makes {'strong' if chosen.strong else 'subtle'} variations.")

    @app_commands.command(description="Turn on or off: get finished jobs by direct message too")
    async def auto_dm(self, interaction: discord.Interaction) -> None:
        await self._toggle(
            interaction,
            "auto_dm",
            "Direct messages are {}: finished jobs {} to you.",
            ("are also sent", "aren't sent"),
        )

    @answers_privately
    async def _toggle(
        self, interaction: discord.Interaction, name: str, text: str, words: tuple[str, str]
    ) -> None:
        on = getattr(await self.bot.studio.own.toggle(actor_of(interaction), name), name)
        await whisper(interaction, text.format("on" if on else "off", words[0 if on else 1]))


class Show(AtelierCog):
    @app_commands.command(description="Bring a job back with working buttons")
    @app_commands.describe(job="Its id, which you find under every picture")
    async def show(self, interaction: discord.Interaction, job: str) -> None:
        actor, job_id = actor_of(interaction), job.strip().lower()
        row, result = await self.bot.studio.made(actor, job_id, Action.SHOW)
        await interaction.response.defer(thinking=True, ephemeral=row.origin.private)
        if not row.status.over:
            await self.bot.sharing.bring_back_live(interaction, row)
        elif result is None:
            await whisper(interaction, f"Job `{row.id}` has no result.")
        else:
            await self.bot.sharing.bring_back(interaction, result)

    @show.autocomplete("job")
    async def _jobs(self, interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        jobs = await self.bot.studio.own.recent(actor_of(interaction), limit=200)
        offered = [(f"{job.id} · {plain(remix_text(job)) or 'no prompt'}", job.id) for job in jobs]
        return choices(one for one in offered if current.lower() in one[0].lower())


SAID = {
    Lane.FAST: "Your new jobs go into the normal queue.",
    Lane.RELAX: "Your new jobs run when nobody else is waiting, so that they hold up nobody.",
    Lane.TURBO: "Your new jobs go before other people's.",
}


class Speed(AtelierCog):
    @app_commands.command(description="Put your new jobs into the normal queue")
    async def fast(self, interaction: discord.Interaction) -> None:
        await self._set(interaction, SAID[Lane.FAST], lane=Lane.FAST)

    @app_commands.command(description="Run your new jobs when nobody else is waiting")
    async def relax(self, interaction: discord.Interaction) -> None:
        await self._set(interaction, SAID[Lane.RELAX], lane=Lane.RELAX)

    @app_commands.command(description="Put your new jobs first")
    async def turbo(self, interaction: discord.Interaction) -> None:
        await self._set(interaction, SAID[Lane.TURBO], lane=Lane.TURBO)

    @app_commands.command(description="Let only you see your new jobs")
    async def stealth(self, interaction: discord.Interaction) -> None:
        text = (
            "Only you see your new jobs, and nobody else can use or bring back what they made. Late results"
            " come by direct message."
        )
        await self._set(interaction, text, private=True)

    @app_commands.command(description="Let everybody in the channel see your new jobs")
    async def public(self, interaction: discord.Interaction) -> None:
        await self._set(
            interaction,
            "Everybody in the channel sees your new jobs. Your earlier private jobs stay private.",
            private=False,
        )

    @answers_privately
    async def _set(self, interaction: discord.Interaction, text: str, **values: Any) -> None:
        await self.bot.studio.own.change(actor_of(interaction), **values)
        await whisper(interaction, text)


class Web(AtelierCog):
    @app_commands.command(description="Open the studio in your browser")
    @app_commands.describe(sign_out="End all your sessions in browsers instead")
    @answers_privately
    async def web(self, interaction: discord.Interaction, sign_out: bool = False) -> None:
        own, actor = self.bot.studio.own, actor_of(interaction)
        if sign_out:
            text = f"{counted(await own.sign_out(actor), 'session')} ended."
        else:
            link = await own.web_link(actor)
            text = f"<{link}>\nThe link signs you in once, within ten minutes. Don't pass it on."
        await interaction.edit_original_response(content=text, allowed_mentions=SILENT)


async def setup(bot: Atelier) -> None:
    for cog in (Favourites, Help, Info, Settings, Prefer, Show, Speed, Web):
        await bot.add_cog(cog(bot))
