#!/bin/bash
# Compiles what a guest of s390x starts from. The programs are static, so that nothing else of that architecture is needed.
#
#   build.sh SOURCES ROOT: from SOURCES/linux, SOURCES/busybox and SOURCES/e2fsprogs
set -euo pipefail
sources=$1 root=$2
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
cross=s390x-linux-gnu make=(make --jobs "$(nproc)")
mkdir -p "$root"/{boot,usr/bin,usr/sbin}

cd "$sources/busybox"
"${make[@]}" allnoconfig
cat "$here/busybox.config" .config >with_commands # the first line about a word is the one that counts
mv with_commands .config
"${make[@]}" oldconfig < <(yes '')
"${make[@]}" CROSS_COMPILE=$cross-
cp busybox "$root/usr/bin/"

cd "$sources/e2fsprogs"
./configure --host=$cross --disable-nls CFLAGS=-O2 LDFLAGS='-static -s'
"${make[@]}" libs
"${make[@]}" -C misc mke2fs
"${make[@]}" -C e2fsck e2fsck
cp misc/mke2fs e2fsck/e2fsck "$root/usr/sbin/"

cd "$sources/linux"
make+=(ARCH=s390 "CROSS_COMPILE=$cross-")
KCONFIG_ALLCONFIG=$here/linux.config "${make[@]}" allnoconfig
"${make[@]}" bzImage
cp arch/s390/boot/bzImage "$root/boot/vmlinuz-$("${make[@]}" --silent kernelrelease)"
