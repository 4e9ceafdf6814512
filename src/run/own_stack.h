// Where a copy cannot fault.
//
// An ioctl's structure lies on the stack of the thread that calls, nearly always; and what lies between the frame of a running
// function and the top of its stack is mapped, readable and writable, for as long as the function runs. Such copies need no
// protection, which a system call (0.1 µs and more) or handlers for SIGSEGV in a foreign program would be.
#pragma once
#include <cstddef>
#include <cstdint>

namespace swiommu::run {

// Is all of it on the calling thread's stack, in frames of its callers? A stack that the program made itself (coroutines,
// sigaltstack) is not known: false.
[[nodiscard]] bool on_own_stack(std::uint64_t address, std::size_t length);

}  // namespace swiommu::run
