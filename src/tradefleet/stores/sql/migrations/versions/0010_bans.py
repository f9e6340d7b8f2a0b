"""Users who were banned, and switches that the operator set."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

TIME = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    op.add_column("users", sa.Column("banned_at", TIME))
    because = sa.Column("banned_because", sa.Text, nullable=False, server_default="")
    op.add_column("users", because)
    mark = sa.Column("by_operator", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("switches", mark)
