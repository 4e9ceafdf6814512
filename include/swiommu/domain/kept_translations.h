// What others keep of a domain's translations, so as not to walk again: the side of it that a domain sees.
#pragma once
#include <cstdint>

#include "swiommu/base/access.h"
#include "swiommu/base/range.h"
#include "swiommu/memory/memory_view.h"
#include "swiommu/page_table/walk.h"

namespace swiommu {

class Domain;
struct Translation;

// Who keeps translations is told here when they are no longer good: before the grace period that ends each such change, by
// any thread, while others translate. Nothing here waits or fails.
class KeptTranslations {
 public:
  // Of whichever domain: those of these inputs, and those that are being made of them now.
  virtual void forget(Range inputs) noexcept = 0;
  // Some domain is attached elsewhere, or has a new generation: what is kept under the old one is not to be used.
  virtual void look_again() noexcept = 0;

 protected:
  KeptTranslations() = default;
  KeptTranslations(KeptTranslations const&) = default;
  KeptTranslations& operator=(KeptTranslations const&) = default;
  ~KeptTranslations() = default;
};

// A translation that is kept, of the aligned block of 2^size_lg2 inputs around one.
struct KeptBlock {
  static constexpr std::uint8_t page_lg2 = 12;  // no block is smaller

  std::byte* data = nullptr;  // the memory behind the input; nullptr: nothing is kept
  Access access;
  std::uint8_t size_lg2 = 0;
};

// Translates through the parents of a domain for somebody who keeps their translations. Used by one thread, inside a guard;
// accessed and dirty flags are written as by Update::yes.
class ParentReader {
 public:
  // What is kept of an input of the parent, if it allows the access.
  virtual KeptBlock kept(Domain const& parent, std::uint64_t input, Access access) = 0;
  // As parent.translate(), which is called. `data` of the result is set where the memory behind the whole block is known.
  virtual Translation translate(Domain const& parent, std::uint64_t input, Access access) = 0;
  // As parent.locate().
  virtual Chunk locate(Domain const& parent, std::uint64_t address, Access access) = 0;
  // Of the domain that is being translated through: the table of level 0 of its user that serves an input, if it is kept and
  // allows the access.
  virtual LowestTable lowest_table(std::uint64_t input, Access access) = 0;
  virtual void keep_lowest_table(std::uint64_t input, LowestTable const& table) = 0;

 protected:
  ParentReader() = default;
  ParentReader(ParentReader const&) = default;
  ParentReader& operator=(ParentReader const&) = default;
  ~ParentReader() = default;
};

// The memory of a parent as a ParentReader sees it.
class ParentMemory final : public MemoryView {
 public:
  ParentMemory(ParentReader& reader, Domain const& parent) : reader_(reader), parent_(parent) {}
  [[nodiscard]] Chunk locate(std::uint64_t address, Access access) const override {
    return reader_.locate(parent_, address, access);
  }

 private:
  ParentReader& reader_;
  Domain const& parent_;
};

}  // namespace swiommu
