"""Ask Kraken about the master's and the members' keys: another name of `check connections`."""

import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    program = Path(__file__).parent / ".venv" / "bin" / "tradefleet"
    sys.exit(subprocess.call([program, "check", "connections", *sys.argv[1:]]))
