// A page table of any format, our own or somebody else's, behind one interface.
//
// Inputs and outputs are plain numbers here: whether they are iovas, guest or host addresses is decided by the domain that
// uses the table. Calls on disjoint ranges may run at the same time, and walks at any time; nobody may change overlapping
// ranges at the same time. Freed tables and the range to invalidate collect in the caller's Gather.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "swiommu/base/function_ref.h"
#include "swiommu/base/range.h"
#include "swiommu/base/result.h"
#include "swiommu/memory/memory_view.h"
#include "swiommu/memory/table_allocator.h"
#include "swiommu/page_table/change.h"
#include "swiommu/page_table/gather.h"
#include "swiommu/page_table/leaf.h"
#include "swiommu/page_table/user_page_table.h"
#include "swiommu/page_table/walk.h"

namespace swiommu {

enum class Flag : std::uint8_t { accessed, dirty };
enum class Clear : bool { no, yes };
// May a walk write accessed and dirty flags, as the format is configured?
enum class Update : bool { no, yes };

struct TableShape {
  unsigned levels = 0;
  unsigned input_bits = 0;
  unsigned output_bits = 0;
  unsigned root_size_lg2 = 0;      // base-2 logarithm of the bytes of the root table
  std::uint64_t page_sizes = 0;    // bit n: leaves of 2^n bytes can be mapped
  Range lower;                     // the inputs that the table covers
  std::optional<Range> upper;      // and the upper half, where inputs are sign-extended
  bool tracks_accessed = false;    // read_flags(Flag::accessed) works
  bool tracks_dirty = false;       // read_flags(Flag::dirty) works
  bool has_lowest_tables = false;  // tables of level 0 may be kept as LowestTable

  [[nodiscard]] bool contains(Range range) const { return lower.contains(range) || (upper && upper->contains(range)); }
  [[nodiscard]] unsigned smallest_page_lg2() const { return alignment_lg2(page_sizes); }
};

// Where tables of a user page table come from, if we are to write into one: memory that belongs to the user.
class UserTableSource {
 public:
  virtual ~UserTableSource() = default;
  // An address in the user's memory, aligned to its size of 2^size_lg2 bytes. ENOMEM.
  virtual Result<std::uint64_t> allocate(unsigned size_lg2) = 0;
  // Takes back a table that is no longer linked. Which one it is was read in the user's memory: a user who means harm makes it
  // any address, and the same more than once.
  virtual void release(std::uint64_t table, unsigned size_lg2) = 0;
};

class PageTable {
 public:
  static constexpr std::uint64_t no_limit = ~std::uint64_t{0};
  // Words that one call of map, unmap or read_flags looks at in a user's table, unless told otherwise: 256 GiB of 4 KiB pages. A
  // hostile table can have everything point at the same few tables, and keep us busy for ever.
  static constexpr std::uint64_t default_budget = std::uint64_t{1} << 26;

  // An empty table of our own. EINVAL: the configuration is none that the format has. ENOMEM.
  static Result<std::unique_ptr<PageTable>> create(FormatConfiguration const& format, std::shared_ptr<TableAllocator> allocator);

  // A table that somebody else wrote, read through `memory`, which must outlive it. Opening reads nothing: a root that
  // cannot be reached shows when it is walked. map and unmap take tables from `source`; without one they need none or give
  // ENOTSUP. EINVAL: the configuration is none that the format has. ENOMEM.
  static Result<std::unique_ptr<PageTable>> open(UserPageTable const& table, MemoryView const& memory,
                                                 UserTableSource* source = nullptr, std::uint64_t budget = default_budget);

  // An empty table in the user's memory, as a guest makes one: `table.root` is not looked at, the root is taken from `source`, as
  // all further tables are. Nothing is freed when the object dies: the table is the user's. Errors as above; EFAULT: the
  // memory that `source` gave cannot be written through `memory`.
  static Result<std::unique_ptr<PageTable>> create_user(UserPageTable const& table, MemoryView const& memory,
                                                        UserTableSource& source, std::uint64_t budget = default_budget);

  PageTable() = default;
  PageTable(PageTable const&) = delete;
  PageTable& operator=(PageTable const&) = delete;
  virtual ~PageTable() = default;

