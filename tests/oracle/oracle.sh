#!/bin/bash
# libswiommu against the IOMMUs of Debian's QEMU, which it fetches if it is not there: the same random structures, the same DMA, the
# same result. Exit status 0: they agree, but for what is known to be wrong in QEMU.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."
source tests/debian/packages.sh
source tests/qemu/fetch.sh
oracle=$PWD/build/oracle

say() { printf '%s\n' "oracle: $*" >&2; }

mkdir -p "$oracle"
if ! fetch_qemu "$oracle" qemu-system-x86 qemu-system-arm qemu-system-riscv; then
  say "QEMU cannot be fetched"
  exit 2
fi
say "QEMU: $(head -n 1 "$oracle/complete")"
exec build/release/swiommu_oracle --qemu "$oracle/root" "$@"
