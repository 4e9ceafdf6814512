// Nested HWPTs whose anchor is a context directory, and the vIOMMU that they stand on: what SMMUv3, AMD-Vi and RISC-V share.
// Mutex of the file held.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "iommufd/driver.h"
#include "iommufd/viommu.h"
#include "swiommu/domain/context_domain.h"

namespace swiommu::iommufd {

class ContextViommu;

class ContextNested : public DriverNested {
 public:
  // `tag`: the guest's number for what it invalidates together (AMD's DomainID), where the hardware has one.
  ContextNested(ContextViommu& viommu, std::shared_ptr<ContextDomain> domain, std::uint32_t tag = 0);
  ~ContextNested() override;

  [[nodiscard]] std::shared_ptr<ContextDomain> const& domain() const { return domain_; }
  [[nodiscard]] std::uint32_t tag() const { return tag_; }
  Result<std::shared_ptr<Domain>> attach(PhysicalDevice& device, HwptNested& hwpt) override;

 private:
  friend class ContextViommu;
  ContextViommu& viommu_;  // outlives it, as the HWPT uses it
  std::shared_ptr<ContextDomain> const domain_;
  std::uint32_t const tag_;
};

class ContextViommu : public DriverViommu {
 public:
  ContextViommu(Viommu& viommu, bool nests) : viommu_(viommu), nests_(nests) {}

  [[nodiscard]] bool nests() const override { return nests_; }
  [[nodiscard]] bool invalidates() const override { return true; }

 protected:
  // What one entry of HWPT_INVALIDATE asks for. EIO: what a guest may not give.
  using Command = std::array<std::uint64_t, 2>;
  virtual Result<void> run(Command const& command) = 0;
  // All entries, which are copied before the first is done. `Structure` holds a Command in `cmd`. EINVAL: another type, or none.
  template <class Structure>
  Result<void> run_all(InvalidationArray& entries, std::uint32_t type);

  [[nodiscard]] Viommu& viommu() const { return viommu_; }
  // The device that the guest calls so. EIO: no vDEVICE has the name.
  [[nodiscard]] Result<std::shared_ptr<PhysicalDevice>> device(std::uint64_t virtual_id) const;

  // What user page tables say of these iovas has changed: of all nested HWPTs, or of those with this tag.
  Result<void> tables_changed(Range iovas, std::optional<std::uint32_t> tag = std::nullopt);
  // A context, or all contexts, of what this device is attached to have changed: nothing if that is none of ours.
  Result<void> context_changed(PhysicalDevice const& device, Pasid pasid);
  Result<void> contexts_changed(PhysicalDevice const& device);
  // Contexts of all nested HWPTs, or of those with this tag.
  Result<void> contexts_changed(std::optional<Pasid> pasid = std::nullopt, std::optional<std::uint32_t> tag = std::nullopt);

 private:
  friend class ContextNested;
  [[nodiscard]] std::shared_ptr<ContextDomain> attached(PhysicalDevice const& device) const;

  Viommu& viommu_;
  bool const nests_;
  std::vector<ContextNested*> nested_;
};

template <class Structure>
Result<void> ContextViommu::run_all(InvalidationArray& entries, std::uint32_t type) {
  return guarded([&]() -> Result<void> {
    if (entries.type() != type) return fail(EINVAL, "invalidation data of another type than the vIOMMU's");
    if (entries.entries() == 0) return fail(EINVAL, "no commands");
    std::vector<Command> commands;
    commands.reserve(entries.entries());
    for (std::uint32_t n = 0; n < entries.entries(); n++) {
      auto const command = entries.read_extensible<Structure>(n);
      if (!command) return std::unexpected(command.error());
      commands.push_back({command->cmd[0], command->cmd[1]});
    }
    for (std::uint32_t n = 0; n < commands.size(); n++) {
      SWIOMMU_TRY(run(commands[n]));
      entries.set_done(n + 1);
    }
    return {};
  });
}

}  // namespace swiommu::iommufd
