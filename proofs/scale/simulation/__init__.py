"""A thousand machines that draw nothing, on a real bus and a real database, and the studio's own programs."""
