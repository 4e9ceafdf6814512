// Arm VMSAv8-64 tables, stage 1 and stage 2: "Arm Architecture Reference Manual for A-profile" (DDI 0487), D8.2 (levels
// and granules), D8.3 (descriptors), D8.4 (permissions), D8.5 (hardware updates), D8.6 (memory types), D8.7 (contiguous
// bit), with 8-byte descriptors and without the 52-bit formats of small granules (FEAT_LPA2) and FEAT_D128. What a System
// MMU adds: "Arm System Memory Management Unit Architecture Specification" (IHI 0070), 3.4 (address sizes), 5.2 (STE), 5.4 (CD).
//
// The manual counts levels from the root down: its levels 3, 2, 1, 0 are our 0, 1, 2, 3. TnSZ is 64 - input_bits; the
// root has as many items as the input needs, down to two. Stage 2 may place up to 16 tables side by side as one root
// (concatenation) and then starts one level lower: `levels` says where SL0 starts it; without it the tree is as flat as
// 16 tables allow. The root is aligned to its size (at least 64 bytes); that is for the reader of TTB to see to.
//
// Checked: the descriptor type; blocks where the granule has none are like bits 1:0 = 0, not present (4K: at level 3,
// 16K: level 2, 64K: level 2 unless 52 bits are output); output addresses and table addresses beyond the output size;
// the access flag. With the 64K granule bits 15:12 hold address bits 51:48, whatever the output size is.
// Ignored: address bits below a block's size and nT (bit 16); bits 50:48 (GP); nG, NS, NSTable, XN, PXN, XNTable,
// PXNTable; shareability; software bits 58:55 and PBHA; in stage 2 also what stage 1 calls APTable.
//
// Who asks: stage 1 tells privileged from unprivileged requests. A device's requests count as unprivileged here, which is
// what a PCIe device sends unless it has a PASID and asks for more, and STE.PRIVCFG, as Linux writes it, leaves that as
// it comes. AP[1] = 0 and APTable[0] = 1 therefore leave no right at all. Linux sets AP[1] in every leaf but those asked
// for with IOMMU_PRIV. A stage-1 leaf that can be written can be read.
//
// Flags: accessed_updates is HA, dirty_updates is HD, which without HA does nothing (IHI 0070, 5.4). With HA, AFFD
// (access_flag_faults) is ignored. Dirty is a writable leaf with DBM set; clean is DBM without write permission.
//
// A contiguous run (bit 52) that its owner built wrongly is not trusted: an item counts as part of the run only if its
// own address fits its place in the run, otherwise it stands for itself. Either is among the outcomes that the manual
// leaves open (D8.7.1), and each input leads to the address that its own item names.
#pragma once
#include "page_table/format.h"
#include "swiommu/page_table/format_configuration.h"

namespace swiommu {

template <unsigned stage>
  requires(stage == 1 || stage == 2)
class ArmLpae {
 public:
  using Entry = std::uint64_t;

  // The configuration is one that `check` accepts.
  explicit constexpr ArmLpae(FormatConfiguration const& c)
      : geometry_(geometry_of(shape(c), c)),
        output_bits_(output_size(c)),
        offered_(offered_sizes(c)),
        granule_lg2_(shape(c).granule_lg2),
        highest_block_(granule_lg2_ == 12 || (granule_lg2_ == 16 && output_bits_ > 48) ? 2 : 1),
        accessed_updates_(c.accessed_updates),
        dirty_updates_(c.accessed_updates && c.dirty_updates),
        flag_faults_(c.access_flag_faults && !c.accessed_updates),
        table_rights_(c.table_rights),
        memory_types_(c.memory_attributes ? c.memory_attributes : linux_indirection),
        memory_fields_{memory_field(MemoryType::normal), memory_field(MemoryType::noncacheable),
                       memory_field(MemoryType::device)} {}

