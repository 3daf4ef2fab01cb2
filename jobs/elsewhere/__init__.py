"""Workers elsewhere, at the bot's end of the bus: an executor that hands runs to agents and hears of them."""
