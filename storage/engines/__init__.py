"""How the database is reached: driver, connections, the file itself, and the schema's migrations."""
