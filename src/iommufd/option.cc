// Options of a file and of an IOAS, and the choice of the IOAS that the type 1 interface works on; destroying any object.
#include <fmt/format.h>

#include "iommufd/commands.h"
#include "iommufd/ioas.h"

namespace swiommu::iommufd {
namespace {

Result<void> rlimit_mode(File& file, Caller& caller, iommu_option& option) {
  if (option.object_id != 0) return fail(EOPNOTSUPP, "RLIMIT_MODE belongs to the file, so the object id must be 0");
  if (option.op == IOMMU_OPTION_OP_GET) {
    option.val64 = file.charge() == File::Charge::process;
    return {};
  }
  if (option.op != IOMMU_OPTION_OP_SET) return fail(EOPNOTSUPP, fmt::format("there is no operation {}", option.op));
  if (!caller.has(Capability::sys_resource)) return fail(EPERM, "RLIMIT_MODE needs CAP_SYS_RESOURCE");
  if (!file.objects().empty()) return fail(EBUSY, "RLIMIT_MODE is set before the first object is made");
  if (option.val64 > 1) return fail(EINVAL, fmt::format("RLIMIT_MODE is 0 or 1, not {}", option.val64));
  file.set_charge(option.val64 == 1 ? File::Charge::process : File::Charge::user);
  return {};
}

Result<void> huge_pages(File& file, iommu_option& option) {
  auto const ioas = file.objects().find<Ioas>(option.object_id);
  if (!ioas) return std::unexpected(ioas.error());
  IoAddressSpace& space = (*ioas)->space();
  if (option.op == IOMMU_OPTION_OP_GET) {
    option.val64 = space.huge_pages();
    return {};
  }
  if (option.op != IOMMU_OPTION_OP_SET) return fail(EOPNOTSUPP, fmt::format("there is no operation {}", option.op));
  if (option.val64 > 1) return fail(EINVAL, fmt::format("HUGE_PAGES is 0 or 1, not {}", option.val64));
  return space.allow_huge_pages(option.val64 == 1);
}

}  // namespace

Result<void> destroy(Command<iommu_destroy> const& command) { return command.file.objects().destroy(command.arguments.id); }

Result<void> option(Command<iommu_option> const& command) {
  iommu_option& option = command.arguments;
  if (option.__reserved != 0) return fail(EOPNOTSUPP, "__reserved is not 0");
  switch (option.option_id) {
    case IOMMU_OPTION_RLIMIT_MODE: SWIOMMU_TRY(rlimit_mode(command.file, command.caller, option)); break;
    case IOMMU_OPTION_HUGE_PAGES: SWIOMMU_TRY(huge_pages(command.file, option)); break;
    default: return fail(EOPNOTSUPP, fmt::format("there is no option {}", option.option_id));
  }
  // Only the value goes back. An option that was set stays set, whether that works or not.
  if (command.caller.copy_out(command.address + offsetof(iommu_option, val64), std::as_bytes(std::span(&option.val64, 1))))
    return {};
  return fail(EFAULT, "the value cannot be written back");
}

Result<void> vfio_ioas(Command<iommu_vfio_ioas> const& command) {
  iommu_vfio_ioas& arguments = command.arguments;
  if (arguments.__reserved != 0) return fail(EOPNOTSUPP, "__reserved is not 0");
  switch (arguments.op) {
    case IOMMU_VFIO_IOAS_GET: {
      auto const ioas = command.file.compatibility_ioas();
      if (!ioas) return fail(ENODEV, "the type 1 interface has no IOAS");
      arguments.ioas_id = ioas->id();
      return command.respond();
    }
    case IOMMU_VFIO_IOAS_SET: {
      auto const ioas = command.file.objects().find<Ioas>(arguments.ioas_id);
      if (!ioas) return std::unexpected(ioas.error());
      command.file.set_compatibility_ioas(*ioas);
      return {};
    }
    case IOMMU_VFIO_IOAS_CLEAR: command.file.set_compatibility_ioas({}); return {};
    default: return fail(EOPNOTSUPP, fmt::format("there is no operation {}", arguments.op));
  }
}

}  // namespace swiommu::iommufd
