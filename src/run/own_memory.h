// Copies from and to memory of this process at addresses that the program gave, as the kernel would do them: false is EFAULT.
//
// Three ways, the cheapest that is safe:
//   on the caller's stack   nothing can be wrong (run/own_stack.h): a plain copy
//   in the heap that brk(2) makes, or in the program's own data: a system call that does nothing (0.1 µs) says whether the page
//                           is there, and then a plain copy. Nobody takes such a page away while it is in use.
//   anywhere else           the kernel copies (process_vm_readv, 1 µs)
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace swiommu::run {

[[nodiscard]] bool read_own(std::uint64_t from, std::span<std::byte> to);
[[nodiscard]] bool write_own(std::uint64_t to, std::span<std::byte const> from);

}  // namespace swiommu::run
