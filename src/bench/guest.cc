#include "bench/guest.h"

#include <algorithm>

#include "bench/failure.h"

namespace swiommu::bench {

namespace {

constexpr std::uint64_t room_for_upper_tables = std::uint64_t{64} << 20;

// Pages, one more to map from, and tables: whole leaves of the parent.
std::uint64_t memory_for(MeasuredFormat const& user, std::uint64_t pages) {
  return align_down(((pages + 1) << user.page_lg2()) + 16 * pages + room_for_upper_tables, 21);
}

}  // namespace

std::vector<Nesting> nestings(Scope const& scope) {
  constexpr struct {
    char const* user;
    char const* parent;
  } all[] = {{"x86-64", "vtd-second-stage"},
             {"x86-64", "amd-v1"},
             {"arm-lpae-s1-4k", "arm-lpae-s2-4k"},
             {"riscv-sv48", "riscv-sv48x4"},
             {"s390-zpci-rt", "vtd-second-stage"}};
  auto const wanted = [&](NamedFormat const& format) {
    return std::ranges::any_of(scope.formats, [&](NamedFormat const& each) { return each.name == format.name; });
  };
  std::vector<Nesting> chosen;
  for (auto const& [user_name, parent_name] : all) {
    Nesting nesting{.user = needed(find_format(user_name)), .parent = needed(find_format(parent_name)), .close = chosen.empty()};
    if (scope.quick && !chosen.empty()) break;
    if (wanted(nesting.user) || wanted(nesting.parent)) chosen.push_back(std::move(nesting));
  }
  return chosen;
}

Nesting shadowed() {
  return {.user = needed(find_format("s390-zpci-rt")), .parent = needed(find_format("vtd-second-stage")), .close = true};
}

Guest::Guest(Nesting const& nesting, std::uint64_t pages, unsigned parent_leaf_lg2)
    : user_(nesting.user),
      parent_format_(nesting.parent),
      pages_(pages),
      bytes_(memory_for(user_, pages)),
      next_(parent_format_.first + bytes_),
      memory_(std::make_unique<HostMemory>(bytes_)),
      parent_(needed(PagingDomain::create(memory_->host, nesting.parent.configuration))) {
  Range const guest{parent_format_.first, parent_format_.first + bytes_ - 1};
  needed(parent_->map(guest, memory_->ram->host_address(0), read_write, parent_leaf_lg2));
  description_ = {.format = nesting.user.configuration, .big_endian = nesting.user.big_endian};
  table_ = needed(PageTable::create_user(description_, *parent_, *this));
  description_.root = table_->root();
  map_from(0);
}

Result<std::uint64_t> Guest::allocate(unsigned size_lg2) {
  next_ = align_down(next_ - bit(size_lg2), size_lg2);
  if (next_ < parent_format_.first + ((pages_ + 1) << user_.page_lg2())) return out_of_memory();
  return next_;
}

void Guest::map_from(std::uint64_t first) {
  Gather gather;
  needed(table_->map(user_.pages(0, pages_), parent_format_.first + (first << user_.page_lg2()), read_write, Existing::replace,
                     Cut::split, gather, user_.page_lg2()));
  gather.finish();
}

void Guest::repeat_tables() {
  constexpr std::uint64_t items = 512;
  constexpr std::uint64_t tables = repeated_pages / items, upper = (std::uint64_t{1} << 24) / items / items;
  std::vector<WalkStep> steps;
  needed(table_->explain(user_.first, Access::reading(), steps));
  auto const step = [&](unsigned level) {
    auto const at = std::ranges::find(steps, level, &WalkStep::level);
    require(at != steps.end(), "the user page table has too few levels");
    return *at;
  };
  auto const put = [&](std::uint64_t address, std::uint64_t word) {
    require(parent_->write(address, &word, sizeof word) == sizeof word, "the guest's memory cannot be written");
  };
  std::uint64_t const first = step(1).entry_address;
  for (std::uint64_t n = tables; n < items - step(1).index; n++) {
    auto const word = parent_->load_word(first + n % tables * 8);
    require(word.has_value(), "the guest's memory cannot be read");
    put(first + n * 8, *word);
  }
  for (std::uint64_t n = 1; n < upper; n++) put(step(2).entry_address + n * 8, step(2).entry);
}

}  // namespace swiommu::bench
