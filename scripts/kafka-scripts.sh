#!/usr/bin/env bash
# consume|list|describe|lag TOPIC: `lake kafka`, which reads committed records only. `--help` after a verb explains it.
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/lake" kafka "$@"
