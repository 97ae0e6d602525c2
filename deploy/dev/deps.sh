#!/bin/sh
# Installs what the tests need and does not have yet: a PostgreSQL server, Chromium and a C compiler for the race detector. Debian and Ubuntu.
set -eu
want=
command -v gcc >/dev/null || want="$want gcc libc6-dev"
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null || want="$want postgresql"
command -v chromium >/dev/null || want="$want chromium"
[ -n "$want" ] || exit 0
if ! command -v apt-get >/dev/null; then
	echo "Please install:$want" >&2
	exit 1
fi
root=
[ "$(id -u)" = 0 ] || root=sudo
$root apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq --no-install-recommends $want
