// Figures in words, as all reports write them.
#pragma once
#include <string>

#include "bench/report.h"

namespace swiommu::bench {

// Three digits, and the unit that fits: "3.21 ns", "45.6 µs", "1.20 ms".
std::string time_text(double nanoseconds);

// "1", "512", "16 Ki", "16 Mi"; what is no multiple is written out.
std::string count_text(std::uint64_t count);

// What a reference is, from its name: "flat array". What is no reference but to others of its own series: "at 0".
std::string reference_text(std::string_view reference);

// "2.1 x flat array, 1.3 x pointer chase, 4 deep"; empty without references.
std::string ratios_text(Figure const& figure);

// What must be known beside the figure: disturbance, remark. Empty if there is nothing.
std::string notes_text(Figure const& figure);

}  // namespace swiommu::bench
