// Random calls on two address spaces that share memory, account and nothing else, against a model made of one record per page.
#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "io_address_space_fixture.h"

namespace swiommu {
namespace {

constexpr std::uint64_t window = 512;       // pages of iovas that are played with
constexpr std::uint64_t memory_pages = 64;  // of each piece of memory
constexpr std::uint64_t limit = 150;        // of the account, of 3 * 64 pages

// One mapped page. Pages of one area have its first page as `area`.
struct MappedPage {
  std::uint64_t area;
  unsigned memory;
  std::uint64_t offset;  // in pages
  bool writable;
  bool operator==(MappedPage const&) const = default;
};

// Everything counts in pages.
struct ModelSpace {
  std::map<std::uint64_t, MappedPage> pages;
  std::set<unsigned> domains;               // by number
  std::multimap<unsigned, Range> reserved;  // by owner
  std::vector<Range> allowed;

  [[nodiscard]] bool is_reserved(Range range) const {
    return std::ranges::any_of(reserved, [&](auto const& each) { return each.second.overlaps(range); });
  }
  [[nodiscard]] bool is_mapped(Range range) const {
    auto const at = pages.lower_bound(range.start);
    return at != pages.end() && at->first <= range.last;
  }
  // Does the page belong to the same area as the one before it?
  [[nodiscard]] bool continues(std::uint64_t at) const {
    auto const here = pages.find(at), before = pages.find(at - 1);
    return at > 0 && here != pages.end() && before != pages.end() && here->second.area == before->second.area;
  }
};

class IoAddressSpaceModel : public IoAddressSpaceTest, public testing::WithParamInterface<unsigned> {
 protected:
  static constexpr unsigned large_pages = 2;  // the number of the domain whose smallest page is 64 KiB

  struct Piece {
    unsigned memory;
    std::uint64_t offset, length;
  };

  IoAddressSpaceModel() {
    account_ = std::make_shared<Account>(limit);
    for (auto& each : memory_) each = memory(memory_pages);
    for (auto& each : spaces_) each = *IoAddressSpace::create();
    for (unsigned s = 0; s < 2; s++) {
      domains_[s] = {domain(), domain({.format = FormatName::amd_v1}),
                     domain({.format = FormatName::arm_stage2, .granule_lg2 = 16})};
    }
  }

  std::uint64_t number(std::uint64_t below) { return random_() % below; }
  Range some_range(std::uint64_t longest) {
    std::uint64_t const step = number(2) ? 16 : 1;
    std::uint64_t const start = number(window / step) * step;
    return {start, std::min(start + (number(longest / step + 1) + 1) * step, window) - 1};
  }
  static Range bytes(Range pages) { return {pages.start * page, pages.last * page + (page - 1)}; }

  std::uint64_t alignment(ModelSpace const& m) const { return m.domains.contains(large_pages) ? 16 : 1; }

  // Distinct pages that are pinned if the model is right.
  std::uint64_t charged() const {
    std::set<std::pair<unsigned, std::uint64_t>> pinned;
    for (ModelSpace const& m : model_) {
      if (m.domains.empty()) continue;
      for (auto const& [at, mapped] : m.pages) pinned.emplace(mapped.memory, mapped.offset);
    }
    return pinned.size();
  }

  static void put(ModelSpace& m, std::uint64_t at, std::vector<Piece> const& pieces, bool writable) {
    for (Piece const& piece : pieces) {
      for (std::uint64_t i = 0; i < piece.length; i++) m.pages[at + i] = {at, piece.memory, piece.offset + i, writable};
      at += piece.length;
    }
  }

  // The code that mapping at a fixed place must give; if it is 0 the model has changed.
  int put_if_possible(unsigned s, std::uint64_t at, std::vector<Piece> const& pieces, bool writable) {
    ModelSpace& m = model_[s];
    std::uint64_t const a = alignment(m);
    std::uint64_t const total = total_of(pieces);
    Range const place{at, at + total - 1};
    if (total % a || at % a || m.is_reserved(place)) return EINVAL;
    if (m.is_mapped(place)) return EEXIST;
    return put_if_mappable(s, at, pieces, writable);
  }

