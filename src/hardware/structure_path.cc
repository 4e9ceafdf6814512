#include "hardware/structure_path.h"

#include <algorithm>
#include <bit>

#include <fmt/format.h>

#include "swiommu/base/bits.h"

namespace swiommu {

void StructurePath::register_value(std::string_view what, std::uint64_t value, std::string meaning) {
  steps_.push_back({std::string(what), 0, {value}, std::move(meaning)});
}

StructurePath::Load StructurePath::load(MemoryView const& memory, std::uint64_t address, std::span<std::uint64_t> words,
                                        bool big_endian) {
  // Words can only be loaded one by one. If none has changed when they are loaded once more, all were there at once.
  constexpr unsigned maximum_attempts = 16;
  for (unsigned attempt = 0; attempt < maximum_attempts; attempt++) {
    bool changed = false;
    for (std::size_t n = 0; n < words.size(); n++) {
      auto const word = memory.load_word(address + 8 * n, big_endian);
      if (!word) return Load::unreachable;
      changed = changed || words[n] != *word;
      words[n] = *word;
    }
    // The first round only fills the words, unless one word is all there is.
    if (words.size() == 1 || (attempt > 0 && !changed)) return Load::done;
  }
  return Load::unstable;
}

std::unexpected<ConfigurationFault> StructurePath::fault(std::string wrong) {
  ConfigurationStep& last = steps_.back();
  std::uint64_t const word = last.words.empty() ? 0 : last.words.front();
  ConfigurationFault fault;
  fault.about = last.address ? fmt::format("{} at {:#x} {}", last.what, last.address, wrong)
                             : fmt::format("{} = {:#x} {}", last.what, word, wrong);
  fault.entry_address = last.address;
  fault.entry = word;
  last.meaning = std::move(wrong);
  fault.steps = take();
  return std::unexpected(std::move(fault));
}

std::unexpected<ConfigurationFault> StructurePath::unreachable(std::string_view what, std::uint64_t address,
                                                               std::string_view event) {
  return not_read(what, address, event.empty() ? "cannot be reached" : fmt::format("cannot be reached, {}", event));
}

std::unexpected<ConfigurationFault> StructurePath::unstable(std::string_view what, std::uint64_t address) {
  return not_read(what, address, "keeps changing while it is read");
}

std::unexpected<ConfigurationFault> StructurePath::not_read(std::string_view what, std::uint64_t address, std::string why) {
  ConfigurationFault fault{.about = fmt::format("{} at {:#x} {}", what, address, why)};
  steps_.push_back({std::string(what), address, {}, std::move(why)});
  fault.steps = take();
  return std::unexpected(std::move(fault));
}

std::string bit_list(std::uint64_t bits) {
  std::string list;
  for (unsigned high = 64; high > 0 && bits != 0;) {
    high = log2_floor(bits);
    unsigned low = high;
    while (low > 0 && (bits & bit(low - 1)) != 0) low--;
    if (!list.empty()) list += ", ";
    list += high == low ? fmt::format("{}", high) : fmt::format("{}:{}", high, low);
    bits &= ~bit_span(high, low);
  }
  return list;
}

}  // namespace swiommu
