#include "bench/figure_text.h"

#include <fmt/format.h>

#include <array>

#include "bench/references.h"

namespace swiommu::bench {

std::string time_text(double nanoseconds) {
  constexpr std::array<char const*, 4> units{"ns", "µs", "ms", "s"};
  std::size_t unit = 0;
  while (nanoseconds >= 999.5 && unit + 1 < units.size()) nanoseconds /= 1000, unit++;
  int const decimals = nanoseconds >= 99.95 ? 0 : nanoseconds >= 9.995 ? 1 : 2;
  return fmt::format("{:.{}f} {}", nanoseconds, decimals, units[unit]);
}

std::string count_text(std::uint64_t count) {
  constexpr std::array<char const*, 4> units{"", " Ki", " Mi", " Gi"};
  std::size_t unit = 0;
  while (count >= 1024 && count % 1024 == 0 && unit + 1 < units.size()) count /= 1024, unit++;
  return fmt::format("{}{}", count, units[unit]);
}

std::string reference_text(std::string_view reference) {
  auto const first = reference.find('/');
  std::string_view const suite = reference.substr(0, first);
  if (suite != reference_suite) return fmt::format("at {}", reference.substr(reference.rfind('/') + 1));
  std::string_view const rest = reference.substr(first + 1);
  return std::string(rest.substr(0, rest.find('/')));
}

std::string ratios_text(Figure const& figure) {
  std::string text;
  for (Ratio const& ratio : figure.ratios)
    text += fmt::format("{}{:.2f} x {}", text.empty() ? "" : ", ", ratio.value, reference_text(ratio.reference));
  return text;
}

std::string notes_text(Figure const& figure) {
  std::string text = figure.remark;
  auto const add = [&](std::string const& note) { text += (text.empty() ? "" : "; ") + note; };
  if (figure.sample.disturbed)
    add("disturbed all the time");
  else if (figure.sample.discarded > 0)
    add(fmt::format("{} disturbed repeat{} discarded", figure.sample.discarded, figure.sample.discarded == 1 ? "" : "s"));
  return text;
}

}  // namespace swiommu::bench
