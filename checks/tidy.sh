#!/bin/bash
# clang-tidy over the library, the program and the headers that they include; .clang-tidy says what it looks for.
#
#   checks/tidy.sh [FILE.cc...]
set -euo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cmake --preset clang-release --log-level=WARNING >/dev/null
if (($#)); then
  printf '%s\0' "$@"
else
  find src -name '*.cc' ! -name '*_test.cc' -print0 | sort -z
fi | xargs -0 --no-run-if-empty -P "$(nproc)" -n 1 clang-tidy-19 --quiet -p build/clang-release 2> >(grep -v 'warnings\? generated\.$' >&2)
