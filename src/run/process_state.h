// What this process has of ours, in memory that the kernel wipes in a forked child (MADV_WIPEONFORK): the child finds zeros
// and looks around anew, as an image does after exec. So a fork is noticed without a system call, and no lock that another
// thread held at that moment is ever waited for.
#pragma once
#include <atomic>
#include <cstdint>

#include "run/descriptor_table.h"
#include "run/futex_lock.h"

namespace swiommu::run {

class FileMappings;
class Owner;

struct FreePieces {
  struct Piece {
    Piece* next;
  };
  FutexLock lock;
  Piece* first = nullptr;
};

struct ProcessState {
  enum Phase : std::uint32_t { unknown, looking, known };

  std::atomic<std::uint32_t> phase = unknown;
  std::atomic<pid_t> looker = 0;  // the thread that looks
  pid_t pid = 0;
  FreePieces free_pieces;
  FutexLock owner_lock;
  std::atomic<FileMappings*> file_mappings = nullptr;  // never freed
  std::atomic<Owner*> owner = nullptr;                 // of what this process opened; never freed
  std::atomic<int> log_plus_2 = 0;                     // descriptor of the log + 2; 1: there is none
  DescriptorTable table;
};

namespace detail {
extern std::atomic<ProcessState*> current_state;
ProcessState& look();
}  // namespace detail

// Looks around first, when nobody has: which inherited descriptors are ours?
inline ProcessState& process_state() {
  ProcessState* const state = detail::current_state.load(std::memory_order_acquire);
  if (state != nullptr && state->phase.load(std::memory_order_acquire) == ProcessState::known) [[likely]]
    return *state;
  return detail::look();
}

inline DescriptorTable& table() { return process_state().table; }

// Moves a descriptor of our own to a high number, close-on-exec, where the program cannot see or close it. Returns the new
// number, or the old one if there is no room.
int make_internal(int descriptor);
// A copy of any descriptor, made there. Negative: -errno.
int copy_internal(int descriptor);
void close_internal(int descriptor);
// In a child just forked: this one is not to be closed with the parent's others.
void keep_in_child(int descriptor);

// Has any descriptor of this process or of its ancestors, up to the last exec, been ours?
[[nodiscard]] bool anything_ours();
void note_ours();

// A descriptor that came from elsewhere: is it ours? Then it is in the table from now on.
Reference adopt(int descriptor);

}  // namespace swiommu::run
