// The SMMUv3's half of nested HWPTs and vIOMMUs: the part of a stream table entry that a guest writes, and its commands.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "iommufd/drivers/context_nested.h"
#include "iommufd/hwpt.h"
#include "swiommu/base/mutex.h"
#include "swiommu/hardware/smmuv3.h"

namespace swiommu::iommufd {

// An entry that leads to context descriptors.
class SmmuNested final : public ContextNested {
 public:
  using ContextNested::ContextNested;
  // Does a fault that has this address blame the stream table entry itself, and not a context descriptor?
  [[nodiscard]] static bool is_entry(std::uint64_t address);
  // ENOENT: events and invalidations need the guest's name for the device, and it has none.
  Result<std::shared_ptr<Domain>> attach(PhysicalDevice& device, HwptNested& hwpt) override;
};

// An entry that does without: all DMA is aborted, or goes through the parent.
class SmmuPlainNested final : public DriverNested {
 public:
  enum class Way : std::uint8_t { abort, bypass };
  explicit SmmuPlainNested(Way way) : way_(way) {}
  Result<std::shared_ptr<Domain>> attach(PhysicalDevice& device, HwptNested& hwpt) override;

 private:
  Way const way_;
};

// Which vIOMMU is told of the faults of a device. Any thread.
class SmmuStreams {
 public:
  // Throws bad_alloc.
  void reserve(PhysicalDevice const& device);
  // Takes back reserve(), if nothing was set.
  void forget(PhysicalDevice const& device) noexcept;
  void set(PhysicalDevice const& device, std::shared_ptr<Viommu> viommu) noexcept;
  [[nodiscard]] std::shared_ptr<Viommu> viommu_of(PhysicalDevice const& device) const;

 private:
  mutable Mutex mutex_;
  std::map<PhysicalDevice const*, std::shared_ptr<Viommu>> viommus_ SWIOMMU_GUARDED_BY(mutex_);
};

class SmmuViommu final : public ContextViommu {
 public:
  SmmuViommu(Viommu& viommu, bool nests, smmuv3::Registers const& registers)
      : ContextViommu(viommu, nests), registers_(registers) {}

  Result<std::unique_ptr<DriverNested>> make_nested(std::uint32_t flags, UserData const& data, Caller& caller) override;
  Result<void> invalidate(InvalidationArray& entries) override;

 private:
  Result<void> run(Command const& command) override;

  smmuv3::Registers const registers_;
};

}  // namespace swiommu::iommufd
