"""What the command line runs on."""

from tradefleet.settings import load_settings
from tradefleet.stores import sql
from tradefleet.surfaces.cli.parts import Parts
from tradefleet.wiring import benches, playing, serving


def build_parts() -> Parts:
    """Give the command line everything it cannot know by itself."""
    return Parts(
        open_door=serving.open_door,
        upgrade_database=upgrade_database,
        check_database=check_database,
        serve=serving.serve,
        replay=playing.replay,
        backtest=playing.backtest,
        bench_hot_path=benches.hot_path,
        bench_journal=benches.journal,
        bench_backtest=benches.backtest,
    )


def address(db: str | None) -> str:
    return db or load_settings().database_url.get_secret_value()


async def upgrade_database(db: str | None) -> str:
    return await sql.upgrade(address(db))


async def check_database(db: str | None) -> str:
    return await sql.check(address(db))
