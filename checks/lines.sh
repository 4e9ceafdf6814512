#!/bin/bash
# No file above 400 lines: such a file wants splitting.
set -euo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source checks/sources.sh

sources '*.h' '*.cc' '*.c' '*.cmake' '*.sh' CMakeLists.txt dev run | xargs -0 --no-run-if-empty awk '
  FNR == 401 { printf "%s is longer than 400 lines\n", FILENAME; failures++ }
  END { exit failures > 0 }'
