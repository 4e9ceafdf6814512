#include "run/message.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "run/kernel_call.h"

namespace swiommu::run {
namespace {

constexpr std::size_t most_descriptors = 16;  // that a stranger can make us receive and close at once

// The descriptors of a control block; keeps the first, closes the others.
int first_descriptor(msghdr& header) {
  int kept = -1;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    std::size_t const count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t at = 0; at < count; at++) {
      int descriptor = -1;
      std::memcpy(&descriptor, CMSG_DATA(part) + at * sizeof(int), sizeof(int));
      if (kept < 0)
        kept = descriptor;
      else
        kernel_call(SYS_close, descriptor);
    }
  }
  return kept;
}

std::optional<Received> receive_with(int socket, std::span<std::byte> bytes, int flags, long& got) {
  Received received;
  std::array<iovec, 2> parts{iovec{&received.message, sizeof(Message)}, iovec{bytes.data(), bytes.size()}};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(most_descriptors * sizeof(int))> control;
  msghdr header{};
  header.msg_iov = parts.data();
  header.msg_iovlen = parts.size();
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  do got = kernel_call(SYS_recvmsg, socket, &header, MSG_CMSG_CLOEXEC | flags);
  while (got == -EINTR);
  if (got < 0) return {};
  received.descriptor = first_descriptor(header);
  if (got < static_cast<long>(sizeof(Message)) || (header.msg_flags & MSG_TRUNC) != 0) {
    if (received.descriptor >= 0) kernel_call(SYS_close, received.descriptor);
    return {};
  }
  received.bytes = static_cast<std::size_t>(got) - sizeof(Message);
  return received;
}

}  // namespace

bool send(int socket, Message const& message, std::span<std::byte const> bytes, int descriptor) {
  std::array<iovec, 2> parts{iovec{const_cast<Message*>(&message), sizeof message},
                             iovec{const_cast<std::byte*>(bytes.data()), bytes.size()}};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control{};
  msghdr header{};
  header.msg_iov = parts.data();
  header.msg_iovlen = parts.size();
  if (descriptor >= 0) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* const part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(part), &descriptor, sizeof(int));
  }
  long sent = 0;
  do sent = kernel_call(SYS_sendmsg, socket, &header, MSG_NOSIGNAL);
  while (sent == -EINTR);
  return sent == static_cast<long>(sizeof message + bytes.size());
}

std::optional<Received> receive(int socket, std::span<std::byte> bytes) {
  long got = 0;
  return receive_with(socket, bytes, 0, got);
}

std::optional<Received> receive_now(int socket, bool& empty) {
  long got = 0;
  auto received = receive_with(socket, {}, MSG_DONTWAIT, got);
  empty = got <= 0;
  return received;
}

}  // namespace swiommu::run
