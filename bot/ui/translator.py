"""What Discord shows of commands in each of our languages. Names stay English: they are typed, and guides
name them."""

from typing import Any

import discord
from discord import app_commands

from core import language
from core.language import LANGUAGES, SOURCE, known_language

AUTOMATIC = "automatic"
LANGUAGE_CHOICES = [
    app_commands.Choice(name=name, value=code) for code, name in {AUTOMATIC: "Automatic", **LANGUAGES}.items()
]
SERVED = {  # Discord's languages → the one of ours that serves it
    locale.value: code
    for locale in discord.Locale
    if (code := known_language(locale.value)) not in ("", SOURCE)
}


def add_translations(told: dict[str, Any]) -> None:
    """Add to what Discord is told of a command its descriptions, and the names of its choices, in each
    language where they differ. discord.py asks a translator 33 times for each of a thousand texts, in 20 to
    130 ms at a start."""
    said = "description" if "description" in told else "name" if "value" in told else ""
    if text := told.get(said):
        texts = {code: language.catalogue(code).gettext(text) for code in set(SERVED.values())}
        others = {locale: texts[code] for locale, code in SERVED.items() if texts[code] != text}
        if others:
            told[f"{said}_localizations"] = others
    for one in (*told.get("options", ()), *told.get("choices", ())):
        add_translations(one)
