#include "run/own_file.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <mutex>

#include "run/kernel_call.h"
#include "run/process_state.h"

namespace swiommu::run {

Result<std::shared_ptr<OwnFile>> OwnFile::create(std::shared_ptr<iommufd::OpenFile> file, FileName const& name, int& front) {
  std::array<int, 2> pair{};
  if (long const made = kernel_call(SYS_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()); made != 0)
    return fail(static_cast<int>(-made), "no socket pair for a new descriptor");
  int const back = make_internal(pair[1]);
  long const bound = bind_name(back, name);
  auto own = bound == 0 ? guarded([&]() -> Result<std::shared_ptr<OwnFile>> {
    std::shared_ptr<OwnFile> made(new OwnFile(std::move(file), name, back));
    made->file_->on_readable([raw = made.get()](bool readable) { raw->set_readable(readable); });
    if (made->file_->readable()) made->set_readable(true);
    return made;
  })
                        : Result<std::shared_ptr<OwnFile>>(fail(static_cast<int>(-bound), "no name for a new descriptor"));
  if (!own) {
    kernel_call(SYS_close, pair[0]);
    close_internal(back);
    return own;
  }
  front = pair[0];
  note_ours();
  return own;
}

OwnFile::~OwnFile() {
  file_->on_readable({});
  file_.reset();
  close_internal(back_);
}

bool OwnFile::unheld() const {
  pollfd poll{back_, 0, 0};
  timespec const now{};
  return kernel_call(SYS_ppoll, &poll, 1, &now, nullptr, 0) == 1 && (poll.revents & POLLHUP) != 0;
}

void OwnFile::ring() {
  char const doorbell = 0;
  if (kernel_call(SYS_sendto, back_, &doorbell, 1, MSG_DONTWAIT | MSG_NOSIGNAL, nullptr, 0) == 1) rung_ = true;
}

void OwnFile::take_back(int descriptor) {
  char doorbell = 0;
  kernel_call(SYS_recvfrom, descriptor, &doorbell, 1, MSG_DONTWAIT, nullptr, nullptr);
  rung_ = false;
}

void OwnFile::set_readable(bool readable) {
  std::lock_guard const lock(doorbell_lock_);
  readable_ = readable;
  if (readable && !rung_) ring();
  // Without a descriptor here the message waits for the next read by somebody who has one.
  if (!readable && rung_) table().with_descriptor(name_.owner, name_.id, [&](int descriptor) { take_back(descriptor); });
}

void OwnFile::settle(int descriptor) {
  std::lock_guard const lock(doorbell_lock_);
  if (!readable_ && rung_) take_back(descriptor);
}

}  // namespace swiommu::run
