// What the owner asks of a holder while it works on the holder's request: things that only the holder's process can do.
#pragma once
#include <array>

#include "run/message.h"

namespace swiommu::run {

class AskedBack {
 public:
  explicit AskedBack(int connection) : connection_(connection) {}

  // The next message of the owner, answered already unless it is the result. Nothing: the owner is gone.
  std::optional<Received> next();

 private:
  bool answer(Received const& question);
  bool install(Received const& question);
  bool identify(Message const& question);
  bool borrow(Message const& question);
  bool share(Message const& question);
  bool copy_in(Message const& question);
  bool copy_out(Received const& question);
  bool reply(int error, std::uint64_t value = 0, std::uint64_t second = 0);

  int const connection_;
  std::array<std::byte, most_bytes> bytes_;
};

}  // namespace swiommu::run
