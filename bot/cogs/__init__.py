"""The commands. ``EXTENSIONS`` names every module of this folder that the bot loads."""

EXTENSIONS = (
    "bot.cogs.imagine",
    "bot.cogs.variation",
    "bot.cogs.outpaint",
    "bot.cogs.describe",
    "bot.cogs.classify",
    "bot.cogs.uploads",
    "bot.cogs.queue",
    "bot.cogs.studio",
    "bot.cogs.moderation",
    "bot.cogs.privacy",
    "bot.cogs.show",
    "bot.cogs.help",
)
