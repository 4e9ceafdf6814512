#!/bin/bash
# Makes what a guest starts from: busybox, the modules of NVMe and ext4, the tools of ext4, and its first program. Kernels without
# modules and programs without libraries will do.
#
#   initrd.sh ROOT OUTPUT INIT [FILE...]: from packages that were unpacked to ROOT; the files lie beside init
set -euo pipefail
root=$1 output=$2 init=$3
shift 3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{bin,sbin,proc,sys,dev,tmp,mnt,modules,usr/lib}

modules=$(find "$root" -path '*/usr/lib/modules/*' -prune -type d -print | head -n 1)
: >"$work/modules/order"

# add MODULE: after those that it needs
add() {
  local name=$1 file need
  if [[ -e $work/modules/$name.ko ]]; then return; fi
  file=$(find "$modules/kernel" \( -name "$name.ko*" -o -name "${name//_/-}.ko*" -o -name "${name//-/_}.ko*" \) | head -n 1)
  if [[ -z $file ]]; then return; fi # part of the kernel itself
  xz --decompress --stdout --force "$file" >"$work/modules/$name.ko"
  for need in $(tr '\0' '\n' <"$work/modules/$name.ko" | sed -n 's/^depends=//p' | tr , ' '); do add "$need"; done
  echo "$name" >>"$work/modules/order"
}
if [[ -n $modules ]]; then
  for module in crc32c_generic crc32c-intel crc32-s390 virtio_iommu ext4 nvme; do add "$module"; done
fi

cp "$root/usr/bin/busybox" "$work/bin/"
cp "$root/usr/sbin/mke2fs" "$work/sbin/mkfs.ext4"
cp "$root/usr/sbin/e2fsck" "$work/sbin/"
# where the programs look for it; static ones name none
loader=$(readelf --program-headers --wide "$root/usr/sbin/e2fsck" | sed -n 's/.*program interpreter: \(.*\)\]/\1/p')
if [[ -n $loader ]]; then
  for library in libc.so.6 libext2fs.so.2 libcom_err.so.2 libblkid.so.1 libuuid.so.1 libe2p.so.2; do
    cp --dereference "$(find "$root/usr/lib" -name "$library" | head -n 1)" "$work/usr/lib/"
  done
  mkdir -p "$work/$(dirname "$loader")"
  cp --dereference "$(find "$root/usr" -name "$(basename "$loader")" | head -n 1)" "$work/$loader"
fi
cp "$init" "$work/init"
cp "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/begin.sh" "$@" "$work/"
chmod +x "$work/init"
(cd "$work" && find . | LC_ALL=C sort | cpio --create --format=newc --quiet --owner=0:0) | gzip -1 >"$output"
