#include "run/file_name.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <string_view>

#include "run/kernel_call.h"

namespace swiommu::run {
namespace {

constexpr std::string_view prefix = "swiommu/";
constexpr std::string_view digits = "0123456789abcdef";
constexpr std::size_t before_text = offsetof(sockaddr_un, sun_path) + 1;  // the 0 that makes it abstract

char* write_number(char* at, std::uint64_t value) {
  int shift = 60;
  while (shift > 0 && value >> shift == 0) shift -= 4;
  for (; shift >= 0; shift -= 4) *at++ = digits[value >> shift & 15];
  return at;
}

bool read_number(std::string_view& text, std::uint64_t& value) {
  std::size_t length = 0;
  value = 0;
  for (; length < text.size() && text[length] != '/'; length++) {
    auto const digit = digits.find(text[length]);
    if (digit == std::string_view::npos || length == 16) return false;
    value = value << 4 | digit;
  }
  if (length == 0) return false;
  text.remove_prefix(length < text.size() ? length + 1 : length);
  return true;
}

}  // namespace

long bind_name(int socket, FileName const& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  char* at = address.sun_path + 1;
  for (char const letter : prefix) *at++ = letter;
  at = write_number(at, static_cast<std::uint64_t>(name.owner));
  *at++ = '/';
  at = write_number(at, name.token);
  *at++ = '/';
  at = write_number(at, name.id);
  return kernel_call(SYS_bind, socket, &address, at - reinterpret_cast<char*>(&address));
}

std::optional<FileName> peer_name(int descriptor) {
  sockaddr_un address{};
  socklen_t length = sizeof address;
  if (kernel_call(SYS_getpeername, descriptor, &address, &length) != 0) return {};
  if (address.sun_family != AF_UNIX || length <= before_text || length > sizeof address || address.sun_path[0] != 0) return {};
  std::string_view text(address.sun_path + 1, length - before_text);
  if (!text.starts_with(prefix)) return {};
  text.remove_prefix(prefix.size());
  std::uint64_t owner = 0;
  FileName name;
  if (!read_number(text, owner) || !read_number(text, name.token) || !read_number(text, name.id) || !text.empty()) return {};
  name.owner = static_cast<pid_t>(owner);
  return name;
}

}  // namespace swiommu::run
