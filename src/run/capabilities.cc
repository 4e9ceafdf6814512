#include "run/capabilities.h"

#include <linux/capability.h>
#include <sys/prctl.h>

#include <array>

#include "run/kernel_call.h"

namespace swiommu::run {
namespace {

unsigned number(iommufd::Capability capability) {
  switch (capability) {
    case iommufd::Capability::ipc_lock: return CAP_IPC_LOCK;
    case iommufd::Capability::sys_resource: return CAP_SYS_RESOURCE;
    case iommufd::Capability::sys_rawio: return CAP_SYS_RAWIO;
  }
  return CAP_LAST_CAP;
}

}  // namespace

bool has_capability(pid_t pid, iommufd::Capability capability) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, pid};
  std::array<__user_cap_data_struct, 2> data{};
  if (kernel_call(SYS_capget, &header, data.data()) != 0) return false;
  unsigned const bit = number(capability);
  return (data[bit / 32].effective >> bit % 32 & 1) != 0;
}

bool root_is_believed(iommufd::Capability capability) { return kernel_call(SYS_prctl, PR_CAPBSET_READ, number(capability)) == 0; }

}  // namespace swiommu::run
