#include "vfio/region.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>

#include "swiommu/base/bits.h"
#include "swiommu/memory/mapping.h"
#include "swiommu/uapi/vfio.h"
#include "vfio/argument.h"
#include "vfio/description_check.h"
#include "vfio/pci_function.h"

namespace swiommu::vfio {
namespace {

constexpr std::uint64_t inside_mask = low_bits(region_shift);

// One way through a region: in pieces that are naturally aligned, of at most 4 bytes in the configuration space and 8 in BARs, as
// vfio-pci makes them of whatever a program asks for.
class Transfer {
 public:
  Transfer(PciFunction& function, iommufd::Caller& caller, std::uint64_t address, bool writes)
      : function_(function), caller_(caller), address_(address), writes_(writes) {}

  Result<std::uint64_t> configuration(std::uint64_t offset, std::uint64_t length) {
    std::uint64_t const size = function_.configuration_size();
    if (offset >= size || length > size - offset) return fail(EFAULT, fmt::format("the configuration space has {} bytes", size));
    for (std::uint64_t done = 0; done < length;) {
      std::uint64_t const at = offset + done, bytes = piece(at, length - done, 4);
      SWIOMMU_TRY(move(bytes, [&](std::span<std::byte> data) -> Result<void> {
        if (writes_) function_.write_configuration(static_cast<unsigned>(at), data);
        if (!writes_) function_.read_configuration(static_cast<unsigned>(at), data);
        return {};
      }));
      done += bytes;
    }
    return length;
  }

  Result<std::uint64_t> bar(Bar const& bar, std::uint64_t offset, std::uint64_t length) {
    if (offset >= bar.bytes) return fail(EINVAL, fmt::format("BAR {} has {:#x} bytes", bar.number, bar.bytes));
    length = std::min(length, bar.bytes - offset);
    MsixTables const& tables = function_.description().msix;
    bool const has_table = tables.vectors != 0 && tables.bar == bar.number;
    std::uint64_t const table = has_table ? tables.table_offset : bar.bytes;
    std::uint64_t const table_end = has_table ? table + msix_table_bytes(tables) : bar.bytes;
    for (std::uint64_t done = 0; done < length;) {
      std::uint64_t const at = offset + done, left = length - done;
      if (at >= table && at < table_end) {
        std::uint64_t const bytes = std::min(left, table_end - at);
        SWIOMMU_TRY(skip(bytes));
        done += bytes;
        continue;
      }
      std::uint64_t const bytes = piece(at, at < table ? std::min(left, table - at) : left, 8);
      SWIOMMU_TRY(move(bytes, [&](std::span<std::byte> data) -> Result<void> {
        if (writes_) return function_.write_bar(bar.number, at, data);
        return function_.read_bar(bar.number, at, data);
      }));
      done += bytes;
    }
    return length;
  }

 private:
  static std::uint64_t piece(std::uint64_t at, std::uint64_t left, std::uint64_t most) {
    std::uint64_t bytes = most;
    while (bytes > left || at % bytes != 0) bytes /= 2;
    return bytes;
  }

  template <class Access>
  Result<void> move(std::uint64_t bytes, Access access) {
    std::array<std::byte, 8> room{};
    auto const data = std::span(room).first(bytes);
    if (writes_ && !caller_.copy_in(address_, data)) return fail(EFAULT, "what is to be written cannot be read");
    SWIOMMU_TRY(access(data));
    if (!writes_) SWIOMMU_TRY(copy_to(caller_, address_, data));
    address_ += bytes;
    return {};
  }

  // The table of MSI-X is the kernel's: it reads as ones, and is not written.
  Result<void> skip(std::uint64_t bytes) {
    std::array<std::byte, 64> ones;
    ones.fill(std::byte{0xff});
    for (std::uint64_t done = 0; done < bytes && !writes_;) {
      auto const part = std::span(ones).first(std::min<std::uint64_t>(ones.size(), bytes - done));
      SWIOMMU_TRY(copy_to(caller_, address_ + done, part));
      done += part.size();
    }
    address_ += bytes;
    return {};
  }

