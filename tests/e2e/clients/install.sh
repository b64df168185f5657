#!/usr/bin/env bash
# Installs the clients that `make test-clients` runs: Debian's packages by apt-get, node's by npm, and by pip drivers' test
# suites and PostgreSQL's regression scripts into .venv/clients. What is there already is left alone. Run by make, in
# the checkout's directory.
set -euo pipefail

target=.venv/clients
here=tests/e2e/clients
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)

packages=(
  libpostgresql-jdbc-java odbc-postgresql python3-pyodbc libdbd-pg-perl postgresql-client
  libpq-dev gcc # pip asks the source of psycopg2 what it is, and that asks pg_config
)
command -v javac > /dev/null || packages+=(default-jdk-headless)
command -v npm > /dev/null || packages+=(nodejs npm)

missing=()
for package in "${packages[@]}"; do
  dpkg -s "$package" 2> /dev/null | grep -q '^Status: install ok installed' || missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ]; then
  echo "test-clients: installing ${missing[*]}"
  "${as_root[@]}" apt-get update -q
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
fi

mkdir -p "$target"
if ! cmp -s "$here/package-lock.json" "$target/package-lock.json"; then
  cp "$here/package.json" "$target/package.json"
  cp "$here/package-lock.json" "$target/package-lock.json.new"
  (cd "$target" && mv package-lock.json.new package-lock.json && npm ci --ignore-scripts --no-audit --no-fund) \
    || { rm -f "$target/package-lock.json"; exit 1; }
fi

# The suites of the very versions that are installed, by the hashes that pin those.
suite() { # name of the suite, name of the package, requirements file, where its source has the suite
  local pinned version
  pinned=$(sed -n "/^$2==/,/[^\\\\]\$/p" "$3")
  version=$(sed -n "s/^$2==\([^ ]*\).*/\1/p" <<< "$pinned")
  [ ! -e "$target/suites/$1/$version" ] || return 0
  rm -rf "$target/suites/$1" "$target/unpacked"
  mkdir -p "$target/suites/$1" "$target/unpacked"
  echo "$pinned" > "$target/unpacked/pinned.txt"
  .venv/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --no-binary "$2" --require-hashes \
    -r "$target/unpacked/pinned.txt" -d "$target/unpacked"
  tar -xzf "$target/unpacked/"*.tar.gz -C "$target/unpacked"
  mv "$target/unpacked/"*/"$4" "$target/suites/$1/"
  rm -rf "$target/unpacked"
  touch "$target/suites/$1/$version"
}
suite asyncpg asyncpg requirements.txt tests
suite psycopg2 psycopg2-binary requirements-dev.txt tests
suite pg8000 pg8000 requirements.txt test
suite regress postgast requirements.txt vendor/libpg_query/test/sql/postgres_regress # the grammar is tested with them

# What pg8000's suite imports besides.
if ! cmp -s "$here/requirements.txt" "$target/python/requirements.txt"; then
  rm -rf "$target/python"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
    -r "$here/requirements.txt" --target "$target/python"
  cp "$here/requirements.txt" "$target/python/requirements.txt"
fi
