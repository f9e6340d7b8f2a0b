"""What all tables share: the registry they are in, and columns that many of them have.

Constraints are named by rule, so that a migration can name them too. Every row of a user
carries user_id, and references between a user's rows include it: a row can never point to
another user's.
"""

from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, MetaData, Text

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite counts up by itself only in a column declared INTEGER.
Number = BigInteger().with_variant(Integer(), "sqlite")


def text(name: str, *rest: Any, **options: Any) -> Column[Any]:
    """Return a text column that is never null."""
    return Column(name, Text, *rest, nullable=False, **options)


def number_key() -> Column[Any]:
    """Return a primary key that counts up."""
    return Column("id", Number, primary_key=True, autoincrement=True)


def owner(**options: Any) -> Column[Any]:
    """Return the column of the user whose row it is."""
    return text("user_id", ForeignKey("users.id"), **options)
