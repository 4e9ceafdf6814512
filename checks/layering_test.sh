#!/bin/bash
# Proves that layering.sh fails when an include points the wrong way, and only then.
set -euo pipefail
check=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/layering.sh
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failures=0

# expect accepted|refused FILE INCLUDE-LINE: a tree with one file of one line
expect() {
  local wanted=$1 file=$2 line=$3 got=accepted output
  rm -rf "${tree:?}"/*
  mkdir -p "$tree/src/base" "$tree/$(dirname "$file")"
  printf '#pragma once\n%s\n' "$line" >"$tree/$file"
  if ! output=$("$check" "$tree" 2>&1); then got=refused; fi
  if [[ $got == refused && $output != *"$file:2: "* ]]; then got="refused without saying where"; fi
  if [[ $got != "$wanted" ]]; then
    echo "layering_test: $file with $line was $got, not $wanted"
    failures=$((failures + 1))
  fi
}

# downwards and sideways
expect accepted src/domain/paging.cc '#include "page_table/walk.h"'
expect accepted src/domain/paging.cc '#include "swiommu/base/range.h"'
expect accepted src/domain/paging.cc '#include "domain/area.h"'
expect accepted src/tools/main.cc '#include "swiommu/device/port.h"'
expect accepted src/tools/subcommands/bench.cc '#include "bench/session.h"'
expect accepted src/hardware/vtd/root.cc '#include "hardware/vtd/root.h"'
expect accepted include/swiommu/device/port.h '#include "swiommu/domain/nested.h"'
expect accepted src/memory/image.cc '#include <libelf.h>'
expect accepted src/base/bits.h '#include <sys/mman.h>'
# what Linux says, for everybody
expect accepted src/base/result.cc '#include "swiommu/uapi/iommufd.h"'
expect refused include/swiommu/uapi/iommufd.h '#include "swiommu/base/bits.h"'
# a test may look at everything
expect accepted src/base/range_test.cc '#include "device/port.h"'
expect accepted src/page_table/formats/amd_v1_test.cc '#include "page_table/map.h"'
expect accepted src/hardware/vtd/unit_fixture.h '#include "tools/print.h"'

# upwards, in both forms, in both trees, however it is written
expect refused src/base/range.cc '#include "memory/image.h"'
expect refused src/base/range.cc '#include "swiommu/memory/image.h"'
expect refused include/swiommu/base/range.h '#include "swiommu/memory/image.h"'
expect refused src/memory/image.cc '#include "page_table/format.h"'
expect refused src/memory/image.cc '#include "swiommu/page_table/fault.h"'
expect refused src/page_table/walk.h '#include "swiommu/domain/nested.h"'
expect refused src/domain/nested.cc '  #  include "device/port.h"'
expect refused src/domain/nested.cc '#include <swiommu/device/port.h>'
expect refused src/device/port.cc '#include "hardware/vtd/root.h"'
expect refused src/hardware/vtd/root.cc '#include "tools/print.h"'
expect refused src/bench/session.cc '#include "tools/output.h"'
expect refused src/device/port.cc '#include "bench/session.h"'
expect refused src/iommufd/map.cc '#include "swiommu/vfio/device.h"'

# inside page_table
expect accepted src/page_table/formats/amd_v1.h '#include "page_table/format.h"'
expect accepted src/page_table/formats/amd_v1.h '#include "page_table/formats/x86_64.h"'
expect accepted src/page_table/formats/amd_v1.h '#include "swiommu/page_table/attributes.h"'
expect accepted src/page_table/map.h '#include "page_table/formats/amd_v1.h"'
expect refused src/page_table/formats/amd_v1.h '#include "page_table/walk.h"'
expect refused src/page_table/formats/amd_v1.h '#include "page_table/map.h"'
expect refused src/page_table/formats/amd_v1.h '#include "swiommu/page_table/walk.h"'

# what belongs to tests
expect refused src/hardware/vtd/root.cc '#include "hardware/vtd/unit_fixture.h"'

# what cannot be judged is refused
expect refused include/swiommu/domain/nested.h '#include "page_table/walk.h"'
expect refused src/domain/nested.cc '#include "../device/port.h"'
expect refused src/domain/nested.cc '#include "nested.h"'
expect refused src/domain/nested.cc '#include "swiommu/port.h"'
expect refused src/domain/nested.cc '#include SOME_HEADER'

# a folder that is not in the order
rm -rf "${tree:?}"/*
mkdir -p "$tree/src/miscellaneous"
echo '#pragma once' >"$tree/src/miscellaneous/a.h"
if "$check" "$tree" >/dev/null 2>&1; then
  echo "layering_test: a folder without a place in the order was accepted"
  failures=$((failures + 1))
fi

exit $((failures > 0))
