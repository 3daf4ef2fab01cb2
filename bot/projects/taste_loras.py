"""LoRAs of tastes in Discord: what there is of one, and pairs of pictures of which one was drawn with it.

``tl:<folder or me>:<action>:<pair>`` is a button of one, whose taste is the presser's."""

import io
from functools import partial
from typing import Any

import discord

from bot.discord_api.interactions import acknowledge, actor_of, press_key
from bot.ui.buttons import Danger, KeptItem, Secondary, Success, view_of
from bot.ui.messages import quote
from bot.ui.replies import SILENT
from core.language import N_, _
from core.prompt.values import OWN
from studio.taste_loras import told_of_lora
from studio.texts import code

LABELS = {
    "train": N_("Make it strong"),
    "again": N_("Train again"),
    "compare": N_("Compare blind"),
    "pair": N_("Choose blind"),
    "on": N_("Turn on"),
    "off": N_("Turn off"),
    "open": N_("Compare blind"),
    "forget": N_("Delete the LoRA"),
    "sure": N_("Delete it for good"),
}


class LoraButton(
    KeptItem,
    template=r"tl:(?P<source>me|[a-z2-9]{12}):(?P<action>[a-z]+):(?P<pair>[0-9]{0,2})",
):
    """A button of a taste's LoRA. source: the taste, by the id of its folder. pair: its number."""

    def __init__(self, source: str, action: str, pair: int | str = "") -> None:
        look = Danger if action == "sure" else Success if action in ("train", "pair", "open") else Secondary
        shown = {"first": 1, "second": 2}.get(action)
        label = _("Picture {n}", n=shown) if shown else _(LABELS.get(action, action))
        super().__init__(discord.ui.Button(label=label, style=look, custom_id=f"tl:{source}:{action}:{pair}"))
        self.source, self.action, self.pair = source, action, str(pair)

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        studio, actor = client.studio, actor_of(interaction)
        if self.action in ("train", "again"):
            build = partial(studio.taste_loras.train, actor, self.source)
            await client.answers.ask(interaction, build, press_key=press_key(interaction), private=True)
            return
        if self.action == "open":
            if not await acknowledge(interaction, ephemeral=True):
                return
        else:
            await interaction.response.defer()
        if self.action in ("first", "second"):
            first = self.action == "first"
            await studio.taste_loras.choose(actor, self.source, int(self.pair), first=first)
        if self.action in ("first", "second", "pair"):
            await show_pair(studio, interaction, self.source)
            return
        match self.action:
            case "compare":
                await studio.compare_taste(actor, self.source)
            case "on" | "off":
                await studio.taste_loras.turn(actor, self.source, on=self.action == "on")
            case "sure":
                await studio.taste_loras.forget(actor, self.source)
        await show_lora(studio, interaction, self.source, sure=self.action == "forget")


async def show_lora(
    studio: Any, interaction: discord.Interaction[Any], name: str = OWN, *, sure: bool = False
) -> None:
    """Show a taste's LoRA in the answer of a deferred interaction. sure: ask whether it is to be deleted.
    Raises UserError."""
    card = await studio.taste_loras.card(actor_of(interaction), name)
    typed = "--p" if card.name == OWN else f"--p {card.name}"
    text = "\n".join([f"**{code(typed)}**", *told_of_lora(card)])
    if sure:
        text += "\n" + _("What was trained is permanently deleted; your pictures and hearts are kept.")
    found = ["again" if card.version else "train"] if card.can_train else []
    if card.version is not None:
        found.append("pair" if card.left or card.drawing else "compare")
        found.append("off" if card.is_on else "on")
    if card.project_id:
        found.append("sure" if sure else "forget")
    view = view_of(*(LoraButton(card.source, action) for action in found))
    await interaction.edit_original_response(content=text, attachments=[], view=view, allowed_mentions=SILENT)


async def show_pair(studio: Any, interaction: discord.Interaction[Any], name: str) -> None:
    """Show the next pair to choose from in the answer of a deferred interaction, or what came of all. Raises
    UserError."""
    pair = await studio.taste_loras.pair(actor_of(interaction), name)
    if pair is None:
        await show_lora(studio, interaction, name)
        return
    said = _(
        "**Pair {number} of {of}.** Which do you like more? One was drawn with the LoRA.",
        number=pair.number,
        of=pair.of,
    )
    files = [
        discord.File(io.BytesIO(data), f"{number}.webp", description=_("Picture {n}", n=number))
        for number, data in enumerate((pair.first, pair.second), 1)
    ]
    view = view_of(*(LoraButton(name, action, pair.position) for action in ("first", "second")))
    await interaction.edit_original_response(
        content=f"{said}\n-# {quote(pair.prompt, 200)}", attachments=files, view=view, allowed_mentions=SILENT
    )
