// An iommufd of the selftests' profile, and short ways to its ioctls. Calls give what the ioctl returns, or the errno negated.
#pragma once
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <vector>

#include "fake_caller.h"
#include "iommufd/selftest/mock_hardware.h"
#include "iommufd/selftest/test_command.h"
#include "swiommu/profile/load_profile.h"
#include "swiommu/uapi/iommufd.h"

namespace swiommu::iommufd::selftest {

inline constexpr std::uint64_t page = 4096;
inline constexpr std::uint64_t first_iova = 1 << 24;  // of the aperture

// Memory of the caller, shared so that formats of narrow outputs hold its addresses too.
class CallerMemory {
 public:
  explicit CallerMemory(std::uint64_t length)
      : length_(length), data_(::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {}
  CallerMemory(CallerMemory const&) = delete;
  CallerMemory& operator=(CallerMemory const&) = delete;
  ~CallerMemory() { ::munmap(data_, length_); }
  [[nodiscard]] std::byte* data() const { return static_cast<std::byte*>(data_); }
  [[nodiscard]] std::uint64_t address() const { return std::bit_cast<std::uint64_t>(data_); }
  [[nodiscard]] std::uint64_t length() const { return length_; }

 private:
  std::uint64_t length_;
  void* data_;
};

class SelftestFixture : public testing::Test {
 protected:
  struct Mock {
    std::uint32_t id = 0, hwpt = 0, device = 0;
  };

  explicit SelftestFixture(char const* profile = "kernel-selftest")
      : engine_(Engine::create(load_profile(profile).value()).value()),
        caller_(*engine_, ::getpid()),
        file_(engine_->open().value()) {}

  template <class Arguments>
  long call(std::uint32_t request, Arguments& arguments) {
    auto const result = file_->ioctl(caller_, request, std::bit_cast<std::uint64_t>(&arguments));
    return result ? static_cast<long>(*result) : -static_cast<long>(result.error().code);
  }

  static TestCommand command(TestOperation operation, std::uint32_t id) {
    TestCommand c{};
    c.size = sizeof c;
    c.operation = operation;
    c.id = id;
    return c;
  }
  long test(TestCommand& c) { return call(test_request, c); }

  std::uint32_t ioas() {
    iommu_ioas_alloc c{.size = sizeof c};
    EXPECT_EQ(call(IOMMU_IOAS_ALLOC, c), 0);
    return c.out_ioas_id;
  }
  long destroy(std::uint32_t id) {
    iommu_destroy c{.size = sizeof c, .id = id};
    return call(IOMMU_DESTROY, c);
  }
  long map(std::uint32_t ioas, std::uint64_t address, std::uint64_t length, std::uint64_t iova,
           std::uint32_t rights = IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE) {
    iommu_ioas_map c{.size = sizeof c,
                     .flags = IOMMU_IOAS_MAP_FIXED_IOVA | rights,
                     .ioas_id = ioas,
                     .user_va = address,
                     .length = length,
                     .iova = iova};
    return call(IOMMU_IOAS_MAP, c);
  }
  long unmap(std::uint32_t ioas, std::uint64_t iova, std::uint64_t length) {
    iommu_ioas_unmap c{.size = sizeof c, .ioas_id = ioas, .iova = iova, .length = length};
    return call(IOMMU_IOAS_UNMAP, c);
  }

  // A mock device attached to an IOAS or HWPT.
  long mock(std::uint32_t pt, Mock& out, std::uint32_t flags = 0) {
    auto c = command(TestOperation::mock_domain_flags, pt);
    c.mock_domain.flags = flags;
    long const result = test(c);
    if (result == 0) out = {c.mock_domain.out_stdev_id, c.mock_domain.out_hwpt_id, c.mock_domain.out_idev_id};
    return result;
  }
  Mock mock(std::uint32_t pt, std::uint32_t flags = 0) {
    Mock out;
    EXPECT_EQ(mock(pt, out, flags), 0);
    return out;
  }
  long replace(std::uint32_t mock, std::uint32_t pt) {
    auto c = command(TestOperation::mock_domain_replace, mock);
    c.replace_pt_id = pt;
    return test(c);
  }

  // The id of a new HWPT, or the errno negated.
  long hwpt(std::uint32_t device, std::uint32_t pt, std::uint32_t flags = 0) {
    iommu_hwpt_alloc c{.size = sizeof c, .flags = flags, .dev_id = device, .pt_id = pt};
    long const result = call(IOMMU_HWPT_ALLOC, c);
    return result == 0 ? c.out_hwpt_id : result;
  }
  long hwpt_with(std::uint32_t device, std::uint32_t pt, MockHwptData const* data, std::uint32_t length = sizeof(MockHwptData),
                 std::uint32_t flags = 0, std::uint32_t type = mock_hwpt_type) {
    iommu_hwpt_alloc c{.size = sizeof c,
                       .flags = flags,
                       .dev_id = device,
                       .pt_id = pt,
                       .data_type = type,
                       .data_len = length,
                       .data_uptr = std::bit_cast<std::uint64_t>(data)};
    long const result = call(IOMMU_HWPT_ALLOC, c);
    return result == 0 ? c.out_hwpt_id : result;
  }

  // A descriptor, or the errno negated.
  long access(std::uint32_t ioas, std::uint32_t flags = access_needs_pinned_pages) {
    auto c = command(TestOperation::create_access, ioas);
    c.create_access.flags = flags;
    long const result = test(c);
    return result == 0 ? static_cast<long>(c.create_access.out_descriptor) : result;
  }

  void close(long descriptor) { caller_.files().erase(static_cast<int>(descriptor)); }

  std::shared_ptr<Engine> const engine_;
  FakeCaller caller_;
  std::shared_ptr<OpenFile> file_;
};

}  // namespace swiommu::iommufd::selftest
