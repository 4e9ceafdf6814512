#include "swiommu/profile/load_profile.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/spelling.h"
#include "profile/builtin_profiles.h"
#include "swiommu/base/descriptor.h"

namespace swiommu {

namespace {

constexpr std::size_t largest_file = 1 << 20;

Result<std::string> read_file(std::string const& path) {
  Descriptor const file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) return fail(errno, fmt::format("the profile {} cannot be opened", path));
  struct ::stat status{};
  if (::fstat(file.get(), &status) != 0) return fail(errno, fmt::format("the profile {} cannot be read", path));
  if (!S_ISREG(status.st_mode)) return fail(EINVAL, fmt::format("the profile {} is no file", path));
  std::string text;
  while (text.size() <= largest_file) {
    char piece[4096];
    ssize_t const count = ::read(file.get(), piece, sizeof piece);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(errno, fmt::format("the profile {} cannot be read", path));
    if (count == 0) return text;
    text.append(piece, static_cast<std::size_t>(count));
  }
  return fail(EFBIG, fmt::format("the profile {} is larger than 1 MiB", path));
}

}  // namespace

Result<std::vector<Profile>> builtin_profiles() {
  return guarded([&]() -> Result<std::vector<Profile>> {
    std::vector<Profile> all;
    for (BuiltinProfile const& row : builtin_rows()) {
      auto profile = make_builtin(row);
      if (!profile) return std::unexpected(profile.error());
      all.push_back(std::move(*profile));
    }
    return all;
  });
}

Result<Profile> load_profile(std::string const& name_or_path) {
  return guarded([&]() -> Result<Profile> {
    std::vector<std::string> names;
    std::string list;
    for (BuiltinProfile const& row : builtin_rows()) {
      if (row.name == name_or_path) return make_builtin(row);
      list += fmt::format("{}{}", list.empty() ? "" : ", ", row.name);
      names.emplace_back(row.name);
    }
    if (name_or_path.find('/') == std::string::npos && !name_or_path.ends_with(".json")) {
      std::string const likely = likely_word(name_or_path, names);
      return fail(ENOENT, fmt::format("there is no profile '{}'; {} (a file is named by a path with a '/', or ends in .json)",
                                      name_or_path, likely.empty() ? "there are " + list : "did you mean " + likely + "?"));
    }
    auto const text = read_file(name_or_path);
    if (!text) return std::unexpected(text.error());
    return parse_profile(*text, name_or_path);
  });
}

}  // namespace swiommu
