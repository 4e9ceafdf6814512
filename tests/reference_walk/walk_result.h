// What every reference walker here takes and gives back.
//
// The walkers are written for plainness, not speed: one recursive function a format, which follows
// one table level per call.  They keep no state, write nothing, and may read one word several
// times, so a ReadWord must answer the same question the same way for the whole of one walk.
#pragma once

#include <bit>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

namespace reference_walk {

enum class Kind { read, write };

// One word of memory: `bytes` raw bytes from `address` on, loaded little-endian.  nullopt: no
// memory there.  A walker of a big-endian table swaps by itself.
using ReadWord = std::function<std::optional<std::uint64_t>(std::uint64_t address, unsigned bytes)>;

struct Answer {
  bool ok = false;           // the access asked for succeeds
  std::uint64_t output = 0;  // the address it reaches; 0 unless ok
  // Whether a read, and whether a write, of this same address would be ok: the access that was
  // asked for does not matter, so a refused write to a read-only page still says may_read.  What
  // would stop the access counts too, so a RISC-V page with D = 0 that hardware may not set is
  // not may_write.
  bool may_read = false;
  bool may_write = false;
  unsigned size_lg2 = 0;  // log2 of the bytes the leaf maps; 0 unless ok
  unsigned pbmt = 0;      // RISC-V Svpbmt: 0 PMA, 1 NC, 2 IO; 0 for other formats
  // RISC-V with hardware A/D update: where the leaf entry lies that this access would change.
  std::optional<std::uint64_t> updated_entry;
  std::string why;  // for people; empty if ok
};

// A walker with its root and options already chosen.
using Walker = std::function<Answer(ReadWord const& memory, std::uint64_t address, Kind kind)>;

inline Answer fault(std::string why) {
  Answer answer;
  answer.why = std::move(why);
  return answer;
}

// Bits high..low of a word, bit 0 being the least significant (also where a manual counts the other
// way round).
constexpr std::uint64_t field(std::uint64_t word, unsigned high, unsigned low) {
  unsigned const width = high - low + 1;
  std::uint64_t const shifted = word >> low;
  return width >= 64 ? shifted : shifted & ((std::uint64_t{1} << width) - 1);
}

constexpr bool bit(std::uint64_t word, unsigned position) { return field(word, position, position); }

// A leaf of 2^size_lg2 bytes: the high address bits come from the leaf, the low ones from the
// input.
inline Answer reached(std::uint64_t frame, std::uint64_t address, unsigned size_lg2) {
  std::uint64_t const low = (std::uint64_t{1} << size_lg2) - 1;
  Answer answer;
  answer.ok = true;
  answer.output = (frame & ~low) | (address & low);
  answer.size_lg2 = size_lg2;
  return answer;
}

// Walks once as a read and once as a write, and gives the wanted answer with both rights filled in.
template <class Walk>
Answer with_rights(Kind kind, Walk&& walk) {
  Answer const read = walk(Kind::read);
  Answer const write = walk(Kind::write);
  Answer answer = kind == Kind::read ? read : write;
  answer.may_read = read.ok;
  answer.may_write = write.ok;
  return answer;
}

// No translation at all ("Bare", pass-through), as a stage of two_stage.h.
inline Walker bare_walker() {
  return [](ReadWord const&, std::uint64_t address, Kind) {
    Answer answer;
    answer.ok = answer.may_read = answer.may_write = true;
    answer.output = address;
    answer.size_lg2 = 64;
    return answer;
  };
}

}  // namespace reference_walk
