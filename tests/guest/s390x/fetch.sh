# Sourced, after tests/debian/kernel_source.sh and tests/guest/fetch.sh: a guest of s390x out of Debian's sources, compiled with Debian's
# cross compiler, for mirrors that have no packages of that architecture.

# build_guest: build/guest/s390x/root, with its files where Debian's packages have them
build_guest() {
  local version=6.12 folder=$guest/s390x sources=$guest/s390x-sources log=$guest/s390x.build package
  rm -rf "$folder" "$guest/apt-s390x"
  ./dev deps --s390x || return 1
  fetch_sources "$sources" "$version" || return 1
  say "compiling Linux $version, busybox and e2fsprogs for s390x; what the compilers say is in $log"
  if ! tests/guest/s390x/build.sh "$sources" "$folder/root" </dev/null >"$log" 2>&1; then
    say "that failed: $(tail -n 1 "$log")"
    return 1
  fi
  package=$(<"$sources/linux/complete")
  echo "Debian's ${package%_all.deb}, cross-compiled" >"$folder/complete"
  rm -rf "$sources"
}

# fetch_sources FOLDER VERSION: FOLDER/linux, FOLDER/busybox and FOLDER/e2fsprogs, the last two without Debian's patches
fetch_sources() {
  local folder=$1 program
  fetch_kernel_source "$folder/apt" "$2" "$folder/linux" --exclude='*/Documentation/*/*' --exclude='*/drivers/gpu/*.[ch]' \
    --exclude='*/sound/*.[ch]' --exclude='*/tools/testing/*' --exclude='*/boot/dts/*' || return 1
  say "fetching the sources of busybox and e2fsprogs (bookworm)"
  debian_source_lists "$folder/apt-sources" bookworm || return 1
  (cd "$folder" && debian "$folder/apt-sources" amd64 apt-get source --download-only busybox e2fsprogs >&2) || return 1
  for program in busybox e2fsprogs; do
    mkdir -p "$folder/$program"
    tar -x -f "$(ls "$folder/$program"_*.orig.tar.*[2z])" -C "$folder/$program" --strip-components=1 || return 1
  done
}
