#!/bin/bash
# Functions that must not lock: no `lock` prefix, no `xchg` with memory, no `mfence` in their machine code (x86-64). What they call is
# not looked into, and neither is what the compiler has moved out of the way (.cold).
#
#   checks/hit_path.sh PROGRAM [FUNCTION...]
#
# PROGRAM: linked, with symbols: build/release/swiommu. FUNCTION: as in the source, without arguments: swiommu::Port::read. Without
# one: those of a translation that a port has kept; the guard around it is left out, because it locks where membarrier is forbidden.
set -euo pipefail
export LC_ALL=C.UTF-8
program=${1:?which program?}
shift
if (($# == 0)); then set -- swiommu::bench::translate_once swiommu::Port::find_kept swiommu::Port::serving; fi

# Address and size of each function, then its name in words.
functions=$(nm --print-size --demangle "$program" | awk '$3 ~ /^[tTwW]$/ && !/\[clone \.cold/ { print }')

failures=0
for function; do
  found=0
  while read -r address size _ name; do
    if [[ $name != "$function("* ]]; then continue; fi
    found=1
    if ! objdump --disassemble --no-show-raw-insn --start-address="0x$address" --stop-address=$((0x$address + 0x$size)) "$program" |
      awk -v name="$name" '
        /^ +[0-9a-f]+:\t/ {
          count++
          if ($0 ~ /\tlock / || $0 ~ /\tmfence/ || $0 ~ /\txchg.*\(/) {
            print "hit_path: " name " locks:" $0
            bad = 1
          }
        }
        END {
          if (count == 0) print "hit_path: " name " has no code"
          exit bad || count == 0
        }'; then
      failures=$((failures + 1))
    fi
  done <<<"$functions"
  if ((found == 0)); then
    echo "hit_path: there is no function $function in $program"
    failures=$((failures + 1))
  fi
done
exit $((failures > 0))
