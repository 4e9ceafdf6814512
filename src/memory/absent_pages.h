// Which of our own pages are not there, where the kernel says so without making them.
#pragma once
#include <optional>

#include "swiommu/base/function_ref.h"
#include "swiommu/base/range.h"

namespace swiommu {

// Ranges are of pointers as numbers, whole pages. Opens files of /proc, so it is for ranges that are worth it.
class AbsentPages {
 public:
  // Nothing if the system cannot tell (before Linux 6.11, or without /proc).
  static std::optional<AbsentPages> open();
  AbsentPages(AbsentPages&& other) noexcept;
  AbsentPages& operator=(AbsentPages&&) = delete;
  ~AbsentPages();

  // The mapping that holds `address`, as far as it is within `range`; nothing if none does.
  [[nodiscard]] std::optional<Range> mapping(std::uint64_t address, Range range) const;

  // Calls `absent(Range) -> int` for each run of pages in the range that are not there, or, if they are to be written to, are
  // still the system's page of zeros, until it gives an errno, which is returned. 0: all done; -1: the system cannot tell.
  [[nodiscard]] int for_each(Range range, bool writable, FunctionRef<int(Range)> absent) const;

 private:
  AbsentPages(int maps, int pages) : maps_(maps), pages_(pages) {}

  int maps_;
  int pages_;
};

}  // namespace swiommu
