#!/bin/bash
# What is preloaded into foreign programs needs libc and nothing else, from glibc 2.36 on, and shows them only names that it is
# meant to take over.
#
#   tests/run/preloaded_library.sh LIBRARY NAMES
set -euo pipefail
export LC_ALL=C.UTF-8
library=$1 names=$2
failures=0
fail() {
  echo "$library: $*" >&2
  failures=1
}

while read -r needed; do
  case $needed in
    libc.so.6 | ld-linux-*.so.*) ;;
    *) fail "needs $needed" ;;
  esac
done < <(readelf --dynamic --wide "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')

newest=$(readelf --version-info --wide "$library" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -n 1)
if [[ $(printf '%s\n' "$newest" GLIBC_2.36 | sort -V | tail -n 1) != GLIBC_2.36 ]]; then fail "needs $newest"; fi

exported=$(readelf --dyn-syms --wide "$library" | awk '$7 != "UND" && $7 != "ABS" && $5 ~ /GLOBAL|WEAK/ { print $8 }' | sort)
wanted=$(grep '^[a-zA-Z_]' "$names" | sort)
if [[ $exported != "$wanted" ]]; then
  fail "exports other names than it is meant to:"
  diff <(echo "$wanted") <(echo "$exported") >&2 || true
fi
exit $failures
