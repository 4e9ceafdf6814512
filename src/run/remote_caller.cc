#include "run/remote_caller.h"

#include <poll.h>
#include <sys/uio.h>

#include <algorithm>
#include <utility>

#include "run/capabilities.h"
#include "run/kernel_call.h"
#include "run/owner.h"
#include "run/process_state.h"
#include "run/remote_memory.h"
#include "swiommu/memory/file_memory.h"

namespace swiommu::run {
namespace {

// Copies straight from, or to, another process. What it says of a hole is believed; false also where we may not look (EPERM).
bool transfer(long number, pid_t pid, std::byte* ours, std::uint64_t theirs, std::size_t length) {
  iovec const local{ours, length}, remote{std::bit_cast<void*>(theirs), length};
  return kernel_call(number, pid, &local, 1, &remote, 1, 0) == static_cast<long>(length);
}

// Within some seconds.
bool says_something(int socket, long seconds) {
  pollfd poll{socket, POLLIN, 0};
  timespec const limit{seconds, 0};
  return kernel_call(SYS_ppoll, &poll, 1, &limit, nullptr, 0) == 1;
}

std::unexpected<Error> gone() { return fail(EFAULT, "the process that called is gone"); }

}  // namespace

std::optional<Received> RemoteCaller::ask(Message const& question, std::span<std::byte const> bytes, int descriptor,
                                          std::span<std::byte> answer) {
  if (hung_up_) return {};
  std::optional<Received> received;
  // Not for ever: locks are held meanwhile that others want.
  if (send(socket_, question, bytes, descriptor) && says_something(socket_, question.say == Say::memory ? 60 : 10))
    received = receive(socket_, answer);
  bool const understood = received && received->message.say == Say::result;
  bool const wanted = understood && (question.say == Say::borrow || question.say == Say::memory);
  if (received && received->descriptor >= 0 && !wanted) kernel_call(SYS_close, std::exchange(received->descriptor, -1));
  if (understood) return received;
  hung_up_ = true;
  return {};
}

// The process itself is asked where the system does not let us look into it (Yama, another user).
bool RemoteCaller::copy_in(std::uint64_t from, std::span<std::byte> to) {
  if (ahead_.copy(from, to)) return true;
  if (transfer(SYS_process_vm_readv, peer_->pid(), to.data(), from, to.size())) return true;
  while (!to.empty()) {
    std::size_t const part = std::min(to.size(), most_bytes);
    Message question{Say::copy_in};
    question.words = {from, part};
    auto const answer = ask(question, {}, -1, to.first(part));
    if (!answer || answer->message.error != 0 || answer->bytes != part) return false;
    from += part;
    to = to.subspan(part);
  }
  return true;
}

bool RemoteCaller::copy_out(std::uint64_t to, std::span<std::byte const> from) {
  ahead_.drop();
  if (transfer(SYS_process_vm_writev, peer_->pid(), const_cast<std::byte*>(from.data()), to, from.size())) return true;
  while (!from.empty()) {
    std::size_t const part = std::min(from.size(), most_bytes);
    Message question{Say::copy_out};
    question.words = {to};
    auto const answer = ask(question, from.first(part));
    if (!answer || answer->message.error != 0) return false;
    to += part;
    from = from.subspan(part);
  }
  return true;
}

Result<int> RemoteCaller::install(std::shared_ptr<iommufd::OpenFile> file) {
  int front = -1;
  auto made = owner_.make_file(std::move(file), front);
  if (!made) return std::unexpected(std::move(made).error());
  std::uint64_t const id = (*made)->name().id;
  made->reset();
  Message question{Say::install};
  question.words = {id, owner_.token()};
  auto const answer = ask(question, {}, front);
  kernel_call(SYS_close, front);
  if (!answer || answer->message.error != 0) {
    owner_.release_if_unheld(id);
    return answer ? fail(answer->message.error, "the process that called has no room for a descriptor") : gone();
  }
  return static_cast<int>(answer->message.words[0]);
}

void RemoteCaller::uninstall(int descriptor) noexcept {
  Message question{Say::uninstall};
  question.words = {static_cast<std::uint64_t>(descriptor)};
  ask(question);
}

std::shared_ptr<iommufd::OpenFile> RemoteCaller::open_file(int descriptor) {
  Message question{Say::identify};
  question.words = {static_cast<std::uint64_t>(descriptor)};
  auto const answer = ask(question);
  if (!answer || answer->message.error != 0 || answer->message.words[1] != owner_.token()) return nullptr;
  auto const file = owner_.find(answer->message.words[0]);
  return file ? file->shared_file() : nullptr;
}

Result<Descriptor> RemoteCaller::borrow(int descriptor) {
  Message question{Say::borrow};
  question.words = {static_cast<std::uint64_t>(descriptor)};
  auto const answer = ask(question);
  if (!answer) return gone();
  if (answer->message.error != 0 || answer->descriptor < 0) return fail(EBADF, "no such descriptor");
  return Descriptor(make_internal(answer->descriptor));
}

Result<std::unique_ptr<Backing>> RemoteCaller::memory(std::uint64_t address, std::uint64_t length, bool writable) {
  Message question{Say::memory};
  question.words = {address, length, writable ? 1U : 0U};
  auto const answer = ask(question);
  if (!answer) return gone();
  Descriptor const file(answer->descriptor);
  std::uint64_t const offset = answer->message.words[0], page_offset = address & (host_page_size - 1);
  MappedFile const named{answer->message.words[1], answer->message.words[2]};
  bool const plausible = (offset & (host_page_size - 1)) == page_offset;
  return RemoteMemory::create(owner_.engine().addresses(), peer_, plausible ? file.get() : -1,
                              {offset, length, page_offset, plausible ? named : MappedFile{}}, writable);
}

Result<std::unique_ptr<Backing>> RemoteCaller::file_memory(int descriptor, std::uint64_t offset, std::uint64_t length,
                                                           bool writable) {
  auto const file = borrow(descriptor);
  if (!file) return std::unexpected(file.error());
  return FileMemory::create(owner_.engine().addresses(), file->get(), offset, length, writable);
}

std::shared_ptr<iommufd::Process> RemoteCaller::process() {
  auto found = owner_.engine().processes().find(peer_->pid(), peer_->uid());
  if (!found) return owner_.process();
  (*found)->memlock_limit_pages.store(memory_lock_limit_ >> host_page_lg2, std::memory_order_relaxed);
  return *found;
}

bool RemoteCaller::has(iommufd::Capability capability) {
  return has_capability(peer_->pid(), capability) || (peer_->uid() == 0 && root_is_believed(capability));
}

}  // namespace swiommu::run
