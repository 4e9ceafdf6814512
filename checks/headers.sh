#!/bin/bash
# Does every public header compile alone, with nothing but include/ to look into? Those for C programs as C too.
#
#   checks/headers.sh [compiler, g++ if not given]
set -euo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# two includes: a header without #pragma once fails too
compile_alone() {
  local languages=(c++23) language
  if [[ $2 == swiommu/uapi/* || $2 == swiommu/hardware/zpci_in* ]]; then languages+=(c11); fi
  for language in "${languages[@]}"; do
    printf '#include "%s"\n#include "%s"\n' "$2" "$2" |
      "$1" -std="$language" -Iinclude -Wall -Wextra -Wpedantic -Wshadow -Wno-missing-field-initializers -Werror -fsyntax-only \
        -x "${language%[0-9][0-9]}" - ||
      { echo "include/$2 does not compile alone with $1 as $language"; return 1; }
  done
}
export -f compile_alone
find include -name '*.h' -printf '%P\0' | sort -z |
  xargs -0 --no-run-if-empty -P "$(nproc)" -I{} bash -c 'compile_alone "$@"' headers "${1:-g++}" {}
