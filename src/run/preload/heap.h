// The C library's allocator, which takes mappings away with calls of its own that nobody can see.
#pragma once

namespace swiommu::run {

// The functions that free and realloc would have been without us. Safe at any time, also before they could be looked up.
void next_free(void* data);
void* next_realloc(void* data, unsigned long length);

}  // namespace swiommu::run
