#include "tools/walk_text.h"

#include <fmt/format.h>

#include "swiommu/domain/nested_domain.h"
#include "swiommu/domain/paging_domain.h"
#include "tools/numbers.h"
#include "tools/output.h"

namespace swiommu::tools {

namespace {

// The first words of a structure say what it is; the rest are usually zero.
constexpr std::size_t shown_words = 4;

void print_walk(std::string_view title, std::vector<WalkStep> const& steps) {
  put("  {}\n", title);
  for (WalkStep const& step : steps) {
    if (step.reached)
      put("    level {}  table {}  [{:>4}]  {} = 0x{:016x}  {}{}\n", step.level, hex(step.table), step.index,
          hex(step.entry_address), step.entry, step.kind, step.bits.empty() ? "" : faint("  " + step.bits));
    else
      put("    level {}  table {}  [{:>4}]  {} {}\n", step.level, hex(step.table), step.index, hex(step.entry_address),
          bad("cannot be read"));
  }
}

}  // namespace

void print_steps(std::vector<ConfigurationStep> const& steps) {
  for (ConfigurationStep const& step : steps) {
    std::string words;
    for (std::size_t n = 0; n < step.words.size() && n < shown_words; n++) words.append(" ").append(hex(step.words[n]));
    if (step.words.size() > shown_words) words += " ...";
    put("{}{}{}  {}\n", step.what, step.address ? " at " + hex(step.address) : "", words.empty() ? "" : " =" + words,
        faint(step.meaning));
  }
}

void print_walks(Domain const& domain, std::uint64_t input, Access access) {
  std::vector<WalkStep> steps;
  Result<Walk> walk = Walk{};
  std::string title;
  if (domain.kind() == DomainKind::nested) {
    PageTable const* const table = static_cast<NestedDomain const&>(domain).table_for(input);
    if (table == nullptr) return;
    walk = table->explain(input, access, steps);
    title = fmt::format("user page table, {} levels, root {}", table->shape().levels, hex(table->root()));
  } else if (domain.kind() == DomainKind::paging) {
    walk = static_cast<PagingDomain const&>(domain).explain(input, access, steps);
    title = "paging domain";
  } else {
    return;
  }
  print_walk(title, steps);
  if (walk && walk->ok() && domain.parent()) print_walks(*domain.parent(), walk->output, access);
}

}  // namespace swiommu::tools
