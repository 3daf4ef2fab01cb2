"""Workers elsewhere: what a bot's process and an agent's open, the rights on the bus, its checks."""
