#include "bench/references.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <vector>

#include "bench/failure.h"
#include "bench/machine.h"

namespace swiommu::bench {

namespace {

constexpr unsigned items_lg2 = 9;  // of a table

// Words of zeros, with huge pages where the library's tables have them.
class Words {
 public:
  explicit Words(std::uint64_t count) : bytes_(count * sizeof(std::uint64_t)) {
    void* const data = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(data != MAP_FAILED, "no memory for a reference");
    data_ = static_cast<std::uint64_t*>(data);
    if (tables_ask_for_huge_pages()) ::madvise(data, bytes_, MADV_HUGEPAGE);
  }
  ~Words() { ::munmap(data_, bytes_); }
  Words(Words const&) = delete;
  Words& operator=(Words const&) = delete;
  [[nodiscard]] std::uint64_t* data() const { return data_; }

 private:
  std::uint64_t const bytes_;
  std::uint64_t* data_ = nullptr;
};

Reference reference(std::string chart, std::string series, std::uint64_t x, std::string per, std::function<Run()> prepare,
                    double items = 1) {
  return std::make_shared<Measurement const>(Measurement{.label = {.suite = reference_suite,
                                                                   .chart = std::move(chart),
                                                                   .series = std::move(series),
                                                                   .axis = per == "copy" ? "bytes" : "pages",
                                                                   .x = x,
                                                                   .per = std::move(per)},
                                                         .prepare = std::move(prepare),
                                                         .items = items});
}

// Tables that point at tables, down to addresses.
class Tree {
 public:
  Tree(std::uint64_t pages, unsigned levels) : levels_(levels) {
    std::uint64_t count = 0;
    for (unsigned level = 0; level < levels; level++) count += tables(pages, level) << items_lg2;
    words_ = std::make_unique<Words>(count);
    std::uint64_t* below = nullptr;
    std::uint64_t* next = words_->data();
    for (unsigned level = 0; level < levels; level++) {
      root_ = next;
      std::uint64_t const used = level == 0 ? pages : tables(pages, level - 1);
      for (std::uint64_t n = 0; n < used; n++)
        root_[n] = level == 0 ? n << 12 : std::bit_cast<std::uint64_t>(below + (n << items_lg2));
      below = root_;
      next += tables(pages, level) << items_lg2;
    }
  }

  [[nodiscard]] std::uint64_t look(std::uint64_t page) const {
    std::uint64_t const* table = root_;
    for (unsigned level = levels_ - 1; level > 0; level--)
      table = std::bit_cast<std::uint64_t const*>(table[page >> shift(level) & ((1u << items_lg2) - 1)]);
    return table[page & ((1u << items_lg2) - 1)];
  }

 private:
  static std::uint64_t tables(std::uint64_t pages, unsigned level) { return ((pages - 1) >> shift(level + 1)) + 1; }
  // More levels than addresses have bits for have one table each.
  static unsigned shift(unsigned level) { return std::min(level * items_lg2, 63u); }

  unsigned const levels_;
  std::unique_ptr<Words> words_;
  std::uint64_t* root_ = nullptr;
};

Reference copy(std::string series, std::uint64_t bytes, std::string const& per, double items) {
  return reference(
      "memcpy", std::move(series), per == "copy" ? bytes : static_cast<std::uint64_t>(items), per,
      [bytes] {
        auto const from = std::make_shared<Words>(bytes / 8 + 1), to = std::make_shared<Words>(bytes / 8 + 1);
        std::memset(from->data(), 1, bytes);
        return Run{[=](std::uint64_t operations) {
          return nanoseconds([&] {
            for (std::uint64_t n = 0; n < operations; n++) {
              std::memcpy(to->data(), from->data(), bytes);
              keep(to->data());
            }
          });
        }};
      },
      items);
}

}  // namespace

Reference flat_array(std::uint64_t pages, Addresses addresses) {
  return reference("flat array", std::string(name(addresses)), pages, "look-up", [=] {
    auto const words = std::make_shared<Words>(pages);
    for (std::uint64_t page = 0; page < pages; page++) words->data()[page] = page << 12;
    return Run{[=, order = RandomPages(pages)](std::uint64_t operations) mutable {
      return time_looks(addresses, order, operations, [table = words->data()](std::uint64_t page) { return table[page]; });
    }};
  });
}

Reference pointer_chase(std::uint64_t pages, unsigned levels, Addresses addresses) {
  return reference("pointer chase, " + std::to_string(levels) + " deep", std::string(name(addresses)), pages, "look-up", [=] {
    auto const tree = std::make_shared<Tree>(pages, levels);
    return Run{[=, order = RandomPages(pages)](std::uint64_t operations) mutable {
      return time_looks(addresses, order, operations, [&](std::uint64_t page) { return tree->look(page); });
    }};
  });
}

Reference hash_map(std::uint64_t pages, Addresses addresses) {
  return reference("std::unordered_map", std::string(name(addresses)), pages, "look-up", [=] {
    auto const map = std::make_shared<std::unordered_map<std::uint64_t, std::uint64_t>>(pages);
    for (std::uint64_t page = 0; page < pages; page++) map->emplace(page, page << 12);
    return Run{[=, order = RandomPages(pages)](std::uint64_t operations) mutable {
      return time_looks(addresses, order, operations, [&](std::uint64_t page) { return map->find(page)->second; });
    }};
  });
}

Reference memory_copy(std::uint64_t bytes) { return copy("whole", bytes, "copy", 1); }

Reference entries_copy(std::uint64_t entries) { return copy("per 8 bytes", entries * 8, "entry", static_cast<double>(entries)); }

}  // namespace swiommu::bench
