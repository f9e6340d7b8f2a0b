#!/usr/bin/env bash
# Start the service with what .env and the environment say; make installs what is missing.
set -euo pipefail
cd "$(dirname "$0")"
make --no-print-directory install
exec .venv/bin/tradefleet serve "$@"
