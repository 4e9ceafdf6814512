// RISC-V tables: "RISC-V Instruction Set Manual, Volume II", chapters "Supervisor-Level ISA" (Sv39, Sv48, Sv57, Svnapot,
// Svpbmt, Svade, Svadu) and "Hypervisor Extension" (Sv39x4, Sv48x4, Sv57x4), as the "RISC-V IOMMU Architecture
// Specification" 1.0 uses them (sections 2.3 and 3.3): first-stage tables, and second-stage ones, whose root is four
// pages wide and whose inputs are not sign-extended.
//
// The manual's level numbers are ours. Any level may hold leaves, the root included. An entry is a leaf if R or X is set.
// Checked, and refused as malformed: W without R; bits 60:54; PBMT = 3, or not 0 without Svpbmt; N without Svnapot, at a
// level above 0, or with ppn[3:0] != 8; in a pointer A, D, U, N and PBMT; a pointer at level 0; address bits below the
// size of a large leaf. Checked in a leaf: A, and that its address is within the output size. Ignored: G, RSW.
//
// U: a device's request counts as a user's unless the process context says otherwise, and the second stage treats every
// request as one; a leaf with U = 0 therefore allows nothing. Linux sets U in every leaf. X gives no right to read.
// A and D: tc.SADE and tc.GADE let the walker set them (accessed_updates and dirty_updates). Where it does not, A = 0 is
// a fault of its own, and D = 0 takes the write permission away: the hardware reports one and the same page fault for
// both, so that `permission` is as good a word.
// An address beyond the output size is not a page fault but an access fault, when it is used: reason address_size.
#pragma once
#include "page_table/format.h"
#include "swiommu/page_table/format_configuration.h"

namespace swiommu {

template <bool second_stage>
class RiscvTable {
 public:
  using Entry = std::uint64_t;

  explicit constexpr RiscvTable(FormatConfiguration const& c)
      : geometry_(radix(c.levels ? c.levels : 4, 12, second_stage ? 2 : 0)),
        output_bits_(c.output_bits ? c.output_bits : 56),
        offered_(offered_sizes(c)),
        svnapot_(c.svnapot),
        svpbmt_(c.svpbmt),
        accessed_updates_(c.accessed_updates),
        dirty_updates_(c.dirty_updates) {
    if (!second_stage) geometry_.extension = Extension::sign;
  }

  static Result<void> check(FormatConfiguration const& c) {
    if (c.levels != 0 && (c.levels < 3 || c.levels > 5)) return fail(EINVAL, "RISC-V tables have 3, 4 or 5 levels");
    if (c.output_bits > 56) return fail(EINVAL, "RISC-V tables output at most 56 bits");
    return {};
  }

  constexpr Geometry const& geometry() const { return geometry_; }
  constexpr unsigned output_bits() const { return output_bits_; }

  constexpr EntryKind kind(Entry e, unsigned level) const {
    if ((e & valid) == 0) return EntryKind::empty;
    if (is_reserved(e, level) || is_beyond(e)) return EntryKind::malformed;
    if (!is_leaf(e)) return EntryKind::table;
    return is_flag_missing(e) ? EntryKind::malformed : EntryKind::leaf;
  }
  constexpr Reason reason(Entry e, unsigned level) const {
    if (is_reserved(e, level)) return Reason::malformed;
    return is_leaf(e) && is_flag_missing(e) ? Reason::access_flag : Reason::address_size;
  }

  constexpr Entry empty(unsigned) const { return 0; }
  constexpr Entry table(std::uint64_t address, unsigned) const { return address_field(address) | valid; }
  constexpr std::uint64_t table_address(Entry e, unsigned) const { return address(e); }
  constexpr WordPattern<Entry> plain_table(unsigned) const {
    Entry const zero =
        read | write | execute | user | accessed | dirty | bit_span(63, 54) | address_field(~low_bits(output_bits_));
    return {.mask = valid | zero, .value = valid};
  }

  constexpr std::uint64_t leaf_sizes(unsigned level) const {
    return (bit(12 + 9 * level) | (level == 0 && svnapot_ ? bit(16) : 0)) & offered_;
  }
  constexpr Entry leaf(std::uint64_t output, unsigned level, unsigned size_lg2, Attributes a) const {
    bool const is_run = size_lg2 != 12 + 9 * level;
    return address_field(align_down(output, size_lg2)) | (is_run ? napot | run_code : 0) | valid | permissions(a.access) |
           (svpbmt_ ? static_cast<Entry>(a.memory) << 61 : 0);
  }
  constexpr unsigned leaf_size_lg2(Entry e, unsigned level, std::uint64_t) const {
    return (e & napot) != 0 ? 16 : 12 + 9 * level;
  }
  constexpr std::uint64_t leaf_address(Entry e, unsigned level, std::uint64_t input) const {
    return align_down(address(e), leaf_size_lg2(e, level, input));
  }
  constexpr Attributes attributes(Entry e, unsigned) const {
    bool const for_users = (e & user) != 0;
    bool const is_writable = (e & write) != 0 && (dirty_updates_ || (e & dirty) != 0);
    return {.access = {for_users && (e & read) != 0, for_users && is_writable},
            .memory = static_cast<MemoryType>(bit_field(e, 62, 61))};
  }