  static std::uint64_t total_of(std::vector<Piece> const& pieces) {
    std::uint64_t total = 0;
    for (Piece const& piece : pieces) total += piece.length;
    return total;
  }

  int put_if_mappable(unsigned s, std::uint64_t at, std::vector<Piece> const& pieces, bool writable) {
    std::uint64_t const a = alignment(model_[s]);
    for (Piece const& piece : pieces) {
      if (piece.offset % a || piece.length % a) return EINVAL;
    }
    return put_if_affordable(s, [&] { put(model_[s], at, pieces, writable); });
  }

  template <class Change>
  int put_if_affordable(unsigned s, Change change) {
    ModelSpace const before = model_[s];
    change();
    if (charged() <= limit) return 0;
    model_[s] = before;
    return ENOMEM;
  }

  [[nodiscard]] static bool is_allowed(ModelSpace const& m, std::uint64_t at) {
    return m.allowed.empty() || std::ranges::any_of(m.allowed, [&](Range each) { return each.contains(at); });
  }
  // Of the memory, in pages; it starts at a multiple of all lengths.
  static std::uint64_t step_for(std::vector<Piece> const& pieces) {
    std::uint64_t const offset = pieces[0].offset, most = std::bit_ceil(total_of(pieces));
    return std::min(most, offset != 0 ? offset & -offset : memory_pages);
  }

  // The lowest place that is aligned as the memory is; nothing if there is none.
  std::optional<std::uint64_t> place_for(ModelSpace const& m, std::vector<Piece> const& pieces) const {
    std::uint64_t const total = total_of(pieces), step = step_for(pieces);
    for (std::uint64_t at = step; at < 4 * window; at += step) {
      Range const place{at, at + total - 1};
      bool allowed = true;
      for (std::uint64_t i = at; i <= place.last && allowed; i++) allowed = is_allowed(m, i);
      if (allowed && !m.is_reserved(place) && !m.is_mapped(place)) return at;
    }
    return std::nullopt;
  }
  int put_anywhere_if_possible(unsigned s, std::vector<Piece> const& pieces, bool writable, std::uint64_t& place) {
    std::uint64_t const a = alignment(model_[s]);
    if (total_of(pieces) % a || step_for(pieces) < a) return EINVAL;
    auto const at = place_for(model_[s], pieces);
    if (!at) return ENOSPC;
    place = *at * page;
    return put_if_mappable(s, *at, pieces, writable);
  }

  PagesSlice slice(Piece const& piece) const { return {memory_[piece.memory], piece.offset * page, piece.length * page}; }

  void map_some();
  void copy_some();
  void unmap_some();
  void attach_or_detach();
  void limit_some();
  void check() const;

