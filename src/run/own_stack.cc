#include "run/own_stack.h"

#include <pthread.h>
#include <unistd.h>

#include <bit>

#include "run/kernel_call.h"

extern "C" void* __libc_stack_end;  // of the dynamic loader: the main thread's stack pointer when the process started

namespace swiommu::run {
namespace {

struct Stack {
  std::uint64_t low = 0;
  std::uint64_t high = 0;  // exclusive; 0: not asked yet
};

// The main thread's stack grows; what is that close to its top is part of it if the stack pointer is.
constexpr std::uint64_t least_main_stack = 1 << 20;

Stack find_stack() {
  if (kernel_call(SYS_gettid) == kernel_call(SYS_getpid)) {
    auto const high = std::bit_cast<std::uint64_t>(__libc_stack_end);
    return {high - least_main_stack, high};
  }
  pthread_attr_t attributes;
  Stack stack{1, 1};  // nothing is in it
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return stack;
  void* low = nullptr;
  std::size_t size = 0;
  if (pthread_attr_getstack(&attributes, &low, &size) == 0) {
    stack.low = std::bit_cast<std::uint64_t>(low);
    stack.high = stack.low + size;
  }
  pthread_attr_destroy(&attributes);
  return stack;
}

constinit thread_local Stack own;

}  // namespace

bool on_own_stack(std::uint64_t address, std::size_t length) {
  if (own.high == 0) own = find_stack();
  auto const frame = std::bit_cast<std::uint64_t>(__builtin_frame_address(0));
  return frame >= own.low && address >= frame && address < own.high && length <= own.high - address;
}

}  // namespace swiommu::run
