"""How the database is reached: SQLite and PostgreSQL, and what both share."""
