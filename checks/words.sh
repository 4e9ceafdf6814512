#!/bin/bash
# Words that may not appear: synonyms that the glossary rules out, names that say nothing, and places that exist on one
# machine only.
set -euo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source checks/sources.sh
failures=0

# refuse WHY PATTERN [FILE...]: FILE are path patterns where it may appear
refuse() {
  local why=$1 pattern=$2 file match found
  shift 2
  while IFS= read -r -d '' file; do
    for match in ./checks/words.sh "$@"; do
      if [[ $file == $match ]]; then continue 2; fi
    done
    if found=$(grep -nP -- "$pattern" "$file"); then
      printf '%s: %s:\n%s\n' "$file" "$why" "$found"
      failures=$((failures + 1))
    fi
  done < <(sources '*.h' '*.cc' '*.c' '*.md' '*.txt' '*.cmake' '*.sh' '*.json' dev run)
}

refuse "manuals number the two tables in opposite orders; say paging domain, nested domain, user page table, parent" \
  '(?i)(?<!VT-d |vtd-|Arm |arm-|RISC-V |riscv-)\b((first|second|g)[- ]stage|stage[- ]?[12])\b' \
  './include/swiommu/page_table/format*' './src/page_table/format*' './src/page_table/formats/*' \
  './include/swiommu/hardware/*' './src/hardware/*' './src/iommufd/drivers/*' './docs/*' \
  './src/profile/format_names.*' './src/profile/smmuv3_*' '*_test.cc' '*_fixture.h' './tests/*'
refuse "a path of one machine" '(?<![\w.$}/-])/(work|home|root|Users)/'
refuse "an unfinished thought; finish it, or say in docs/ what is missing" '\b(TODO|FIXME|XXX|HACK)\b'
refuse "merge conflict" '^(<<<<<<<|>>>>>>>)( |$)'
refuse "trailing blanks" '[ \t]+$' './CHANGELOG.md'

while IFS= read -r -d '' file; do
  echo "$file: the name does not say what is in it"
  failures=$((failures + 1))
done < <(sources '*utils*' '*util.*' '*helper*' '*common*' '*misc*')

exit $((failures > 0))
