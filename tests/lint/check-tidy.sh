#!/bin/bash
# clang-tidy over the files named, two at a time; .clang-tidy says what it looks for.
#
#   tests/lint/check-tidy.sh FILE...        (`make check-tidy` names them all)
set -eu
cd "$(dirname "$0")/../.."
[ $# -gt 0 ] || { echo "usage: tests/lint/check-tidy.sh FILE..." >&2; exit 2; }
# One file a run: with several, clang-tidy 14 takes every va_list for uninitialised. What it
# says on stderr is the number of warnings in the system's headers.
printf '%s\n' "$@" | xargs -P 2 -I{} sh -c \
    'clang-tidy --quiet "$1" -- -std=gnu17 -I. 2>/dev/null || { echo "tidy: $1"; exit 1; }' tidy {}
