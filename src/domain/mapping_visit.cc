#include "swiommu/domain/mapping_visit.h"

#include <algorithm>

#include "swiommu/domain/fixed_domains.h"
#include "swiommu/domain/nested_domain.h"
#include "swiommu/domain/paging_domain.h"
#include "swiommu/domain/shadow_domain.h"

namespace swiommu {

namespace {

// One leaf of a user page table, in as many pieces as the domain under it makes of it, holes included: a user may write a
// leaf of 2^48 bytes over a domain that maps few of them.
bool visit_through(Domain const& parent, Leaf const& leaf, FunctionRef<bool(MappedRange const&)> visit, std::uint64_t& budget) {
  for (std::uint64_t at = leaf.range.start;;) {
    if (budget-- == 0) return false;
    std::uint64_t const guest = leaf.output + (at - leaf.range.start);
    Translation const t = parent.translate(guest, {}, Update::no);
    std::uint64_t const block = Range::block(guest, t.ok() ? t.size_lg2 : hole_lg2(parent, t)).last - guest;  // less one
    std::uint64_t const last = at + std::min(leaf.range.last - at, block);
    if (t.ok()) {
      Attributes attributes = leaf.attributes;
      attributes.access = attributes.access & t.attributes.access;
      if (!visit({{at, last}, t.output, attributes, std::min(leaf.size_lg2, t.size_lg2)})) return false;
    }
    if (last == leaf.range.last) return true;
    at = last + 1;
  }
}

bool visit_identity(IdentityDomain const& domain, Range inputs, FunctionRef<bool(MappedRange const&)> visit,
                    std::uint64_t budget) {
  if (inputs.last < domain.base()) return true;
  Range const outputs{std::max(inputs.start, domain.base()) - domain.base(), inputs.last - domain.base()};
  auto const shifted = [&](MappedRange const& mapping) {
    MappedRange shown = mapping;
    shown.range = {mapping.range.start + domain.base(), mapping.range.last + domain.base()};
    shown.attributes.access = mapping.attributes.access & domain.limits().rights;
    return visit(shown);
  };
  if (domain.parent()) return visit_mappings(*domain.parent(), outputs, shifted, budget);
  return shifted({outputs, outputs.start, {.access = Access::both()}, 64});
}

MappedRange mapping_of(Domain const& domain, Leaf const& leaf) {
  Attributes attributes = leaf.attributes;
  attributes.access = attributes.access & domain.limits().rights;
  return {leaf.range, leaf.output, attributes, leaf.size_lg2};
}

}  // namespace

bool visit_mappings(Domain const& domain, Range inputs, FunctionRef<bool(MappedRange const&)> visit, std::uint64_t budget) {
  auto const inside = domain.limits().aperture.intersection(inputs);
  if (!inside) return true;
  switch (domain.kind()) {
    case DomainKind::blocking: return true;
    case DomainKind::identity: return visit_identity(static_cast<IdentityDomain const&>(domain), *inside, visit, budget);
    case DomainKind::paging:
      return static_cast<PagingDomain const&>(domain).visit(*inside,
                                                            [&](Leaf const& leaf) { return visit(mapping_of(domain, leaf)); });
    case DomainKind::shadow:
      return static_cast<ShadowDomain const&>(domain).visit(*inside,
                                                            [&](Leaf const& leaf) { return visit(mapping_of(domain, leaf)); });
    case DomainKind::nested: {
      std::uint64_t pieces = budget;
      return static_cast<NestedDomain const&>(domain).visit(
          *inside, [&](Leaf const& leaf) { return visit_through(*domain.parent(), leaf, visit, pieces); }, budget);
    }
  }
  return true;
}

bool visit_coalesced(Domain const& domain, Range inputs, FunctionRef<bool(MappedRange const&)> visit, std::uint64_t budget) {
  std::optional<MappedRange> pending;
  bool const reached = visit_mappings(
      domain, inputs,
      [&](MappedRange const& next) {
        if (pending && pending->continued_by(next)) {
          pending->range.last = next.range.last;
          return true;
        }
        bool const go_on = !pending || visit(*pending);
        pending = go_on ? std::optional(next) : std::nullopt;
        return go_on;
      },
      budget);
  return pending ? visit(*pending) && reached : reached;
}

}  // namespace swiommu