  PciFunction& function_;
  iommufd::Caller& caller_;
  std::uint64_t address_;
  bool const writes_;
};

Result<std::uint64_t> transfer(PciFunction& function, iommufd::Caller& caller, std::uint64_t address, std::uint64_t length,
                               std::uint64_t offset, bool writes) {
  if (length == 0) return 0;
  std::uint64_t const index = offset >> region_shift, inside = offset & inside_mask;
  length = std::min<std::uint64_t>(length, 0x7ffff000);  // what Linux moves in one call
  Transfer way(function, caller, address, writes);
  if (index == VFIO_PCI_CONFIG_REGION_INDEX) return way.configuration(inside, length);
  Bar const* const bar = index <= VFIO_PCI_BAR5_REGION_INDEX ? function.find_bar(index) : nullptr;
  if (bar == nullptr) return fail(EINVAL, fmt::format("there is no region {}", index));
  return way.bar(*bar, inside, length);
}

class BarMapping final : public iommufd::MappableMemory {
 public:
  BarMapping(std::shared_ptr<iommufd::OpenFile> file, std::shared_ptr<iommufd::MappableMemory> memory, std::uint64_t inside)
      : file_(std::move(file)), memory_(std::move(memory)), inside_(inside) {}
  [[nodiscard]] int descriptor() const override { return memory_->descriptor(); }
  [[nodiscard]] std::uint64_t offset() const override { return memory_->offset() + inside_; }
  [[nodiscard]] bool acts() const override { return memory_->acts(); }
  void accessed_by_calls(bool all) override { memory_->accessed_by_calls(all); }

 private:
  std::shared_ptr<iommufd::OpenFile> const file_;
  std::shared_ptr<iommufd::MappableMemory> const memory_;
  std::uint64_t const inside_;
};

}  // namespace

Result<std::uint64_t> read_region(PciFunction& function, iommufd::Caller& caller, std::uint64_t to, std::uint64_t length,
                                  std::uint64_t offset) {
  return transfer(function, caller, to, length, offset, false);
}

Result<std::uint64_t> write_region(PciFunction& function, iommufd::Caller& caller, std::uint64_t from, std::uint64_t length,
                                   std::uint64_t offset) {
  return transfer(function, caller, from, length, offset, true);
}

Result<std::shared_ptr<iommufd::MappableMemory>> map_region(PciFunction& function, std::shared_ptr<iommufd::OpenFile> file,
                                                            std::uint64_t offset, std::uint64_t length, int flags) {
  return guarded([&]() -> Result<std::shared_ptr<iommufd::MappableMemory>> {
    std::uint64_t const index = offset >> region_shift, inside = offset & inside_mask;
    if ((flags & MAP_TYPE) != MAP_SHARED && (flags & MAP_TYPE) != MAP_SHARED_VALIDATE)
      return fail(EINVAL, "only shared mappings");
    Bar const* const bar = index <= VFIO_PCI_BAR5_REGION_INDEX ? function.find_bar(index) : nullptr;
    if (bar == nullptr || !bar->mappable) return fail(EINVAL, fmt::format("region {} cannot be mapped", index));
    if (length == 0 || inside % host_page_size != 0)
      return fail(EINVAL, fmt::format("{:#x} bytes at offset {:#x} are no whole pages", length, inside));
    if (inside >= bar->bytes || length > bar->bytes - inside)
      return fail(EINVAL, fmt::format("BAR {} has {:#x} bytes, and {:#x} from {:#x} on are asked for", bar->number, bar->bytes,
                                      length, inside));
    auto memory = function.map_bar(bar->number);
    if (!memory) return memory;
    return std::make_shared<BarMapping>(std::move(file), std::move(*memory), inside);
  });
}

}  // namespace swiommu::vfio
