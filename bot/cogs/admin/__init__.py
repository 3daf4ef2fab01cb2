"""Commands for a server's managers and the host."""
