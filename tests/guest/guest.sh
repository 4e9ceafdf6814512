#!/bin/bash
# Boots Debian's kernel in Debian's QEMU under `swiommu run`, with an NVMe disk behind a virtual IOMMU, in each of the ways that QEMU has,
# and prints a table of what went through the IOMMU. The guest makes a filesystem, writes files, reads them again, trims; then the host
# looks at the image. Where the mirror has no packages of s390x, that guest is compiled from Debian's sources. Exit status 0: all of it is
# right. In the mode fault the disk is told, in the end, to write to where nothing is mapped.
#
#   guest.sh [--mode nested|mapped|shadow|amd|virtio|s390x|fault]... [--mebibytes N]
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."
source tests/debian/packages.sh
source tests/qemu/fetch.sh
source tests/guest/fetch.sh
source tests/debian/kernel_source.sh
source tests/guest/s390x/fetch.sh

say() { printf '%s\n' "guest: $*" >&2; }
refuse() {
  say "$*"
  exit 2
}

modes=() mebibytes=
while (($#)); do
  case $1 in
    --mode)
      case ${2:-} in
        nested | mapped | shadow | amd | virtio | s390x | fault) modes+=("$2") ;;
        *) refuse "'${2:-}' is no mode; there are nested, mapped, shadow, amd, virtio, s390x, fault" ;;
      esac
      ;;
    --mebibytes)
      if [[ ! ${2:-} =~ ^[1-9][0-9]{0,3}$ ]] || (($2 < 16 || $2 > 512)); then refuse "--mebibytes takes 16 to 512, not '${2:-}'"; fi
      mebibytes=$2
      ;;
    *) refuse "there is no option '$1'; there are --mode and --mebibytes" ;;
  esac
  shift 2
done
if ((${#modes[@]} == 0)); then modes=(nested mapped shadow amd virtio s390x fault); fi

qemu=$guest/qemu
packages=(qemu-system-x86)
if [[ " ${modes[*]} " == *' s390x '* ]]; then packages+=(qemu-system-s390x); fi
fetch_qemu "$qemu" "${packages[@]}" || refuse "QEMU cannot be fetched"
say "QEMU: $(head -n 1 "$qemu/complete")"

# check_image IMAGE: what the host finds in it
check_image() {
  local files=$1.files
  e2fsck -f -n "$1" >"$1.fsck" 2>&1 || return 1
  rm -rf "$files"
  mkdir "$files"
  debugfs -R "rdump / $files" "$1" 2>/dev/null
  (cd "$files" && [[ -s expected ]] && md5sum --check --quiet expected) >&2 || return 1
  rm -rf "$files"
}

count() { grep -c "$1" "$2" || true; }

# run MODE: a line of the table
run() {
  local mode=$1 architecture=amd64 package=linux-image-amd64 program=qemu-system-x86_64 size=${mebibytes:-32} of=$1 mapped= folder outcome
  local -a files=() words=()
  case $mode in
    nested | mapped) size=${mebibytes:-256} ;;
    s390x) architecture=s390x package=linux-image-s390x program=qemu-system-s390x ;;
  esac
  case $mode in
    mapped) of=nested mapped=1 ;;
    fault)
      of=nested files=("$guest/miss") words=(swiommu.miss)
      cc -static -O2 -o "$guest/miss" tests/guest/miss.c || return 1
      ;;
  esac
  if ! fetch_guest "$architecture" "$package" && ! { [[ $mode == s390x ]] && build_guest; }; then
    printf '%-8s not run: its kernel can neither be fetched nor be made\n' "$mode" >>"$table"
    return 1
  fi
  folder=$guest/$architecture
  rm -f "$folder/initrd"
  tests/guest/initrd.sh "$folder/root" "$folder/initrd" tests/guest/init "${files[@]}" || return 1
  local image=$guest/$mode.img console=$guest/$mode.console log=$guest/$mode.log
  rm -f "$image"
  say "$mode: $(<"$folder/complete"), $size MiB"
  outcome=failed
  QEMU=$(start_of "$qemu" "$program") LOG=$log MAPPED=$mapped SWIOMMU=build/release/swiommu timeout --foreground 1200 \
    examples/qemu/boot.sh "$of" "$folder/root/boot/"vmlinuz-* "$folder/initrd" "$image" "swiommu.mebibytes=$size" "${words[@]}" \
    </dev/null 2>&1 | tr -d '\r' | tee "$console" | grep --line-buffered --text -E '^(guest:|qemu|swiommu)' >&2 || true
  if grep -q --text '^guest: passed$' "$console" && ! grep -q --text '^guest: kernel:' "$console" && check_image "$image"; then
    outcome=passed
  fi
  local activity nested maps unmaps
  activity=$(grep -E 'device 0000:01:00.0: [0-9]+ transfers' "$log" | tail -n 1 | sed 's/.*: \([0-9]*\) transfers of \([0-9]*\) bytes, \([0-9]*\) walks, \([0-9]*\) .* \([0-9]*\) faults.*/\1 \2 \3 \4 \5/')
  read -r transfers bytes walks nested_walks faults <<<"${activity:-0 0 0 0 -}"
  nested=$(count 'IOMMU_HWPT_ALLOC .*data_type=VTD_S1.* = 0' "$log")
  maps=$(count IOMMU_IOAS_MAP "$log")
  unmaps=$(count IOMMU_IOAS_UNMAP "$log")
  # nothing but what was done before the guest had its IOMMU may go another way
  if [[ $of == nested ]] && ((nested == 0 || nested_walks * 10 < walks * 9)); then outcome='failed: not nested'; fi
  # RPCIT maps pages of 4 KiB, each of them for one transfer
  if [[ $mode == s390x ]] && ((unmaps == 0 || maps * 4096 * 2 < bytes)); then outcome='failed: not mapped by RPCIT'; fi
  # both ends say which access it was, and why
  if [[ $mode == fault && $faults == 1 ]]; then
    if grep -q --text '^guest: the driver: nvme0: .*sc 0x4' "$console" &&
      grep 'device 0000:01:00.0: iova 0x0, write: entry at 0x[0-9a-f]* = 0x[0-9a-f]* (level [0-9] of the user page table) maps nothing' "$log" >&2; then
      faults=0
    fi
  fi
  if [[ $faults != 0 ]]; then outcome="failed: $faults faults"; fi
  printf '%-8s %6s %8s %10s %8s %10s %8s %12s %8s %8s  %s, %s\n' "$mode" "$size" "$nested" "$(count IOMMU_HWPT_INVALIDATE "$log")" \
    "$maps" "$unmaps" "$transfers" "$bytes" "$walks" "$nested_walks" "$outcome" "$(<"$folder/complete")" >>"$table"
  rm -f "$image"
  [[ $outcome == passed ]]
}

table=$(mktemp)
trap 'rm -f "$table"' EXIT
printf '%-8s %6s %8s %10s %8s %10s %8s %12s %8s %8s  %s\n' mode MiB domains invalid. maps unmaps DMAs bytes walks nested 'outcome, kernel' >"$table"
status=0
for mode in "${modes[@]}"; do run "$mode" || status=1; done
cat "$table"
exit $status
