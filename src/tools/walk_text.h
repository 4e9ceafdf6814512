// Walks and structures, as text for people.
#pragma once
#include <vector>

#include "swiommu/domain/context_source.h"
#include "swiommu/domain/domain.h"

namespace swiommu::tools {

// The structures on the way from the registers to the table, a line each.
void print_steps(std::vector<ConfigurationStep> const& steps);

// The walks of one access through a domain and everything under it, a line for each entry.
void print_walks(Domain const& domain, std::uint64_t input, Access access);

}  // namespace swiommu::tools
