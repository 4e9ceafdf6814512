#include "swiommu/memory/memory_image.h"

#include <elf.h>
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <zstd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

namespace swiommu {
namespace {

using Bytes = std::vector<std::byte>;

struct Segment {
  std::uint64_t address = 0;
  Bytes bytes;
  std::uint64_t memory_size = 0;  // 0: as many as there are bytes
  std::uint64_t offset = 0;       // 0: the next free one
  std::uint32_t type = PT_LOAD;
};

Bytes pattern(std::size_t length, std::uint32_t seed) {
  std::mt19937 random(seed);
  Bytes bytes(length);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

// Writes ELF files of any class and byte order, right or wrong.
struct ElfWriter {
  bool wide = true;
  bool big = false;
  std::uint16_t type = ET_CORE;
  std::uint64_t alignment = 4096;  // of segments in the file, relative to their address
  bool number_in_section = false;  // PN_XNUM
  Bytes file;

  void put(std::uint64_t value, unsigned size) {
    for (unsigned i = 0; i < size; ++i) file.push_back(static_cast<std::byte>(value >> (8 * (big ? size - 1 - i : i))));
  }
  void put_word(std::uint64_t value) { put(value, wide ? 8 : 4); }

  Bytes write(std::vector<Segment> const& segments) {
    std::uint64_t const header_size = wide ? 64 : 52, entry_size = wide ? 56 : 32, section_size = wide ? 64 : 40;
    std::uint64_t const section = header_size + entry_size * segments.size();
    for (int const c : {0x7f, int{'E'}, int{'L'}, int{'F'}, wide ? 2 : 1, big ? 2 : 1, 1, 0})
      put(static_cast<std::uint64_t>(c), 1);
    put(0, 8);
    put(type, 2), put(EM_NONE, 2), put(1, 4), put_word(0), put_word(header_size), put_word(number_in_section ? section : 0),
        put(0, 4);
    put(header_size, 2), put(entry_size, 2), put(number_in_section ? PN_XNUM : segments.size(), 2);
    put(section_size, 2), put(number_in_section ? 1 : 0, 2), put(0, 2);

    std::uint64_t next = section + section_size;
    std::vector<std::uint64_t> offsets;
    for (Segment const& segment : segments) {
      next += (segment.address - next) % alignment;
      offsets.push_back(segment.offset != 0 ? segment.offset : next);
      if (segment.offset == 0) next += segment.bytes.size();
      std::uint64_t const memory = segment.memory_size != 0 ? segment.memory_size : segment.bytes.size();
      put(segment.type, 4);
      if (wide) put(PF_R | PF_W, 4);
      put_word(offsets.back()), put_word(0), put_word(segment.address), put_word(segment.bytes.size()), put_word(memory);
      if (!wide) put(PF_R | PF_W, 4);
      put_word(0);
    }
    put(0, 4), put(0, 4), put_word(0), put_word(0), put_word(0), put_word(number_in_section ? 1 : 0), put(0, 4);
    put(segments.size(), 4), put_word(0), put_word(0);
    for (std::size_t i = 0; i < segments.size(); ++i) {
      if (segments[i].offset != 0) continue;
      file.resize(offsets[i]);
      file.insert(file.end(), segments[i].bytes.begin(), segments[i].bytes.end());
    }
    return file;
  }
};

Bytes elf(std::vector<Segment> const& segments) { return ElfWriter{}.write(segments); }

Bytes compressed(std::span<std::byte const> bytes) {
  Bytes out(ZSTD_compressBound(bytes.size()));
  out.resize(ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 1));
  return out;
}

class MemoryImageTest : public testing::Test {
 protected:
  MemoryImageTest() {
    std::string name = testing::TempDir() + "memory_image_XXXXXX";
    folder_ = ::mkdtemp(name.data());
  }
  ~MemoryImageTest() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path file(std::span<std::byte const> bytes, char const* name = "image") {
    std::filesystem::path const path = folder_ / name;
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<char const*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    return path;
  }

  std::unique_ptr<MemoryImage> load(std::span<std::byte const> bytes, MemoryImageOptions options = {}) {
    auto image = MemoryImage::load(file(bytes), options);
    EXPECT_TRUE(image) << image.error().message();
    return image ? std::move(*image) : nullptr;
  }

