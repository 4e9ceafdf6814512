// The SMMUv3's half of nested HWPTs and vIOMMUs: streams of a guest, and what their context descriptors lead to.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "domain/switch_domain.h"
#include "iommufd/driver.h"
#include "iommufd/hwpt.h"
#include "iommufd/viommu.h"
#include "swiommu/base/mutex.h"
#include "swiommu/hardware/smmuv3.h"

namespace swiommu::iommufd {

// The words of a stream table entry that a guest may choose.
class SmmuNested final : public DriverNested {
 public:
  enum class Way : std::uint8_t { abort, bypass, contexts };

  SmmuNested(std::array<std::uint64_t, 2> words, std::shared_ptr<PagingDomain> parent, smmuv3::Registers const& registers);
  ~SmmuNested() override;

  [[nodiscard]] Way way() const;
  // What the context descriptor of a substream, or of DMA without one, leads to now; nullptr if it leads nowhere. ENOMEM.
  [[nodiscard]] Result<std::shared_ptr<Domain>> read_context(std::optional<Pasid> substream) const;
  // What DMA without a substream goes through; it follows the context descriptor when told to. ENOMEM.
  Result<std::shared_ptr<Domain>> domain();
  // The context descriptor of DMA without a substream has changed. ENOMEM.
  Result<void> refresh();
  // What the tables of this address space say has changed.
  Result<void> invalidate_tables(Range iovas);

 private:
  std::array<std::uint64_t, 2> const words_;
  std::shared_ptr<PagingDomain> const parent_;
  smmuv3::Registers const registers_;
  std::shared_ptr<SwitchDomain> contexts_;
};

// Which device is attached to which nested HWPT. Any thread.
class SmmuStreams {
 public:
  struct Stream {
    SmmuNested* nested = nullptr;  // lives as long as the device is attached
    std::shared_ptr<Viommu> viommu;
    std::map<Pasid, std::shared_ptr<SwitchDomain>> substreams;  // attached to the device, because the guest has written a CD
  };
  // Throws bad_alloc.
  void reserve(PhysicalDevice& device);
  // Takes back reserve(), if nothing was set.
  void forget(PhysicalDevice& device) noexcept;
  // The device is attached to this now, or to nothing; its substreams are gone.
  void set(PhysicalDevice& device, SmmuNested* nested, std::shared_ptr<Viommu> viommu) noexcept;

  // The vIOMMU of the device, if it is attached to a nested HWPT.
  [[nodiscard]] std::shared_ptr<Viommu> viommu_of(PhysicalDevice const& device) const;

  // CFGI_CD and CFGI_CD_ALL. ENOMEM.
  Result<void> context_changed(PhysicalDevice& device, Pasid substream);
  Result<void> contexts_changed(PhysicalDevice& device);
  // TLBI: tables of all streams of the vIOMMU.
  Result<void> tables_changed(Viommu const& viommu, Range iovas);

 private:
  Result<void> substream_changed(PhysicalDevice& device, Stream& stream, Pasid substream) SWIOMMU_REQUIRES(mutex_);

  mutable Mutex mutex_;  // before those of devices and domains
  std::map<PhysicalDevice const*, Stream> streams_ SWIOMMU_GUARDED_BY(mutex_);
};

class SmmuViommu final : public DriverViommu {
 public:
  SmmuViommu(Viommu& viommu, bool nests, smmuv3::Registers const& registers, SmmuStreams& streams)
      : viommu_(viommu), nests_(nests), registers_(registers), streams_(streams) {}

  [[nodiscard]] bool nests() const override { return nests_; }
  Result<std::unique_ptr<DriverNested>> make_nested(std::uint32_t flags, UserData const& data, Caller& caller) override;
  [[nodiscard]] bool invalidates() const override { return true; }
  Result<void> invalidate(InvalidationArray& entries) override;

 private:
  using Command = std::array<std::uint64_t, 2>;
  Result<void> run(Command const& command);

  Viommu& viommu_;
  bool const nests_;
  smmuv3::Registers const registers_;
  SmmuStreams& streams_;
};

}  // namespace swiommu::iommufd
