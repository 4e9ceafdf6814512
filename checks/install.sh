#!/bin/bash
# Installs swiommu into a temporary folder and builds the examples against it, outside the tree; then runs them. With the
# static library of the preset "release", of which much is built before this runs, and with the shared one, which is neither
# optimised nor can be debugged: that would only take longer.
set -euo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source_folder=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# check KIND BUILD: what BUILD installs
check() {
  local kind=$1 build=$2 prefix=$work/$1/prefix
  cmake --install "$build" --prefix "$prefix" >"$work/log"

  for example in device iommufd trap_handler; do
    mkdir -p "$work/$kind/$example"
    cp -R "$source_folder/examples/$example/." "$work/$kind/$example/"
    cmake -S "$work/$kind/$example" -B "$work/$kind/$example/build" -G Ninja -DCMAKE_BUILD_TYPE=Debug \
      -DCMAKE_PREFIX_PATH="$prefix" --log-level=WARNING >"$work/log"
    cmake --build "$work/$kind/$example/build" >"$work/log"
  done

  # only what was installed is left for the examples to find
  rm -rf "${work:?}/shared-build"
  "$work/$kind/device/build/device" >"$work/log"
  "$work/$kind/trap_handler/build/trap_handler" >"$work/log"
  "$prefix/bin/swiommu" --help >"$work/log"
  "$prefix/bin/swiommu" run -- "$work/$kind/iommufd/build/iommufd" >"$work/log"
  echo "install: the examples build and run against the $kind library"
}

failed() {
  cat "$work/log"
  echo "install: failed"
}
trap failed ERR
set -o errtrace

./dev build release >"$work/log" 2>&1
check static build/release

cmake -S . -B "$work/shared-build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O0 -DCMAKE_C_FLAGS_DEBUG=-O0 \
  -DBUILD_SHARED_LIBS=ON -DSWIOMMU_TESTS=OFF --log-level=WARNING >"$work/log"
cmake --build "$work/shared-build" --parallel "$(nproc)" >"$work/log"
check shared "$work/shared-build"
