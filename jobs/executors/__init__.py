"""Where a run is done: on workers of this machine, or by a chat server; one interface for all."""
