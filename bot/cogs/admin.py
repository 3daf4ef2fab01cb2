"""/studio and /moderation: a server's rules, for its managers: who may use the bot and how much, what it lets
through, and who changed what."""

from collections.abc import Iterable
from typing import Literal

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Atelier, AtelierCog
from bot.cogs.welcome import TRIAL, Welcome
from bot.discord_api.interactions import actor_of
from bot.ui.messages import quote
from bot.ui.replies import answers_privately, choices, whisper, whisper_all
from bot.ui.translator import AUTOMATIC, LANGUAGE_CHOICES
from core.errors import UserError
from core.language import LANGUAGES, _
from storage.people import AuditRow, RoleLimit, RoleTokens
from studio.texts import code, counted

Listable = (  # channels where commands can be used; a thread or a forum's post is also what its channel is
    discord.TextChannel | discord.VoiceChannel | discord.StageChannel | discord.ForumChannel | discord.Thread
)
IN_A_LINE = 40  # people, channels or roles
MOST_TOKENS = 10**9  # a day


@app_commands.allowed_contexts(guilds=True, dms=False, private_channels=False)
class StudioCog(
    AtelierCog,
    commands.GroupCog,
    name="studio",
    description="Who may use Atelier in this server (Manage Server)",
):
    @app_commands.command(description="Ban a member from Atelier here and cancel their waiting jobs")
    @app_commands.describe(user="The member to ban")
    @answers_privately
    async def ban(self, interaction: discord.Interaction, user: discord.User) -> None:
        dropped = await self.bot.studio.server.ban(actor_of(interaction), user.id)
        jobs = counted(dropped, "waiting job")
        said = _("<@{id}> can't use Atelier here any more; {jobs} cancelled.", id=user.id, jobs=jobs)
        await whisper(interaction, said)

    @app_commands.command(description="Lift a ban")
    @app_commands.describe(user="The member who may use Atelier again")
    @answers_privately
    async def unban(self, interaction: discord.Interaction, user: discord.User) -> None:
        lifted = await self.bot.studio.server.unban(actor_of(interaction), user.id)
        said = _("<@{id}> may use Atelier again.") if lifted else _("<@{id}> isn't banned here.")
        await whisper(interaction, said.format(id=user.id))

    @app_commands.command(
        description="Allow Atelier only in listed channels or for listed roles, and add one to the list"
    )
    @app_commands.describe(channel="A channel to add to the list", role="Or a role to add")
    @answers_privately
    async def allow(
        self,
        interaction: discord.Interaction,
        channel: Listable | None = None,
        role: discord.Role | None = None,
    ) -> None:
        kind, target = _one(channel, role)
        await self.bot.studio.server.allow(actor_of(interaction), kind, target.id)
        said = (
            _("{mention} is on the list of allowed channels.")
            if kind == "channel"
            else _("{mention} is on the list of allowed roles.")
        )
        await whisper(interaction, said.format(mention=target.mention))

    @app_commands.command(description="Remove a channel or a role from the list; an empty list allows all")
    @app_commands.describe(channel="A channel to remove from the list", role="Or a role to remove")
    @answers_privately
    async def disallow(
        self,
        interaction: discord.Interaction,
        channel: Listable | None = None,
        role: discord.Role | None = None,
    ) -> None:
        kind, target = _one(channel, role)
        gone = await self.bot.studio.server.disallow(actor_of(interaction), kind, target.id)
        said = _("{mention} is off the list.") if gone else _("{mention} wasn't on the list.")
        await whisper(interaction, said.format(mention=target.mention))

    @app_commands.command(
        description="Set how many jobs members with a role can have; their highest role limit applies"
    )
    @app_commands.describe(
        role="The role that has the limit",
        running="Jobs running at once, 0 to 100; leave out both numbers to remove the limit",
        waiting="Jobs waiting, 0 to 10000",
    )
    @answers_privately
    async def limit(
        self,
        interaction: discord.Interaction,
        role: discord.Role,
        running: app_commands.Range[int, 0, 100] | None = None,
        waiting: app_commands.Range[int, 0, 10_000] | None = None,
    ) -> None:
        server, actor = self.bot.studio.server, actor_of(interaction)
        if running is not None and waiting is not None:
            await server.set_role_limit(actor, RoleLimit(role.id, running, waiting))
            said = _("{role}: {running} running, {waiting} waiting.")
        elif running is not None or waiting is not None:
            raise UserError("Give both `running` and `waiting`, or neither to remove the role's limit.")
        else:
            gone = await server.remove_role_limit(actor, role.id)
            said = (
                _("{role} has no limit of its own any more.")
                if gone
                else _("{role} has no limit of its own here.")
            )
        await whisper(interaction, said.format(role=role.mention, running=running, waiting=waiting))

    @app_commands.command(
        description="Set how many tokens a day members with a role can use in questions; the most applies"
    )
    @app_commands.describe(
        role="The role that has the limit",
        per_day="0 = no limit; leave it out to remove the role's limit",
    )
    @answers_privately
    async def tokens(
        self,
        interaction: discord.Interaction,
        role: discord.Role,
        per_day: app_commands.Range[int, 0, MOST_TOKENS] | None = None,
    ) -> None:
        server, actor = self.bot.studio.server, actor_of(interaction)
        if per_day is None:
            gone = await server.remove_role_tokens(actor, role.id)
            said = (
                _("{role} has no token limit of its own any more.")
                if gone
                else _("{role} has no token limit of its own here.")
            )
        else:
            await server.set_role_tokens(actor, RoleTokens(role.id, per_day))
            said = _("{role} has {per_day} tokens a day.")
        await whisper(interaction, said.format(role=role.mention, per_day=_tokens(per_day or 0)))

    @app_commands.command(description="Let members talk to Atelier in this server's channels, or not")
    @app_commands.describe(channels="Off: mentions aren't heard here; direct messages and commands are")
    @answers_privately
    async def talk(self, interaction: discord.Interaction, channels: Literal["on", "off"]) -> None:
        await self.bot.studio.server.set_talk(actor_of(interaction), on=channels == "on")
        said = (
            _("Mentions are heard in this server.")
            if channels == "on"
            else _("Mentions aren't heard here any more.")
        )
        await whisper(interaction, said)

    @app_commands.command(description="Let programs of members reach what belongs to this server, or not")
    @app_commands.describe(tokens="Off: tokens that members make on the web open nothing of this server")
    @answers_privately
    async def programs(self, interaction: discord.Interaction, tokens: Literal["on", "off"]) -> None:
        await self.bot.studio.server.set_programs(actor_of(interaction), on=tokens == "on")
        said = (
            _("Programs of members reach what belongs to this server.")
            if tokens == "on"
            else _("Programs reach nothing of this server any more.")
        )
        await whisper(interaction, said)

    @app_commands.command(description="Choose the language of answers that everybody in this server sees")
    @app_commands.describe(language="Automatic: as this server has it on Discord")
    @app_commands.choices(language=LANGUAGE_CHOICES)
    @answers_privately
    async def language(self, interaction: discord.Interaction, language: str) -> None:
        chosen = "" if language == AUTOMATIC else language
        await self.bot.studio.server.set_language(actor_of(interaction), chosen)
        said = LANGUAGES[chosen] if chosen else _("the language that this server has on Discord")
        await whisper(interaction, _("Answers that everybody sees are in {language}.", language=said))

    model = app_commands.Group(
        name="model", description="Load, unload or test an image model (for who may pause the whole queue)"
    )

    @model.command(description="Load a model now, with a rough picture that only you see")
    @app_commands.describe(name="The model")
    async def load(self, interaction: discord.Interaction, name: str) -> None:
        await self._draw(interaction, name, _("--steps 1"))

    @model.command(description="Draw the same picture as always with a model; Details has the times")
    @app_commands.describe(name="The model")
    async def test(self, interaction: discord.Interaction, name: str) -> None:
        await self._draw(interaction, name, "")

    @model.command(description="Free the memory of a model that no job uses; the next job loads it again")
    @app_commands.describe(name="The model")
    @answers_privately
    async def unload(self, interaction: discord.Interaction, name: str) -> None:
        await self.bot.studio.server.unload(actor_of(interaction), name)
        said = _(
            "{name} leaves memory, unless a job uses it now. The next job loads it again.", name=code(name)
        )
        await whisper(interaction, said)

    @load.autocomplete("name")
    @test.autocomplete("name")
    @unload.autocomplete("name")
    async def _models(self, _: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        names = self.bot.settings.image_models
        return choices((name, name) for name in names if current.strip().lower() in name.lower())

    async def _draw(self, interaction: discord.Interaction, name: str, flags: str) -> None:
        await self.bot.studio.server.model(actor_of(interaction), name)
        text = _(
            "{trial} --model {name} --seed 1 --fast --stealth {flags}", trial=_(TRIAL), name=name, flags=flags
        )
        await self.bot.asking.imagine(interaction, text)

    @app_commands.command(description="Choose where, by whom and how strictly Atelier is used here")
    async def setup(self, interaction: discord.Interaction) -> None:
        welcome = self.bot.get_cog("Welcome")
        assert isinstance(welcome, Welcome)
        await welcome.open(interaction)

    @app_commands.command(description="Show the rules of this server")
    @answers_privately
    async def rules(self, interaction: discord.Interaction) -> None:
        actor = actor_of(interaction)
        server, settings = self.bot.studio.server, self.bot.settings
        channels, roles = await server.allowed(actor)
        lines = [
            *_listed(_("**Channels**"), channels, "<#{}>", "all"),
            *_listed(_("**Roles**"), roles, "<@&{}>", "all"),
            *_listed(_("**Alerts**"), filter(None, [await server.alerts(actor)]), "<#{}>", "nowhere"),
            *_listed(
                _("**Votes on pairs**"),
                filter(None, [(await self.bot.studio.duels.held(actor)).channel_id]),
                "<#{}>",
                "nowhere",
            ),
            *_listed(_("**Banned**"), await server.banned(actor), "<@{}>", "nobody"),
            _("**Mentions** heard") if await server.talks(actor) else _("**Mentions** not heard"),
            _("**Programs** let in") if await server.takes_programs(actor) else _("**Programs** shut out"),
            _(
                "**Each member** {user_running} running, {user_waiting} waiting · **this "
                "server** {guild_waiting} waiting",
                user_running=settings.user_running,
                user_waiting=settings.user_waiting,
                guild_waiting=settings.guild_waiting,
            ),
            _(
                "**Questions of each member** {ask_per_day} tokens a day",
                ask_per_day=_tokens(settings.ask_per_day),
            ),
        ]
        for limit in await server.role_limits(actor):
            said = _(
                "{user_running} running, {user_waiting} waiting",
                user_running=limit.user_running,
                user_waiting=limit.user_waiting,
            )
            lines.append(_("**Members with** <@&{role_id}> {said}", role_id=limit.role_id, said=said))
        for one in await server.role_tokens(actor):
            lines.append(
                _(
                    "**Members with** <@&{role_id}> {per_day} tokens a day",
                    role_id=one.role_id,
                    per_day=_tokens(one.per_day),
                )
            )
        await whisper_all(interaction, lines)

    @app_commands.command(description="Show who changed what, newest first")
    @answers_privately
    async def audit(self, interaction: discord.Interaction) -> None:
        rows = await self.bot.studio.server.audit(actor_of(interaction))
        lines = []
        for row in rows:
            said = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in row.detail.items())
            at, detail = discord.utils.format_dt(row.at, "f"), f": {code(said, 200)}" if said else ""
            lines.append(f"- {at} <@{row.actor_id}> {row.action}{_target(row)}{detail}")
        await whisper_all(interaction, lines or [_("Nobody has changed anything here yet.")])


