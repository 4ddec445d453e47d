#!/usr/bin/env bash
# Fetches the Java files that jars/ivy.xml names into jars/lib and compares them with jars/SHA256SUMS; instant when done.
# --update-sums writes jars/SHA256SUMS anew, after a change of jars/ivy.xml.
set -euo pipefail
project=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
"$project/scripts/setup" --quiet
exec "$project/.venv/bin/python" -P -m stack.download_jars "$@"
