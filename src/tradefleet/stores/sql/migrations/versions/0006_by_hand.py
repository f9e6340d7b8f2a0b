"""Bots that trade by hand, beside the pair of the same symbol."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.drop_index("uq_bots_active", "bots")
    for name, which in (("uq_bots_active", "<>"), ("uq_bots_manual", "=")):
        there = sa.text(f"removed_at IS NULL AND strategy {which} 'manual'")
        op.create_index(
            name,
            "bots",
            ["account_id", "symbol"],
            unique=True,
            sqlite_where=there,
            postgresql_where=there,
        )
