// One step of a refresh of a shadow: what it may still do, and what it has done.
#pragma once
#include "swiommu/domain/shadow_domain.h"

namespace swiommu {

struct ShadowDomain::Step {
  Step(RefreshProgress& of, std::uint64_t limit) : progress(of), words{.words = limit}, pieces(limit) {}

  RefreshProgress& progress;
  VisitLimit words;       // of the user page table
  std::uint64_t pieces;   // of the shadow, about a word each
  std::uint64_t end = 0;  // the last iova of the part that is composed
  bool at_end = false;    // which is done
  Translation under;      // what the parent says of the start of
  Range guest{1, 0};      // the guest addresses that were asked for last
  bool removed = false;   // a translation that was there is gone, or another
  Gather gather;

  void charge(std::uint64_t count) { pieces -= std::min(pieces, count); }
  // All up to `last` is up to date.
  void advance(std::uint64_t last) {
    at_end = last == end;
    if (!at_end) progress.next = last + 1;
  }
};

}  // namespace swiommu
