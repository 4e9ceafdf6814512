// Runs of registered memory that were found lately, so that most look-ups take no lock.
//
// A place for each of some blocks of addresses, which holds the run that was found last there and the state of the registrations
// that it is of: the number of changes until then. `sequence` is odd while it is written: if it is even, and the same before and
// after reading, run and state belong together; if the state is the present one, so is the run.
#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "swiommu/base/bits.h"
#include "swiommu/base/range.h"

namespace swiommu {

class KnownRuns {
 public:
  // The last address of the run that holds `address`, if it is known. Any thread.
  [[nodiscard]] std::optional<std::uint64_t> last_of_run(std::uint64_t address, bool writable) const {
    Place const& place = at(address, writable);
    std::uint64_t const sequence = place.sequence.load(std::memory_order_acquire);
    // Acquire: before the second look at the sequence.
    std::uint64_t const start = place.start.load(std::memory_order_acquire), last = place.last.load(std::memory_order_acquire),
                        changes = place.changes.load(std::memory_order_acquire);
    bool const whole = (sequence & 1) == 0 && place.sequence.load(std::memory_order_relaxed) == sequence;
    if (!whole || address < start || last < address || changes != changes_.load(std::memory_order_acquire)) return std::nullopt;
    return last;
  }

  // Any thread, while nobody may change the registrations. `run` holds `address`.
  void keep(std::uint64_t address, bool writable, Range run) {
    Place& place = at(address, writable);
    std::uint64_t sequence = place.sequence.load(std::memory_order_relaxed);
    // Another thread may keep something here at the same time; one of the two is enough.
    if ((sequence & 1) != 0 ||
        !place.sequence.compare_exchange_strong(sequence, sequence + 1, std::memory_order_acquire, std::memory_order_relaxed))
      return;
    // Release: behind the odd sequence. Nobody changes the count now.
    place.start.store(run.start, std::memory_order_release);
    place.last.store(run.last, std::memory_order_release);
    place.changes.store(changes_.load(std::memory_order_relaxed), std::memory_order_release);
    place.sequence.store(sequence + 2, std::memory_order_release);
  }

  // The registrations change: nothing that is known is of the present.
  void forget() { changes_.fetch_add(1, std::memory_order_seq_cst); }

 private:
  struct alignas(32) Place {
    std::atomic<std::uint64_t> sequence = 0, start = 1, last = 0, changes = 0;
  };
  static constexpr unsigned places_lg2 = 5, block_lg2 = 21;
  using Places = std::array<Place, std::size_t{1} << places_lg2>;

  static std::size_t index(std::uint64_t address) {
    return (address >> block_lg2 ^ address >> (block_lg2 + places_lg2)) & low_bits(places_lg2);
  }
  [[nodiscard]] Place const& at(std::uint64_t address, bool writable) const { return places_[writable ? 1 : 0][index(address)]; }
  [[nodiscard]] Place& at(std::uint64_t address, bool writable) { return places_[writable ? 1 : 0][index(address)]; }

  std::array<Places, 2> places_;
  std::atomic<std::uint64_t> changes_ = 0;
};

}  // namespace swiommu
