// The IOMMU driver of a guest: what it writes where, and what its VMM makes of the commands that it gives.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "guests/machine.h"

namespace swiommu::guests {

class HardwareGuest {
 public:
  virtual ~HardwareGuest() = default;

  // DMA with which PASIDs has a table of its own. The table of each is written in its format.
  [[nodiscard]] virtual std::vector<std::optional<Pasid>> contexts() const { return {std::nullopt}; }
  [[nodiscard]] virtual FormatCase format(unsigned context) const = 0;
  // Is what was not present remembered, until an invalidation? As with hardware that walks one table.
  [[nodiscard]] virtual bool remembers_faults() const { return false; }

  // What the guest does to have a context translate by this table. Devices go on with their DMA between any two steps, and meet
  // the table before, the new one, or none; after the last step the new one alone.
  using Steps = std::vector<std::function<void()>>;
  virtual Steps steps_to(unsigned context, UserPageTable const& table) = 0;

  // What is called when the table of a context says something else for these iovas.
  virtual void invalidate(unsigned context, Range iovas) = 0;
};

struct GuestKind {
  std::string name;
  std::string profile;
  std::function<std::unique_ptr<HardwareGuest>(Machine&, Random&)> make;
};

inline void PrintTo(GuestKind const& kind, std::ostream* out) { *out << kind.name; }

}  // namespace swiommu::guests
