// The part of a user-written profile that says how paging domains are made.
#pragma once
#include "profile/document.h"

namespace swiommu {

// "paging": {"usual": {...}, "pasid": null}: what is not said stays as it is.
Result<void> read_paging(Document const& document, JsonNode const& node, Profile& profile);

}  // namespace swiommu
