"""Workers elsewhere, at their own end of the bus: the agent of a machine, and what it and the bot say to each
other."""
