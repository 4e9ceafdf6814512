// CD, context descriptor (IHI 0070, 5.4): the stage 1 tables of one address space.
#pragma once
#include <cstdint>
#include <expected>
#include <optional>
#include <string>

#include "hardware/smmuv3/features.h"
#include "hardware/smmuv3/stream_table_entry.h"
#include "hardware/smmuv3/structure.h"
#include "swiommu/page_table/user_page_table.h"

namespace swiommu::smmuv3 {

struct Stage1Tables {
  std::optional<UserPageTable> lower;  // TTB0; nothing: EPD0
  std::optional<UserPageTable> upper;  // TTB1; nothing: EPD1, or a stream of EL2
};

class ContextDescriptor {
 public:
  ContextDescriptor(Structure const& words, Features const& features) : cd_(words), features_(features) {}

  [[nodiscard]] bool valid() const { return cd_.flag(31); }

  // The tables of a valid CD that `ste` led to, or why it is ILLEGAL.
  [[nodiscard]] std::expected<Stage1Tables, std::string> tables(StreamTableEntry const& ste) const;

 private:
  [[nodiscard]] std::string illegal(StreamTableEntry const& ste, bool walks) const;
  [[nodiscard]] std::expected<UserPageTable, std::string> table(bool upper) const;

  Structure cd_;
  Features features_;
};

}  // namespace swiommu::smmuv3
