# How everything here is compiled: swiommu_settings(target).
function(swiommu_settings target)
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wno-missing-field-initializers)
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    target_compile_options(${target} PRIVATE -Wthread-safety)
  elseif(CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # gcc 12 sees overlapping and endless copies in std::string's operator+ (gcc bug 105651)
    target_compile_options(${target} PRIVATE -Wno-restrict -Wno-stringop-overflow)
  endif()
  if(SWIOMMU_SANITIZE)
    target_compile_options(${target} PRIVATE
      -fsanitize=${SWIOMMU_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(${target} PRIVATE -fsanitize=${SWIOMMU_SANITIZE})
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      # the checks that sanitizers insert look to gcc like uses of variables that were never set
      target_compile_options(${target} PRIVATE -Wno-maybe-uninitialized)
    endif()
  endif()
endfunction()

# swiommu_precompile(target HEADER...): reading the standard headers is most of what compiling a short file takes. The preset
# clang-release goes without, so that a file that forgets an include is found.
function(swiommu_precompile target)
  if(SWIOMMU_PRECOMPILE)
    target_precompile_headers(${target} PRIVATE <algorithm> <array> <atomic> <cstdint> <cstring> <expected> <functional> <map>
      <memory> <mutex> <optional> <span> <string> <string_view> <utility> <vector> <fmt/format.h> ${ARGN})
  endif()
endfunction()
