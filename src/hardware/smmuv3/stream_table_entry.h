// STE, stream table entry (IHI 0070, 5.2): what happens to the DMA of one stream.
#pragma once
#include <cstdint>
#include <expected>
#include <string>

#include "hardware/smmuv3/features.h"
#include "hardware/smmuv3/structure.h"
#include "swiommu/page_table/user_page_table.h"

namespace swiommu::smmuv3 {

class StreamTableEntry {
 public:
  enum class DefaultSubstream : std::uint8_t { terminate, bypass, zero };   // S1DSS
  enum class TableFormat : std::uint8_t { linear, leaves_4k, leaves_64k };  // S1Fmt

  StreamTableEntry(Structure const& words, Features const& features) : ste_(words), features_(features) {}

  [[nodiscard]] bool valid() const { return ste_.flag(0); }
  [[nodiscard]] unsigned config() const { return static_cast<unsigned>(ste_.field(3, 1)); }
  [[nodiscard]] bool aborts() const { return config() < 4; }
  [[nodiscard]] bool translates_stage1() const { return config() == 5 || config() == 7; }
  [[nodiscard]] bool translates_stage2() const { return config() == 6 || config() == 7; }

  // Why a valid STE is ILLEGAL; empty if it is not. Stage 2 is stage2_table()'s business.
  [[nodiscard]] std::string illegal() const;

  // Stage 1
  [[nodiscard]] std::uint64_t context_pointer() const { return ste_.address(55, 6, 6); }
  [[nodiscard]] TableFormat context_format() const;
  // Base-2 logarithm of the number of CDs; 0: no substreams
  [[nodiscard]] unsigned substream_bits() const;
  [[nodiscard]] DefaultSubstream default_substream() const;
  [[nodiscard]] bool stage1_stall_disabled() const { return ste_.flag(91); }
  // StreamWorld any-EL2 without E2H: one table only, no EPD
  [[nodiscard]] bool single_table() const;

  // Stage 2: its table, or why the STE is ILLEGAL.
  [[nodiscard]] std::expected<UserPageTable, std::string> stage2_table() const;

 private:
  [[nodiscard]] std::string illegal_stage1() const;
  [[nodiscard]] std::string illegal_stage2() const;

  Structure ste_;
  Features features_;
};

}  // namespace swiommu::smmuv3
