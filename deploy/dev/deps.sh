#!/bin/sh
# Installs what the tests need and this machine does not have yet: a PostgreSQL server, Chromium without its windows, Node.js 20 and a C compiler for the race detector, from Debian or Ubuntu;
# and the libraries of interop/package-lock.json, axe-core among them, from the npm registry. Without Node.js 20 the tests of those libraries are skipped, except in CI.
set -eu
want=
command -v gcc >/dev/null || want="$want gcc libc6-dev"
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null || want="$want postgresql"
command -v chromium-headless-shell >/dev/null || want="$want chromium-headless-shell"
command -v node >/dev/null || want="$want nodejs"
command -v npm >/dev/null || want="$want npm"
# The pictures of docs/screens have this font; tests do not need it.
! command -v apt-get >/dev/null || [ -e /usr/share/fonts/opentype/inter/Inter-Regular.otf ] || want="$want fonts-inter"
if [ -n "$want" ]; then
	if ! command -v apt-get >/dev/null; then
		echo "Please install:$want" >&2
		exit 1
	fi
	root=
	[ "$(id -u)" = 0 ] || root=sudo
	$root apt-get update -qq
	# Where it does not come without its windows, the whole browser does as well; it takes three times as long.
	if ! apt-cache show chromium-headless-shell >/dev/null 2>&1; then
		want=$(echo "$want" | sed 's/chromium-headless-shell/chromium/')
	fi
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq --no-install-recommends $want
fi

cd "$(dirname "$0")/interop"
if ! node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)'; then
	echo "Node.js $(node --version) is too old for deploy/dev/interop, which needs version 20." >&2
	[ "${CI:-}" != true ] || exit 1
	exit 0
fi
# npm writes its own copy of the lock file last.
if [ ! node_modules/.package-lock.json -nt package-lock.json ]; then
	npm ci --silent --no-audit --no-fund
	touch node_modules/.package-lock.json
fi
