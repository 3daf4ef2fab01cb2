"""Programs that measure or prove what takes longer than a test: kills, attacks, load, whole walks."""
