#!/bin/sh
# Starts an agent that puts itself into the background, as ssh-agent does, and
# forgets to stop it.
set -eu
setsid sleep 1000 >/dev/null 2>&1 &
agent=$!
kill -0 "$agent"
if [ -n "${STOP_AGENT-}" ]; then
	kill "$agent"
fi
echo passed
