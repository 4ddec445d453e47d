#!/usr/bin/env bash
# Prepares the source, the topics and the connector, and waits until it is RUNNING: `lake connect`, with its options and exit code.
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/lake" connect "$@"
