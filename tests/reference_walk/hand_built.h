// A memory built by hand, and the two questions the checks ask of a walker.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <source_location>

#include "reference_walk/walk_result.h"

namespace reference_walk::self_check {

using u64 = std::uint64_t;

struct Memory {
  std::map<u64, u64> words;  // by address; a word not put there is no memory
  void put(u64 at, u64 value) { words[at] = value; }
  void put_big(u64 at, u64 value) { words[at] = std::byteswap(value); }
  ReadWord reader() const {
    return [this](u64 at, unsigned bytes) -> std::optional<u64> {
      auto const found = words.find(at);
      if (found == words.end() || bytes != 8) return std::nullopt;
      return found->second;
    };
  }
};

using Where = std::source_location;

inline void expect(bool good, char const* what, Answer const& a, Where where) {
  EXPECT_TRUE(good) << where.file_name() << ":" << where.line() << ": " << what << "; ok " << a.ok << " output " << std::hex
                    << a.output << std::dec << " size " << a.size_lg2 << " read " << a.may_read << " write " << a.may_write
                    << " pbmt " << a.pbmt << " why '" << a.why << "'";
}

// The access succeeds; a write of the same address is then allowed or not, as `writable` says.
inline Answer hits(Memory const& m, Walker const& walk, u64 address, u64 output, unsigned size_lg2, bool writable,
                   Where where = Where::current()) {
  Answer const a = walk(m.reader(), address, Kind::read);
  expect(a.ok && a.output == output && a.size_lg2 == size_lg2 && a.may_read && a.may_write == writable, "read should succeed", a,
         where);
  Answer const w = walk(m.reader(), address, Kind::write);
  expect(w.ok == writable && w.may_read && w.output == (writable ? output : 0), "write", w, where);
  return a;
}

// Both kinds of access fail, for this reason.
inline void faults(Memory const& m, Walker const& walk, u64 address, std::string const& why, Where where = Where::current()) {
  for (Kind kind : {Kind::read, Kind::write}) {
    Answer const a = walk(m.reader(), address, kind);
    expect(!a.ok && !a.may_read && !a.may_write && a.why.find(why) != std::string::npos, ("should fault: " + why).c_str(), a,
           where);
  }
}

}  // namespace reference_walk::self_check
