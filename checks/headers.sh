#!/bin/bash
# Does every public header compile alone, with nothing but include/ to look into?
#
#   checks/headers.sh [compiler, g++ if not given]
set -euo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# two includes: a header without #pragma once fails too
find include -name '*.h' -printf '%P\0' | sort -z |
  xargs -0 --no-run-if-empty -P "$(nproc)" -I{} bash -c '
    printf "#include \"%s\"\n#include \"%s\"\n" "$2" "$2" |
      "$1" -std=c++23 -Iinclude -Wall -Wextra -Wpedantic -Wshadow -Wno-missing-field-initializers -Werror -fsyntax-only -x c++ - ||
      { echo "include/$2 does not compile alone with $1"; exit 1; }' headers "${1:-g++}" {}
