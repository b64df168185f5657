#!/usr/bin/env bash
# Installs pgbouncer, which the benchmarks hold pgveil against. Run by make where it is missing (Debian; root or sudo).
set -euo pipefail

as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)
"${as_root[@]}" apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends pgbouncer
