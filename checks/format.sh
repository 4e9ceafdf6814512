#!/bin/bash
# Is every C++ file laid out as .clang-format says? With --fix, lays them out.
set -euo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source checks/sources.sh

arguments=(--dry-run -Werror)
if [[ ${1:-} == --fix ]]; then arguments=(-i); fi
sources '*.h' '*.cc' | xargs -0 --no-run-if-empty -P "$(nproc)" -n 16 clang-format-19 "${arguments[@]}"
