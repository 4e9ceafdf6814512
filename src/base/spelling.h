// What somebody may have meant who misspelt a word.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace swiommu {

// The word of the list that `word` is like: at most two letters (a third of a short word) wrong, missing, too many or swapped, or
// the only one that it begins. Empty if there is none.
std::string likely_word(std::string_view word, std::vector<std::string> const& list);

}  // namespace swiommu
