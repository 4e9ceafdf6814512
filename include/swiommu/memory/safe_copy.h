// Copies that find out whether memory is there instead of crashing.
#pragma once
#include <cstddef>
#include <span>

namespace swiommu {

// Between our own memory and an address of our process that nobody vouches for: it may be unmapped, or lie beyond the end of a
// file. False: not all of it could be copied; part of it may have been. Costs a system call.
[[nodiscard]] bool copy_from_doubtful(void const* from, std::span<std::byte> to) noexcept;
[[nodiscard]] bool copy_to_doubtful(void* to, std::span<std::byte const> from) noexcept;

}  // namespace swiommu
