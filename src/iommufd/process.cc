#include "swiommu/iommufd/process.h"

namespace swiommu::iommufd {

Result<std::shared_ptr<Process>> Processes::find(std::int32_t pid, std::uint32_t uid) {
  return guarded([&]() -> Result<std::shared_ptr<Process>> {
    std::lock_guard const lock(mutex_);
    auto& entry = processes_[pid];
    if (auto found = entry.lock(); found && found->user->uid == uid) return found;
    std::erase_if(processes_, [&](auto const& other) { return other.first != pid && other.second.expired(); });
    std::erase_if(users_, [&](auto const& other) { return other.first != uid && other.second.expired(); });
    auto& known = users_[uid];
    auto user = known.lock();
    if (!user) {
      user = std::make_shared<User>();
      user->uid = uid;
      known = user;
    }
    auto made = std::make_shared<Process>();
    made->pid = pid;
    made->user = std::move(user);
    entry = made;
    return made;
  });
}

std::shared_ptr<Process> Processes::existing(std::int32_t pid) const {
  std::lock_guard const lock(mutex_);
  auto const at = processes_.find(pid);
  return at == processes_.end() ? nullptr : at->second.lock();
}

}  // namespace swiommu::iommufd
