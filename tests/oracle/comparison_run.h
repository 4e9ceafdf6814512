// Runs random cases of one hardware on both sides, and counts.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "oracle/hardware.h"

namespace swiommu::oracle {

struct Tally {
  std::uint64_t cases = 0, probes = 0;
  std::uint64_t arrived = 0;                        // probes whose data arrived, on both sides
  std::uint64_t blocked = 0;                        // probes that both sides blocked
  std::uint64_t given_up = 0;                       // cases that strayed, or end QEMU; not among `cases`
  std::map<std::string_view, std::uint64_t> known;  // probes, by the deviation's name
  std::uint64_t unexplained = 0;                    // probes, or cases where memory differs
  std::vector<std::string> reports;                 // of the first of these
};

// Throws std::runtime_error when QEMU breaks.
Tally run_comparison(std::filesystem::path const& qemu_folder, Hardware& hardware, std::uint64_t cases, std::uint64_t seed,
                     std::uint64_t first_case = 0);

}  // namespace swiommu::oracle
