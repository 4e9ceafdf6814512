// Any words as a page table of any format and configuration: walked, explained and visited, they agree and stay inside.
#include "fuzz_input.h"
#include "small_memory.h"
#include "swiommu/base/bits.h"
#include "swiommu/page_table/page_table.h"

using namespace swiommu;

namespace {

FormatConfiguration configuration(FuzzInput& input) {
  FormatConfiguration c{.format = static_cast<FormatName>(input.below(8)), .levels = input.below(8)};
  constexpr unsigned granules[] = {0, 12, 14, 16, 13};
  c.granule_lg2 = granules[input.below(5)];
  c.input_bits = input.below(72);
  c.output_bits = input.flag() ? 0 : input.below(72);
  c.zero_extended = input.flag();
  c.upper_half = input.flag();
  c.top_byte_ignored = input.flag();
  c.accessed_updates = input.flag();
  c.dirty_updates = input.flag();
  c.access_flag_faults = input.flag();
  c.svnapot = input.flag();
  c.svpbmt = input.flag();
  c.table_rights = input.flag();
  c.memory_attributes = input.flag() ? input.number() : 0;
  return c;
}

Access access_of(unsigned bits) { return {.read = (bits & 1) != 0, .write = (bits & 2) != 0}; }

void walk(PageTable const& table, std::uint64_t iova, Access access, Update update) {
  std::vector<WalkStep> steps;
  Walk const walked = table.walk(iova, access, Update::no);
  auto const explained = table.explain(iova, access, steps);
  require(explained && explained->reason == walked.reason && explained->output == walked.output);
  require(steps.size() <= table.shape().levels);
  if (walked.ok()) {
    require(walked.attributes.access.covers(access));
    require(walked.size_lg2 <= 64);
    (void)table.describe(walked.entry);
  }
  // Flags that a walk sets change nothing else. The table may name itself as its data, so only one walk is compared.
  if (Walk const flagged = table.walk(iova, access, update); flagged.ok() && walked.ok())
    require(flagged.output == walked.output);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  FuzzInput input(data, size);
  UserPageTable description{.format = configuration(input), .root = 0, .big_endian = input.flag()};
  description.root = input.flag() ? SmallMemory::base : input.number();
  std::uint64_t iovas[4];
  for (std::uint64_t& iova : iovas)
    iova = input.flag() ? input.number() : std::uint64_t{input.take<std::uint16_t>()} << input.below(48);
  Access const access = access_of(input.below(4));
  Update const update = input.flag() ? Update::yes : Update::no;
  SmallMemory const memory(input);
  auto const table = PageTable::open(description, memory);
  if (!table) {
    require(table.error().code != 0 && !table.error().about.empty());
    return 0;
  }
  // Before flags are set: what is visited is what is walked to, in order.
  unsigned compared = 0;
  std::uint64_t next = 0;
  (*table)->visit(
      Range::all(),
      [&](Leaf const& leaf) {
        require(leaf.range.start <= leaf.range.last && (compared == 0 || leaf.range.start >= next));
        Walk const walked = (*table)->walk(leaf.range.start, {}, Update::no);
        // an access flag is a fault of an access, and no hole
        require(walked.reason == Reason::access_flag || (walked.ok() && walked.output == leaf.output));
        next = leaf.range.last + 1;
        return ++compared < 64 && next != 0;
      },
      1 << 14);
  for (std::uint64_t const iova : iovas) walk(**table, iova, access, update);
  return 0;
}