  static Result<void> check(FormatConfiguration const& c) {
    Shape const s = shape(c);
    if (s.granule_lg2 != 12 && s.granule_lg2 != 14 && s.granule_lg2 != 16)
      return fail(EINVAL, "Arm granules are 4, 16 and 64 KiB (granule_lg2 12, 14, 16)");
    bool const wide = s.granule_lg2 == 16;
    unsigned const input = s.input_bits;
    if (c.output_bits > 52) return fail(EINVAL, "Arm tables output at most 52 bits");
    if (input < (wide ? 17u : 16u) || input > (wide ? 52u : 48u))
      return fail(EINVAL, "Arm tables take 16 to 48 bits of input, with 64 KiB granules 17 to 52");
    unsigned const most = wide || (stage == 2 && s.granule_lg2 == 14) ? 3 : 4;
    if (s.levels > most) return fail(EINVAL, "this Arm stage and granule have at most " + std::to_string(most) + " levels");
    unsigned const above_root = s.granule_lg2 + (s.levels - 1) * (s.granule_lg2 - 3);
    if (input <= above_root || input > above_root + s.granule_lg2 - 3 + (stage == 2 ? 4 : 0))
      return fail(EINVAL, "an Arm table of " + std::to_string(s.levels) + " levels cannot take " + std::to_string(input) +
                              " bits of input");
    return {};
  }

  constexpr Geometry const& geometry() const { return geometry_; }
  constexpr unsigned output_bits() const { return output_bits_; }

  constexpr EntryKind kind(Entry e, unsigned level) const {
    if ((e & valid) == 0) return EntryKind::empty;
    if (is_leaf(e, level)) {
      if (level == 0 ? (e & not_block) == 0 : level > highest_block_) return EntryKind::empty;
      bool const refused = is_beyond(item_address(e, level)) || (flag_faults_ && (e & access_flag) == 0);
      return refused ? EntryKind::malformed : EntryKind::leaf;
    }
    return is_beyond(table_address(e, level)) ? EntryKind::malformed : EntryKind::table;
  }
  // An address that is too large comes before a clear access flag.
  constexpr Reason reason(Entry e, unsigned level) const {
    bool const beyond = is_beyond(is_leaf(e, level) ? item_address(e, level) : table_address(e, level));
    return beyond ? Reason::address_size : Reason::access_flag;
  }

  constexpr Entry empty(unsigned) const { return 0; }
  constexpr Entry table(std::uint64_t address, unsigned) const { return address_field(address) | not_block | valid; }
  constexpr std::uint64_t table_address(Entry e, unsigned) const { return address(e, granule_lg2_); }
  constexpr Access table_rights(Entry e, unsigned) const
    requires(stage == 1)
  {
    bool const unprivileged = !table_rights_ || (e & table_privileged) == 0;
    return {unprivileged, unprivileged && (!table_rights_ || (e & table_read_only) == 0)};
  }
  constexpr WordPattern<Entry> plain_table(unsigned) const {
    Entry const narrowing = stage == 1 && table_rights_ ? table_privileged | table_read_only : 0;
    return {.mask = valid | not_block | narrowing | address_field(~low_bits(output_bits_)), .value = valid | not_block};
  }

  constexpr std::uint64_t leaf_sizes(unsigned level) const {
    if (level > highest_block_ || level >= geometry_.levels) return 0;
    return (bit(geometry_.level[level].shift) | bit(run_size_lg2(level))) & offered_;
  }
  constexpr Entry leaf(std::uint64_t output, unsigned level, unsigned size_lg2, Attributes a) const {
    return address_field(output) | valid | (level == 0 ? not_block : 0) | (accessed_updates_ ? 0 : access_flag) |
           (size_lg2 > geometry_.level[level].shift ? contiguous : 0) | permissions(a.access) |
           memory_fields_[static_cast<unsigned>(a.memory)];
  }
  constexpr unsigned leaf_size_lg2(Entry e, unsigned level, std::uint64_t input) const {
    unsigned const item = geometry_.level[level].shift;
    if ((e & contiguous) == 0) return item;
    unsigned const run = run_size_lg2(level);
    std::uint64_t const place = low_bits(run) & ~low_bits(item);
    return ((item_address(e, level) ^ input) & place) == 0 ? run : item;
  }
  constexpr std::uint64_t leaf_address(Entry e, unsigned level, std::uint64_t input) const {
    return align_down(item_address(e, level), leaf_size_lg2(e, level, input));
  }

  constexpr Attributes attributes(Entry e, unsigned) const {
    // With DBM set the write permission is a dirty flag, and the walker may give it.
    bool const given = dirty_updates_ && (e & dirty_modifier) != 0;
    if constexpr (stage == 1) {
      bool const unprivileged = (e & ap1) != 0;
      return {.access = {unprivileged, unprivileged && (given || (e & ap2) == 0)},
              .memory = type_of(static_cast<unsigned>(memory_types_ >> (8 * bit_field(e, 4, 2)) & 0xff))};
    } else {
      // The field holds the outer and inner halves of a MAIR byte, two bits each, WB = 3, WT = 2, NC = 1.
      std::uint64_t const field = bit_field(e, 5, 2);
      return {.access = {(e & s2ap0) != 0, given || (e & s2ap1) != 0},
              .memory = field < 4    ? MemoryType::device
                        : field == 5 ? MemoryType::noncacheable
                                     : MemoryType::normal};
    }
  }