  constexpr Entry touched(Entry e, unsigned, bool writes) const {
    if (!is_leaf(e)) return e;
    return e | (accessed_updates_ ? accessed : 0) | (dirty_updates_ && writes ? dirty : 0);
  }
  constexpr bool tracks_accessed() const { return accessed_updates_; }
  constexpr Entry accessed_bit() const { return accessed; }
  constexpr bool is_accessed(Entry e) const { return (e & accessed) != 0; }
  constexpr Entry without_accessed(Entry e) const { return e & ~accessed; }
  constexpr bool tracks_dirty() const { return dirty_updates_; }
  constexpr Entry dirty_bit() const { return dirty; }
  constexpr bool is_dirty(Entry e) const { return (e & dirty) != 0; }
  constexpr Entry without_dirty(Entry e) const { return e & ~dirty; }

  static constexpr std::span<BitName const> bit_names() { return names; }

 private:
  static constexpr Entry valid = bit(0), read = bit(1), write = bit(2), execute = bit(3), user = bit(4);
  static constexpr Entry accessed = bit(6), dirty = bit(7), memory_type = bit_span(62, 61), napot = bit(63);
  static constexpr Entry run_code = Entry{8} << 10;  // ppn[3:0] of a run of 64 KiB
  static constexpr BitName names[] = {{63, "N"}, {62, "PBMT[1]"}, {61, "PBMT[0]"}, {9, "RSW[1]"}, {8, "RSW[0]"},
                                      {7, "D"},  {6, "A"},        {5, "G"},        {4, "U"},      {3, "X"},
                                      {2, "W"},  {1, "R"},        {0, "V"}};
  static_assert(static_cast<int>(MemoryType::noncacheable) == 1 && static_cast<int>(MemoryType::device) == 2);

  static constexpr bool is_leaf(Entry e) { return (e & (read | execute)) != 0; }
  static constexpr std::uint64_t address(Entry e) { return bit_field(e, 53, 10) << 12; }
  static constexpr Entry address_field(std::uint64_t address) { return bit_field(address, 55, 12) << 10; }

  // What the manual calls reserved, or a misaligned superpage.
  constexpr bool is_reserved(Entry e, unsigned level) const {
    std::uint64_t const type = bit_field(e, 62, 61);
    if ((e & bit_span(60, 54)) != 0 || (e & (read | write)) == write || type == 3 || (type != 0 && !svpbmt_)) return true;
    if (!is_leaf(e)) return level == 0 || (e & (accessed | dirty | user | napot | memory_type)) != 0;
    if ((e & napot) != 0) return level != 0 || !svnapot_ || bit_field(e, 13, 10) != 8;
    return !is_aligned(address(e), 12 + 9 * level);
  }
  constexpr bool is_flag_missing(Entry e) const { return !accessed_updates_ && (e & accessed) == 0; }
  constexpr bool is_beyond(Entry e) const { return address(e) >> output_bits_ != 0; }

  // A writable leaf must be readable. A leaf that allows nothing is one that may be executed, but not by users.
  // Where the walker keeps the flags, a new leaf starts without them.
  constexpr Entry permissions(Access a) const {
    Entry const flags = (accessed_updates_ ? 0 : accessed) | (a.write && !dirty_updates_ ? dirty : 0);
    return a == Access{} ? flags | execute : flags | user | read | (a.write ? write : 0);
  }

  Geometry geometry_;
  unsigned output_bits_;
  std::uint64_t offered_;
  bool svnapot_;
  bool svpbmt_;
  bool accessed_updates_;
  bool dirty_updates_;
};

using Riscv = RiscvTable<false>;
using RiscvX4 = RiscvTable<true>;

static_assert(PageTableFormat<Riscv> && ExplainsMalformed<Riscv> && TracksDirty<Riscv>);
static_assert(PageTableFormat<RiscvX4> && ExplainsMalformed<RiscvX4> && TracksDirty<RiscvX4>);

}  // namespace swiommu
