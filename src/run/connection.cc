#include "run/connection.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

#include "run/call_log.h"
#include "run/hidden_thread.h"
#include "run/kernel_call.h"
#include "run/logged_call.h"
#include "run/own_file.h"
#include "run/owner.h"
#include "run/process_state.h"
#include "run/remote_caller.h"

namespace swiommu::run {
namespace {

constexpr unsigned most_connections = 1024;
std::atomic<unsigned> connections = 0;

}  // namespace

bool Connection::start(Owner& owner, std::uint64_t file_id, int socket) {
  auto peer = Peer::of(socket);
  if (!peer) return false;
  if (connections.fetch_add(1) >= most_connections) {
    connections.fetch_sub(1);
    return false;
  }
  auto* const made = new (std::nothrow) Connection(owner, file_id, make_internal(socket), std::move(peer));
  if (made != nullptr && start_hidden_thread(&serve, made)) return true;
  if (made == nullptr) {
    connections.fetch_sub(1);
    return false;
  }
  delete made;  // closes the socket, under its new number
  return true;
}

unsigned Connection::count() { return connections.load(); }

Connection::~Connection() {
  close_internal(socket_);
  connections.fetch_sub(1);
}

void* Connection::serve(void* argument) {
  std::unique_ptr<Connection> const connection(static_cast<Connection*>(argument));
  std::array<std::byte, ReadAhead::most> bytes;
  while (auto request = receive(connection->socket_, bytes)) {
    // By the time that the holder has its answer, nothing of ours keeps the file: it may be the last thing that the holder
    // wanted.
    auto const said = connection->answer(*request, std::span(bytes).first(request->bytes));
    if (request->descriptor >= 0) kernel_call(SYS_close, request->descriptor);
    if (!said) break;
    Message message{Say::result, said->value ? 0 : said->value.error().code};
    message.words = {said->value.value_or(0), said->second};
    if (!send(connection->socket_, message, {}, said->descriptor)) break;
  }
  return nullptr;
}

std::optional<Connection::Answer> Connection::answer(Received const& request, std::span<std::byte const> bytes) {
  Message const& message = request.message;
  auto const file = owner_.find(file_id_);
  if (!file) return {};
  RemoteCaller caller(owner_, peer_, socket_, message.words[4]);
  std::optional<Answer> said;
  switch (message.say) {
    case Say::ioctl:
      std::ranges::copy(bytes, caller.ahead().room().begin());
      caller.ahead().set(message.words[1], bytes.size());
      said.emplace(logged_ioctl(file->file(), caller, static_cast<std::uint32_t>(message.words[0]), message.words[1]));
      break;
    case Say::read: {
      said.emplace(message.words[3] != 0 ? file->file().read_at(caller, message.words[0], message.words[1], message.words[2])
                                         : file->file().read(caller, message.words[0], message.words[1]));
      // Only a descriptor that really is one of this file may be read from.
      auto const name = peer_name(request.descriptor);
      if (name && name->token == owner_.token() && name->id == file_id_) file->settle(request.descriptor);
      break;
    }
    case Say::write:
      said.emplace(message.words[3] != 0 ? file->file().write_at(caller, message.words[0], message.words[1], message.words[2])
                                         : file->file().write(caller, message.words[0], message.words[1]));
      break;
    case Say::map: return map(file->file(), message);
    case Say::counts: return counts(message);
    default: log_line("process {}: a request that is none: {:#x}", peer_->pid(), std::to_underlying(message.say)); break;
  }
  return caller.hung_up() ? std::nullopt : said;
}

Connection::Answer Connection::map(iommufd::OpenFile& file, Message const& request) {
  auto memory =
      file.map(request.words[0], request.words[1], static_cast<int>(request.words[2]), static_cast<int>(request.words[3]));
  if (!memory) return {std::unexpected(std::move(memory).error())};
  mapped_ = std::move(*memory);
  return {0, mapped_->offset(), mapped_->descriptor()};
}

Connection::Answer Connection::counts(Message const& request) const {
  PinCounts const counted = owner_.counts(static_cast<pid_t>(request.words[0]));
  return {counted.pinned_pages, counted.locked_pages};
}

}  // namespace swiommu::run
