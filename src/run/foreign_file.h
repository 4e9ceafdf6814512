// A file whose owner is another process: every call is a request to it.
#pragma once
#include <array>

#include "run/file_name.h"
#include "run/futex_lock.h"
#include "run/holding.h"
#include "run/message.h"

namespace swiommu::run {

// Threads: any; each call under way has a connection of its own.
class ForeignFile final : public Holding {
 public:
  explicit ForeignFile(FileName const& name) : Holding(name.owner, name.id), token_(name.token) {}
  ~ForeignFile() override;

  long ioctl(int descriptor, std::uint32_t request, std::uint64_t argument) override;
  long read(int descriptor, void* to, std::size_t length, std::optional<std::uint64_t> offset) override;
  long write(int descriptor, void const* from, std::size_t length, std::optional<std::uint64_t> offset) override;
  long map(int descriptor, void* at, std::size_t length, int protection, int flags, std::uint64_t offset) override;

  PinCounts counts(int descriptor, pid_t pid) override;

  [[nodiscard]] std::uint64_t token() const { return token_; }

 private:
  // Answers what the owner asks meanwhile. The result; its error is ENODEV if the owner is gone.
  Received request(int descriptor, Message message, int passed = -1, std::span<std::byte const> bytes = {});
  int take_connection(int descriptor);
  int new_connection(int descriptor);
  // On one connection; false: the owner is gone, and the connection closed.
  static std::optional<Received> ask(int connection, Message& message, int passed, std::span<std::byte const> bytes);
  Received gone() const;
  void keep_connection(int connection);

  static constexpr std::size_t most_idle = 8;
  std::uint64_t const token_;
  FutexLock lock_;
  std::size_t idle_count_ = 0;
  std::array<int, most_idle> idle_{};
};

}  // namespace swiommu::run
