"""What Alembic runs: the caller's own connection and transaction, never a URL of its own."""

from alembic import context

from assistant.adapters.sql_schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
