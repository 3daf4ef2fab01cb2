"""Discord and only Discord: commands, buttons, delivery. Loads no torch."""
