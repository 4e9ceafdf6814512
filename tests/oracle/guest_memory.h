// The memory of a machine as both sides see it: QEMU through the file that is its RAM, libswiommu through this copy. Structures
// and data lie in a window; what else there is of RAM belongs to the test, which gives up a case that strays there.
#pragma once
#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

#include "conformance/effort.h"
#include "swiommu/base/range.h"
#include "swiommu/memory/memory_view.h"

namespace swiommu::oracle {

using conformance::below;
using conformance::one_in;
using conformance::Random;

class GuestMemory final : public MemoryView {
 public:
  static constexpr std::uint64_t page = 4096;

  // In `nowhere` the machine has neither memory nor devices.
  GuestMemory(Range window, std::vector<Range> nowhere);

  [[nodiscard]] Range window() const { return window_; }
  [[nodiscard]] std::vector<std::byte>& bytes() { return bytes_; }

  // What a word of data holds: its address, in a way; never 0.
  static std::uint64_t data_at(std::uint64_t address);

  [[nodiscard]] Chunk locate(std::uint64_t address, Access access) const override;
  // Has anybody been where neither the window nor nowhere is, since the last start_case()?
  [[nodiscard]] bool strayed() const { return strayed_; }
  void set_strayed(bool strayed) { strayed_ = strayed; }

  // All is data again.
  void start_case();
  // An aligned block of 2^size_lg2 bytes for structures, full of zeros. The window must not become full.
  std::uint64_t allocate(Random& random, unsigned size_lg2 = 12);
  [[nodiscard]] std::uint64_t any_page(Random& random) const;
  [[nodiscard]] std::uint64_t any_structure(Random& random) const;
  [[nodiscard]] bool is_structure(std::uint64_t address) const { return structures_.contains(address / page * page); }
  [[nodiscard]] bool in_window(std::uint64_t address) const { return window_.contains(address); }

  void set(std::uint64_t address, std::uint64_t word);
  [[nodiscard]] std::uint64_t get(std::uint64_t address) const;

  // The pages that may differ from data: structures, and what was located for writing.
  [[nodiscard]] std::set<std::uint64_t> const& changed() const { return changed_; }

 private:
  void fill(std::uint64_t page_address);

  Range const window_;
  std::vector<Range> const nowhere_;
  mutable std::vector<std::byte> bytes_;
  std::set<std::uint64_t> structures_;
  mutable std::set<std::uint64_t> changed_;
  mutable bool strayed_ = false;
};

}  // namespace swiommu::oracle