  Error refusal(std::span<std::byte const> bytes, MemoryImageOptions options = {}) {
    auto image = MemoryImage::load(file(bytes), options);
    EXPECT_FALSE(image);
    if (image) return {0, ""};
    EXPECT_NE(image.error().about.find((folder_ / "image").string()), std::string::npos) << image.error().about;
    EXPECT_EQ(image.error().about.find('\n'), std::string::npos);
    return image.error();
  }

  std::filesystem::path folder_;
};

#define EXPECT_ABOUT(error, words) EXPECT_NE((error).about.find(words), std::string::npos) << (error).about

Bytes read(MemoryView const& view, std::uint64_t address, std::size_t length) {
  Bytes bytes(length);
  bytes.resize(view.read(address, bytes.data(), length));
  return bytes;
}

TEST_F(MemoryImageTest, ReadsEveryClassAndByteOrderAtAnyOffset) {
  for (bool const wide : {false, true})
    for (bool const big : {false, true})
      for (bool const number_in_section : {false, true})
        for (std::uint64_t const alignment : {4096, 8, 1}) {
          Segment const low{.address = 0x1000, .bytes = pattern(0x2000, 1)};
          Segment const unaligned{.address = 0x8123, .bytes = pattern(0x51234, 2)};
          Segment const note{.address = 0, .bytes = pattern(13, 3), .type = PT_NOTE};
          Segment const high{.address = wide ? 0xfffffffffffff000 : 0xfffff000, .bytes = pattern(0x1000, 4)};
          ElfWriter writer{.wide = wide, .big = big, .alignment = alignment, .number_in_section = number_in_section};
          auto const image = load(writer.write({high, note, low, unaligned}));
          ASSERT_TRUE(image);
          EXPECT_EQ(image->byte_order(), big ? std::endian::big : std::endian::little);
          for (Segment const* const s : {&low, &unaligned, &high}) EXPECT_EQ(read(*image, s->address, s->bytes.size()), s->bytes);
          for (std::uint64_t const hole : {0x0ull, 0xfffull, 0x3000ull, 0x8122ull, 0x8123ull + 0x51234, 0x7fffffffull})
            EXPECT_FALSE(image->locate(hole, Access::reading())) << hole;
          EXPECT_EQ(image->segments().front(), (Range{0x1000, 0x2fff}));
          EXPECT_EQ(image->segments().back().last, high.address + 0xfff);
          for (Range const& range : image->segments()) {
            Chunk const chunk = image->locate(range.start, Access::both());
            EXPECT_EQ(reinterpret_cast<std::uintptr_t>(chunk.data) % 4096, range.start % 4096);
          }
        }
}

TEST_F(MemoryImageTest, FillsWithZerosWhatIsNotInTheFile) {
  auto const image = load(elf({{.address = 0x1000, .bytes = pattern(0x1801, 1), .memory_size = 0x10000},
                               {.address = 0x100000, .bytes = {}, .memory_size = std::uint64_t{1} << 40}}));
  Bytes expected = pattern(0x1801, 1);
  expected.resize(0x10000);
  EXPECT_EQ(read(*image, 0x1000, 0x10001), expected);
  EXPECT_EQ(read(*image, (std::uint64_t{1} << 40) + 0x100000 - 16, 32), Bytes(16));
}

TEST_F(MemoryImageTest, ReadsAWordThatTwoSegmentsShare) {
  Bytes const bytes = pattern(0x20, 1);
  auto const image = load(elf({{.address = 0x1ffc, .bytes = {bytes.begin() + 0, bytes.begin() + 6}},
                               {.address = 0x2002, .bytes = {bytes.begin() + 6, bytes.end()}}}));
  std::uint64_t expected;
  std::memcpy(&expected, bytes.data() + 4, sizeof expected);
  EXPECT_EQ(image->load_word(0x2000), expected);
  EXPECT_EQ(image->load_word(0x2000, true), __builtin_bswap64(expected));
  EXPECT_EQ(read(*image, 0x1ffc, 0x20), bytes);
}

TEST_F(MemoryImageTest, KeepsWritesToItself) {
  for (std::uint64_t const alignment : {4096, 1}) {
    Bytes const before = ElfWriter{.alignment = alignment}.write({{.address = 0x10000, .bytes = pattern(0x30000, 1)}});
    auto const image = load(before);
    Bytes const news = pattern(0x20000, 2);
    EXPECT_EQ(image->write(0x18004, news.data(), news.size()), news.size());
    EXPECT_EQ(read(*image, 0x18004, news.size()), news);
    EXPECT_EQ(read(*image, 0x10000, 0x8004), (Bytes{before.end() - 0x30000, before.end() - 0x30000 + 0x8004}));
    auto const again = MemoryImage::load(folder_ / "image");
    EXPECT_EQ(read(**again, 0x10000, 0x30000), pattern(0x30000, 1));
  }
}

TEST_F(MemoryImageTest, SeparatesSegmentsThatShareBytesOfTheFile) {
  Bytes const bytes = pattern(0x4000, 1);
  auto const image = load(elf({{.address = 0x1000, .bytes = bytes},
                               {.address = 0x11000, .bytes = bytes, .offset = 0x1000},
                               {.address = 0x22000, .bytes = Bytes(0x1000), .offset = 0x2000}}));
  Bytes const news = pattern(0x4000, 2);
  EXPECT_EQ(image->write(0x1000, news.data(), news.size()), news.size());
  EXPECT_EQ(read(*image, 0x1000, 0x4000), news);
  EXPECT_EQ(read(*image, 0x11000, 0x4000), bytes);
  EXPECT_EQ(read(*image, 0x22000, 0x1000), (Bytes{bytes.begin() + 0x1000, bytes.begin() + 0x2000}));
}

TEST_F(MemoryImageTest, LetsThreadsReadWhatHasToBeCopied) {
  Bytes const bytes = pattern(0x80000, 1);
  auto const image = load(ElfWriter{.alignment = 1}.write({{.address = 0x1000, .bytes = bytes}}));
  std::vector<std::jthread> threads;
  std::atomic<int> right = 0;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { right += read(*image, 0x1000, bytes.size()) == bytes; });
  threads.clear();
  EXPECT_EQ(right, 4);
}

TEST_F(MemoryImageTest, DropsASegmentThatRepeatsAnother) {
  Bytes const bytes = pattern(0x4000, 1);
  Bytes const text{bytes.begin() + 0x1234, bytes.begin() + 0x2345};
  auto const image =
      load(elf({{.address = 0x2234, .bytes = text}, {.address = 0x1000, .bytes = bytes}, {.address = 0x1000, .bytes = bytes}}));
  EXPECT_EQ(read(*image, 0x1000, 0x4001), bytes);
  ASSERT_EQ(image->segments().size(), 1u);
}

TEST_F(MemoryImageTest, RefusesSegmentsThatContradictEachOther) {
  Bytes const bytes = pattern(0x4000, 1);
  Error const error = refusal(elf({{.address = 0x1000, .bytes = bytes}, {.address = 0x2000, .bytes = pattern(0x1000, 2)}}));
  EXPECT_EQ(error.code, EINVAL);
  EXPECT_ABOUT(error, "two segments both hold physical address 0x2000");
  // The same bytes, but the second goes on after the end of the first.
  Bytes beyond{bytes.begin() + 0x3000, bytes.end()};
  beyond.resize(0x2000);
  EXPECT_ABOUT(refusal(elf({{.address = 0x1000, .bytes = bytes}, {.address = 0x4000, .bytes = beyond}})), "0x4000");
  EXPECT_ABOUT(refusal(elf({{.bytes = bytes}, {.bytes = bytes}})), "the core of a process");
}

TEST_F(MemoryImageTest, UnpacksSeveralFrames) {
  Bytes const whole = elf({{.address = 0x5000, .bytes = pattern(0x300000, 1)}});
  Bytes packed;
  for (std::size_t at = 0; at < whole.size(); at += 0x100001) {
    Bytes const frame = compressed(std::span(whole).subspan(at, std::min<std::size_t>(0x100001, whole.size() - at)));
    packed.insert(packed.end(), frame.begin(), frame.end());
  }
  EXPECT_EQ(read(*load(packed), 0x5000, 0x300001), pattern(0x300000, 1));
}

TEST_F(MemoryImageTest, RefusesToUnpackMoreThanTheLimit) {
  Bytes const whole = elf({{.address = 0x5000, .bytes = Bytes(0x800000)}});
  EXPECT_TRUE(load(compressed(whole), {.unpacked_limit = whole.size()}));
  Error const error = refusal(compressed(whole), {.unpacked_limit = whole.size() - 1});
  EXPECT_EQ(error.code, EFBIG);
  EXPECT_ABOUT(error, "limit");
}

TEST_F(MemoryImageTest, RefusesBadZstd) {
  Bytes packed = compressed(elf({{.address = 0x5000, .bytes = pattern(0x4000, 1)}}));
  EXPECT_ABOUT(refusal(std::span(packed).first(packed.size() - 1)), "ends inside a zstd frame");
  EXPECT_ABOUT(refusal(std::span(packed).first(4)), "ends inside a zstd frame");
  EXPECT_ABOUT(refusal(compressed({})), "unpacks to nothing");
  packed[4] |= std::byte{0x08};  // a reserved bit of the frame header
  EXPECT_ABOUT(refusal(packed), "cannot unpack zstd");
}

TEST_F(MemoryImageTest, TakesRawMemoryWhenAsked) {
  Bytes const bytes = pattern(0x21234, 1);
  for (std::uint64_t const base :
       {std::uint64_t{0}, std::uint64_t{0x80000000}, std::uint64_t{0x123}, 0 - std::uint64_t{0x21234}}) {
    for (Bytes const& content : {bytes, compressed(bytes)}) {
      auto const image = load(content, {.raw_base = base});
      EXPECT_EQ(read(*image, base, bytes.size()), bytes);
      EXPECT_FALSE(image->locate(base + bytes.size(), Access::reading()));
      EXPECT_FALSE(image->byte_order());
    }
  }
  EXPECT_ABOUT(refusal(bytes, {.raw_base = 0 - std::uint64_t{0x21233}}), "leave the 64-bit space");
  EXPECT_ABOUT(refusal(bytes), "raw memory needs its base address");
}

TEST_F(MemoryImageTest, NamesWhatIsWrongWithTheFile) {
  auto const missing = MemoryImage::load("/nowhere/image");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message(), "/nowhere/image: No such file or directory");
  EXPECT_EQ(MemoryImage::load(folder_).error().code, EISDIR);
  EXPECT_ABOUT(MemoryImage::load("/dev/null").error(), "not a regular file");
  EXPECT_ABOUT(refusal({}), "is empty");

