"""A bot of several connections to Discord, in one process or several."""