  std::mt19937 random_{GetParam()};
  std::shared_ptr<Pages> memory_[3];
  std::shared_ptr<IoAddressSpace> spaces_[2];
  std::vector<std::shared_ptr<PagingDomain>> domains_[2];
  ModelSpace model_[2];
};

void IoAddressSpaceModel::map_some() {
  auto const s = static_cast<unsigned>(number(2));
  Range const place = some_range(32);
  Piece const piece{static_cast<unsigned>(number(3)), number(4) * 16 + number(2) * number(16), place.last - place.start + 1};
  bool const writable = number(2);
  Attributes const attributes = writable ? read_write : read_only;
  if (piece.offset + piece.length > memory_pages) {
    EXPECT_EQ(code_of(spaces_[s]->map(Iova(place.start * page), slice(piece), attributes)), ERANGE);
  } else if (number(2)) {
    auto const result = spaces_[s]->map(Iova(place.start * page), slice(piece), attributes);
    EXPECT_EQ(code_of(result), put_if_possible(s, place.start, {piece}, writable));
  } else {
    std::uint64_t expected = 0;
    auto const result = spaces_[s]->map_anywhere(slice(piece), attributes);
    EXPECT_EQ(code_of(result), put_anywhere_if_possible(s, {piece}, writable, expected));
    EXPECT_EQ(result ? result->value : expected, expected);
  }
}

void IoAddressSpaceModel::copy_some() {
  auto const from = static_cast<unsigned>(number(2)), to = static_cast<unsigned>(number(2));
  Range const source = some_range(48);
  bool const writable = number(2);
  Attributes const attributes = writable ? read_write : read_only;
  std::vector<Piece> pieces;
  bool complete = true;
  for (std::uint64_t at = source.start; at <= source.last && complete; at++) {
    auto const mapped = model_[from].pages.find(at);
    complete = mapped != model_[from].pages.end();
    if (!complete) break;
    if (at > source.start && model_[from].continues(at))
      pieces.back().length++;
    else
      pieces.push_back({mapped->second.memory, mapped->second.offset, 1});
  }
  std::uint64_t const at = number(window);
  std::uint64_t expected = 0;
  if (number(2)) {
    auto const result = spaces_[to]->copy(*spaces_[from], bytes(source), Iova(at * page), attributes);
    EXPECT_EQ(code_of(result), complete ? put_if_possible(to, at, pieces, writable) : ENOENT);
  } else {
    auto const result = spaces_[to]->copy_anywhere(*spaces_[from], bytes(source), attributes);
    EXPECT_EQ(code_of(result), complete ? put_anywhere_if_possible(to, pieces, writable, expected) : ENOENT);
    EXPECT_EQ(result ? result->value : expected, expected);
  }
}

void IoAddressSpaceModel::unmap_some() {
  auto const s = static_cast<unsigned>(number(2));
  ModelSpace& m = model_[s];
  if (number(30) == 0) {
    EXPECT_EQ(*spaces_[s]->unmap_all(), m.pages.size() * page);
    m.pages.clear();
    return;
  }
  Range range = some_range(48);
  if (number(2)) {  // make it fit areas
    while (m.continues(range.start)) range.start--;
    while (m.continues(range.last + 1)) range.last++;
  }
  auto const result = spaces_[s]->unmap(bytes(range));
  if (!m.is_mapped(range) || m.continues(range.start) || m.continues(range.last + 1)) {
    EXPECT_EQ(code_of(result), ENOENT);
    return;
  }
  auto const first = m.pages.lower_bound(range.start), end = m.pages.upper_bound(range.last);
  ASSERT_TRUE(result);
  EXPECT_EQ(*result, static_cast<std::uint64_t>(std::distance(first, end)) * page);
  m.pages.erase(first, end);
}

void IoAddressSpaceModel::attach_or_detach() {
  auto const s = static_cast<unsigned>(number(2)), d = static_cast<unsigned>(number(3));
  ModelSpace& m = model_[s];
  if (m.domains.contains(d)) {
    EXPECT_EQ(code_of(spaces_[s]->attach_domain(domains_[s][d])), EEXIST);
    if (number(2)) {
      EXPECT_TRUE(spaces_[s]->detach_domain(*domains_[s][d]));
      m.domains.erase(d);
    }
    return;
  }
  EXPECT_EQ(code_of(spaces_[s]->detach_domain(*domains_[s][d])), ENOENT);
  auto const result = spaces_[s]->attach_domain(domains_[s][d]);
  bool aligned = true;
  for (auto const& [at, mapped] : m.pages) {
    // Areas are whole blocks of 16 pages, backed by whole blocks.
    bool const last = !m.continues(at + 1);
    aligned = aligned && (m.continues(at) || at % 16 == 0) && (!last || at % 16 == 15) && (at - mapped.offset) % 16 == 0;
  }
  int const expected = d == large_pages && !aligned ? EADDRINUSE : put_if_affordable(s, [&] { m.domains.insert(d); });
  EXPECT_EQ(code_of(result), expected);
}

void IoAddressSpaceModel::limit_some() {
  auto const s = static_cast<unsigned>(number(2)), owner = static_cast<unsigned>(number(3));
  ModelSpace& m = model_[s];
  auto const taken = [&](Range range) {
    return m.is_mapped(range) || std::ranges::any_of(m.allowed, [&](Range each) { return each.overlaps(range); });
  };
  switch (number(4)) {
    case 0: {
      Range const ranges[] = {some_range(16), some_range(4)}, in_bytes[] = {bytes(ranges[0]), bytes(ranges[1])};
      bool const refused = std::ranges::any_of(ranges, taken);
      EXPECT_EQ(code_of(spaces_[s]->reserve(in_bytes, &memory_[owner])), refused ? EADDRINUSE : 0);
      if (refused) break;
      for (Range const range : ranges) m.reserved.emplace(owner, range);
      break;
    }
    case 1:
    case 2:
      EXPECT_TRUE(spaces_[s]->release(&memory_[owner]));
      m.reserved.erase(owner);
      break;
    case 3: {
      std::vector<Range> ranges, in_bytes;
      for (std::uint64_t n = number(3); n > 0; n--) ranges.push_back(some_range(128));
      for (Range const range : ranges) in_bytes.push_back(bytes(range));
      bool const reserved = std::ranges::any_of(ranges, [&](Range range) { return m.is_reserved(range); });
      bool const overlap = ranges.size() == 2 && ranges[0].overlaps(ranges[1]);
      int const expected = overlap ? EINVAL : reserved ? EADDRINUSE : 0;
      EXPECT_EQ(code_of(spaces_[s]->allow(in_bytes)), expected);
      if (expected == 0) m.allowed = ranges;
      break;
    }
  }
}

void IoAddressSpaceModel::check() const {
  EXPECT_EQ(account_->charged(), charged());
  EXPECT_EQ(memory_[0]->pinned() + memory_[1]->pinned() + memory_[2]->pinned(), charged());
  for (unsigned s = 0; s < 2; s++) {
    ModelSpace const& m = model_[s];
    EXPECT_EQ(*spaces_[s]->alignment(), m.domains.empty() ? 1 : alignment(m) * page);
    std::map<std::uint64_t, MappedPage> mapped;
    auto const areas = *spaces_[s]->areas(Range::all());
    for (Area const& area : areas) {
      auto const memory = static_cast<unsigned>(std::ranges::find(memory_, area.pages) - memory_);
      for (std::uint64_t i = 0; i <= (area.iovas.last - area.iovas.start) / page; i++)
        mapped[area.iovas.start / page + i] = {area.iovas.start / page, memory, area.offset / page + i,
                                               area.attributes.access.write};
    }
    ASSERT_TRUE(mapped == m.pages);
    for (unsigned d = 0; d < 3; d++) {
      std::map<std::uint64_t, std::pair<std::uint64_t, bool>> expected, found;  // output, writable
      if (m.domains.contains(d)) {
        for (auto const& [at, each] : m.pages)
          expected[at] = {memory_[each.memory]->host_address(each.offset * page).value, each.writable};
      }
      domains_[s][d]->visit(domains_[s][d]->shape().lower, [&](Leaf const& leaf) {
        for (std::uint64_t at = leaf.range.start; at < leaf.range.last; at += page)
          found[at / page] = {leaf.output + (at - leaf.range.start), leaf.attributes.access.write};
        return true;
      });
      ASSERT_TRUE(found == expected) << "domain " << d << " of space " << s;
    }
  }
}

TEST_P(IoAddressSpaceModel, AgreesAfterEachOfManyRandomCalls) {
  for (int i = 0; i < 600 && !HasFailure(); i++) {
    std::uint64_t const what = number(16);
    if (what < 6)
      map_some();
    else if (what < 9)
      copy_some();
    else if (what < 12)
      unmap_some();
    else if (what < 14)
      attach_or_detach();
    else
      limit_some();
    check();
  }
  for (auto& space : spaces_) space.reset();
  EXPECT_EQ(account_->charged(), 0u);
  for (auto const& each : memory_) EXPECT_EQ(each.use_count(), 1);
  for (auto const& of_space : domains_) {
    for (auto const& each : of_space) EXPECT_TRUE(leaves(*each).empty());
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, IoAddressSpaceModel, testing::Range(0u, 20u));

}  // namespace
}  // namespace swiommu