  constexpr Entry touched(Entry e, unsigned level, bool writes) const {
    if (!is_leaf(e, level)) return e;
    if (accessed_updates_) e |= access_flag;
    if (dirty_updates_ && writes && (e & dirty_modifier) != 0) e = stage == 1 ? e & ~ap2 : e | s2ap1;
    return e;
  }
  constexpr bool tracks_accessed() const { return accessed_updates_; }
  constexpr Entry accessed_bit() const { return access_flag; }
  constexpr bool is_accessed(Entry e) const { return (e & access_flag) != 0; }
  constexpr Entry without_accessed(Entry e) const { return e & ~access_flag; }
  // Only leaves with DBM tell: the others are writable for good, or not at all.
  constexpr bool tracks_dirty() const { return dirty_updates_; }
  constexpr Entry dirty_bit() const { return dirty_modifier; }
  constexpr bool is_dirty(Entry e) const { return (e & dirty_modifier) != 0 && (stage == 1 ? (e & ap2) == 0 : (e & s2ap1) != 0); }
  constexpr Entry without_dirty(Entry e) const {
    if (!is_dirty(e)) return e;
    return stage == 1 ? e | ap2 : e & ~s2ap1;
  }

  static constexpr std::span<BitName const> bit_names() {
    if constexpr (stage == 1)
      return stage1_names;
    else
      return stage2_names;
  }

 private:
  static constexpr Entry valid = bit(0), not_block = bit(1), access_flag = bit(10), dirty_modifier = bit(51),
                         contiguous = bit(52);
  static constexpr Entry ap1 = bit(6), ap2 = bit(7), not_global = bit(11), table_privileged = bit(61), table_read_only = bit(62);
  static constexpr Entry s2ap0 = bit(6), s2ap1 = bit(7);
  static constexpr Entry inner_shareable = Entry{3} << 8, outer_shareable = Entry{2} << 8;
  // Index 0 noncacheable, 1 write-back, 2 device nGnRE, 3 inner noncacheable and outer write-back.
  static constexpr std::uint64_t linux_indirection = 0xf404ff44;
  static constexpr BitName stage1_names[] = {
      {63, "NSTable"},    {62, "APTable[1]"}, {61, "APTable[0]"}, {60, "UXNTable"},  {59, "PXNTable"}, {54, "UXN"},
      {53, "PXN"},        {52, "Contiguous"}, {51, "DBM"},        {50, "GP"},        {16, "nT"},       {11, "nG"},
      {10, "AF"},         {9, "SH[1]"},       {8, "SH[0]"},       {7, "AP[2]"},      {6, "AP[1]"},     {5, "NS"},
      {4, "AttrIndx[2]"}, {3, "AttrIndx[1]"}, {2, "AttrIndx[0]"}, {1, "table/page"}, {0, "valid"}};
  static constexpr BitName stage2_names[] = {{54, "XN[1]"},     {53, "XN[0]"},     {52, "Contiguous"}, {51, "DBM"},
                                             {16, "nT"},        {10, "AF"},        {9, "SH[1]"},       {8, "SH[0]"},
                                             {7, "S2AP[1]"},    {6, "S2AP[0]"},    {5, "MemAttr[3]"},  {4, "MemAttr[2]"},
                                             {3, "MemAttr[1]"}, {2, "MemAttr[0]"}, {1, "table/page"},  {0, "valid"}};

  struct Shape {
    unsigned granule_lg2, input_bits, levels;
  };
  static constexpr Shape shape(FormatConfiguration const& c) {
    unsigned const granule = c.granule_lg2 ? c.granule_lg2 : 12;
    unsigned const width = granule - 3;
    unsigned const full = c.levels && c.levels <= maximum_levels ? granule + c.levels * width : 48;
    unsigned const input = c.input_bits ? c.input_bits : full < 48 ? full : 48;
    if (c.levels) return {granule, input, c.levels};
    // The fewest levels that reach far enough; a larger number than any is refused by `check`.
    unsigned levels = 1;
    while (levels < maximum_levels && granule + levels * width + (stage == 2 ? 4 : 0) < input) levels++;
    // SL0 has no value for a 4K root at the manual's level 3 but that of FEAT_TTST, for inputs too small for more.
    if (stage == 2 && granule == 12 && levels == 1 && input > 21) levels = 2;
    return {granule, input, levels};
  }
  static constexpr Geometry geometry_of(Shape s, FormatConfiguration const& c) {
    Geometry g = radix(s.levels, s.granule_lg2, 0, s.input_bits);
    if (stage == 1 && c.upper_half) g.extension = Extension::ones;
    if (stage == 1 && c.top_byte_ignored) g.ignored_top_bits = 8;
    return g;
  }
  // The 4K and 16K granules have no place for address bits 51:48.
  static constexpr unsigned output_size(FormatConfiguration const& c) {
    unsigned const most = shape(c).granule_lg2 == 16 ? 52 : 48;
    unsigned const wanted = c.output_bits ? c.output_bits : 48;
    return wanted < most ? wanted : most;
  }

