"""Run by Alembic inside the connection that ``storage.database`` hands it, everything in one transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
