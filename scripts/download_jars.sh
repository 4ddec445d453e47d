#!/usr/bin/env bash
# Fetches the Java files that jars/ivy.xml names into jars/lib and compares them with jars/SHA256SUMS; instant when done.
# With `trino` the same of jars/trino, half a gigabyte. --update-sums writes SHA256SUMS anew, after a change of ivy.xml.
set -euo pipefail
project=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
"$project/scripts/setup" --quiet
exec "$project/.venv/bin/python" -P -m stack.download_jars "$@"
