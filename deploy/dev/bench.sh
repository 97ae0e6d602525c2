#!/bin/sh
# make bench: measures a built program on SQLite and on PostgreSQL. Usage: deploy/dev/bench.sh bin/gatehouse [flags of deploy/dev/bench]
set -eu
bin=$1
shift
exec go run ./deploy/dev/bench -bin "$bin" "$@"
