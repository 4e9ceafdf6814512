// Which hardware is emulated, with which limits and capabilities: what /dev/iommu says of an IOMMU, and how page tables are made
// for it. Builtin profiles and those that users write: load_profile.h.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "swiommu/base/range.h"
#include "swiommu/base/result.h"
#include "swiommu/page_table/format_configuration.h"
#include "swiommu/page_table/page_table.h"

namespace swiommu {

// The hardware whose driver in Linux is imitated.
enum class Hardware : std::uint8_t { intel_vtd, arm_smmuv3, amd, riscv, s390_zpci, kernel_selftest };
std::string_view name(Hardware hardware);

// A register that people can set.
struct RegisterName {
  std::string_view name;  // "ecap"
  unsigned bits = 64;
};
std::span<RegisterName const> register_names(Hardware hardware);

// Iovas that devices cannot use for memory.
struct ReservedIovas {
  enum class Kind : std::uint8_t {
    direct,            // must be mapped 1:1 by whoever owns the machine
    direct_relaxable,  // the same, but a virtual machine may use it
    reserved,
    hardware_msi,  // writes are messages
    software_msi,  // where doorbells are mapped
  };
  Range iovas;
  Kind kind = Kind::reserved;

  bool operator==(ReservedIovas const&) const = default;
};

// What IOMMU_GET_HW_INFO copies out.
struct HardwareInfo {
  std::uint32_t type = 0;  // IOMMU_HW_INFO_TYPE_...
  std::vector<std::byte> data;

  bool operator==(HardwareInfo const&) const = default;
};

// What paging domains are made for.
enum class PagingUse : std::uint8_t {
  usual,           // whatever has no kind of its own below
  dirty_tracking,  // IOMMU_HWPT_ALLOC_DIRTY_TRACKING
  nesting_parent,  // IOMMU_HWPT_ALLOC_NEST_PARENT
  pasid,           // IOMMU_HWPT_ALLOC_PASID
  huge,            // kernel_selftest: the other table that its users can ask for
};
inline constexpr std::size_t paging_uses = 5;
std::string_view name(PagingUse use);

// One way to make paging domains.
struct PagingKind {
  FormatConfiguration format;
  std::optional<Range> aperture;    // within the inputs of the format; nothing: all of the lower half
  std::uint32_t with = 0;           // IOMMU_HWPT_ALLOC_... that may be asked for besides that of the use
  bool enforces_coherency = false;  // DMA snoops caches, whatever the device asks for
  bool writable_only = false;       // a mapping that cannot be written is EINVAL

  // What a table of this format looks like. EINVAL: the format has no such configuration.
  [[nodiscard]] Result<TableShape> shape() const;
  // The iovas that can be mapped; of a format that exists.
  [[nodiscard]] Range inputs() const;

  bool operator==(PagingKind const&) const = default;
};

struct Profile {
  std::string name;
  std::string description;  // one line
  Hardware hardware = Hardware::intel_vtd;

  // What the hardware says of itself: the rest follows from it (see derive), unless something else is said.
  std::vector<std::uint64_t> registers;  // one for each of register_names(hardware), in that order
  unsigned host_address_width = 0;       // bits of the addresses that tables output; 0: what the format has

  std::array<std::optional<PagingKind>, paging_uses> paging;  // by PagingUse; there is always a usual one
  bool leaves_span_pages = true;                              // may one leaf cover several pages of host memory?
  std::vector<std::uint32_t> nested;                          // IOMMU_HWPT_DATA_... that nested domains can be made of
  std::vector<std::uint32_t> viommus;                         // IOMMU_VIOMMU_TYPE_... that there are

  std::uint32_t max_pasids = 0;  // how many PASIDs the IOMMU knows, 0: it has none
  bool dirty_tracking = false;
  bool ats = false;
  bool page_requests = false;
  bool pasid_exec = false;  // PASIDs with requests to execute
  bool pasid_privileged = false;
  std::vector<ReservedIovas> reserved;  // of each device

  [[nodiscard]] std::optional<PagingKind> const& of(PagingUse use) const { return paging[static_cast<std::size_t>(use)]; }
  [[nodiscard]] std::optional<PagingKind>& of(PagingUse use) { return paging[static_cast<std::size_t>(use)]; }

  // 0: the hardware has no register of that name.
  [[nodiscard]] std::uint64_t register_value(std::string_view register_name) const;
  // EINVAL: no register of that name, or the value is too wide for it.
  Result<void> set_register(std::string_view register_name, std::uint64_t value);

  // Everything below `registers` anew, as the hardware's driver in Linux sees it. ENOMEM. EINVAL: what the registers say makes no
  // page table possible; nothing has changed.
  Result<void> derive();

  [[nodiscard]] Result<HardwareInfo> information() const;  // ENOMEM

  // How to make the paging domain that IOMMU_HWPT_ALLOC asks for; `flags` without IOMMU_HWPT_FAULT_ID_VALID. With dirty tracking
  // the format's accessed and dirty flags are on. `otherwise`: the kind to take if no flag has one of its own. EOPNOTSUPP: this
  // hardware does not combine these flags, or has no such kind.
  [[nodiscard]] Result<PagingKind> choose_paging(std::uint32_t flags, PagingUse otherwise = PagingUse::usual) const;

  // What IOMMU_GET_HW_INFO says of PASIDs.
  [[nodiscard]] unsigned max_pasid_lg2() const { return max_pasids == 0 ? 0 : log2_floor(max_pasids); }
  [[nodiscard]] bool makes_nested(std::uint32_t data_type) const;
  [[nodiscard]] bool makes_viommus(std::uint32_t type) const;

  bool operator==(Profile const&) const = default;
};

// A part of a profile that cannot be, or does not go with another one.
struct Contradiction {
  std::vector<std::string> keys;  // either would have to change; as in profiles that users write: "paging.usual.levels"
  std::string about;              // for the user
};
// Nothing: the profile is sound.
[[nodiscard]] std::optional<Contradiction> find_contradiction(Profile const& profile);

}  // namespace swiommu
