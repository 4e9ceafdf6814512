// Inputs of fuzzers: those in fuzz/corpus/, and random ones.
#pragma once
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "conformance/effort.h"

namespace swiommu::fuzzing {

inline std::vector<std::filesystem::path> corpus(char const* fuzzer) {
  std::vector<std::filesystem::path> files;
  for (auto const& entry : std::filesystem::directory_iterator(std::filesystem::path(SWIOMMU_FUZZ_CORPUS) / fuzzer))
    files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

inline std::vector<std::uint8_t> contents(std::filesystem::path const& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Less than `most` of them.
inline std::vector<std::uint8_t> random_bytes(std::uint64_t seed, std::size_t most) {
  conformance::Random random(seed);
  std::vector<std::uint8_t> bytes(conformance::below(random, most));
  std::ranges::generate(bytes, [&] { return static_cast<std::uint8_t>(random()); });
  return bytes;
}

// The files whose runs do not do the same in the other order: something of a run is left to the next.
template <class Counts>
std::vector<std::filesystem::path> order_matters(std::vector<std::filesystem::path> const& files, auto const& run) {
  std::vector<Counts> forwards(files.size()), backwards(files.size());
  for (std::size_t n = 0; n < files.size(); n++) run(contents(files[n]), forwards[n]);
  for (std::size_t n = files.size(); n-- > 0;) run(contents(files[n]), backwards[n]);
  std::vector<std::filesystem::path> differ;
  for (std::size_t n = 0; n < files.size(); n++)
    if (!(forwards[n] == backwards[n])) differ.push_back(files[n]);
  return differ;
}

}  // namespace swiommu::fuzzing
