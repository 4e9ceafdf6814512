#include "vfio/device_name.h"

#include <fmt/format.h>

namespace swiommu::vfio {
namespace {

constexpr std::string_view token_option = "vf_token=";
constexpr std::size_t uuid_length = 36;

bool is_uuid(std::string_view text) {
  for (std::size_t n = 0; n < text.size(); n++) {
    bool const dash = n == 8 || n == 13 || n == 18 || n == 23;
    if (dash ? text[n] != '-' : std::string_view("0123456789abcdefABCDEF").find(text[n]) == std::string_view::npos) return false;
  }
  return text.size() == uuid_length;
}

}  // namespace

Result<bool> match_device_name(std::string_view name, PciAddress address) {
  std::string const own = address.text();
  if (!name.starts_with(own)) return false;
  name.remove_prefix(own.size());
  if (name.empty()) return true;
  if (name[0] != ' ') return false;
  bool token = false;
  while (!name.empty()) {
    if (name[0] == ' ') {
      name.remove_prefix(1);
      continue;
    }
    if (token || !name.starts_with(token_option)) return fail(EINVAL, fmt::format("{}: there is no option \"{}\"", own, name));
    name.remove_prefix(token_option.size());
    if (!is_uuid(name.substr(0, uuid_length))) return fail(EINVAL, fmt::format("{}: \"{}\" is no UUID", own, name));
    name.remove_prefix(uuid_length);
    token = true;
  }
  if (token) return fail(EINVAL, fmt::format("{} is neither a virtual function nor has any, so it takes no token", own));
  return true;
}

}  // namespace swiommu::vfio
