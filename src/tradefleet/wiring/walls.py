"""How the second wall between users stands, said at the start where it matters."""

import logging

from tradefleet.domain.errors import StoreError
from tradefleet.settings import Environment, Settings
from tradefleet.stores.sql.roles import look_at_wall

logger = logging.getLogger(__name__)


async def warn_of_walls(settings: Settings, db: str | None) -> None:
    """Warn in production when the database's role is one that row-level security does not bind."""
    if settings.environment is not Environment.PRODUCTION:
        return
    try:
        wall = await look_at_wall(db or settings.database_url.get_secret_value())
    except StoreError as error:
        logger.warning("it is not known how the wall between users stands: %s", error)
        return
    for problem in wall.problems() if wall is not None else []:
        logger.warning("%s", problem)
