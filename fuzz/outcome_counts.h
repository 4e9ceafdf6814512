// How often a fuzzer did what, and what came of it: what shows that it reaches everything.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <string_view>

namespace swiommu::fuzzing {

class OutcomeCounts {
 public:
  // `code`: an errno, 0 if it worked. The names live as long as the counts.
  void add(std::string_view what, std::string_view where, int code) {
    Row& row = rows_[what];
    if (code == 0)
      row.good[where]++;
    else
      row.errors[code]++;
  }
  [[nodiscard]] std::uint64_t good(std::string_view what) const {
    std::uint64_t sum = 0;
    if (auto const at = rows_.find(what); at != rows_.end())
      for (auto const& [where, count] : at->second.good) sum += count;
    return sum;
  }
  [[nodiscard]] std::uint64_t good(std::string_view what, std::string_view where) const {
    auto const row = rows_.find(what);
    if (row == rows_.end()) return 0;
    auto const at = row->second.good.find(where);
    return at == row->second.good.end() ? 0 : at->second;
  }
  bool operator==(OutcomeCounts const&) const = default;
  void print(std::FILE* to) const {
    for (auto const& [what, row] : rows_) {
      std::fprintf(to, "%-26.*s", static_cast<int>(what.size()), what.data());
      for (auto const& [where, count] : row.good)
        std::fprintf(to, " %.*s %llu", static_cast<int>(where.size()), where.data(), static_cast<unsigned long long>(count));
      std::fputs(row.good.empty() ? " never |" : " |", to);
      for (auto const& [code, count] : row.errors)
        std::fprintf(to, " %s %llu", ::strerrorname_np(code), static_cast<unsigned long long>(count));
      std::fputc('\n', to);
    }
  }

 private:
  struct Row {
    std::map<std::string_view, std::uint64_t> good;
    std::map<int, std::uint64_t> errors;
    bool operator==(Row const&) const = default;
  };
  std::map<std::string_view, Row> rows_;
};

}  // namespace swiommu::fuzzing
