"""What a host does about the database as a whole: its schema, and where it is."""