  auto const typed = [](std::uint16_t type) { return ElfWriter{.type = type}.write({{.address = 0, .bytes = Bytes(1)}}); };
  EXPECT_ABOUT(refusal(typed(ET_EXEC)), "an executable (ET_EXEC), not a core");
  EXPECT_ABOUT(refusal(typed(ET_DYN)), "(ET_DYN), not a core");
  EXPECT_ABOUT(refusal(typed(ET_REL)), "(ET_REL), not a core");
  EXPECT_ABOUT(refusal(typed(0x1234)), "0x1234");
}

TEST_F(MemoryImageTest, NamesWhatIsWrongWithTheHeaders) {
  Bytes const good = elf({{.address = 0x1000, .bytes = pattern(0x1000, 1)}});
  for (std::size_t const length : {4, 16, 63}) EXPECT_ABOUT(refusal(std::span(good).first(length)), "ELF header is truncated");
  EXPECT_ABOUT(refusal(std::span(good).first(64)), "ends inside its 1 program headers");
  EXPECT_ABOUT(refusal(std::span(good).first(64 + 55)), "ends inside its 1 program headers");
  EXPECT_ABOUT(refusal(std::span(good).first(good.size() - 1)), "beyond the end of the file");
  EXPECT_ABOUT(refusal(elf({})), "no program headers");
  EXPECT_ABOUT(refusal(elf({{.bytes = Bytes(4), .type = PT_NOTE}})), "no PT_LOAD segments");
  EXPECT_ABOUT(refusal(elf({{.address = 0xffffffffffffff00, .bytes = Bytes(0x101)}})), "leaves the 64-bit space");
  EXPECT_ABOUT(refusal(elf({{.address = 0x1000, .bytes = Bytes(2), .memory_size = 1}})), "only 0x1 in memory");
  EXPECT_ABOUT(refusal(elf({{.address = 1, .bytes = Bytes(1), .offset = ~std::uint64_t{0}}})), "beyond the end of the file");
  Error const huge = refusal(elf({{.address = 0, .memory_size = ~std::uint64_t{0}}}));
  EXPECT_EQ(huge.code, ENOMEM);
}

