# Sourced by conformance.sh, after tests/debian/kernel_source.sh: gets the Linux kernel's iommufd selftests from Debian's source packages and
# compiles them. What is fetched stays in build/conformance; of a kernel only the few files are kept that the selftests are compiled from.

conformance=$PWD/build/conformance

# fetch_files VERSION TREE PATTERN...: build/conformance/TREE, with the files of the kernel that match; fails if the package is not to be
# had
fetch_files() { fetch_kernel_source "$conformance/apt" "$1" "$conformance/$2" --wildcards "${@:3}"; }

# fetch VERSION: build/conformance/linux-VERSION
fetch() {
  fetch_files "$1" "linux-$1" '*/tools/testing/selftests/iommu/iommufd*' '*/tools/testing/selftests/kselftest*.h' \
    '*/drivers/iommu/iommufd/iommufd_test.h' '*/include/uapi/linux/iommufd.h' '*/include/uapi/linux/vfio.h' \
    '*/include/uapi/linux/stddef.h'
}

# sanitise TREE HEADER...: the headers as the kernel's headers_install makes them for user space; all others are the system's
sanitise() {
  local tree=$conformance/$1 header
  shift
  mkdir -p "$tree/headers/linux"
  for header; do
    sed -E -e 's/([[:space:](])(__user|__force|__iomem)[[:space:]]/\1/g' \
      -e 's/(^|[[:space:](])(inline|asm|volatile)([[:space:](]|$)/\1__\2__\3/g' \
      -e '/^#include <linux\/compiler(_types)?\.h>/d' "$tree/include/uapi/linux/$header.h" >"$tree/headers/linux/$header.h"
  done
}

# compile VERSION: build/conformance/linux-VERSION/iommufd and iommufd_fail_nth, from sources as they are
compile() {
  local version=$1 tree=$conformance/linux-$1 program
  local -a flags=(-std=gnu11 -D_GNU_SOURCE= -O2 -w "-I$tree/headers" "-I$tree/tools/testing/selftests")
  if [[ -e $tree/compiled ]]; then return; fi
  # 6.12.y got lines of later kernels' selftests without the headers that they need: the missing names, with the later values
  if [[ $version == 6.12 ]] && ! grep -q IOMMU_HW_INFO_TYPE_DEFAULT "$tree/include/uapi/linux/iommufd.h"; then
    flags+=(-Din_data_type=out_data_type -DIOMMU_HW_INFO_TYPE_DEFAULT=0 -DIOMMU_HW_INFO_FLAG_INPUT_TYPE=1
      -DMOCK_FLAGS_DEVICE_PASID=4 -DMOCK_PASID_WIDTH=20)
  fi
  sanitise "linux-$version" iommufd vfio stddef
  for program in iommufd iommufd_fail_nth; do
    gcc "${flags[@]}" -o "$tree/$program" "$tree/tools/testing/selftests/iommu/$program.c" -lcap || return 1
  done
  touch "$tree/compiled"
}

# names_of PROGRAM: FIXTURE.TEST or FIXTURE.VARIANT.TEST, a line each, from the table that the harness prints: three columns, of
# which the second lists the fixture's variants and the third its tests
names_of() {
  { "$1" -l 2>&1 || true; } | awk '
    function flush(  v, t) {
      for (v = 1; v <= variants || v == 1; v++)
        for (t = 1; t <= tests; t++) print fixture "." (variants ? variant[v] "." : "") test[t]
      variants = tests = 0
    }
    /^-----/ { flush(); next }
    /^#/ { next }
    {
      rest = $0
      if (rest ~ /^[^ ]/) {
        fixture = $1
        rest = substr(rest, (length(fixture) > 20 ? length(fixture) : 20) + 2)
      } else rest = substr(rest, 22)
      if (rest ~ /^[^ ]/) {
        split(rest, words, " ")
        variant[++variants] = words[1]
        rest = substr(rest, (length(words[1]) > 25 ? length(words[1]) : 25) + 2)
      } else rest = substr(rest, 27)
      if (rest ~ /[^ ]/) { split(rest, words, " "); test[++tests] = words[1] }
    }
    END { flush() }' | grep -v '^global\.'
}
