"""Alembic's entry: runs migrations on the connection, and in the transaction, it is given."""

from alembic import context

from tradefleet.stores.sql.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=True,
)
context.run_migrations()
