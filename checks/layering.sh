#!/bin/bash
# Holds the folders of include/swiommu and src to their order: a folder includes only from itself and from the folders
# above it. Tests (*_test.cc) and what they share (*_fixture.h) may include anything; nothing else includes a fixture.
#
#   checks/layering.sh [root of the tree]
set -euo pipefail
export LC_ALL=C.UTF-8

layers="uapi base memory page_table domain device hardware profile iommufd vfio run bench tools"

cd "${1:-$(dirname "${BASH_SOURCE[0]}")/..}"
folders=()
for folder in include/swiommu src; do
  if [[ -d $folder ]]; then folders+=("$folder"); fi
done
if ((${#folders[@]} == 0)); then
  echo "layering: neither include/swiommu nor src in $PWD" >&2
  exit 2
fi

find "${folders[@]}" -mindepth 2 -type f \( -name '*.h' -o -name '*.cc' \) ! -name '*_test.cc' ! -name '*_fixture.h' -print0 | sort -z |
  xargs -0 --no-run-if-empty awk -v layers="$layers" '
    BEGIN {
      count = split(layers, name, " ")
      for (i = 1; i <= count; i++) rank[name[i]] = i
      failures = 0
    }
    function refuse(why) {
      printf "%s:%d: %s\n", FILENAME, FNR, why
      failures++
    }
    FNR == 1 {
      inside = FILENAME
      sub(/^(include\/swiommu|src)\//, "", inside)
      layer = inside
      sub(/\/.*/, "", layer)
      if (!(layer in rank)) refuse("the folder " layer " has no place in the order of layers: " layers)
    }
    /^[ \t]*#[ \t]*include/ {
      target = $0
      if (!sub(/^[ \t]*#[ \t]*include(_next)?[ \t]*["<]/, "", target)) {
        refuse("an include that is no name in quotes or brackets")
        next
      }
      quoted = ($0 ~ /^[^<"]*"/)
      sub(/[">].*/, "", target)
      ours = sub(/^swiommu\//, "", target)
      to = target
      sub(/\/.*/, "", to)
      if (target !~ /\//) to = ""
      if (target ~ /(^|\/)\.\.?\//) {
        refuse("\"" target "\" is relative: write it from include/ or src/")
      } else if (to in rank) {
        if ((layer in rank) && rank[to] > rank[layer]) {
          refuse(layer " must not include from " to ": \"" target "\"")
        } else if (inside ~ /^page_table\/formats\// && to == "page_table" && target !~ /^page_table\/formats\// &&
                   target !~ /^page_table\/(format|geometry|attributes|fault|format_configuration)\.h$/) {
          refuse("a format knows entries, not trees: \"" target "\" is part of the engine")
        }
        if (target ~ /_fixture\.h$/) refuse("only tests include a fixture: \"" target "\"")
        if (ours == 0 && FILENAME ~ /^include\//) refuse("a public header must not include a private one: \"" target "\"")
      } else if (ours) {
        refuse("\"swiommu/" target "\" belongs to no layer")
      } else if (quoted) {
        refuse("\"" target "\" belongs to no layer; headers of other projects are included with <>")
      }
    }
    END { exit failures > 0 }'
