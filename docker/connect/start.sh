#!/usr/bin/env bash
# Writes the file from which connectors may take secrets, then becomes the image's own start with the arguments given.
set -euo pipefail

file=$CONNECT_CONFIG_PROVIDERS_FILE_PARAM_ALLOWED_PATHS
(umask 077 && printf 'cdc.password=%s\n' "${LAKE_CDC_PASSWORD//\\/\\\\}" >"$file")
unset LAKE_CDC_PASSWORD
exec "${CONNECT_START:-/docker-entrypoint.sh}" "$@"
