// The owner's side of one connection: a thread that does what one thread of a holder asks.
#pragma once
#include <memory>

#include "run/message.h"
#include "run/own_file.h"
#include "run/peer.h"

namespace swiommu::run {

class Owner;

class Connection {
 public:
  // Takes the socket over, if it can. False: no thread, or too many connections.
  static bool start(Owner& owner, std::shared_ptr<OwnFile> file, int socket);
  ~Connection();
  Connection(Connection const&) = delete;
  Connection& operator=(Connection const&) = delete;

 private:
  Connection(Owner& owner, std::shared_ptr<OwnFile> file, int socket, std::shared_ptr<Peer const> peer)
      : owner_(owner), file_(std::move(file)), socket_(socket), peer_(std::move(peer)) {}
  static void* serve(void* connection);
  // Answers one request. False: garbage.
  bool answer(Received& request);
  bool map(Message const& request);
  bool counts(Message const& request);
  bool reply(Result<std::uint64_t> const& result, int descriptor = -1, std::uint64_t second = 0);

  Owner& owner_;
  std::shared_ptr<OwnFile> const file_;
  int socket_;
  std::shared_ptr<Peer const> const peer_;
};

}  // namespace swiommu::run
