"""A bot of several connections to Discord, of which this process has some."""
