// A process at the other end of a connection calls.
#pragma once
#include "run/message.h"
#include "run/peer.h"
#include "run/read_ahead.h"
#include "swiommu/iommufd/caller.h"

namespace swiommu::run {

class Owner;

class RemoteCaller final : public iommufd::Caller {
 public:
  RemoteCaller(Owner& owner, std::shared_ptr<Peer const> const& peer, int socket, std::uint64_t memory_lock_limit)
      : owner_(owner), peer_(peer), socket_(socket), memory_lock_limit_(memory_lock_limit) {}

  // What came with the request.
  [[nodiscard]] ReadAhead& ahead() { return ahead_; }

  bool copy_in(std::uint64_t from, std::span<std::byte> to) override;
  bool copy_out(std::uint64_t to, std::span<std::byte const> from) override;
  Result<int> install(std::shared_ptr<iommufd::OpenFile> file) override;
  void uninstall(int descriptor) noexcept override;
  std::shared_ptr<iommufd::OpenFile> open_file(int descriptor) override;
  Result<Descriptor> borrow(int descriptor) override;
  Result<std::unique_ptr<Backing>> memory(std::uint64_t address, std::uint64_t length, bool writable) override;
  Result<std::unique_ptr<Backing>> file_memory(int descriptor, std::uint64_t offset, std::uint64_t length,
                                               bool writable) override;
  std::shared_ptr<iommufd::Process> process() override;
  bool has(iommufd::Capability capability) override;

  // It went away, or talked garbage, while it was asked something.
  [[nodiscard]] bool hung_up() const { return hung_up_; }

 private:
  std::optional<Received> ask(Message const& question, std::span<std::byte const> bytes = {}, int descriptor = -1,
                              std::span<std::byte> answer = {});

  Owner& owner_;
  std::shared_ptr<Peer const> const& peer_;
  int const socket_;
  std::uint64_t const memory_lock_limit_;
  bool hung_up_ = false;
  ReadAhead ahead_;
};

}  // namespace swiommu::run
