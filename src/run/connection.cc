#include "run/connection.h"

#include <atomic>
#include <utility>

#include "run/call_log.h"
#include "run/hidden_thread.h"
#include "run/kernel_call.h"
#include "run/logged_call.h"
#include "run/owner.h"
#include "run/process_state.h"
#include "run/remote_caller.h"

namespace swiommu::run {
namespace {

constexpr unsigned most_connections = 1024;
std::atomic<unsigned> connections = 0;

}  // namespace

bool Connection::start(Owner& owner, std::shared_ptr<OwnFile> file, int socket) {
  auto peer = Peer::of(socket);
  if (!peer) return false;
  if (connections.fetch_add(1) >= most_connections) {
    connections.fetch_sub(1);
    return false;
  }
  auto* const made = new (std::nothrow) Connection(owner, std::move(file), make_internal(socket), std::move(peer));
  if (made != nullptr && start_hidden_thread(&serve, made)) return true;
  if (made == nullptr) {
    connections.fetch_sub(1);
    return false;
  }
  delete made;  // closes the socket, under its new number
  return true;
}

Connection::~Connection() {
  close_internal(socket_);
  connections.fetch_sub(1);
}

void* Connection::serve(void* argument) {
  std::unique_ptr<Connection> const connection(static_cast<Connection*>(argument));
  while (auto request = receive(connection->socket_)) {
    bool const good = connection->answer(*request);
    if (request->descriptor >= 0) kernel_call(SYS_close, request->descriptor);
    if (!good) break;
  }
  return nullptr;
}

bool Connection::reply(Result<std::uint64_t> const& result, int descriptor, std::uint64_t second) {
  Message message{Say::result, result ? 0 : result.error().code};
  message.words = {result.value_or(0), second};
  return send(socket_, message, {}, descriptor);
}

bool Connection::answer(Received& request) {
  Message const& message = request.message;
  RemoteCaller caller(owner_, peer_, socket_, message.words[4]);
  iommufd::OpenFile& file = file_->file();
  switch (message.say) {
    case Say::ioctl: {
      auto const result = logged_ioctl(file, caller, static_cast<std::uint32_t>(message.words[0]), message.words[1]);
      return !caller.hung_up() && reply(result);
    }
    case Say::read: {
      auto const result = file.read(caller, message.words[0], message.words[1]);
      // Only a descriptor that really is one of this file may be read from.
      auto const name = peer_name(request.descriptor);
      if (name && name->token == owner_.token() && name->id == file_->name().id) file_->settle(request.descriptor);
      return !caller.hung_up() && reply(result);
    }
    case Say::write: {
      auto const result = file.write(caller, message.words[0], message.words[1]);
      return !caller.hung_up() && reply(result);
    }
    case Say::map: return map(message);
    case Say::counts: return counts(message);
    default: log_line("process {}: a request that is none: {:#x}", peer_->pid(), std::to_underlying(message.say)); return false;
  }
}

bool Connection::map(Message const& request) {
  auto const memory = file_->file().map(request.words[0], request.words[1], static_cast<int>(request.words[2]),
                                        static_cast<int>(request.words[3]));
  if (!memory) return reply(std::unexpected(memory.error()));
  return reply(0, (*memory)->descriptor(), (*memory)->offset());
}

bool Connection::counts(Message const& request) {
  auto const process = owner_.engine().processes().existing(static_cast<std::int32_t>(request.words[0]));
  if (!process) return reply(0);
  return reply(process->pinned_pages.load(), -1, process->locked_pages.load());
}

}  // namespace swiommu::run
