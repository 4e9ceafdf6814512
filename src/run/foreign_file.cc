#include "run/foreign_file.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <mutex>

#include "run/asked_back.h"
#include "run/call_log.h"
#include "run/file_mappings.h"
#include "run/internal_descriptor.h"
#include "run/kernel_call.h"
#include "run/own_memory.h"
#include "run/process_state.h"
#include "run/read_ahead.h"
#include "swiommu/memory/mapping.h"

namespace swiommu::run {
namespace {

std::uint64_t memory_lock_limit() {
  rlimit limits{};
  kernel_call(SYS_prlimit64, 0, RLIMIT_MEMLOCK, nullptr, &limits);
  return limits.rlim_cur;
}

long outcome(Received const& result) {
  if (result.descriptor >= 0) kernel_call(SYS_close, result.descriptor);
  return result.message.error != 0 ? -result.message.error : static_cast<long>(result.message.words[0]);
}

}  // namespace

ForeignFile::~ForeignFile() {
  for (std::size_t at = 0; at < idle_count_; at++) close_internal(idle_[at]);
}

int ForeignFile::take_connection(int descriptor) {
  {
    std::lock_guard const lock(lock_);
    if (idle_count_ > 0) return idle_[--idle_count_];
  }
  return new_connection(descriptor);
}

int ForeignFile::new_connection(int descriptor) {
  std::array<int, 2> pair{};
  if (kernel_call(SYS_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0) return -1;
  Message hello{Say::hello};
  hello.words[0] = protocol_version;
  bool const sent = send(descriptor, hello, {}, pair[1]);
  kernel_call(SYS_close, pair[1]);
  if (sent) return make_internal(pair[0]);
  kernel_call(SYS_close, pair[0]);
  return -1;
}

void ForeignFile::keep_connection(int connection) {
  {
    std::lock_guard const lock(lock_);
    if (idle_count_ < most_idle) {
      idle_[idle_count_++] = connection;
      return;
    }
  }
  close_internal(connection);
}

std::optional<Received> ForeignFile::ask(int connection, Message& message, int passed, std::span<std::byte const> bytes) {
  message.words[4] = memory_lock_limit();
  AskedBack asked(connection);
  if (send(connection, message, bytes, passed))
    while (auto received = asked.next())
      if (received->message.say == Say::result) return received;
  close_internal(connection);
  return {};
}

Received ForeignFile::gone() const {
  log_line("the process {} that opened this file is gone: ENODEV", owner());
  Received result;
  result.message.error = ENODEV;
  return result;
}

Received ForeignFile::request(int descriptor, Message message, int passed, std::span<std::byte const> bytes) {
  int const connection = take_connection(descriptor);
  auto const result = connection < 0 ? std::nullopt : ask(connection, message, passed, bytes);
  if (!result) return gone();
  keep_connection(connection);
  return *result;
}

long ForeignFile::ioctl(int descriptor, std::uint32_t request_number, std::uint64_t argument) {
  Message message{Say::ioctl};
  message.words = {request_number, argument};
  std::array<std::byte, ReadAhead::most> bytes;
  std::size_t const length = std::min<std::uint64_t>(bytes.size(), host_page_size - (argument & (host_page_size - 1)));
  bool const there = read_own(argument, std::span(bytes).first(length));
  return outcome(request(descriptor, message, -1, std::span(bytes).first(there ? length : 0)));
}

long ForeignFile::read(int descriptor, void* to, std::size_t length, std::optional<std::uint64_t> offset) {
  Message message{Say::read};
  message.words = {std::bit_cast<std::uint64_t>(to), length, offset.value_or(0), offset.has_value() ? 1U : 0U};
  return outcome(request(descriptor, message, descriptor));
}

long ForeignFile::write(int descriptor, void const* from, std::size_t length, std::optional<std::uint64_t> offset) {
  Message message{Say::write};
  message.words = {std::bit_cast<std::uint64_t>(from), length, offset.value_or(0), offset.has_value() ? 1U : 0U};
  return outcome(request(descriptor, message));
}

// The owner keeps what is mapped as long as there is the connection on which it was asked for.
long ForeignFile::map(int descriptor, void* at, std::size_t length, int protection, int flags, std::uint64_t offset) {
  Message message{Say::map};
  message.words = {offset, length, static_cast<std::uint64_t>(protection), static_cast<std::uint64_t>(flags)};
  int const connection = new_connection(descriptor);
  auto const result = connection < 0 ? std::nullopt : ask(connection, message, -1, {});
  if (!result) return outcome(gone());
  if (result->message.error != 0 || result->descriptor < 0) {
    close_internal(connection);
    return outcome(*result);
  }
  long const mapped = kernel_call(SYS_mmap, at, length, protection, flags, result->descriptor, result->message.words[1]);
  kernel_call(SYS_close, result->descriptor);
  if (mapped < 0)
    close_internal(connection);
  else
    file_mappings().add(static_cast<std::uint64_t>(mapped), length, {.kept = std::make_shared<InternalDescriptor>(connection)});
  return mapped;
}

PinCounts ForeignFile::counts(int descriptor, pid_t pid) {
  Message message{Say::counts};
  message.words = {static_cast<std::uint64_t>(pid)};
  Received const result = request(descriptor, message);
  if (result.message.error != 0) return {};
  return {result.message.words[0], result.message.words[1]};
}

}  // namespace swiommu::run
