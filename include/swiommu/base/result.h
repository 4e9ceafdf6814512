// Result<T>: how every failing call of the library answers.
//
// An Error is what the *caller* did wrong, or what the system refused. What a *device* did wrong is a Fault
// (swiommu/page_table/fault.h): data, not an error.
#pragma once
#include <cerrno>
#include <cstddef>
#include <expected>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

namespace swiommu {

struct Error {
  int code = EINVAL;  // an errno value
  std::string about;  // what it was about, in words for the user; no trailing newline

  // "about: text of the errno"
  [[nodiscard]] std::string message() const { return about + ": " + std::generic_category().message(code); }
  bool operator==(Error const&) const = default;
};

template <class T = void>
using Result = std::expected<T, Error>;

// return fail(EINVAL, "the length 0x10 is no multiple of 4 KiB");
[[nodiscard]] inline std::unexpected<Error> fail(int code, std::string about) {
  return std::unexpected<Error>(Error{code, std::move(about)});
}

// The same for words that stand in the program: never throws. Without memory the error says nothing but its code.
[[nodiscard]] inline std::unexpected<Error> fail(int code, char const* about) noexcept {
  Error error{code, {}};
  try {
    error.about = about;
  } catch (std::bad_alloc const&) {
    error.about.clear();
  }
  return std::unexpected<Error>(std::move(error));
}

std::unexpected<Error> fail(int code, std::nullptr_t) = delete;  // for no words write ""

// Short enough to need no allocation of its own.
[[nodiscard]] inline std::unexpected<Error> out_of_memory() { return fail(ENOMEM, "out of memory"); }

// Runs `body`, which returns a Result, and turns an exhausted heap into ENOMEM: nothing is thrown across the API.
template <class Body>
[[nodiscard]] auto guarded(Body&& body) noexcept -> decltype(body()) {
  try {
    return body();
  } catch (std::bad_alloc const&) {
    return out_of_memory();
  } catch (std::length_error const&) {  // a size beyond what a container can ever hold
    return out_of_memory();
  }
}

}  // namespace swiommu

// Leaves the calling function with the error, if there is one.
#define SWIOMMU_TRY(expression)                                                   \
  do {                                                                            \
    if (auto swiommu_tried = (expression); !swiommu_tried)                        \
      return std::unexpected<::swiommu::Error>(std::move(swiommu_tried).error()); \
  } while (false)
