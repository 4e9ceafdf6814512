#include "run/handed_descriptors.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <string_view>

#include "run/environment.h"
#include "swiommu/base/descriptor.h"

namespace swiommu::run {
namespace {

constexpr int first_number = 30;  // beyond what shells and programs count on

// "{vfio:0}": the path that is meant.
Result<std::optional<std::string>> path_of(std::string_view word, unsigned devices) {
  if (word == "{iommufd}") return "/dev/iommu";
  if (!word.starts_with("{vfio:")) return std::nullopt;
  std::string_view const digits = word.substr(6, word.size() - 7);
  unsigned number = 0;
  auto const [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  if (number < devices) return fmt::format("/dev/vfio/devices/vfio{}", number);
  return fail(EINVAL, fmt::format("{}: there {}", word,
                                  devices == 0   ? "are no devices (--device)"
                                  : devices == 1 ? "is one device, {vfio:0}"
                                                 : fmt::format("are {} devices, counted from 0", devices)));
}

// A number that nobody else takes: one descriptor for each word, wherever it stands.
Result<int> reserve() {
  Descriptor const nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  int const kept = nothing.get() < 0 ? -1 : ::fcntl(nothing.get(), F_DUPFD, first_number);
  if (kept < 0) return fail(errno, fmt::format("no descriptor from {} on", first_number));
  return kept;
}

}  // namespace

Result<> prepare_handed(std::vector<std::string>& arguments, unsigned devices) {
  return guarded([&]() -> Result<> {
    std::map<std::string, int> numbers;
    for (std::string& argument : arguments) {
      for (std::size_t at = 0; (at = argument.find('{', at)) != std::string::npos; at++) {
        auto const end = argument.find('}', at);
        if (end == std::string::npos) break;
        auto const path = path_of(std::string_view(argument).substr(at, end - at + 1), devices);
        if (!path) return std::unexpected(path.error());
        if (!*path) continue;
        if (!numbers.contains(**path)) {
          auto const number = reserve();
          if (!number) return std::unexpected(number.error());
          numbers.emplace(**path, *number);
        }
        argument.replace(at, end - at + 1, std::to_string(numbers.at(**path)));
      }
    }
    std::string lines;
    for (auto const& [path, number] : numbers) lines += fmt::format("{} {}\n", number, path);
    int const done = lines.empty() ? ::unsetenv(handed_variable) : ::setenv(handed_variable, lines.c_str(), 1);
    if (done != 0) return fail(errno, handed_variable);
    return {};
  });
}

void hand_over(bool (*wanted)(int number), int (*open)(char const* path), int (*move)(int from, int to)) {
  char const* at = std::getenv(handed_variable);
  for (; at != nullptr && *at != 0; at = *at == 0 ? at : at + 1) {
    char* rest = nullptr;
    long const number = std::strtol(at, &rest, 10);
    char path[64];
    std::size_t length = 0;
    for (at = *rest == ' ' ? rest + 1 : rest; *at != 0 && *at != '\n'; at++)
      if (length < sizeof path - 1) path[length++] = *at;
    path[length] = 0;
    if (!wanted(static_cast<int>(number))) continue;
    if (int const opened = open(path); opened >= 0) move(opened, static_cast<int>(number));
  }
}

}  // namespace swiommu::run
