#include "base/spelling.h"

#include <algorithm>
#include <cstddef>

namespace swiommu {

namespace {

// Damerau-Levenshtein distance with adjacent swaps.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); i++) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); j++) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); i++)
    for (std::size_t j = 1; j <= b.size(); j++) {
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[a.size()][b.size()];
}

}  // namespace

std::string likely_word(std::string_view word, std::vector<std::string> const& list) {
  constexpr std::size_t longest = 40;  // nobody misspells a word into that
  if (word.empty() || word.size() > longest) return {};
  std::string best;
  std::size_t least = std::min<std::size_t>(2, word.size() / 3) + 1;
  for (std::string const& candidate : list) {
    std::size_t const wrong = distance(word, candidate);
    if (wrong >= least) continue;
    least = wrong;
    best = candidate;
  }
  auto const begins = [&](std::string const& candidate) { return candidate.starts_with(word); };
  if (best.empty() && word != "--" && std::ranges::count_if(list, begins) == 1) best = *std::ranges::find_if(list, begins);
  return best;
}

}  // namespace swiommu
