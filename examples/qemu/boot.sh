#!/bin/bash
# Boots a Linux guest in Debian's QEMU 11 (or newer), with an NVMe disk that swiommu provides, behind a virtual IOMMU. Neither /dev/kvm
# nor root is needed; QEMU and the guest are as they come.
#
#   boot.sh MODE KERNEL INITRD IMAGE [WORD OF THE KERNEL'S COMMAND LINE...]
#
#   nested   intel-iommu in scalable mode: the guest's own I/O page tables become nested domains
#   shadow   intel-iommu in legacy mode: QEMU maps page by page what the guest maps
#   amd      amd-iommu, in the same way
#   virtio   virtio-iommu, in the same way
#   s390x    zPCI: the guest's RPCIT instructions arrive as map and unmap calls
#
# From the environment: SWIOMMU, the program (else the one in PATH); QEMU, what starts QEMU, one word an argument (else the one in
# PATH); LOG, a file for a line an ioctl; OPTIONS, of the disk (size=1G); MEMORY, of the guest (1G); MAPPED=1: the guest reaches the
# registers of the disk without QEMU's doing, so that only the disk's own looking at its doorbells sees what it writes.
set -euo pipefail

if (($# < 4)) || [[ $1 == -* ]]; then
  sed -n '2,17s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
  exit 2
fi
mode=$1 kernel=$2 initrd=$3 image=$4
shift 4
memory=${MEMORY:-1G} profile=intel-vtd program=qemu-system-x86_64
machine=(-machine "q35,accel=tcg,kernel-irqchip=off,memory-backend=memory" -cpu max)
console=ttyS0 iommu=() words=()
case $mode in
  nested)
    iommu=(-device intel-iommu,intremap=on,scalable-mode=on,fsts=on,caching-mode=on,aw-bits=48)
    words=(intel_iommu=on,sm_on iommu.strict=1)
    ;;
  shadow)
    iommu=(-device intel-iommu,intremap=on,caching-mode=on)
    words=(intel_iommu=on)
    ;;
  amd)
    profile=amd
    iommu=(-device amd-iommu,dma-remap=on)
    words=(amd_iommu=on iommu=nopt)
    ;;
  virtio) iommu=(-device virtio-iommu-pci) ;;
  s390x)
    profile=s390-zpci program=qemu-system-s390x console=ttysclp0
    machine=(-machine "s390-ccw-virtio,accel=tcg,memory-backend=memory" -cpu max)
    iommu=(-device zpci,uid=1,fid=1,target=disk)
    words=(s390_iommu=strict) # later kernels call it iommu.strict=1, and take both
    ;;
  *)
    echo "boot.sh: '$mode' is no mode; there are nested, shadow, amd, virtio, s390x" >&2
    exit 2
    ;;
esac

qemu=("$program")
if [[ -n ${QEMU:-} ]]; then mapfile -t qemu <<<"$QEMU"; fi
mapped=on
if [[ -n ${MAPPED:-} ]]; then mapped=off; fi
exec "${SWIOMMU:-swiommu}" run --profile "$profile" ${LOG:+--log "$LOG"} --device "nvme:$image,${OPTIONS:-size=1G}" -- \
  "${qemu[@]}" -nodefaults -no-user-config "${machine[@]}" -smp 1 -m "$memory" \
  -object "memory-backend-memfd,id=memory,size=$memory,share=on" "${iommu[@]}" \
  -object 'iommufd,id=iommufd,fd={iommufd}' -device "vfio-pci,id=disk,fd={vfio:0},iommufd=iommufd,x-no-mmap=$mapped" \
  -display none -serial stdio -monitor none -no-reboot \
  -kernel "$kernel" -initrd "$initrd" -append "console=$console panic=-1 quiet ${words[*]} $*"
