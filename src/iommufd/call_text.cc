#include "iommufd/call_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

#include "iommufd/call_fields.h"
#include "swiommu/uapi/vfio_type1.h"

namespace swiommu::iommufd {

namespace {

// The field's value; nothing if the structure ends before.
std::optional<std::uint64_t> value_of(std::span<std::byte const> structure, std::size_t offset, std::size_t bytes) {
  if (offset + bytes > structure.size()) return std::nullopt;
  std::uint64_t value = 0;
  std::memcpy(&value, structure.data() + offset, bytes);  // both little-endian, and so is every machine that this runs on
  return value;
}

std::string flags_text(std::uint64_t value, std::span<ValueText const> names) {
  std::string text;
  for (auto const& [flag, flag_name] : names) {
    if ((value & flag) == 0) continue;
    text.append(text.empty() ? "" : "|").append(flag_name);
    value &= ~flag;
  }
  if (value != 0 || text.empty()) text += fmt::format("{}{:#x}", text.empty() ? "" : "|", value);
  return text == "0x0" ? "0" : text;
}

std::string name_text(std::uint64_t value, std::span<ValueText const> names) {
  auto const found = std::ranges::find(names, value, &ValueText::value);
  return found == names.end() ? fmt::format("{:#x}", value) : found->name;
}

std::string value_text(CallField const& field, std::uint64_t value) {
  switch (field.form) {
    case FieldForm::decimal: return fmt::format("{}", value);
    case FieldForm::signed_decimal: return fmt::format("{}", static_cast<std::int32_t>(value));
    case FieldForm::hexadecimal: return fmt::format("{:#x}", value);
    case FieldForm::flags: return flags_text(value, field.values);
    case FieldForm::name: return name_text(value, field.values);
  }
  return {};
}

class StructureText {
 public:
  StructureText(CallRecord const& record, bool succeeded) : record_(record), succeeded_(succeeded) {}

  void add(std::string_view part) { text_.append(text_.empty() ? "" : ", ").append(part); }

  void add(CallField const& field) {
    auto const before = value_of(known(record_.before), field.offset, field.bytes);
    auto const after = value_of(known(record_.after), field.offset, field.bytes);
    if (!before) return;
    switch (field.use) {
      case FieldUse::rare:
        if (*before != 0) add(field, *before);
        break;
      case FieldUse::in: add(field, *before); break;
      case FieldUse::out:
        if (succeeded_ && after) add(field, *after);
        break;
      case FieldUse::both:
        if (after && *after != *before)
          add(fmt::format("{}={} => {}", field.name, value_text(field, *before), value_text(field, *after)));
        else
          add(field, *before);
        break;
    }
  }

  // What the caller says of the size, if it is not what we know.
  void add_size(CallShape const& shape, char const* name) {
    auto const size = value_of(record_.before, 0, 4);
    if (!size) return;
    said_ = *size;
    if (*size != shape.bytes) add(fmt::format("{}={}", name, *size));
  }

  std::string take() { return std::move(text_); }

 private:
  void add(CallField const& field, std::uint64_t value) { add(fmt::format("{}={}", field.name, value_text(field, value))); }

  // No more than the caller says that there is.
  [[nodiscard]] std::span<std::byte const> known(std::span<std::byte const> structure) const {
    return structure.first(std::min<std::size_t>(structure.size(), said_));
  }

  CallRecord const& record_;
  bool const succeeded_;
  std::uint64_t said_ = ~std::uint64_t{0};
  std::string text_;
};

// VFIO's requests start at VFIO_BASE, and call the size argsz, which some of them change.
bool is_vfio(std::uint32_t request) { return (request & 0xff) < 0x80; }

std::string structure_text(CallShape const& shape, CallRecord const& record, bool succeeded) {
  if (record.before.size() < 4) return fmt::format("{:#x}", record.argument);  // it could not be read
  StructureText text(record, succeeded);
  if (is_vfio(shape.request)) {
    text.add(CallField{"argsz", 0, 4, FieldForm::decimal, FieldUse::both});
  } else {
    text.add_size(shape, "size");
  }
  if (shape.request == selftest_request) {
    auto const operation = value_of(record.before, 4, 4);
    auto const* const known = operation ? find_test_operation(static_cast<std::uint32_t>(*operation)) : nullptr;
    if (known != nullptr) text.add(fmt::format("op={}", known->name));
    if (known == nullptr && operation) text.add(fmt::format("op={}", *operation));
    for (CallField const& field : shape.fields) text.add(field);
    if (known != nullptr)
      for (CallField const& field : known->fields) text.add(field);
  } else {
    for (CallField const& field : shape.fields) text.add(field);
  }
  return fmt::format("{{{}}}", text.take());
}

std::string call_and_argument(CallRecord const& record, bool succeeded) {
  auto const own = std::ranges::find(record.calls, record.request, &CallShape::request);
  CallShape const* const shape = record.calls.empty() ? find_call(record.request) : own == record.calls.end() ? nullptr : &*own;
  if (shape == nullptr) return fmt::format("ioctl {:#x} {:#x}", record.request, record.argument);
  if (shape->bytes != 0) return fmt::format("{} {}", shape->name, structure_text(*shape, record, succeeded));
  if (record.request == VFIO_CHECK_EXTENSION || record.request == VFIO_SET_IOMMU)
    return fmt::format("{} {}", shape->name, name_text(record.argument, vfio_extension_names()));
  return shape->name;
}

std::string result_text(Result<std::uint64_t> const& result) {
  if (result) return fmt::format("{}", *result);
  int const code = result.error().code;
  char const* const name = ::strerrorname_np(code);
  std::string text = name == nullptr ? fmt::format("-1 errno {}", code) : fmt::format("-1 {}", name);
  if (result.error().about.empty()) return text;
  return fmt::format("{}: {}", text, result.error().about);
}

}  // namespace

Result<std::string> call_text(CallRecord const& record, Result<std::uint64_t> const& result) {
  return guarded([&]() -> Result<std::string> {
    std::string line = fmt::format("{} = {}", call_and_argument(record, result.has_value()), result_text(result));
    std::ranges::replace_if(line, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
    return line;
  });
}

}  // namespace swiommu::iommufd
