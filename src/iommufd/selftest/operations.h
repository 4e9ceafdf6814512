// The operations of the selftests' ioctl. They run with the file's mutex held.
#pragma once
#include "iommufd/command.h"
#include "iommufd/selftest/mock_driver.h"
#include "iommufd/selftest/test_command.h"

namespace swiommu::iommufd::selftest {

struct TestCall {
  Command<TestCommand> const& command;
  MockDriver& driver;

  [[nodiscard]] File& file() const { return command.file; }
  [[nodiscard]] Caller& caller() const { return command.caller; }
  [[nodiscard]] TestCommand& arguments() const { return command.arguments; }
};

// mock_device_operations.cc
Result<void> mock_domain(TestCall const& call);  // mock_domain and mock_domain_flags
Result<void> mock_domain_replace(TestCall const& call);
Result<void> pasid_attach(TestCall const& call);
Result<void> pasid_replace(TestCall const& call);
Result<void> pasid_detach(TestCall const& call);
Result<void> pasid_check(TestCall const& call);

// mock_hardware_operations.cc
Result<void> trigger_page_request(TestCall const& call);
Result<void> trigger_event(TestCall const& call);
Result<void> check_iotlb(TestCall const& call);
Result<void> check_device_cache(TestCall const& call);
Result<void> dirty(TestCall const& call);

// memory_checks.cc
Result<void> check_map(TestCall const& call);
Result<void> check_references(TestCall const& call);

// address_space_operations.cc
Result<void> add_reserved(TestCall const& call);
Result<void> memory_limit(TestCall const& call);

// access_operations.cc
Result<void> create_access(TestCall const& call);
Result<void> destroy_access_pages(TestCall const& call);
Result<void> access_pages(TestCall const& call);
Result<void> access_transfer(TestCall const& call);
Result<void> access_replace_ioas(TestCall const& call);

// dmabuf_operations.cc
Result<std::uint64_t> dmabuf_get(TestCall const& call);
Result<void> dmabuf_revoke(TestCall const& call);

}  // namespace swiommu::iommufd::selftest
