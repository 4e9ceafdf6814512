// The way from the registers to a page table: reads the structures on it, and remembers them.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "swiommu/domain/context_source.h"
#include "swiommu/memory/memory_view.h"

namespace swiommu {

class StructurePath {
 public:
  struct ReadOptions {
    std::string_view event;   // what the hardware reports if the structure cannot be read: "F_STE_FETCH"
    bool big_endian = false;  // byte order of the words in memory
  };

  // A register is on the way, too.
  void register_value(std::string_view what, std::uint64_t value, std::string meaning);

  // Reads the N words of the structure that the manual calls `what`. A structure that is being rewritten is read again,
  // so that the words belong together.
  template <std::size_t N>
  std::expected<std::array<std::uint64_t, N>, ConfigurationFault> read(MemoryView const& memory, std::string_view what,
                                                                       std::uint64_t address, ReadOptions options) {
    std::array<std::uint64_t, N> words{};
    switch (load(memory, address, words, options.big_endian)) {
      case Load::done: break;
      case Load::unreachable: return unreachable(what, address, options.event);
      case Load::unstable: return unstable(what, address);
    }
    steps_.push_back({std::string(what), address, std::vector<std::uint64_t>(words.begin(), words.end()), {}});
    return words;
  }
  template <std::size_t N>
  std::expected<std::array<std::uint64_t, N>, ConfigurationFault> read(MemoryView const& memory, std::string_view what,
                                                                       std::uint64_t address) {
    return read<N>(memory, what, address, {});
  }

  // What the structure that was read last says.
  void means(std::string meaning) { steps_.back().meaning = std::move(meaning); }

  // The structure or register that was met last is wrong, or blocks the device: "is not present (P = 0)". Ends the path.
  [[nodiscard]] std::unexpected<ConfigurationFault> fault(std::string wrong);

  // Ends the path.
  [[nodiscard]] std::vector<ConfigurationStep> take() { return std::move(steps_); }

 private:
  enum class Load { done, unreachable, unstable };
  static Load load(MemoryView const& memory, std::uint64_t address, std::span<std::uint64_t> words, bool big_endian);
  std::unexpected<ConfigurationFault> unreachable(std::string_view what, std::uint64_t address, std::string_view event);
  std::unexpected<ConfigurationFault> unstable(std::string_view what, std::uint64_t address);
  std::unexpected<ConfigurationFault> not_read(std::string_view what, std::uint64_t address, std::string why);

  std::vector<ConfigurationStep> steps_;
};

using Configuration = std::expected<DeviceConfiguration, ConfigurationFault>;

// Runs `body`, which returns a Configuration; an exhausted heap is a fault: nothing is thrown across the API.
template <class Body>
[[nodiscard]] Configuration guarded_configuration(Body&& body) noexcept {
  try {
    return body();
  } catch (std::bad_alloc const&) {
    return std::unexpected(ConfigurationFault{.about = "out of memory"});  // short enough to need no allocation
  }
}

// "bits 11:8 and 63:52": the bits of `word` that `reserved` names, for the text of a fault.
std::string bit_list(std::uint64_t bits);

}  // namespace swiommu
