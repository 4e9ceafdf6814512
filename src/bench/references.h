// What figures are compared with: the least that a look-up or a change of so much memory can cost on this machine.
#pragma once
#include <cstdint>
#include <memory>

#include "bench/addresses.h"
#include "bench/measurement.h"

namespace swiommu::bench {

using Reference = std::shared_ptr<Measurement const>;

inline constexpr char const* reference_suite = "reference";

// A table of `pages` entries of 8 bytes, in one piece: what the smallest table that can translate so many pages costs.
Reference flat_array(std::uint64_t pages, Addresses addresses);

// As many dependent loads as a walk of `levels` levels does, through tables as large, and nothing else.
Reference pointer_chase(std::uint64_t pages, unsigned levels, Addresses addresses);

// std::unordered_map from page to address. No more than 2^20 pages: nodes of 16 Mi would take a gigabyte.
inline constexpr std::uint64_t most_hashed_pages = std::uint64_t{1} << 20;
Reference hash_map(std::uint64_t pages, Addresses addresses);

// memcpy of so many bytes, from and to the same places each time.
Reference memory_copy(std::uint64_t bytes);
// The same, per 8 bytes: what an entry costs that is read and written.
Reference entries_copy(std::uint64_t entries);

}  // namespace swiommu::bench
