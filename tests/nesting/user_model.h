// What a guest's user page table says, and what it said: for each 4 KiB of iovas the values that an access may still meet.
// Nothing of swiommu's tables and walks is in here.
#pragma once
#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

#include "swiommu/base/access.h"
#include "swiommu/base/range.h"

namespace swiommu::nesting {

inline constexpr unsigned unit_lg2 = 12;
inline constexpr std::uint64_t unit_size = 1 << unit_lg2;

// One unit of iovas at one time.
struct UserValue {
  bool present = false;
  std::uint64_t guest = 0;  // guest address of the unit's first byte
  Access rights;
  bool operator==(UserValue const&) const = default;
};

class UserModel {
 public:
  using Values = std::map<std::uint64_t, UserValue>;  // by iova; what is not in it is not present

  [[nodiscard]] Values const& values() const { return current_; }

  [[nodiscard]] UserValue current(std::uint64_t iova) const {
    auto const at = current_.find(align_down(iova, unit_lg2));
    return at == current_.end() ? UserValue{} : at->second;
  }

  // The current value and all that the path has held since the last invalidation that covered it.
  [[nodiscard]] std::vector<UserValue> possible(std::uint64_t iova) const {
    std::vector<UserValue> all{current(iova)};
    if (auto const at = past_.find(align_down(iova, unit_lg2)); at != past_.end())
      all.insert(all.end(), at->second.begin(), at->second.end());
    return all;
  }
  [[nodiscard]] bool settled(std::uint64_t iova) const { return !past_.contains(align_down(iova, unit_lg2)); }
  [[nodiscard]] bool all_settled() const { return past_.empty(); }

  void set(std::uint64_t iova, UserValue value) {
    UserValue const old = current(iova);
    if (old == value) return;
    auto& past = past_[iova];
    if (std::ranges::find(past, old) == past.end()) past.push_back(old);
    if (value.present)
      current_[iova] = value;
    else
      current_.erase(iova);
  }
  void map(Range iovas, std::uint64_t guest, Access rights) {
    for (std::uint64_t at = iovas.start;; at += unit_size) {
      set(at, {true, guest + (at - iovas.start), rights});
      if (iovas.last - at < unit_size) return;
    }
  }
  // Returns what was there.
  Values unmap(Range iovas) {
    Values const removed(current_.lower_bound(iovas.start), current_.upper_bound(iovas.last));
    for (auto const& [iova, value] : removed) set(iova, {});
    return removed;
  }
  [[nodiscard]] bool any_in(Range iovas) const {
    auto const at = current_.lower_bound(iovas.start);
    return at != current_.end() && at->first <= iovas.last;
  }

  // Units that are covered only in part keep their past.
  void invalidate(Range iovas) {
    for (auto at = past_.lower_bound(iovas.start); at != past_.end() && at->first <= iovas.last;)
      at = at->first + (unit_size - 1) <= iovas.last ? past_.erase(at) : std::next(at);
  }

 private:
  Values current_;
  std::map<std::uint64_t, std::vector<UserValue>> past_;
};

}  // namespace swiommu::nesting
