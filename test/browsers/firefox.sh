#!/bin/sh
# Playwright has Firefox end with the first tab that crashes; here it goes on, as it does for a user.
unset MOZ_CRASHREPORTER MOZ_CRASHREPORTER_NO_REPORT MOZ_CRASHREPORTER_SHUTDOWN
export MOZ_CRASHREPORTER_DISABLE=1
exec "$TIDEMARK_FIREFOX" "$@"
