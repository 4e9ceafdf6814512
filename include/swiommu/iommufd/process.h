// A process, and the user it belongs to, as bills for pinned memory.
#pragma once
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "swiommu/base/result.h"
#include "swiommu/memory/account.h"

namespace swiommu::iommufd {

// Pages that a user has locked (Linux: user_struct.locked_vm). Shared by all processes of the user.
struct User {
  std::uint32_t uid = 0;
  std::atomic<std::uint64_t> locked_pages = 0;
};

struct Process {
  std::int32_t pid = 0;
  std::shared_ptr<User> user;
  std::atomic<std::uint64_t> memlock_limit_pages = ~std::uint64_t{0};  // RLIMIT_MEMLOCK at its last call
  std::atomic<std::uint64_t> locked_pages = 0;                         // what we add to VmLck
  std::atomic<std::uint64_t> pinned_pages = 0;                         // what we add to VmPin
};

// All processes that have called, by pid; an entry lives as long as somebody holds it.
class Processes {
 public:
  // Finds or makes the entry. ENOMEM.
  Result<std::shared_ptr<Process>> find(std::int32_t pid, std::uint32_t uid);
  // nullptr: never called, or nothing is pinned for it any more.
  [[nodiscard]] std::shared_ptr<Process> existing(std::int32_t pid) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::int32_t, std::weak_ptr<Process>> processes_;
  std::map<std::uint32_t, std::weak_ptr<User>> users_;
};

}  // namespace swiommu::iommufd
