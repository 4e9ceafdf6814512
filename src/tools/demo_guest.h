// A guest for the demonstration: its memory is a memory image, copied into host memory and mapped 1:1 into a paging domain.
#pragma once
#include <memory>
#include <vector>

#include "swiommu/device/device.h"
#include "swiommu/domain/paging_domain.h"
#include "swiommu/memory/account.h"
#include "swiommu/memory/host_address_space.h"
#include "swiommu/memory/memory_image.h"
#include "swiommu/memory/pinned_pages.h"
#include "swiommu/page_table/page_table.h"

namespace swiommu::tools {

// Also hands out pages that the guest does not use yet: for a page table of its own, and for data.
class DemoGuest final : public UserTableSource {
 public:
  static Result<std::unique_ptr<DemoGuest>> create(MemoryImage const& image);
  ~DemoGuest() override;

  [[nodiscard]] std::shared_ptr<PagingDomain> const& domain() const { return domain_; }
  [[nodiscard]] Host const& host() const { return domain_->host(); }
  [[nodiscard]] std::vector<Range> const& runs() const { return runs_; }  // of guest memory, the unused part last
  [[nodiscard]] Range unused() const { return runs_.back(); }
  [[nodiscard]] std::uint64_t pinned_pages() const { return account_->charged(); }
  [[nodiscard]] std::uint64_t image_pages() const { return image_pages_; }

  // Memory as the host sees it; nothing that a device does is needed to look.
  [[nodiscard]] std::byte* at(std::uint64_t guest_address) const;

  // All of the guest's memory, to compare with.
  [[nodiscard]] std::vector<std::byte> snapshot() const;

  // Unused guest memory, zeroed; ENOMEM. It is never used twice.
  Result<std::uint64_t> allocate(unsigned size_lg2) override;
  void release(std::uint64_t, unsigned) override {}

 private:
  DemoGuest() = default;
  Result<void> lay_out(MemoryImage const& image);
  Result<void> fill_and_map(MemoryImage const& image);

  std::shared_ptr<HostAddressSpace> memory_;
  std::shared_ptr<Account> account_ = std::make_shared<Account>();
  std::unique_ptr<Pages> pages_;
  std::shared_ptr<PagingDomain> domain_;
  std::vector<Range> runs_;
  std::vector<std::uint64_t> offsets_;  // of each run, in the backing
  std::uint64_t image_pages_ = 0;
  std::uint64_t length_ = 0;
  std::uint64_t next_unused_ = 0;
};

}  // namespace swiommu::tools
