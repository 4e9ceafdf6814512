// swiommu replay: what a disk holds after a power cut, out of a record that a device has made.
#include <fcntl.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/numbers.h"
#include "tools/output.h"
#include "tools/subcommands/commands.h"
#include "vfio/devices/nvme/power_cut.h"

namespace swiommu::tools {
namespace {

namespace nvme = vfio::nvme;
using nvme::Loss;
using nvme::RecordKind;
using nvme::RecordReader;

struct Options {
  std::string record, onto, until, lose, ignored = "0", nsid = "1";
  bool list = false, json = false;
};

char const* name(RecordKind kind) {
  switch (kind) {
    case RecordKind::write: return "write";
    case RecordKind::zeroes: return "zeroes";
    case RecordKind::deallocate: return "deallocate";
    case RecordKind::flush: return "flush";
  }
  return "unknown";
}

void print(std::uint64_t number, nvme::RecordEntry const& entry, bool json) {
  bool const flush = entry.kind == RecordKind::flush;
  if (!json) {
    put("{:>8} {:<10} {:>9} {:>15} {:>11}{}\n", number, name(entry.kind), entry.nsid, entry.offset, entry.length,
        flush ? fmt::format(" {:>8}", entry.before) : "");
    return;
  }
  nlohmann::ordered_json line{{"entry", number},
                              {"kind", name(entry.kind)},
                              {"namespace", entry.nsid},
                              {"offset", entry.offset},
                              {"length", entry.length}};
  if (flush) line["before"] = entry.before;
  put("{}\n", line.dump());
}

int list(RecordReader& record, bool json) {
  if (!json) put("{:>8} {:<10} {:>9} {:>15} {:>11} {:>8}\n", "ENTRY", "KIND", "NAMESPACE", "OFFSET", "LENGTH", "BEFORE");
  for (std::uint64_t number = 0; number < record.entries().size() && std::ferror(stdout) == 0; number++) {
    if (auto const data = record.data(number); !data) return report_bad_input(data.error());
    print(number, record.entries()[number], json);
  }
  if (record.cut_off()) std::fputs("swiommu: the entry after the last is cut off\n", stderr);
  return all_well;
}

Result<nvme::PowerCut> cut_of(Options const& o, RecordReader const& record) {
  nvme::PowerCut cut{.until = record.entries().size()};
  auto const nsid = parse_number(o.nsid, "the namespace");
  if (!nsid) return std::unexpected(nsid.error());
  cut.nsid = static_cast<std::uint32_t>(std::min<std::uint64_t>(*nsid, 0xffffffff));
  auto const ignored = parse_number(o.ignored, "the number of flushes to ignore");
  if (!ignored) return std::unexpected(ignored.error());
  cut.ignored_flushes = *ignored;
  if (!o.until.empty()) {
    auto const until = parse_number(o.until, "the number of entries");
    if (!until) return std::unexpected(until.error());
    cut.until = *until;
  }
  if (o.lose == "all") {
    cut.loss = Loss::all;
  } else if (!o.lose.empty()) {
    auto const seed = parse_number(o.lose, "the seed");
    if (!seed) return fail(EINVAL, seed.error().about + ", or all");
    cut.loss = Loss::some;
    cut.seed = *seed;
  }
  return cut;
}

// One that is there, or a new one of zeros.
Result<nvme::BackingFile> open_image(std::string const& path, std::uint64_t bytes) {
  Descriptor made(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  bool const is_new = made.get() >= 0;
  if (!is_new && errno == EEXIST) made = Descriptor(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (made.get() < 0) return fail(errno, fmt::format("cannot open {}", path));
  if (is_new && ::ftruncate(made.get(), static_cast<off_t>(bytes)) != 0) return fail(errno, fmt::format("cannot make {}", path));
  off_t const size = ::lseek(made.get(), 0, SEEK_END);
  if (size < 0 || static_cast<std::uint64_t>(size) != bytes)
    return fail(EINVAL, fmt::format("{} has {} bytes, the namespace {}", path, size, bytes));
  return nvme::BackingFile(std::move(made));
}

Result<> rebuild(Options const& o, RecordReader& record) {
  auto const cut = cut_of(o, record);
  if (!cut) return std::unexpected(cut.error());
  // Before an image is made: is there such a namespace, and such an entry?
  SWIOMMU_TRY(nvme::check(*cut, record));
  auto const image = open_image(o.onto, record.namespaces()[cut->nsid - 1].bytes);
  if (!image) return std::unexpected(image.error());
  auto const outcome = nvme::CutImage(record, *image).make(*cut);
  if (!outcome) return fail(outcome.error().code, fmt::format("{}: {}", o.onto, outcome.error().about));
  if (o.json)
    put("{}\n", nlohmann::ordered_json{{"entries", cut->until},
                                       {"of", record.entries().size()},
                                       {"unflushed", outcome->changes},
                                       {"lost", outcome->lost},
                                       {"torn", outcome->torn}}
                    .dump());
  else
    put("{} of {} entries; of {} changes that no flush had kept {} are lost and {} torn\n", cut->until, record.entries().size(),
        outcome->changes, outcome->lost, outcome->torn);
  return {};
}

int run(Options const& o) {
  if (o.list == !o.onto.empty()) return report_bad_input("say either --list or --onto IMAGE (see swiommu replay --help)");
  auto record = RecordReader::open(o.record);
  if (!record) return report_bad_input(record.error());
  if (o.list) return list(*record, o.json);
  auto const done = rebuild(o, *record);
  return done ? static_cast<int>(all_well) : report_bad_input(done.error());
}

}  // namespace

void add_replay(CLI::App& program, int& status) {
  auto* const command = program.add_subcommand("replay", "Make the image that a disk has after a power cut, out of a record");
  command->footer(
      "The record is one that `swiommu run --device nvme:IMAGE,record=RECORD` has made. IMAGE must hold what the disk held when\n"
      "the record began, and is changed; if there is none it is made, of zeros.\n"
      "Examples:\n"
      "  swiommu replay record --list\n"
      "  swiommu replay record --onto cut.img --until 1234             all that was done before entry 1234\n"
      "  swiommu replay record --onto cut.img --until 1234 --lose all  what flushes had kept by then, and no more\n"
      "  swiommu replay record --onto cut.img --until 1234 --lose 7    that, and some of the rest\n"
      "docs/vfio.md says what a power cut may lose.\n"
      "Exit status: 0; 2 bad input.");
  auto const options = std::make_shared<Options>();
  command->add_option("RECORD", options->record, "The record")->required();
  command->add_flag("--list", options->list, "List its entries");
  command->add_option("--onto", options->onto, "The image to change, or to make")->type_name("IMAGE");
  command->add_option("--until", options->until, "The power is cut before entry N; else after the last")->type_name("N");
  command->add_option("--lose", options->lose, "Lose what no flush had kept: all of it, or some, by a seed; else nothing is lost")
      ->type_name("SEED|all");
  command->add_option("--namespace", options->nsid, "Which, if there are several")->type_name("N")->capture_default_str();
  command->add_option("--ignore-flushes", options->ignored, "As if the device had only said that it did the last N flushes")
      ->type_name("N")
      ->capture_default_str();
  command->add_flag("--json", options->json, "As JSON, one object a line");
  command->callback([options, &status] { status = run(*options); });
}

}  // namespace swiommu::tools