TEST_F(MemoryImageTest, NeverCrashesOnDamagedHeaders) {
  std::mt19937 random(1);
  for (int round = 0; round < 600; ++round) {
    ElfWriter writer{.wide = random() % 2 != 0, .big = random() % 2 != 0, .number_in_section = random() % 4 == 0};
    Bytes bytes = writer.write({{.address = 0x1000, .bytes = Bytes(0x2000)}, {.address = 0x8080, .bytes = Bytes(0x3000)}});
    for (unsigned i = 0, count = 1 + random() % 4; i < count; ++i) bytes[random() % 256] = static_cast<std::byte>(random());
    if (random() % 4 == 0) bytes.resize(random() % bytes.size());
    auto const image = MemoryImage::load(file(bytes));
    if (!image) continue;
    for (Range const& range : (*image)->segments()) {
      std::byte byte;
      EXPECT_EQ((*image)->read(range.start, &byte, 1), 1u);
      EXPECT_EQ((*image)->read(range.last, &byte, 1), 1u);
    }
  }
}

TEST(MemoryImage, IsBuiltInMemoryInAnyOrder) {
  MemoryImage image;
  Bytes const page = pattern(0x1000, 1);
  for (std::uint64_t const address : {0x5000ull, 0xfffffffffffff000ull, 0x0ull, 0x3000ull})
    EXPECT_TRUE(image.add_segment(address, page));
  EXPECT_TRUE(image.add_segment(0x4801, std::span(page).first(0x7ff)));
  for (std::uint64_t const address : {0x5000ull, 0xfffffffffffff000ull, 0x0ull, 0x3000ull})
    EXPECT_EQ(read(image, address, 0x1000), page);
  EXPECT_EQ(read(image, 0x4801, 0x17ff).size(), 0x17ffu);
  EXPECT_FALSE(image.locate(0x4800, Access::reading()));
  ASSERT_EQ(image.segments().size(), 5u);
  EXPECT_TRUE(std::ranges::is_sorted(image.segments(), {}, &Range::start));
}

