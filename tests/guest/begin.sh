# Sourced by a guest's first program: the tools, the folders of the kernel, the modules, and the NVMe namespace as $disk.
# What it says begins with "guest:".
/bin/busybox --install -s /bin
export PATH=/bin:/sbin LD_LIBRARY_PATH=/usr/lib
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp

say() { echo "guest: $*"; }
finish() {
  dmesg | grep -E 'nvme|DMAR|AMD-Vi|iommu' | grep -iE 'error|faulting|DMAR:.*fault|fail|timeout|abort|corrupt' | sed 's/^/guest: kernel: /'
  say "$*"
  poweroff -f
}

say "Linux $(uname -r)"
for module in $(cat /modules/order); do
  insmod "/modules/$module.ko" 2>/tmp/insmod || grep -q 'File exists\|No such device' /tmp/insmod || say "insmod $module: $(cat /tmp/insmod)"
done
disk=/dev/nvme0n1 tries=0
while [ ! -b $disk ] && [ $tries -lt 600 ]; do
  tries=$((tries + 1))
  sleep 0.1
done
[ -b $disk ] || finish "FAILED: there is no NVMe namespace"
