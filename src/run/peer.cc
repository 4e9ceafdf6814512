#include "run/peer.h"

#include <poll.h>
#include <sys/socket.h>

#include <new>

#include "run/kernel_call.h"
#include "run/process_state.h"

namespace swiommu::run {

std::shared_ptr<Peer const> Peer::of(int socket) try {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (kernel_call(SYS_getsockopt, socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return nullptr;
  long const process = kernel_call(SYS_pidfd_open, credentials.pid, 0);
  int const kept = process < 0 ? -1 : make_internal(static_cast<int>(process));
  return std::shared_ptr<Peer const>(new Peer(credentials.pid, credentials.uid, kept));
} catch (std::bad_alloc const&) {
  return nullptr;
}

Peer::~Peer() {
  if (process_ >= 0) close_internal(process_);
}

bool Peer::gone() const {
  if (process_ < 0) return kernel_call(SYS_kill, pid_, 0) != 0;
  pollfd poll{process_, POLLIN, 0};
  timespec const now{};
  return kernel_call(SYS_ppoll, &poll, 1, &now, nullptr, 0) != 0;
}

}  // namespace swiommu::run
