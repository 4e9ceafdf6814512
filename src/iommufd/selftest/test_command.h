// The ioctl 0x3ba0 of the kernel's own selftest programs: one structure for all operations
// (drivers/iommu/iommufd/iommufd_test.h). Operations came with time; the layout of what was there is the same from Linux 6.12
// to 7.3.
#pragma once
#include <cstddef>
#include <cstdint>

namespace swiommu::iommufd::selftest {

inline constexpr std::uint32_t test_request = 0x3ba0;

enum class TestOperation : std::uint32_t {
  add_reserved = 1,
  mock_domain,
  check_map,
  check_references,
  create_access,
  destroy_access_pages,
  access_pages,
  access_transfer,
  memory_limit,
  mock_domain_replace,
  access_replace_ioas,
  mock_domain_flags,
  dirty,
  check_iotlb,
  trigger_page_request,
  check_device_cache,  // from here on not in 6.12
  trigger_event,
  pasid_attach,
  pasid_replace,
  pasid_detach,
  pasid_check,
  dmabuf_get,
  dmabuf_revoke,
};

struct TestCommand {
  struct AddReserved {
    std::uint64_t start, length;
  };
  struct MockDomain {
    std::uint32_t out_stdev_id, out_hwpt_id, out_idev_id;
    std::uint32_t flags;  // of mock_domain_flags only
  };
  struct CheckMap {
    std::uint64_t iova, length, address;
  };
  struct CheckReferences {
    std::uint64_t length, address;
    std::uint32_t references;
  };
  struct CreateAccess {
    std::uint32_t out_descriptor, flags;
  };
  struct AccessPages {
    std::uint32_t flags, out_item;
    std::uint64_t iova, length, address;
  };
  struct AccessTransfer {
    std::uint64_t iova, length, address;
    std::uint32_t flags;
  };
  struct Dirty {
    std::uint32_t flags;
    std::uint64_t iova, length, page_size, address, out_count;
  };
  struct Cached {
    std::uint32_t entry, value;
  };
  struct PageRequest {
    std::uint32_t device, pasid, group, permissions;
    std::uint64_t iova;
  };
  struct PasidAttachment {
    std::uint32_t pasid, pt_id;
  };
  struct DmabufGet {
    std::uint32_t length, open_flags;
  };
  struct DmabufRevoke {
    std::int32_t descriptor;
    std::uint32_t revoked;
  };

  std::uint32_t size;
  TestOperation operation;
  std::uint32_t id;  // of what the operation is about; for an access its descriptor
  std::uint32_t reserved;
  union {
    AddReserved add_reserved;
    MockDomain mock_domain;
    CheckMap check_map;
    CheckReferences check_references;
    CreateAccess create_access;
    std::uint32_t destroy_item;
    AccessPages access_pages;
    AccessTransfer access_transfer;
    std::uint32_t memory_limit;
    std::uint32_t replace_pt_id;
    std::uint32_t replace_ioas_id;
    Dirty dirty;
    Cached cached;  // of check_iotlb and check_device_cache
    PageRequest page_request;
    std::uint32_t event_device;
    PasidAttachment pasid;
    DmabufGet dmabuf_get;
    DmabufRevoke dmabuf_revoke;
  };
  std::uint32_t last;
};

inline constexpr std::uint32_t least_test_command = 68;  // up to `last`, without the padding

static_assert(sizeof(TestCommand) == 72 && offsetof(TestCommand, last) + sizeof(std::uint32_t) == least_test_command);
static_assert(offsetof(TestCommand, operation) == 4 && offsetof(TestCommand, id) == 8 && offsetof(TestCommand, reserved) == 12);
static_assert(offsetof(TestCommand, add_reserved) == 16 && offsetof(TestCommand::AddReserved, length) == 8);
static_assert(offsetof(TestCommand::MockDomain, out_hwpt_id) == 4 && offsetof(TestCommand::MockDomain, out_idev_id) == 8 &&
              offsetof(TestCommand::MockDomain, flags) == 12);
static_assert(offsetof(TestCommand::CheckMap, length) == 8 && offsetof(TestCommand::CheckMap, address) == 16);
static_assert(offsetof(TestCommand::CheckReferences, address) == 8 && offsetof(TestCommand::CheckReferences, references) == 16);
static_assert(offsetof(TestCommand::CreateAccess, flags) == 4);
static_assert(offsetof(TestCommand::AccessPages, out_item) == 4 && offsetof(TestCommand::AccessPages, iova) == 8 &&
              offsetof(TestCommand::AccessPages, length) == 16 && offsetof(TestCommand::AccessPages, address) == 24);
static_assert(offsetof(TestCommand::AccessTransfer, length) == 8 && offsetof(TestCommand::AccessTransfer, address) == 16 &&
              offsetof(TestCommand::AccessTransfer, flags) == 24);
static_assert(offsetof(TestCommand::Dirty, iova) == 8 && offsetof(TestCommand::Dirty, length) == 16 &&
              offsetof(TestCommand::Dirty, page_size) == 24 && offsetof(TestCommand::Dirty, address) == 32 &&
              offsetof(TestCommand::Dirty, out_count) == 40);
static_assert(offsetof(TestCommand::Cached, value) == 4);
static_assert(offsetof(TestCommand::PageRequest, pasid) == 4 && offsetof(TestCommand::PageRequest, group) == 8 &&
              offsetof(TestCommand::PageRequest, permissions) == 12 && offsetof(TestCommand::PageRequest, iova) == 16);
static_assert(offsetof(TestCommand::PasidAttachment, pt_id) == 4);
static_assert(offsetof(TestCommand::DmabufGet, open_flags) == 4 && offsetof(TestCommand::DmabufRevoke, revoked) == 4);

// Flags of operations.
inline constexpr std::uint32_t access_needs_pinned_pages = 1;                                    // create_access
inline constexpr std::uint32_t access_writes = 1, access_slowly = 4, access_nth_area = 1 << 16;  // access_pages, access_transfer

}  // namespace swiommu::iommufd::selftest
