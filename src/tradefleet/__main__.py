"""Start the command line."""

from tradefleet.surfaces.cli.app import build_app
from tradefleet.wiring.parts import build_parts


def main() -> None:
    build_app(build_parts())()


if __name__ == "__main__":
    main()
