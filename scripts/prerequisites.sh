#!/bin/sh
# Checks what has to be on the machine before anything is built: Python 3.9, a C compiler (one library, the
# TLS one, holds C code), Rust and, with --test, cargo-nextest. What Debian packages is installed when root;
# everybody else is told the command. Never sudo. Exit code 2: something must be installed first.
set -eu
cd "$(dirname "$0")/.."
nextest_version=0.9.143
rust_version=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)

say() { printf '%s\n' "$*" >&2; }

# older A B: whether version A comes before version B
older() { [ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

missing=""
command -v python3 >/dev/null 2>&1 || missing="$missing python3"
if ! command -v cc >/dev/null 2>&1 && ! command -v gcc >/dev/null 2>&1 && ! command -v clang >/dev/null 2>&1; then
  missing="$missing gcc libc6-dev"
fi
if [ -n "$missing" ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    say "Missing:$missing. Running as root: apt-get install -y --no-install-recommends$missing"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    { apt-get update -q && apt-get install -y --no-install-recommends $missing; } >&2 </dev/null
  else
    say "Missing:$missing. Install it, then run the same command again:"
    say "    sudo apt-get install -y --no-install-recommends$missing"
    exit 2
  fi
fi

# For the tests with clocks that jump; without it they say that they are skipped.
if [ "${1:-}" = --test ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 \
  && ! ls /usr/lib/*/faketime/libfaketimeMT.so.1 >/dev/null 2>&1; then
  say "Running as root: apt-get install -y --no-install-recommends libfaketime"
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update -q && apt-get install -y --no-install-recommends libfaketime; } >&2 </dev/null \
    || say "libfaketime could not be installed; the tests with clocks that jump are skipped."
fi

# For the test of an application in a browser; without it that test says that it is skipped.
if [ "${1:-}" = --test ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 && ! command -v chromium >/dev/null 2>&1; then
  say "Running as root: apt-get install -y --no-install-recommends chromium"
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update -q && apt-get install -y --no-install-recommends chromium; } >&2 </dev/null \
    || say "chromium could not be installed; the test of an application in a browser is skipped, and fails where CI is set."
fi

if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))'; then
  say "Python 3.9 or newer is needed; $(python3 --version) is here."
  exit 2
fi

if ! command -v cargo >/dev/null 2>&1 && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
  PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
  say "cargo is in ${CARGO_HOME:-$HOME/.cargo}/bin, which is not in PATH; run: . \"${CARGO_HOME:-$HOME/.cargo}/env\""
  exit 2
fi
if ! command -v cargo >/dev/null 2>&1; then
  say "Missing: Rust $rust_version or newer. Install it with rustup (https://rustup.rs), open a new shell, and"
  say "run the same command again. (The Rust that Debian and Ubuntu package is often older than $rust_version.)"
  exit 2
fi
found=$(rustc --version | cut -d ' ' -f 2 | cut -d - -f 1)
if older "$found" "$rust_version"; then
  say "Rust $rust_version or newer is needed and $found is here. With rustup: rustup update stable"
  exit 2
fi

if [ "${1:-}" = --test ] && ! cargo nextest --version >/dev/null 2>&1; then
  say "Missing: cargo-nextest, which runs the tests. Building it (some minutes, once):"
  say "    cargo install cargo-nextest --locked --version $nextest_version"
  cargo install cargo-nextest --locked --version "$nextest_version" >&2
fi
