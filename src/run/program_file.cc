#include "run/program_file.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "swiommu/base/descriptor.h"

namespace swiommu::run {
namespace {

#if defined(__x86_64__)
constexpr unsigned our_machine = EM_X86_64;
#else
constexpr unsigned our_machine = EM_AARCH64;
#endif

constexpr int most_interpreters = 4;  // Linux' own limit

Result<> check_executable(std::string const& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return fail(errno, path);
  if (S_ISDIR(status.st_mode)) return fail(EACCES, path + " is a folder");
  if (::access(path.c_str(), X_OK) != 0) return fail(errno, path);
  return {};
}

Result<> refuse(std::string const& path, char const* why) { return fail(ENOEXEC, fmt::format("{} {}", path, why)); }

// The loader takes no preloaded libraries by path where a program gains rights.
bool gains_rights(std::string const& path, struct stat const& status) {
  if ((status.st_mode & S_ISUID) != 0 && status.st_uid != ::geteuid()) return true;
  if ((status.st_mode & S_ISGID) != 0 && status.st_gid != ::getegid()) return true;
  return ::geteuid() != 0 && ::getxattr(path.c_str(), "security.capability", nullptr, 0) > 0;
}

// glibc's dynamic loader, which can be called as a program: ld-linux-x86-64.so.2 PROGRAM ARGUMENTS.
bool is_loader(std::string const& path) {
  std::error_code error;
  return std::filesystem::canonical(path, error).filename().string().starts_with("ld-linux-");
}

Result<> check_elf(int file, std::string const& path, std::span<char const> head) {
  if (head.size() < sizeof(Elf64_Ehdr)) return refuse(path, "is no complete ELF file");
  Elf64_Ehdr header;
  std::memcpy(&header, head.data(), sizeof header);
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_machine != our_machine)
    return refuse(path, "is a program for another architecture than swiommu's");
  std::vector<Elf64_Phdr> segments(header.e_phnum);
  auto const bytes = std::as_writable_bytes(std::span(segments));
  if (::pread(file, bytes.data(), bytes.size(), static_cast<off_t>(header.e_phoff)) != static_cast<ssize_t>(bytes.size()))
    return refuse(path, "is no complete ELF file");
  for (Elf64_Phdr const& segment : segments) {
    if (segment.p_type != PT_INTERP) continue;
    std::string loader(std::min<std::size_t>(segment.p_filesz, 4096), '\0');
    if (::pread(file, loader.data(), loader.size(), static_cast<off_t>(segment.p_offset)) != static_cast<ssize_t>(loader.size()))
      return refuse(path, "is no complete ELF file");
    if (loader.find("musl") != std::string::npos) return refuse(path, "uses another C library than glibc (musl)");
    return {};
  }
  if (is_loader(path)) return {};  // which loads whatever it is told to, and preloads
  return refuse(path, "is linked statically: a preloaded library cannot reach it");
}

Result<> check_interpreter(std::string const& path, std::string_view line, int depth);

Result<> check_file(std::string const& path, int depth) {
  SWIOMMU_TRY(check_executable(path));
  Descriptor const file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return {};  // may be executed, not read: execve will tell
  struct stat status{};
  if (::fstat(file.get(), &status) == 0 && gains_rights(path, status))
    return refuse(path, "gains rights when it is executed (setuid, setgid or capabilities): nothing can be preloaded into it");
  std::array<char, 4096> bytes{};
  ssize_t const got = ::pread(file.get(), bytes.data(), bytes.size(), 0);
  std::string_view const head(bytes.data(), got < 0 ? 0 : static_cast<std::size_t>(got));
  if (head.starts_with(ELFMAG)) return check_elf(file.get(), path, head);
  if (!head.starts_with("#!")) return {};  // execve, or a shell, knows what to do with it
  return check_interpreter(path, head.substr(2, head.find('\n') - 2), depth);
}

Result<> check_interpreter(std::string const& path, std::string_view line, int depth) {
  auto const begin = std::min(line.find_first_not_of(" \t"), line.size());
  line.remove_prefix(begin);
  std::string const interpreter(line.substr(0, line.find_first_of(" \t")));
  if (depth == most_interpreters) return fail(ELOOP, path + ": too many interpreters");
  auto result = check_file(interpreter, depth + 1);
  if (!result) result.error().about = fmt::format("{} is a script, whose interpreter: {}", path, result.error().about);
  return result;
}

}  // namespace

Result<std::string> find_program(std::string const& name) {
  if (name.empty()) return fail(ENOENT, "an empty name of a program");
  if (name.find('/') != std::string::npos) {
    SWIOMMU_TRY(check_executable(name));
    return name;
  }
  char const* const variable = std::getenv("PATH");
  std::string_view folders = variable == nullptr ? "/usr/local/bin:/usr/bin:/bin" : variable;
  Error worst{ENOENT, name + ": no such program in PATH"};
  for (;;) {
    auto const colon = folders.find(':');
    std::string const folder(folders.substr(0, colon));
    std::string path = (folder.empty() ? "." : folder) + "/" + name;
    auto const result = check_executable(path);
    if (result) return path;
    if (result.error().code == EACCES && worst.code == ENOENT) worst = result.error();
    if (colon == std::string_view::npos) return std::unexpected(worst);
    folders.remove_prefix(colon + 1);
  }
}

Result<> check_preloadable(std::string const& path) { return check_file(path, 0); }

}  // namespace swiommu::run
