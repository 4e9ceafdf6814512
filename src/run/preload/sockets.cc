// Descriptors that are passed: sendmsg(2), recvmsg(2) and their kin.
#include <sys/socket.h>

#include <cstring>

#include "run/owner.h"
#include "run/preload/exported.h"
#include "run/preload/next.h"
#include "run/preload/wrapped.h"
#include "run/process_state.h"

using namespace swiommu::run;

SWIOMMU_EXPORTED(sendmsg, run_sendmsg)
SWIOMMU_EXPORTED(sendmmsg, run_sendmmsg)
SWIOMMU_EXPORTED(recvmsg, run_recvmsg)
SWIOMMU_EXPORTED(recvmmsg, run_recvmmsg)

namespace {

// From now on another process can have what we own.
void before_sending() {
  if (!anything_ours()) return;
  if (Owner* const owner = Owner::existing()) owner->serve_others();
}

void look_at_received(msghdr const& message) {
  auto& header = const_cast<msghdr&>(message);
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    for (size_t at = CMSG_LEN(0); at + sizeof(int) <= part->cmsg_len; at += sizeof(int)) {
      int descriptor = -1;
      std::memcpy(&descriptor, reinterpret_cast<std::byte*>(part) + at, sizeof descriptor);
      adopt(descriptor);
    }
  }
}

}  // namespace

ssize_t run_sendmsg(int socket, msghdr const* message, int flags) {
  before_sending();
  return SWIOMMU_NEXT(sendmsg, run_sendmsg)(socket, message, flags);
}

int run_sendmmsg(int socket, mmsghdr* messages, unsigned count, int flags) {
  before_sending();
  return SWIOMMU_NEXT(sendmmsg, run_sendmmsg)(socket, messages, count, flags);
}

ssize_t run_recvmsg(int socket, msghdr* message, int flags) {
  ssize_t const result = SWIOMMU_NEXT(recvmsg, run_recvmsg)(socket, message, flags);
  if (result >= 0 && message->msg_controllen > 0) look_at_received(*message);
  return result;
}

int run_recvmmsg(int socket, mmsghdr* messages, unsigned count, int flags, timespec* timeout) {
  int const result = SWIOMMU_NEXT(recvmmsg, run_recvmmsg)(socket, messages, count, flags, timeout);
  for (int at = 0; at < result; at++)
    if (messages[at].msg_hdr.msg_controllen > 0) look_at_received(messages[at].msg_hdr);
  return result;
}
