#!/bin/bash
# Devices under `swiommu run`: what programs find under /dev and /sys, descriptors that are handed over, and what is refused.
#
#   tests/run/devices.sh SWIOMMU COMPILER
set -euo pipefail
export LC_ALL=C.UTF-8
swiommu=$1 compiler=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work
failures=0
unset LD_PRELOAD
disk=nvme:$work/disk.img,size=16M

# expect STATUS PATTERN COMMAND...: the exit status, and a pattern that the output has
expect() {
  local status=$1 pattern=$2 found=0
  shift 2
  "$@" >"$work/out" 2>&1 || found=$?
  if [[ $found != "$status" ]] || { [[ -n $pattern ]] && ! grep -qE -- "$pattern" "$work/out"; }; then
    printf 'expected %s and "%s", found %s from: %s\n' "$status" "$pattern" "$found" "$*" >&2
    cat "$work/out" >&2
    failures=1
  fi
}

expect 0 'nvme:IMAGE' "$swiommu" devices
expect 0 '"name": "nvme"' "$swiommu" devices --json

# One line for each thing that can be wrong, before the program starts.
expect 2 "there is no device 'nmve'; there are nvme, ioat" "$swiommu" run --device nmve:x -- touch "$work/started"
expect 2 'nvme needs more: nvme:IMAGE' "$swiommu" run --device nvme -- true
expect 2 "has no option 'sieze'" "$swiommu" run --device "nvme:$work/disk.img,sieze=1M" -- true
expect 2 'size=1X: not a number' "$swiommu" run --device "nvme:$work/disk.img,size=1X" -- true
expect 2 'block-size=1000' "$swiommu" run --device "nvme:$work/disk.img,size=1M,block-size=1000" -- true
expect 2 "$work/none.img" "$swiommu" run --device "nvme:$work/none.img" -- true
expect 2 'there are no devices' "$swiommu" run -- true '{vfio:0}'
expect 2 'there is one device' "$swiommu" run --device "$disk" -- true 'x{vfio:1}'
expect 2 'there is a function 0000:05:00.0' "$swiommu" run --device "$disk,address=0000:05:00.0" --device "$disk,address=0000:05:00.0" -- true
if [[ -e $work/started ]]; then
  echo 'a program was started in spite of what is wrong' >&2
  failures=1
fi

# What a program finds.
expect 0 '^character special file 1ff:0$' "$swiommu" run --device "$disk" -- stat -c '%F %t:%T' /dev/vfio/devices/vfio0
expect 1 'No such file' "$swiommu" run --device "$disk" -- stat /dev/vfio/devices/vfio1
expect 0 '^0x010802$' "$swiommu" run --device "$disk" -- cat /sys/bus/pci/devices/0000:01:00.0/class
expect 0 '^vfio0$' "$swiommu" run --device "$disk" -- ls /sys/bus/pci/devices/0000:01:00.0/vfio-dev
expect 0 'kernel/iommu_groups/1$' "$swiommu" run --device "$disk" -- readlink /sys/bus/pci/devices/0000:01:00.0/iommu_group
expect 0 '^/sys/devices/pci0000:01/0000:01:00.0$' "$swiommu" run --device "$disk" -- realpath /sys/bus/pci/devices/0000:01:00.0
expect 0 '^0x010802$' "$swiommu" run --device "$disk" --device "$disk,address=0000:42:00.0" -- sh -c 'exec cat /sys/bus/pci/devices/0000:42:00.0/class'
expect 1 'No such file' "$swiommu" run -- cat /sys/bus/pci/devices/0000:01:00.0/class
expect 0 '^30 31$' "$swiommu" run --device "$disk" -- echo '{iommufd} {vfio:0}'
expect 0 '^[{]a[}] [{]vfio[}] [{]30[}]$' "$swiommu" run --device "$disk" -- echo '{a} {vfio} {{iommufd}}'

