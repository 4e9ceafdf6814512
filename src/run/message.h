// What a holder and the owner say to each other.
//
// A holder's first word goes through the descriptor itself: `hello`, with one end of a new socket pair. On that pair it makes its
// requests, one at a time. Until the owner answers with `result` it may ask back, for what only the holder can do: its
// descriptors, its memory. Both sides take anything for garbage that is not as described here, and hang up.
#pragma once
#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace swiommu::run {

enum class Say : std::uint32_t {
  hello = 0x53770001,  // words: version. Descriptor: the owner's end of the new pair

  // requests; words[4] is always the holder's RLIMIT_MEMLOCK in bytes
  ioctl,  // request, argument. Bytes: the first of those that the argument points to, if they can be read
  read,   // address, length, offset, is there one. Descriptor: the one that is read from, so that its readiness can be taken back
  write,  // address, length, offset, is there one
  map,    // offset, length, protection, flags. Answer: a descriptor to be mapped, words[1] its offset
  counts,  // pid. Answer: words[0] pages pinned, words[1] pages locked

  // what the owner asks back; answered with `result`
  install,    // number of a file of the owner, its token. Descriptor: for the holder to keep. Answer: its number there
  uninstall,  // number of a descriptor
  identify,   // number of a descriptor. Answer: number of the owner's file behind it, and the owner's token
  borrow,     // number of a descriptor. Answer: the descriptor
  memory,     // address, length, writable. Answer: a descriptor of the memory, words[0] the offset of its first byte; or
              // none, and words[1] the device and words[2] the inode that /proc/self/maps names
  copy_in,    // address, length. Answer: bytes
  copy_out,   // address. Bytes

  result,  // `error` is 0 or an errno; words as said above; words[0] is what the call returns
};

inline constexpr std::uint64_t protocol_version = 2;

struct Message {
  Say say = Say::result;
  std::int32_t error = 0;
  std::array<std::uint64_t, 5> words{};
};

inline constexpr std::size_t most_bytes = 16384;  // that go with one message

// False: the other side is gone. Never raises SIGPIPE.
bool send(int socket, Message const& message, std::span<std::byte const> bytes = {}, int descriptor = -1);

struct Received {
  Message message;
  std::size_t bytes = 0;  // that came with it
  int descriptor = -1;    // that came with it, close-on-exec; the receiver's to close
};
// Waits. Nothing: the other side is gone, or talks garbage.
std::optional<Received> receive(int socket, std::span<std::byte> bytes = {});
// The same, but does not wait: nothing if there is nothing. `empty` says whether that was why.
std::optional<Received> receive_now(int socket, bool& empty);

}  // namespace swiommu::run
