"""The second wall closed: who says neither a user nor that they work for the system sees nothing.

What stands on PostgreSQL is in policies.py and roles.py, put up anew by every upgrade.
"""

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Change no table; that there is something to upgrade has the policies made anew."""
