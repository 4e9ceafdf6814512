#include "run/launcher.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "run/chosen_devices.h"
#include "run/chosen_profile.h"
#include "run/environment.h"
#include "run/handed_descriptors.h"
#include "run/program_file.h"
#include "run/sysfs_folder.h"
#include "swiommu/base/descriptor.h"
#include "swiommu/profile/load_profile.h"
#include "swiommu/vfio/model_specification.h"

namespace swiommu::run {
namespace {

namespace fs = std::filesystem;

constexpr char const* library_name = "libswiommu-run.so";

// Beside this program, as it is built; or where the library folder is from here, as it is installed.
Result<std::string> find_library() {
  std::error_code error;
  fs::path const self = fs::read_symlink("/proc/self/exe", error);
  if (error) return fail(error.value(), "/proc/self/exe");
  for (fs::path const& folder : {self.parent_path(), self.parent_path() / SWIOMMU_LIBRARY_FOLDER}) {
    fs::path const library = (folder / library_name).lexically_normal();
    if (!fs::exists(library, error)) continue;
    if (library.string().find_first_of(" :") != std::string::npos)
      return fail(EINVAL, fmt::format("{}: the loader takes no path with a space or a colon in it", library.string()));
    return library.string();
  }
  return fail(EINVAL, fmt::format("{} is neither beside {} nor in its library folder", library_name, self.string()));
}

Result<std::string> absolute(std::string const& path) {
  std::error_code error;
  fs::path const whole = fs::absolute(path, error);
  if (error) return fail(error.value(), path);
  return whole.string();
}

Result<> set(char const* variable, std::string const& value) {
  if (::setenv(variable, value.c_str(), 1) != 0) return fail(errno, variable);
  return {};
}

// What is wrong with a profile is said before the program starts.
Result<> prepare_profile(std::string const& profile) {
  if (profile.empty()) return set(profile_variable, profile);
  if (auto const loaded = load_profile(profile); !loaded) return fail(EINVAL, loaded.error().about);
  bool const builtin = profile.find('/') == std::string::npos && !profile.ends_with(".json");
  auto const name = builtin ? Result<std::string>(profile) : absolute(profile);
  if (!name) return std::unexpected(name.error());
  return set(profile_variable, *name);
}

// Each process adds lines; what an earlier run wrote goes.
Result<> prepare_log(std::string const& log) {
  if (log.empty() || log == "-") return set(log_variable, log);
  auto const path = absolute(log);
  if (!path) return std::unexpected(path.error());
  Descriptor const file(::open(path->c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (file.get() < 0) return fail(EINVAL, fmt::format("{}: {}", *path, std::strerror(errno)));
  return set(log_variable, *path);
}

// They are made here once, so that what is wrong with them is said before the program starts, and to know what /sys is to say.
// When this returns they are gone, and have no locks that another process of ours could keep.
Result<std::vector<vfio::SysfsEntry>> sysfs_of(std::vector<std::string> const& devices) {
  auto profile = chosen_profile();
  if (!profile) return fail(EINVAL, profile.error().about);
  auto engine = iommufd::Engine::create(std::move(*profile));
  if (!engine) return std::unexpected(std::move(engine).error());
  auto const bus = make_devices(*engine, devices);
  if (!bus) return fail(EINVAL, bus.error().about);
  return (*bus)->sysfs();
}

Result<> prepare_devices(Launch const& launch) {
  for (char const* const variable : {devices_variable, sysfs_variable}) ::unsetenv(variable);  // of a run that this one is in
  if (launch.devices.empty()) return {};
  std::string lines;
  std::vector<std::string> devices;
  for (std::string const& device : launch.devices) {
    auto const specification = vfio::parse_model(device);
    if (!specification) return fail(EINVAL, fmt::format("--device {}: {}", device, specification.error().about));
    lines += (lines.empty() ? "" : "\n") + specification->text;
    devices.push_back(specification->text);
  }
  auto const entries = sysfs_of(devices);
  if (!entries) return std::unexpected(entries.error());
  auto const folder = write_sysfs(*entries);
  if (!folder) return fail(EINVAL, folder.error().about);
  SWIOMMU_TRY(remove_when_ended(*folder));
  SWIOMMU_TRY(set(devices_variable, lines));
  return set(sysfs_variable, *folder);
}

}  // namespace

Result<> launch(Launch const& launch) {
  auto const program = find_program(launch.command.front());
  if (!program) return std::unexpected(program.error());
  SWIOMMU_TRY(check_preloadable(*program));
  auto library = find_library();
  if (!library) return std::unexpected(library.error());
  if (char const* const others = std::getenv("LD_PRELOAD"); others != nullptr && *others != 0)
    *library = fmt::format("{}:{}", others, *library);
  SWIOMMU_TRY(prepare_profile(launch.profile));
  SWIOMMU_TRY(prepare_log(launch.log));
  SWIOMMU_TRY(prepare_devices(launch));
  std::vector<std::string> command = launch.command;
  SWIOMMU_TRY(prepare_handed(command, static_cast<unsigned>(launch.devices.size())));
  SWIOMMU_TRY(set("LD_PRELOAD", *library));

  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (std::string& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  ::execv(program->c_str(), arguments.data());
  return fail(errno == ENOENT ? EACCES : errno, *program);
}

}  // namespace swiommu::run