TEST(MemoryImage, RefusesToAddWhatIsThere) {
  MemoryImage image;
  Bytes const page = pattern(0x1000, 1);
  ASSERT_TRUE(image.add_segment(0x1000, page));
  for (std::uint64_t const address : {0x1ull, 0x1000ull, 0x1fffull})
    EXPECT_EQ(image.add_segment(address, page).error().code, EEXIST);
  EXPECT_EQ(image.add_segment(0x5000, {}).error().code, EINVAL);
  EXPECT_EQ(image.add_segment(0xfffffffffffff001, page).error().code, EINVAL);
  EXPECT_EQ(image.segments().size(), 1u);
}

TEST(MemoryImage, ReadsTheImagesOfRealGuests) {
  int compared = 0;
  for (auto const& file : std::filesystem::recursive_directory_iterator(SWIOMMU_TEST_CORPUS)) {
    if (file.path().filename() != "case.json") continue;
    SCOPED_TRACE(file.path().string());
    auto const expected = nlohmann::json::parse(std::ifstream(file.path()));
    auto const image = MemoryImage::load(file.path().parent_path() / "memory.elf.zst");
    ASSERT_TRUE(image) << image.error().message();
    EXPECT_EQ((*image)->byte_order(), expected["byte_order"] == "big" ? std::endian::big : std::endian::little);
    for (auto const& sample : expected["samples"]) {
      if (!sample.contains("content")) continue;
      std::uint64_t const address = std::stoull(sample["expect"].get<std::string>(), nullptr, 16);
      std::string hexadecimal;
      for (std::byte const byte : read(**image, address, 16)) hexadecimal += fmt::format("{:02x}", static_cast<unsigned>(byte));
      EXPECT_EQ(hexadecimal, sample["content"].get<std::string>()) << sample["expect"];
      ++compared;
    }
  }
  EXPECT_GT(compared, 1000);
}

}  // namespace
}  // namespace swiommu
