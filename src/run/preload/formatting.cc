// The formatting library, compiled in: the preloaded library may need nothing but libc. As fmt's own format.cc.
#include <fmt/format-inl.h>

#include <cstdint>

FMT_BEGIN_NAMESPACE
namespace detail {

template FMT_API auto dragonbox::to_decimal(float x) noexcept -> dragonbox::decimal_fp<float>;
template FMT_API auto dragonbox::to_decimal(double x) noexcept -> dragonbox::decimal_fp<double>;
template FMT_API auto locale_ref::get<std::locale>() const -> std::locale;
template FMT_API auto thousands_sep_impl(locale_ref) -> thousands_sep_result<char>;
template FMT_API auto decimal_point_impl(locale_ref) -> char;
template FMT_API void buffer<char>::append(char const*, char const*);
#if FMT_VERSION < 100000
template FMT_API void vformat_to(buffer<char>&, string_view, basic_format_args<FMT_BUFFER_CONTEXT(char)>, locale_ref);
#else
template FMT_API void vformat_to(buffer<char>&, string_view, typename vformat_args<>::type, locale_ref);
#endif

}  // namespace detail
FMT_END_NAMESPACE

// Printing floating-point numbers takes ceil(3), and clang calls libm for it.
extern "C" double __wrap_ceil(double number);
extern "C" double __wrap_ceil(double number) {
  constexpr double whole_from = 4503599627370496.0;  // 2^52: all are whole from here on
  if (!(number > -whole_from && number < whole_from)) return number;
  auto const towards_zero = static_cast<double>(static_cast<std::int64_t>(number));
  return towards_zero < number ? towards_zero + 1 : towards_zero;
}
