// The process at the other end of a connection, as the kernel says.
#pragma once
#include <sys/types.h>

#include <memory>

namespace swiommu::run {

class Peer {
 public:
  // Of a connected socket. nullptr: it has no other end, or no memory is left.
  static std::shared_ptr<Peer const> of(int socket);
  ~Peer();
  Peer(Peer const&) = delete;
  Peer& operator=(Peer const&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] uid_t uid() const { return uid_; }
  // Its memory is no more.
  [[nodiscard]] bool gone() const;

 private:
  Peer(pid_t pid, uid_t uid, int process) : pid_(pid), uid_(uid), process_(process) {}

  pid_t const pid_;
  uid_t const uid_;
  int const process_;  // pidfd; -1 if it cannot be had
};

}  // namespace swiommu::run
