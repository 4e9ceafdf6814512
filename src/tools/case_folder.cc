#include "tools/case_folder.h"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tools/numbers.h"

namespace swiommu::tools {

namespace {

using Json = nlohmann::json;

std::unexpected<Error> wrong(std::filesystem::path const& file, std::string const& what) {
  return fail(EINVAL, fmt::format("{}: {}", file.string(), what));
}

// For messages: whatever bytes are in it.
std::string text_of(Json const& json) { return json.dump(-1, ' ', true, Json::error_handler_t::replace); }

// Numbers are strings, because JSON has no hexadecimal ones.
Result<std::uint64_t> number(Json const& value, std::string const& what) {
  if (value.is_number_unsigned()) return value.get<std::uint64_t>();
  if (value.is_string()) return parse_number(value.get<std::string>(), what);
  return fail(EINVAL, fmt::format("{} is {}: neither a number nor a string like \"0x1000\"", what, text_of(value)));
}

Result<std::uint32_t> device_id(Json const& value) {
  if (value.is_string()) return parse_device(value.get<std::string>());
  if (value.is_number_unsigned() && value.get<std::uint64_t>() <= 0xffffffff) return value.get<std::uint32_t>();
  return fail(EINVAL, "the device's \"id\" is neither a number of 32 bits nor a string like \"0x28\" or \"00:05.0\"");
}

Result<Case> interpret(Json const& json, std::filesystem::path const& folder, std::filesystem::path const& file) {
  Case result{.name = folder.filename().empty() ? folder.parent_path().filename().string() : folder.filename().string(),
              .memory = {},
              .iommu = {},
              .registers = {}};
  if (!json.is_object()) return wrong(file, "not an object");
  constexpr char const* kinds = "there are vtd, smmu, amd, riscv, s390";
  if (!json.contains("iommu")) return wrong(file, fmt::format("\"iommu\" is missing; {}", kinds));
  if (!json["iommu"].is_string()) return wrong(file, fmt::format("\"iommu\" is {}; {}", text_of(json["iommu"]), kinds));
  result.iommu = json["iommu"].get<std::string>();
  if (!json.contains("registers") || !json["registers"].is_object()) return wrong(file, "\"registers\" is missing or no object");
  for (auto const& [name, value] : json["registers"].items()) {
    auto const read = number(value, fmt::format("register {}", name));
    if (!read) return wrong(file, read.error().about);
    if (!result.registers.emplace(upper_case(name), *read).second)
      return wrong(file, fmt::format("the register {} is there twice", name));
  }
  if (json.contains("device")) {
    Json const& device = json["device"];
    if (!device.is_object() || !device.contains("id")) return wrong(file, "\"device\" has no \"id\"");
    auto const id = device_id(device["id"]);
    if (!id) return wrong(file, id.error().about);
    result.device = *id;
  } else if (needs_device(result.iommu)) {
    return wrong(file, "\"device\" is missing: an object with an \"id\" like \"0x28\" or \"00:05.0\"");
  }
  Json const order = json.value("byte_order", Json("little"));
  if (order != "little" && order != "big")
    return wrong(file, fmt::format("\"byte_order\" is {}: neither \"little\" nor \"big\"", text_of(order)));
  result.big_endian = order == "big";
  return result;
}

}  // namespace

Result<Case> read_case(std::filesystem::path const& folder) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(folder, ignored))
    return fail(ENOENT, fmt::format("the case '{}' is no folder", folder.string()));
  auto const file = folder / "case.json";
  if (std::filesystem::is_directory(file, ignored)) return fail(EISDIR, file.string());
  std::ifstream stream(file);
  if (!stream) return fail(ENOENT, fmt::format("{} cannot be opened", file.string()));
  Result<Case> result = fail(EINVAL, "");
  try {
    result = interpret(Json::parse(stream), folder, file);
  } catch (Json::exception const& problem) {
    // without the library's own "[json.exception...]"
    std::string_view const what(problem.what());
    auto const bracket = what.find("] ");
    return wrong(file, std::string(bracket == std::string_view::npos ? what : what.substr(bracket + 2)));
  }
  if (!result) return result;
  for (char const* const name : {"memory.elf", "memory.elf.zst"})
    if (std::filesystem::exists(folder / name, ignored)) {
      result->memory = folder / name;
      return result;
    }
  return fail(ENOENT, fmt::format("{} holds neither memory.elf nor memory.elf.zst", folder.string()));
}

}  // namespace swiommu::tools
