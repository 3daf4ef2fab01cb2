"""/imagine: pictures from words, with an optional picture to start from."""

from __future__ import annotations

from dataclasses import replace

import discord
from discord import app_commands
from discord.ext import commands

from bot import actions
from bot.client import Atelier
from bot.hints import Hints
from core.errors import PromptError
from core.prompt import Prompt, parse
from core.requests import MAX_PROMPT


class Imagine(commands.Cog):
    def __init__(self, bot: Atelier) -> None:
        self.bot = bot
        self.hints = Hints.of(bot.settings)

    @app_commands.command(description="Four pictures from your words")
    @app_commands.describe(
        prompt="What you want to see; --ar 3:2, --no blue, --seed 5 and more go at the end (see /help)",
        image="A picture to start from",
    )
    async def imagine(
        self,
        interaction: discord.Interaction,
        prompt: str,
        image: discord.Attachment | None = None,
    ) -> None:
        parsed = _read(prompt, image is not None)
        job = await self.bot.ask(interaction, lambda: self._build(parsed, image, interaction.user.id))
        if job is not None:
            await self.bot.delivery.shown_once(job.id)
            await self.hints.once(interaction, self.bot.queue)

    async def _build(self, prompt: Prompt, image: discord.Attachment | None, user_id: int) -> actions.Ask:
        if image is None:
            return actions.imagine_prompt(prompt, seed=actions.new_seed())
        taken = await self.bot.intake.take(image, user_id)
        ask = actions.imagine_prompt(prompt, seed=actions.new_seed())
        return replace(ask, request=replace(ask.request, image=taken.sha256))  # type: ignore[type-var]

    @imagine.autocomplete("prompt")
    async def _prompts(self, interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        recent = await self.bot.queue.recent_prompts(interaction.user.id, current, limit=10)
        known = [text for text in self.hints.suggest(current) if text not in recent]
        return [app_commands.Choice(name=text[:100], value=text[:MAX_PROMPT]) for text in [*recent, *known][:25] if text.strip()]


def _read(text: str, has_image: bool) -> Prompt:
    prompt = parse(text)
    if not prompt.text:
        raise PromptError("The prompt is empty. Say what you want to see, for example `a red house in the snow`.")
    if prompt.strength is not None and not has_image:
        raise PromptError("`--strength` says how far to move from a picture; attach one as `image`, or leave it out.")
    return prompt


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Imagine(bot))
