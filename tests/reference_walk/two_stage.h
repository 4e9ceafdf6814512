// Two walkers, one on top of the other: the tables of the first stage lie in the addresses the
// second stage translates, and so does what the first stage gives out.
//
// Sources: RISC-V Privileged ISA, "Two-Stage Address Translation" and "Guest Physical Address
// Translation" (a first-stage table read is, for the second stage, an implicit load whatever the
// access was; an update of A or D is an implicit store), "Svpbmt" (a non-zero memory type of the
// first stage wins over the second's); Intel VT-d specification, "Nested Translation"; AMD IOMMU
// specification, two-level translation.
//
// Not modelled: RISC-V's MSI page tables, which sit between the stages; x86 accessed and dirty
// updates, which would be writes to the second stage.
#pragma once

#include <algorithm>

#include "reference_walk/walk_result.h"

namespace reference_walk {

struct TwoStageOptions {
  // A first-stage entry that hardware would update (Answer::updated_entry; RISC-V with adue only)
  // must be writable in the second stage.  false: table words are only ever read.
  bool updates_need_write = true;
};

namespace two_stage_detail {

inline Answer walk_once(Walker const& first, Walker const& second, ReadWord const& memory, TwoStageOptions const& options,
                        std::uint64_t address, Kind kind) {
  std::string table_fault;  // the second stage's reason, if it stopped a table read
  const ReadWord first_memory = [&](std::uint64_t at, unsigned bytes) -> std::optional<std::uint64_t> {
    Answer const where = second(memory, at, Kind::read);
    if (where.ok) return memory(where.output, bytes);
    table_fault = where.why;
    return std::nullopt;
  };

  // The walker tries both kinds of access, for the rights, but the words it reads do not depend
  // on the kind: a table read that the second stage stops, stops both.
  Answer const one = first(first_memory, address, kind);
  if (!one.ok) return fault(table_fault.empty() ? "stage 1: " + one.why : "stage 2, table of stage 1: " + table_fault);

  if (one.updated_entry && options.updates_need_write) {
    Answer const update = second(memory, *one.updated_entry, Kind::write);
    if (!update.ok) return fault("stage 2, update of a stage 1 entry: " + update.why);
  }

  Answer const two = second(memory, one.output, kind);
  if (!two.ok) return fault("stage 2, final address: " + two.why);

  Answer answer;
  answer.ok = true;
  answer.output = two.output;
  answer.size_lg2 = std::min(one.size_lg2, two.size_lg2);
  answer.pbmt = one.pbmt != 0 ? one.pbmt : two.pbmt;
  return answer;
}

}  // namespace two_stage_detail

inline Answer walk_two_stages(Walker const& first, Walker const& second, ReadWord const& memory, std::uint64_t address, Kind kind,
                              TwoStageOptions const& options = {}) {
  return with_rights(kind, [&](Kind each) { return two_stage_detail::walk_once(first, second, memory, options, address, each); });
}

inline Walker two_stage_walker(Walker first, Walker second, TwoStageOptions options = {}) {
  return [=](ReadWord const& memory, std::uint64_t address, Kind kind) {
    return walk_two_stages(first, second, memory, address, kind, options);
  };
}

}  // namespace reference_walk
