#include "run/asked_back.h"

#include <cerrno>

#include "run/foreign_file.h"
#include "run/kernel_call.h"
#include "run/process_state.h"
#include "run/shared_out_memory.h"
#include "swiommu/memory/safe_copy.h"

namespace swiommu::run {

std::optional<Received> AskedBack::next() {
  auto received = receive(connection_, bytes_);
  if (!received || received->message.say == Say::result) return received;
  if (!answer(*received)) {
    if (received->descriptor >= 0) kernel_call(SYS_close, received->descriptor);
    return {};
  }
  return received;
}

bool AskedBack::answer(Received const& question) {
  Message const& message = question.message;
  if (message.say == Say::install) return question.descriptor >= 0 && install(question);
  if (message.say == Say::copy_out) return copy_out(question);
  if (question.descriptor >= 0) return false;
  switch (message.say) {
    case Say::uninstall: {
      auto const descriptor = static_cast<int>(message.words[0]);
      Reference const gone = table().take(descriptor);
      if (gone) kernel_call(SYS_close, descriptor);
      return reply(0);
    }
    case Say::identify: return identify(message);
    case Say::borrow: return borrow(message);
    case Say::memory: return share(message);
    case Say::copy_in: return copy_in(message);
    default: return false;
  }
}

bool AskedBack::reply(int error, std::uint64_t value, std::uint64_t second) {
  Message message{Say::result, error};
  message.words = {value, second};
  return send(connection_, message);
}

bool AskedBack::install(Received const& question) {
  Reference const held = adopt(question.descriptor);
  if (!held) return false;
  return reply(0, static_cast<std::uint64_t>(question.descriptor));
}

bool AskedBack::identify(Message const& question) {
  Reference const held = table().find(static_cast<int>(question.words[0]));
  auto const name = held ? peer_name(static_cast<int>(question.words[0])) : std::nullopt;
  return name ? reply(0, name->id, name->token) : reply(EBADF);
}

bool AskedBack::borrow(Message const& question) {
  auto const descriptor = static_cast<int>(question.words[0]);
  if (table().has(descriptor)) return reply(EBADF);
  Message message{Say::result};
  // a number that is not open makes sendmsg fail
  return send(connection_, message, {}, descriptor < 0 ? 1 << 30 : descriptor) || reply(EBADF);
}

bool AskedBack::share(Message const& question) {
  SharedOutMemory const memory = share_out(question.words[0], question.words[1], question.words[2] != 0);
  Message message{Say::result, memory.error};
  message.words = {memory.offset, memory.file.device, memory.file.inode};
  bool const replied = send(connection_, message, {}, memory.descriptor);
  if (memory.descriptor >= 0) kernel_call(SYS_close, memory.descriptor);
  return replied;
}

bool AskedBack::copy_in(Message const& question) {
  std::size_t const length = question.words[1];
  if (length > bytes_.size()) return false;
  std::span const bytes(bytes_.data(), length);
  if (!copy_from_doubtful(std::bit_cast<void*>(question.words[0]), bytes)) return reply(EFAULT);
  return send(connection_, Message{}, bytes);
}

bool AskedBack::copy_out(Received const& question) {
  std::span const bytes(bytes_.data(), question.bytes);
  return reply(copy_to_doubtful(std::bit_cast<void*>(question.message.words[0]), bytes) ? 0 : EFAULT);
}

}  // namespace swiommu::run