  [[nodiscard]] virtual TableShape const& shape() const = 0;
  [[nodiscard]] virtual std::uint64_t root() const = 0;

  // Translates one input. An access that asks for nothing is not checked for permission. `reader`: the memory that a user's table
  // lies in, as somebody sees it who keeps what was found there; nullptr: as it was given to open().
  virtual Walk walk(std::uint64_t input, Access access, Update update, MemoryView const* reader = nullptr) const = 0;

  // The same from a table of level 0 on that an earlier walk met, if nothing is to be said but where the input leads: false where
  // the access ends in a fault, or sets flags, and for tables of our own; walk() does it then. `walk.entry_address` is not set.
  virtual bool walk_lowest(LowestTable const& table, std::uint64_t input, Access access, Update update, Walk& walk) const = 0;

  // The same without updates, and what was read at each level on the way. ENOMEM.
  virtual Result<Walk> explain(std::uint64_t input, Access access, std::vector<WalkStep>& steps) const = 0;

  // Maps range.start.. to output.., with the largest entries that fit, but none larger than 2^largest_leaf_lg2. Attributes that
  // the format cannot express are dropped, but rights never grow beyond what the format must add (x86-64, Arm stage 1, RISC-V,
  // s390: whatever can be written can be read). With Existing::replace, `cut` says what happens to entries that the range covers
  // only in part. EINVAL: neither read nor write; not aligned to the smallest page, or that is too large; cuts an entry. ERANGE:
  // beyond the inputs or outputs of the format. EEXIST: something is mapped there. ENOMEM. On error nothing has changed. Tables
  // in a user's memory, besides: ENOTSUP where the user left out levels or parts of a table that the range needs; E2BIG if the
  // budget does not suffice for the range, which may be done in smaller ones; EFAULT if that memory cannot be read or written, or
  // is changed by the user during the call, which may then be done in part.
  static constexpr unsigned any_leaf = 63;
  virtual Result<void> map(Range range, std::uint64_t output, Attributes attributes, Existing existing, Cut cut, Gather& gather,
                           unsigned largest_leaf_lg2 = any_leaf) = 0;

  // Unmaps what is mapped in the range; holes are passed over. Returns the number of bytes that were mapped (0 also stands
  // for the whole 64-bit space). EINVAL: cuts an entry and `cut` is refuse. ERANGE: beyond the inputs. ENOMEM: a split found no
  // tables. On error nothing has changed. E2BIG, EFAULT as above.
  virtual Result<std::uint64_t> unmap(Range range, Cut cut, Gather& gather) = 0;

  // The first input of the range that is not mapped to its place in output.., or with other rights or coherence; nothing if the
  // range is mapped like that all over, with whatever entries.
  [[nodiscard]] virtual std::optional<std::uint64_t> first_difference(Range range, std::uint64_t output,
                                                                      Attributes attributes) const = 0;

  // Calls `visit` for the leaves in the range, in order, until it returns false or `budget` words have been read; returns
  // whether the end was reached. Tables may point at each other in ways that make a visit very long.
  bool visit(Range range, FunctionRef<bool(Leaf const&)> visit, std::uint64_t budget = no_limit) const {
    VisitLimit limit{.words = budget};
    return visit_some(range, visit, limit);
  }
  // The same, to be gone on with at `limit.next` if the end was not reached. Beginning there reads one word a level again.
  virtual bool visit_some(Range range, FunctionRef<bool(Leaf const&)> visit, VisitLimit& limit) const = 0;

  // Reports the ranges whose flag is set, whole entries clipped to the range; with Clear::yes clears the flags of the entries
  // that lie inside the range whole. The caller invalidates and waits before it trusts the report. EOPNOTSUPP: the format
  // has no such flag, or is not configured for it. ERANGE. E2BIG: the budget is used up; what was cleared was reported.
  // Clearing is a change: of what is in the range, only walks set flags meanwhile.
  virtual Result<void> read_flags(Flag flag, Range range, Clear clear, FunctionRef<void(Range)> report) = 0;

  // What the bits of one word are called.
  [[nodiscard]] virtual std::string describe(std::uint64_t entry) const = 0;
};

}  // namespace swiommu
