#include "run/own_memory.h"

#include <link.h>

#include <atomic>
#include <bit>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "run/kernel_call.h"
#include "run/own_stack.h"
#include "swiommu/memory/mapping.h"
#include "swiommu/memory/safe_copy.h"

extern "C" void* __curbrk;  // of libc: the end of the heap

namespace swiommu::run {
namespace {

constexpr std::size_t word = 8;  // what the kernel reads or writes of a set of signals

int find_data(dl_phdr_info* program, std::size_t, void* found) {
  // The program itself comes first.
  for (int number = 0; number < program->dlpi_phnum; number++) {
    auto const& segment = program->dlpi_phdr[number];
    if (segment.p_type == PT_LOAD && (segment.p_flags & PF_W) != 0) {
      *static_cast<std::uint64_t*>(found) = program->dlpi_addr + segment.p_vaddr;
      break;
    }
  }
  return 1;
}

// Where the program's data begins; its heap follows.
std::uint64_t start_of_data() {
  static constinit std::atomic<std::uint64_t> known = 0;
  std::uint64_t start = known.load(std::memory_order_relaxed);
  if (start == 0) {
    start = ~std::uint64_t{0};
    dl_iterate_phdr(&find_data, &start);
    known.store(start, std::memory_order_relaxed);
  }
  return start;
}

// All of it, and in one page.
bool in_data(std::uint64_t address, std::size_t length) {
  auto const end = std::bit_cast<std::uint64_t>(__curbrk);
  return address >= start_of_data() && address < end && length >= word &&
         (address & (host_page_size - 1)) + length <= host_page_size;
}

// The kernel reads the set before it sees that there is no such operation.
bool readable(std::uint64_t address) {
  constexpr int no_operation = 77;
  return kernel_call(SYS_rt_sigprocmask, no_operation, address, nullptr, word) == -EINVAL;
}

// The kernel writes the thread's mask there, which is about to be overwritten anyway.
bool writable(std::uint64_t address) { return kernel_call(SYS_rt_sigprocmask, SIG_BLOCK, nullptr, address, word) == 0; }

}  // namespace

bool read_own(std::uint64_t from, std::span<std::byte> to) {
  bool const data = in_data(from, to.size());
  if (data && !readable(from)) return false;
  if (!data && !on_own_stack(from, to.size())) return copy_from_doubtful(std::bit_cast<void*>(from), to);
  std::memcpy(to.data(), std::bit_cast<void*>(from), to.size());
  return true;
}

bool write_own(std::uint64_t to, std::span<std::byte const> from) {
  bool const data = in_data(to, from.size());
  if (data && !writable(to)) return false;
  if (!data && !on_own_stack(to, from.size())) return copy_to_doubtful(std::bit_cast<void*>(to), from);
  std::memcpy(std::bit_cast<void*>(to), from.data(), from.size());
  return true;
}

}  // namespace swiommu::run
