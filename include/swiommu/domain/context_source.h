// From a device and a PASID to the tables that translate its DMA. Declared here, implemented for each IOMMU in hardware/.
#pragma once
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "swiommu/base/access.h"
#include "swiommu/base/range.h"
#include "swiommu/memory/memory_view.h"
#include "swiommu/page_table/user_page_table.h"

namespace swiommu {

// One structure that was read on the way from the registers to the table, for people and for `swiommu translate`.
struct ConfigurationStep {
  std::string what;                  // "root entry", "STE", "device context", ... : the manual's word
  std::uint64_t address = 0;         // where it lies; 0 for a register
  std::vector<std::uint64_t> words;  // its words, in the machine's byte order
  std::string meaning;               // "legacy context table at 0x14114a000"
};

// What the device's structures say.
struct DeviceConfiguration {
  enum class Kind : std::uint8_t {
    bypass,     // no table: address = iova - bypass_base
    translate,  // through `user`, and through `parent` under it if there is one
  };
  Kind kind = Kind::translate;
  std::optional<UserPageTable> user;        // translates iovas
  std::optional<UserPageTable> user_upper;  // Arm TTB1: the second table of the same address space, for the upper half
  std::optional<UserPageTable> parent;      // the table under it, where the hardware itself walks two tables;
                                            // user may be missing then: the parent's table alone translates (unless
                                            // lower_blocked is set)
  bool lower_blocked = false;               // Arm EPD0: the lower half of the iovas has no table. `user` is missing, and what
                                            // `user_upper` does not cover is a fault, Reason::not_mapped
  Range aperture = Range::all();            // iovas outside are out of range (zPCI PBA and PAL)
  std::uint64_t bypass_base = 0;            // bypass: the iova that leads to address 0 (zPCI: start of the DMA range)
  Access rights = Access::both();           // rights of the device on the whole address space (AMD DTE IR and IW)
  std::vector<ConfigurationStep> steps;     // the way here
};

// The device's structures are broken, or block its DMA. A fault of the device (Reason::configuration), not an error.
struct ConfigurationFault {
  std::string about;                // "STE at 0xfb880a00 is not valid (V = 0)"
  std::uint64_t entry_address = 0;  // the structure that says so, if it was reached
  std::uint64_t entry = 0;          // its first word
  std::vector<ConfigurationStep> steps;
};

// Gives the memory that `parent`, a table found in `below`, translates to: what hardware that walks two tables reads its
// context directories through. Nothing if the table's configuration is none that its format has.
using ParentOpener = std::function<std::unique_ptr<MemoryView>(UserPageTable const& parent, MemoryView const& below)>;

class ContextSource {
 public:
  virtual ~ContextSource() = default;

  // Reads everything anew at each call: whoever calls caches, and drops what the hardware's commands invalidate.
  // `pasid` is nothing for a request without PASID. Any thread.
  [[nodiscard]] virtual std::expected<DeviceConfiguration, ConfigurationFault> find(std::uint32_t device,
                                                                                    std::optional<std::uint32_t> pasid) const = 0;
};

}  // namespace swiommu
