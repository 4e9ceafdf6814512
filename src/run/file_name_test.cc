#include "run/file_name.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string>

namespace swiommu::run {
namespace {

class RunFileName : public testing::Test {
 protected:
  RunFileName() { EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends_.data()), 0); }
  ~RunFileName() override {
    for (int const end : ends_) ::close(end);
  }
  // An abstract name, whatever it says.
  void call_it(std::string const& text) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, text.data(), text.size());
    ASSERT_EQ(::bind(ends_[1], reinterpret_cast<sockaddr const*>(&address),
                     static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size())),
              0);
  }
  std::array<int, 2> ends_{};
};

TEST_F(RunFileName, IsReadAtTheOtherEnd) {
  ASSERT_EQ(bind_name(ends_[1], {4711, 0xfedcba9876543210, 0x10}), 0);
  auto const name = peer_name(ends_[0]);
  ASSERT_TRUE(name);
  EXPECT_EQ(name->owner, 4711);
  EXPECT_EQ(name->token, 0xfedcba9876543210);
  EXPECT_EQ(name->id, 0x10u);
  EXPECT_FALSE(peer_name(ends_[1]));
}

TEST_F(RunFileName, IsThereAfterTheOwnersEndHasGone) {
  ASSERT_EQ(bind_name(ends_[1], {1, 0, 0}), 0);
  ::close(std::exchange(ends_[1], ::dup(0)));
  EXPECT_TRUE(peer_name(ends_[0]));
}

TEST_F(RunFileName, OtherFilesHaveNone) {
  EXPECT_FALSE(peer_name(0));
  EXPECT_FALSE(peer_name(-1));
  EXPECT_FALSE(peer_name(ends_[0]));
}

class RunOtherName : public RunFileName, public testing::WithParamInterface<char const*> {};

TEST_P(RunOtherName, IsNoneOfOurs) {
  call_it(std::string(GetParam()) + "#" + std::to_string(::getpid()));  // names are unique on the machine
  EXPECT_FALSE(peer_name(ends_[0]));
}

INSTANTIATE_TEST_SUITE_P(Names, RunOtherName,
                         testing::Values("", "swiommu", "swiommu/", "swiommu/1", "swiommu/1/2", "swiommu/1/2/3/4", "swiommu//1/2",
                                         "swiommu/1/2/G", "swiommu/1/2/00000000000000003", "swiommu2/1/2/3"));

}  // namespace
}  // namespace swiommu::run
