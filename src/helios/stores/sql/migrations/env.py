"""Run by alembic: applies migrations on the connection it is given."""

from alembic import context

from helios.stores.sql.migrations import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