def _target(row: AuditRow) -> str:
    """What was changed, as Discord shows people, roles and channels by name."""
    if not row.target:
        return ""
    if row.action in ("ban", "unban", "pardon", "time out"):
        return f" <@{row.target}>"
    if "role" in row.action:
        return f" <@&{row.target}>"
    return f" <#{row.target}>" if "channel" in row.action else f" `{row.target}`"


def _tokens(per_day: int) -> str:
    return f"{per_day:,}" if per_day else _("any number of")


def _one(channel: Listable | None, role: discord.Role | None):
    if (channel is None) == (role is None):
        raise UserError("Choose either a `channel` or a `role`.")
    return ("channel", channel) if channel is not None else ("role", role)


def _listed(name: str, ids: Iterable[int], form: str, none: str) -> list[str]:
    """Return the lines that list ids as Discord shows what they belong to."""
    found = [form.format(one) for one in sorted(ids)]
    lines = [", ".join(found[at : at + IN_A_LINE]) for at in range(0, len(found), IN_A_LINE)]
    return [f"{name} {lines[0] if lines else none}", *lines[1:]]


Minutes = app_commands.Range[int, 0, 40_320]  # four weeks


@app_commands.allowed_contexts(guilds=True, dms=False, private_channels=False)
class Moderation(
    AtelierCog,
    commands.GroupCog,
    name="moderation",
    description="What members may make and see in this server (Manage Server)",
):
    @app_commands.command(description="Show the moderation rules of this server")
    @answers_privately
    async def show(self, interaction: discord.Interaction) -> None:
        rules, words = await self.bot.studio.server.moderation(actor_of(interaction))
        after = _(
            "{strikes} in {window} h: a time-out of {timeout} min",
            strikes=counted(rules.strikes, "strike"),
            window=rules.window,
            timeout=rules.timeout,
        )
        flagged = "block" if rules.level == "strict" else rules.pictures
        lines = (
            _("**Level** {level}", level=rules.level),
            _("**Pictures that the classifier flags** {flagged}", flagged=flagged),
            _("**Time-outs** {after}", after=after) if rules.strikes else _("**Time-outs** none"),
            _("**Own words** {words}", words=len(words)),
            _("**Own rules** {rules}", rules=len(rules.rules)),
            _("-# Sexual content with minors is blocked at every level."),
        )
        await whisper(interaction, "\n".join(lines))

    @app_commands.command(
        description=(
            "Allow sexual content: off (anywhere), standard (in age-restricted channels), strict (nowhere)"
        )
    )
    @app_commands.describe(level="How strict it is; default: as the operator has set it")
    @answers_privately
    async def level(
        self, interaction: discord.Interaction, level: Literal["off", "standard", "strict", "default"]
    ) -> None:
        chosen = None if level == "default" else level
        rules = await self.bot.studio.server.set_moderation(actor_of(interaction), level=chosen)
        await whisper(interaction, _("The level here is {level}.", level=rules.level))

    @app_commands.command(description="Hide or block pictures that the classifier flags, at level standard")
    @app_commands.describe(treatment="What to do with them; default: as the operator has set it")
    @answers_privately
    async def pictures(
        self, interaction: discord.Interaction, treatment: Literal["spoiler", "block", "default"]
    ) -> None:
        chosen = None if treatment == "default" else treatment
        rules = await self.bot.studio.server.set_moderation(actor_of(interaction), pictures=chosen)
        await whisper(interaction, _("Such pictures: {pictures}.", pictures=rules.pictures))

    @app_commands.command(
        description="Give a time-out after this many strikes within this many hours; 0 strikes turns it off"
    )
    @app_commands.describe(
        strikes="How many strikes, 0 to 100",
        hours="Within how many hours, 1 to 720",
        minutes="How long the time-out is",
    )
    @answers_privately
    async def limits(
        self,
        interaction: discord.Interaction,
        strikes: app_commands.Range[int, 0, 100],
        hours: app_commands.Range[int, 1, 720],
        minutes: Minutes,
    ) -> None:
        await self.bot.studio.server.set_moderation(
            actor_of(interaction), strikes=strikes, window=hours, timeout=minutes
        )
        said = _(
            "{strikes} in {hours} h: {minutes} min.",
            strikes=counted(strikes, "strike"),
            hours=hours,
            minutes=minutes,
        )
        await whisper(interaction, said if strikes else _("Strikes no longer lead to time-outs."))

    @app_commands.command(
        description="Block a word, a phrase, or a pattern such as knif*, look-alike spellings included"
    )
    @app_commands.describe(word="The word, phrase or pattern")
    @answers_privately
    async def add(self, interaction: discord.Interaction, word: app_commands.Range[str, 2, 100]) -> None:
        pattern = await self.bot.studio.server.add_word(actor_of(interaction), word)
        await whisper(interaction, _("{pattern} is now on the list.", pattern=code(pattern)))

    @app_commands.command(description="Remove a word from the list")
    @app_commands.describe(word="The word as it is on the list")
    @answers_privately
    async def remove(self, interaction: discord.Interaction, word: app_commands.Range[str, 2, 100]) -> None:
        pattern, gone = await self.bot.studio.server.remove_word(actor_of(interaction), word)
        said = _("{pattern} is no longer on the list.") if gone else _("{pattern} was not on the list.")
        await whisper(interaction, said.format(pattern=code(pattern)))

    @app_commands.command(description="Show this server's own list of words")
    @answers_privately
    async def words(self, interaction: discord.Interaction) -> None:
        _unused, found = await self.bot.studio.server.moderation(actor_of(interaction))
        await whisper_all(interaction, [code(word) for word in found] or [_("The list is empty.")], ", ")

    @app_commands.command(
        description="Show, add or remove this server's own rules in sentences; only Check compares with them"
    )
    @app_commands.describe(add="A rule to add, in a sentence", remove="The number of a rule to remove")
    @answers_privately
    async def rules(
        self,
        interaction: discord.Interaction,
        add: app_commands.Range[str, 1, 200] | None = None,
        remove: app_commands.Range[int, 1, 10] | None = None,
    ) -> None:
        actor = actor_of(interaction)
        if add is not None:
            await self.bot.studio.server.add_rule(actor, add)
        if remove is not None:
            await self.bot.studio.server.remove_rule(actor, remove)
        found, _unused = await self.bot.studio.server.moderation(actor)
        lines = [f"{number}. {quote(rule)}" for number, rule in enumerate(found.rules, 1)]
        await whisper_all(interaction, lines or [_("There are no rules in sentences yet.")])

    @app_commands.command(
        description="Check which rule would block a text here, without queuing it or giving a strike"
    )
    @app_commands.describe(text="The text to check")
    @answers_privately
    async def test(self, interaction: discord.Interaction, text: app_commands.Range[str, 1, 1000]) -> None:
        plain, adult = await self.bot.studio.server.judge(actor_of(interaction), text)
        said = _(
            "Here: {plain}. In an age-restricted channel: {adult}.",
            plain=plain or "allowed",
            adult=adult or "allowed",
        )
        await whisper(interaction, said)

    @app_commands.command(description="Show a member's strikes of the last 90 days")
    @app_commands.describe(user="The member")
    @answers_privately
    async def strikes(self, interaction: discord.Interaction, user: discord.User) -> None:
        found, until = await self.bot.studio.server.strikes(actor_of(interaction), user.id)
        lines = [f"- {discord.utils.format_dt(strike.at, 'f')} {strike.rule.lower()}" for strike in found]
        lines += (
            [_("In a time-out until {until}.", until=discord.utils.format_dt(until, "f"))] if until else []
        )
        await whisper_all(
            interaction,
            [_("<@{id}> has {strikes}.", id=user.id, strikes=counted(len(found), "strike")), *lines],
        )

    @app_commands.command(description="Delete a member's strikes here and end their time-out")
    @app_commands.describe(user="The member")
    @answers_privately
    async def pardon(self, interaction: discord.Interaction, user: discord.User) -> None:
        count = await self.bot.studio.server.pardon(actor_of(interaction), user.id)
        await whisper(
            interaction,
            _("<@{id}> may use Atelier. Deleted: {strikes}.", id=user.id, strikes=counted(count, "strike")),
        )

    @app_commands.command(
        description="Choose a channel where strikes and time-outs are reported; none ends it"
    )
    @app_commands.describe(channel="Everybody who reads it sees them; leave it out for nowhere")
    @answers_privately
    async def alerts(
        self, interaction: discord.Interaction, channel: discord.TextChannel | None = None
    ) -> None:
        await self.bot.studio.server.set_alerts(actor_of(interaction), channel.id if channel else None)
        said = channel.mention if channel is not None else _("nowhere")
        await whisper(interaction, _("Strikes and time-outs are reported here: {where}.", where=said))

    @app_commands.command(description="Stop a member from using Atelier here for some minutes")
    @app_commands.describe(user="The member", minutes="How long, in minutes; 40320 is four weeks")
    @answers_privately
    async def timeout(
        self,
        interaction: discord.Interaction,
        user: discord.User,
        minutes: app_commands.Range[int, 1, 40_320],
    ) -> None:
        until = await self.bot.studio.server.time_out(actor_of(interaction), user.id, minutes)
        when = discord.utils.format_dt(until, "R")
        await whisper(interaction, _("<@{id}> may use Atelier again {when}.", id=user.id, when=when))


async def setup(bot: Atelier) -> None:
    for cog in (StudioCog, Moderation):
        await bot.add_cog(cog(bot))