# A descriptor that is handed over is the device.
cat >"$work/handed.c" <<'END'
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <swiommu/uapi/iommufd.h>
#include <swiommu/uapi/vfio.h>
int main(int count, char** arguments) {
  int const iommu = atoi(arguments[1]), device = atoi(arguments[2]);
  struct vfio_device_bind_iommufd bind = {.argsz = sizeof bind, .iommufd = iommu};
  if (ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind) != 0) return perror("bind"), 1;
  struct vfio_region_info space = {.argsz = sizeof space, .index = VFIO_PCI_CONFIG_REGION_INDEX};
  if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &space) != 0) return perror("region"), 1;
  uint8_t class = 0;
  if (pread(device, &class, 1, (off_t)space.offset + 11) != 1) return perror("pread"), 1;
  pid_t const child = fork(); /* whose calls go to the owner */
  if (child == 0) return pread(device, &class, 1, (off_t)space.offset + 10) == 1 && class == 8 ? 0 : 3;
  printf("class %u, %d arguments\n", class, count);
  return 0;
}
END
include=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../include
"$compiler" -I "$include" "$work/handed.c" -o "$work/handed"
expect 0 '^class 1, 3 arguments$' "$swiommu" run --device "$disk" -- "$work/handed" '{iommufd}' '{vfio:0}'

# Programs that become others, and that use low numbers as they like.
expect 0 '^class 1, 3 arguments$' "$swiommu" run --device "$disk" -- sh -c 'exec nice "$0" "$@"' "$work/handed" '{iommufd}' '{vfio:0}'
expect 0 '^class 1, 3 arguments$' "$swiommu" run --device "$disk" -- bash -c 'exec 3>/dev/null 4>&3 5>&3 6>&3; "$0" "$@"; echo' "$work/handed" '{iommufd}' '{vfio:0}'
expect 2 'there are no devices' "$swiommu" run --device "$disk" -- sh -c '"$0" run -- echo "{vf""io:0}"' "$swiommu"
expect 2 'a path with a comma' env -C "$(mkdir -p "$work/a,b" && echo "$work/a,b")" "$swiommu" run --device nvme:d.img,size=1M -- true
expect 2 'TMPDIR' env TMPDIR="$work/none" "$swiommu" run --device "$disk" -- true

# DMA to where nothing is mapped: the command fails, and the log names the table, the word in it, and the cause.
"$compiler" -I "$include" "$include/../examples/nvme/driver.c" -o "$work/driver"
expect 0 'Data Transfer Error' "$swiommu" run --device "$disk" --log "$work/faults" -- "$work/driver" --nested --miss --commands 200
expect 0 'device 0000:01:00.0: iova 0x100400000, write: entry at .* \(level [0-9] of the user page table\) maps nothing$' cat "$work/faults"
expect 0 'device 0000:01:00.0: .* 1 faults$' cat "$work/faults"

# A record of what a driver writes makes the same disk again, and is not written into twice.
expect 2 'belongs to another controller' "$swiommu" run --device "$disk,record=$work/writes" --device "$disk,record=$work/writes" -- true
expect 0 '' "$swiommu" run --device "nvme:$work/new.img,size=16M,record=$work/writes" -- "$work/driver" --commands 200
expect 2 'has writes in it already' "$swiommu" run --device "nvme:$work/new.img,record=$work/writes" -- true
expect 0 '^ *[0-9]+ write  ' "$swiommu" replay "$work/writes" --list
expect 0 '' "$swiommu" replay "$work/writes" --onto "$work/again.img"
expect 0 '' cmp "$work/new.img" "$work/again.img"

# The log has what was done, and the folder that stood for /sys goes when the program has.
expect 0 '' "$swiommu" run --device "$disk" --log "$work/log" -- "$work/handed" '{iommufd}' '{vfio:0}'
expect 0 'VFIO_DEVICE_BIND_IOMMUFD \{argsz=[0-9]+, iommufd=30, out_devid=1\} = 0' cat "$work/log"
expect 0 'device 0000:01:00.0: 0 transfers of 0 bytes' cat "$work/log"
tries=0
while compgen -G "$work/swiommu-*" >/dev/null && ((tries++ < 1000)); do read -r -t 0.01 _ <> <(:) || true; done
expect 1 '' compgen -G "$work/swiommu-*"
exit $failures
