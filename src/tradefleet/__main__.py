"""Start the command line."""

from tradefleet.operations.logs.starting import show_logs
from tradefleet.surfaces.cli.app import build_app
from tradefleet.wiring.parts import build_parts


def main() -> None:
    show_logs()
    build_app(build_parts())()


if __name__ == "__main__":
    main()
