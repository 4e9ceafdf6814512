// Runs the swiommu program as a user does.
#pragma once
#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace swiommu {

// A folder for one test's files, gone with it.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "swiommu-test-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(ScratchFolder const&) = delete;
  ScratchFolder& operator=(ScratchFolder const&) = delete;

  [[nodiscard]] std::filesystem::path const& path() const { return path_; }
  // Writes a file and returns its path.
  [[nodiscard]] std::string file(std::string const& name, std::string_view content) const {
    auto const path = path_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << content;
    return path.string();
  }

 private:
  std::filesystem::path path_;
};

inline std::string content_of(std::filesystem::path const& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct ProgramRun {
  int status = -1;  // exit status; 1000 + signal if it was killed; -1 if it could not be started
  std::string out, err;
};

// With standard output into `out_file` if that is given, or into `out_descriptor`; what goes there is not captured then.
inline ProgramRun run_program(std::vector<std::string> const& arguments, char const* out_file = nullptr,
                              int out_descriptor = -1) {
  ScratchFolder const scratch;
  auto const out = (scratch.path() / "out").string(), err = (scratch.path() / "err").string();
  std::vector<char*> argv{const_cast<char*>("swiommu")};
  for (std::string const& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  // as a shell starts it: signals do what they usually do
  sigset_t usual;
  sigemptyset(&usual);
  sigaddset(&usual, SIGPIPE);
  ::posix_spawnattr_setsigdefault(&attributes, &usual);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  if (out_descriptor >= 0)
    ::posix_spawn_file_actions_adddup2(&actions, out_descriptor, STDOUT_FILENO);
  else
    ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out_file ? out_file : out.c_str(), O_WRONLY | O_CREAT, 0600);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err.c_str(), O_WRONLY | O_CREAT, 0600);
  ProgramRun run;
  pid_t child = 0;
  int const problem = ::posix_spawn(&child, SWIOMMU_PROGRAM, &actions, &attributes, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (problem != 0) return run;
  int status = 0;
  if (::waitpid(child, &status, 0) != child) return run;
  run.status = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  run.out = content_of(out);
  run.err = content_of(err);
  return run;
}

inline std::string corpus(std::string const& name) { return std::string(SWIOMMU_TEST_CORPUS) + "/" + name; }

}  // namespace swiommu