  static constexpr bool is_leaf(Entry e, unsigned level) { return level == 0 || (e & not_block) == 0; }
  constexpr bool is_beyond(std::uint64_t address) const { return address >> output_bits_ != 0; }

  constexpr std::uint64_t address(Entry e, unsigned low) const {
    return (e & bit_span(47, low)) | (granule_lg2_ == 16 ? bit_field(e, 15, 12) << 48 : 0);
  }
  constexpr std::uint64_t item_address(Entry e, unsigned level) const { return address(e, geometry_.level[level].shift); }
  constexpr Entry address_field(std::uint64_t address) const {
    return (address & bit_span(47, granule_lg2_)) | (granule_lg2_ == 16 ? bit_field(address, 51, 48) << 12 : 0);
  }

  // Size of a contiguous run; of one item where there are no runs, or where the root is too small for one.
  constexpr unsigned run_size_lg2(unsigned level) const {
    unsigned items_lg2 = 0;
    if (granule_lg2_ == 12)
      items_lg2 = 4;
    else if (granule_lg2_ == 14)
      items_lg2 = level == 0 ? 7 : 5;
    else if (level <= 1)
      items_lg2 = 5;
    LevelShape const& shape = geometry_.level[level];
    return shape.shift + (items_lg2 <= shape.index_bits ? items_lg2 : 0);
  }

  // Where the walker keeps dirty flags, a new writable leaf is clean. Stage 1 has no leaf that is only writable.
  constexpr Entry permissions(Access a) const {
    Entry const modifier = dirty_updates_ && a.write ? dirty_modifier : 0;
    bool const write_now = a.write && !dirty_updates_;
    if constexpr (stage == 1)
      return not_global | modifier | (a == Access{} ? 0 : ap1) | (write_now ? 0 : ap2);
    else
      return modifier | (a.read ? s2ap0 : 0) | (write_now ? s2ap1 : 0);
  }

  static constexpr MemoryType type_of(unsigned mair_byte) {
    if (mair_byte < 0x10) return MemoryType::device;
    return mair_byte == 0x44 || mair_byte == 0x40 ? MemoryType::noncacheable : MemoryType::normal;
  }
  constexpr Entry memory_field(MemoryType type) const {
    Entry const shareability = type == MemoryType::normal ? inner_shareable : outer_shareable;
    if constexpr (stage == 1) {
      for (Entry index = 0; index < 8; index++)
        if (type_of(static_cast<unsigned>(memory_types_ >> (8 * index) & 0xff)) == type) return shareability | index << 2;
      return shareability;  // no such type in MAIR: index 0, whatever that is
    } else {
      Entry const field = type == MemoryType::normal ? 0xf : type == MemoryType::noncacheable ? 0x5 : 0x1;
      return shareability | field << 2;
    }
  }

  Geometry geometry_;
  unsigned output_bits_;
  std::uint64_t offered_;
  unsigned granule_lg2_;
  unsigned highest_block_;  // level
  bool accessed_updates_;
  bool dirty_updates_;
  bool flag_faults_;
  bool table_rights_;
  std::uint64_t memory_types_;          // MAIR
  std::array<Entry, 3> memory_fields_;  // by MemoryType
};

using ArmStage1 = ArmLpae<1>;
using ArmStage2 = ArmLpae<2>;

static_assert(PageTableFormat<ArmStage1> && CombinesRights<ArmStage1> && ExplainsMalformed<ArmStage1> && TracksDirty<ArmStage1>);
static_assert(PageTableFormat<ArmStage2> && !CombinesRights<ArmStage2> && ExplainsMalformed<ArmStage2> && TracksDirty<ArmStage2>);

}  // namespace swiommu
