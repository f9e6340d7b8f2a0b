"""Limits that the operator gave a user in place of the tier's."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column(
        "users", sa.Column("overrides", JSON, nullable=False, server_default=sa.text("'{}'"))
    )
