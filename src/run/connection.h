// The owner's side of one connection: a thread that does what one thread of a holder asks.
#pragma once
#include <memory>
#include <optional>
#include <span>

#include "run/message.h"
#include "run/peer.h"
#include "swiommu/iommufd/open_file.h"

namespace swiommu::run {

class Owner;

// Threads: its own. It keeps the file only while it works on a request: a holder that has no descriptor any more makes none.
class Connection {
 public:
  // Takes the socket over, if it can. False: no thread, or too many connections.
  static bool start(Owner& owner, std::uint64_t file_id, int socket);
  ~Connection();
  [[nodiscard]] static unsigned count();
  Connection(Connection const&) = delete;
  Connection& operator=(Connection const&) = delete;

 private:
  struct Answer {
    Result<std::uint64_t> value;
    std::uint64_t second = 0;
    int descriptor = -1;  // to be passed; stays ours
  };

  Connection(Owner& owner, std::uint64_t file_id, int socket, std::shared_ptr<Peer const> peer)
      : owner_(owner), file_id_(file_id), socket_(socket), peer_(std::move(peer)) {}
  static void* serve(void* connection);
  // What there is to say to one request. Nothing: hang up.
  std::optional<Answer> answer(Received const& request, std::span<std::byte const> bytes);
  Answer map(iommufd::OpenFile& file, Message const& request);
  Answer counts(Message const& request) const;

  Owner& owner_;
  std::uint64_t const file_id_;
  int const socket_;
  std::shared_ptr<Peer const> const peer_;
  std::shared_ptr<iommufd::MappableMemory> mapped_;  // by the holder, which keeps the connection as long as that is so
};

}  // namespace swiommu::run
