#include "run/process_state.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "run/file_name.h"
#include "run/foreign_file.h"
#include "run/holding_pool.h"
#include "run/kernel_call.h"
#include "run/owner.h"

namespace swiommu::run {
namespace {

// A forked child keeps these: our descriptors that it inherited, to be closed, and whether there is anything to look for.
constinit std::array<std::atomic<std::uint64_t>, DescriptorTable::limit / 64> inherited_internal{};
constinit std::atomic<unsigned> inherited_internal_end = 0;
constinit std::atomic<bool> looked_before = false;
constinit std::atomic<bool> ours_seen = false;

ProcessState* allocate() {
  long const memory = kernel_call(SYS_mmap, nullptr, sizeof(ProcessState), PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory < 0 && memory > -4096) return nullptr;
  kernel_call(SYS_madvise, memory, sizeof(ProcessState), MADV_WIPEONFORK);
  return std::bit_cast<ProcessState*>(memory);  // zeros are its initial value
}

void close_inherited_internal() {
  unsigned const end = inherited_internal_end.exchange(0);
  for (unsigned word = 0; word * 64 < end; word++)
    for (std::uint64_t bits = inherited_internal[word].exchange(0); bits != 0; bits &= bits - 1)
      kernel_call(SYS_close, word * 64 + static_cast<unsigned>(std::countr_zero(bits)));
}

void look_at(ProcessState& state, int descriptor) {
  auto const name = peer_name(descriptor);
  if (!name) return;
  ours_seen = true;
  if (Reference const known = state.table.find_file(name->owner, name->id)) {
    state.table.put(descriptor, *known.get());
    return;
  }
  Owner* const owner = state.owner.load(std::memory_order_acquire);
  if (owner != nullptr && owner->token() == name->token && owner->hold(descriptor, name->id)) return;
  if (auto* const made = HoldingPool::create<ForeignFile>(*name)) state.table.put(descriptor, *made);
}

void look_at_all(ProcessState& state) {
  long const folder = kernel_call(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) {
    for (int descriptor = 0; descriptor < 4096; descriptor++) look_at(state, descriptor);
    return;
  }
  alignas(8) std::array<char, 4096> entries;
  for (long got = 0; (got = kernel_call(SYS_getdents64, folder, entries.data(), entries.size())) > 0;)
    for (long at = 0; at < got;) {
      dirent64 const& entry = *reinterpret_cast<dirent64 const*>(entries.data() + at);
      at += entry.d_reclen;
      int descriptor = 0;
      char const* digit = entry.d_name;
      for (; *digit >= '0' && *digit <= '9'; digit++) descriptor = descriptor * 10 + (*digit - '0');
      if (digit != entry.d_name && *digit == 0) look_at(state, descriptor);
    }
  kernel_call(SYS_close, folder);
}

// As far up as the limit allows, where no program has descriptors of its own.
long copy_out_of_the_way(int descriptor) {
  rlimit limits{};
  kernel_call(SYS_prlimit64, 0, RLIMIT_NOFILE, nullptr, &limits);
  auto const base = std::min<std::uint64_t>(limits.rlim_cur, 65536) / 4 * 3;
  return kernel_call(SYS_fcntl, descriptor, F_DUPFD_CLOEXEC, base);
}

void note_internal(int descriptor) {
  auto const number = static_cast<unsigned>(descriptor);
  if (number < DescriptorTable::limit) {
    inherited_internal[number / 64].fetch_or(std::uint64_t{1} << (number & 63));
    unsigned end = inherited_internal_end.load();
    while (end <= number && !inherited_internal_end.compare_exchange_weak(end, number + 1)) {
    }
    table().put_internal(descriptor);
  }
}

}  // namespace

namespace detail {

constinit std::atomic<ProcessState*> current_state = nullptr;

ProcessState& look() {
  ProcessState* state = current_state.load(std::memory_order_acquire);
  if (state == nullptr) {
    ProcessState* const made = allocate();
    if (made == nullptr) {
      // No memory for a table: nothing will ever be ours.
      alignas(ProcessState) static constinit std::array<std::byte, sizeof(ProcessState)> zeros{};
      auto& nothing = *reinterpret_cast<ProcessState*>(zeros.data());
      nothing.phase = ProcessState::known;
      return nothing;
    }
    if (current_state.compare_exchange_strong(state, made))
      state = made;
    else
      kernel_call(SYS_munmap, made, sizeof(ProcessState));
  }
  std::uint32_t phase = ProcessState::unknown;
  if (!state->phase.compare_exchange_strong(phase, ProcessState::looking)) {
    // This very thread looks already, if a signal came, or an allocation was made, in between: it sees what is known so far.
    if (state->looker.load(std::memory_order_relaxed) != kernel_call(SYS_gettid))
      while (state->phase.load(std::memory_order_acquire) != ProcessState::known) kernel_call(SYS_sched_yield);
    return *state;
  }
  state->looker.store(static_cast<pid_t>(kernel_call(SYS_gettid)), std::memory_order_relaxed);
  state->pid = static_cast<pid_t>(kernel_call(SYS_getpid));
  close_inherited_internal();
  if (!looked_before.exchange(true) || ours_seen) look_at_all(*state);
  state->phase.store(ProcessState::known, std::memory_order_release);
  return *state;
}

}  // namespace detail

int make_internal(int descriptor) {
  long const moved = copy_out_of_the_way(descriptor);
  if (moved >= 0) {
    kernel_call(SYS_close, descriptor);
    descriptor = static_cast<int>(moved);
  }
  note_internal(descriptor);
  return descriptor;
}

int copy_internal(int descriptor) {
  long copy = copy_out_of_the_way(descriptor);
  if (copy < 0) copy = kernel_call(SYS_fcntl, descriptor, F_DUPFD_CLOEXEC, 0);
  if (copy >= 0) note_internal(static_cast<int>(copy));
  return static_cast<int>(copy);
}

void close_internal(int descriptor) {
  auto const number = static_cast<unsigned>(descriptor);
  if (number >= DescriptorTable::limit) return;
  table().take_internal(descriptor);
  inherited_internal[number / 64].fetch_and(~(std::uint64_t{1} << (number & 63)));
  kernel_call(SYS_close, descriptor);
}

void keep_in_child(int descriptor) {
  auto const number = static_cast<unsigned>(descriptor);
  if (number < DescriptorTable::limit) inherited_internal[number / 64].fetch_and(~(std::uint64_t{1} << (number & 63)));
}

bool anything_ours() { return ours_seen.load(std::memory_order_relaxed); }
void note_ours() { ours_seen = true; }

Reference adopt(int descriptor) {
  look_at(process_state(), descriptor);
  return table().find(descriptor);
}

}  // namespace swiommu::run
