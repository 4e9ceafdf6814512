// Who pays for the pinned pages of one mapping. Fixed when it is mapped, and shared by its copies:
//
//   everybody   pages that are pinned count as pinned by the process (VmPin)
//   user        and against the process' RLIMIT_MEMLOCK together with all that its user has locked
//   process     and against the process' RLIMIT_MEMLOCK together with all that it has locked itself (VmLck)
#pragma once
#include <cstdint>
#include <memory>

#include "swiommu/base/mutex.h"
#include "swiommu/iommufd/process.h"
#include "swiommu/memory/account.h"

namespace swiommu::iommufd {

class Bill final : public Account {
 public:
  enum class Limit : std::uint8_t { none, user, process };

  Bill(Limit limit, std::shared_ptr<Process> process) : limit_(limit), process_(std::move(process)) {}

  Result<> charge(std::uint64_t pages) override;
  void release(std::uint64_t pages) noexcept override;

  // Two steps of IOAS_CHANGE_PROCESS. Charges another process for all that is on the bill, unless it is the one already; that
  // may fail (ENOMEM), or be taken back.
  Result<> charge_too(std::shared_ptr<Process> const& other);
  void release_from(std::shared_ptr<Process> const& other) noexcept;
  // It pays alone from now on, also for what was pinned since.
  void settle(std::shared_ptr<Process> other) noexcept;

  [[nodiscard]] Limit limit_kind() const { return limit_; }
  [[nodiscard]] std::shared_ptr<Process> process() const;

 private:
  [[nodiscard]] Result<> add(Process& process, std::uint64_t pages) const;
  void count(Process& process, std::uint64_t pages) const noexcept;
  void take_back(Process& process, std::uint64_t pages) const noexcept;

  Limit const limit_;
  mutable Mutex mutex_;
  std::shared_ptr<Process> process_ SWIOMMU_GUARDED_BY(mutex_);
  std::uint64_t pages_ SWIOMMU_GUARDED_BY(mutex_) = 0;
  std::uint64_t charged_too_ SWIOMMU_GUARDED_BY(mutex_) = 0;
};

}  // namespace swiommu::iommufd
