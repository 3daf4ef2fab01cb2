"""What Discord shows of commands in each of our languages. Names stay English: they are typed, and guides
name them."""

import discord
from discord import app_commands
from discord.app_commands import TranslationContextLocation as Location

from core.language import LANGUAGES, SOURCE, _, known_language, speaking

AUTOMATIC = "automatic"
LANGUAGE_CHOICES = [
    app_commands.Choice(name=name, value=code) for code, name in {AUTOMATIC: "Automatic", **LANGUAGES}.items()
]
DESCRIBED = (
    Location.command_description,
    Location.group_description,
    Location.parameter_description,
    Location.choice_name,
)
SERVED = {locale: known_language(str(locale)) for locale in discord.Locale}


class CommandTranslator(app_commands.Translator):
    """Answers for every language that Discord has; None leaves the English text."""

    async def translate(
        self,
        string: app_commands.locale_str,
        locale: discord.Locale,
        context: app_commands.TranslationContextTypes,
    ) -> str | None:
        """Return a description or choice in a language, None where it is the same."""
        language = SERVED[locale]
        if language in ("", SOURCE) or context.location not in DESCRIBED:
            return None
        with speaking(language):
            found = _(string.message)
        return found if found != string.message else None
