#!/bin/bash
# docker_init.sh: what the image of Dockerfile does once its cluster is made; the official entrypoint runs it
#
#	USAGE_EVENTS_DEMO=yes	the demo's events and metrics as well
set -eu

psql=(psql -v ON_ERROR_STOP=1 -Xq --username "${POSTGRES_USER:-postgres}" --dbname "${POSTGRES_DB:-postgres}")
if [ -z "${USAGE_EVENTS_DEMO:-}" ]; then
	"${psql[@]}" -c 'CREATE EXTENSION usage_events'
	exit
fi
# The demo begins with making the extension.
cd "${USAGE_EVENTS_DEMO_FILES:-/usr/share/usage_events/demo}"
for file in one_event month metrics; do
	"${psql[@]}" -f "$file.sql"
done
