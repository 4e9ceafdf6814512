#include "iommufd/selftest/test_ioctl.h"

#include <fmt/format.h>

#include <array>

#include "iommufd/selftest/operations.h"

namespace swiommu::iommufd::selftest {
namespace {

using Function = Result<std::uint64_t> (*)(TestCall const&);

template <Result<void> (*function)(TestCall const&)>
constexpr Function returns_0 = [](TestCall const& call) -> Result<std::uint64_t> {
  SWIOMMU_TRY(function(call));
  return 0;
};

constexpr Function functions[] = {
    nullptr,  // by TestOperation
    returns_0<add_reserved>,
    returns_0<mock_domain>,
    returns_0<check_map>,
    returns_0<check_references>,
    returns_0<create_access>,
    returns_0<destroy_access_pages>,
    returns_0<access_pages>,
    returns_0<access_transfer>,
    returns_0<memory_limit>,
    returns_0<mock_domain_replace>,
    returns_0<access_replace_ioas>,
    returns_0<mock_domain>,
    returns_0<dirty>,
    returns_0<check_iotlb>,
    returns_0<trigger_page_request>,
    returns_0<check_device_cache>,
    returns_0<trigger_event>,
    returns_0<pasid_attach>,
    returns_0<pasid_replace>,
    returns_0<pasid_detach>,
    returns_0<pasid_check>,
    dmabuf_get,
    returns_0<dmabuf_revoke>,
};
static_assert(std::size(functions) == static_cast<std::size_t>(TestOperation::dmabuf_revoke) + 1);

Result<std::uint64_t> run(Command<TestCommand> const& command) {
  auto const operation = static_cast<std::size_t>(command.arguments.operation);
  if (operation >= std::size(functions) || functions[operation] == nullptr)
    return fail(EOPNOTSUPP, fmt::format("the selftests have no operation {}", operation));
  return functions[operation]({command, *command.file.engine().mock_driver()});
}

constexpr std::array rows{operation<TestCommand, run>(test_request, least_test_command)};

}  // namespace

std::span<Operation const> test_operations() { return rows; }

}  // namespace swiommu::iommufd::selftest
