# To be sourced after sources.sh: the Linux kernel's VFIO selftests, from the same packages. They need libuuid's headers (uuid-dev) too.

# The test programs; vfio_pci_sriov_uapi_test needs a function with virtual functions.
vfio_programs=(vfio_dma_mapping_test vfio_dma_mapping_mmio_test vfio_iommufd_setup_test vfio_pci_device_test
  vfio_pci_device_init_perf_test vfio_pci_driver_test vfio_pci_sriov_uapi_test)

# fetch_vfio VERSION: build/conformance/vfio-VERSION; the headers of drivers are what links among the selftests point to
fetch_vfio() {
  fetch_files "$1" "vfio-$1" '*/tools/testing/selftests/vfio/*' '*/tools/testing/selftests/kselftest*.h' '*/tools/include/*' \
    '*/tools/arch/x86/include/*' '*/drivers/dma/ioat/*.h' '*/drivers/dma/idxd/registers.h' \
    '*/drivers/net/ethernet/intel/igb/e1000_*.h' '*/include/linux/pci_ids.h' '*/include/uapi/linux/iommufd.h' \
    '*/include/uapi/linux/vfio.h' '*/include/uapi/linux/stddef.h' '*/include/uapi/linux/idxd.h'
}

# compile_vfio VERSION: build/conformance/vfio-VERSION/PROGRAM, from sources as they are; each gets the function's address as its
# last argument, or from VFIO_SELFTESTS_BDF
compile_vfio() {
  local version=$1 tree=$conformance/vfio-$1 program
  local selftests=$tree/tools/testing/selftests
  local -a library flags
  if [[ -e $tree/compiled ]]; then return; fi
  sanitise "vfio-$version" iommufd vfio stddef idxd
  flags=(-D_GNU_SOURCE= -O2 -w "-I$tree/headers" "-I$selftests/vfio/lib/include" "-I$tree/tools/include" "-I$selftests")
  # 7.2.y got lines of later selftests without the macro that they use
  if ! grep -q 'define calloc_assert' "$selftests/vfio/lib/include/libvfio/assert.h"; then flags+=(-Dcalloc_assert=calloc); fi
  mapfile -t library < <(find "$selftests/vfio/lib" -name '*.c' | sort)
  for program in "${vfio_programs[@]}"; do
    gcc "${flags[@]}" -o "$tree/$program" "$selftests/vfio/$program.c" "${library[@]}" -pthread -luuid || return 1
  done
  touch "$tree/compiled"
}

# run_vfio VERSION...: a row for each program, and the tests that failed; fails if one did
run_vfio() {
  local version program output status=0 ended totals tree
  printf '%-8s %-32s %7s %7s %8s\n' Linux program passed failed skipped
  for version; do
    if [[ $version == 6.12 ]]; then continue; fi # has none
    tree=$conformance/vfio-$version
    if ! fetch_vfio "$version" || ! compile_vfio "$version"; then
      say "Linux $version: not run: its VFIO selftests cannot be fetched, or do not compile"
      status=1
      continue
    fi
    mkdir -p "$log/$version"
    for program in "${vfio_programs[@]}"; do
      if [[ $program == vfio_pci_sriov_uapi_test ]]; then
        printf '%-8s %-32s not run: it needs SR-IOV\n' "$version" "$program"
        continue
      fi
      output=$log/$version/$program
      ended=0
      timeout 600 "$programs/swiommu" run --device ioat --log "$output.ioctls" -- "$tree/$program" 0000:01:00.0 >"$output.out" 2>&1 </dev/null ||
        ended=$?
      totals=$(sed -n 's/^# Totals: pass:\([0-9]*\) fail:\([0-9]*\) xfail:[0-9]* xpass:[0-9]* skip:\([0-9]*\) error:0$/\1 \2 \3/p' "$output.out" | tail -n 1)
      # shellcheck disable=SC2086 # three numbers
      printf '%-8s %-32s %7s %7s %8s\n' "$version" "$program" ${totals:-- - -}
      if [[ $ended != 0 || ! $totals =~ ^[0-9]+\ 0\ [0-9]+$ ]]; then
        status=1
        grep -a '^not ok' "$output.out" | sed "s/^not ok [0-9]*/         /" || tail -n 1 "$output.out"
      fi
    done
  done
  return $status
}
