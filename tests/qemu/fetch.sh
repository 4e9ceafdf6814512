# Sourced, after tests/debian/packages.sh: gets Debian's QEMU and the libraries it needs, unpacks them, and tells how to start it.

# fetch_qemu FOLDER PACKAGE...: FOLDER/root; FOLDER/complete names what is in it
fetch_qemu() {
  local folder=$1 state=$1/apt suite=trixie-backports package
  shift
  if [[ -e $folder/complete && $(sed -n 2p "$folder/complete") == "$*" ]]; then return; fi
  rm -rf "$folder/root" "$state" "$folder/complete"
  mkdir -p "$folder/root"
  say "fetching QEMU ($suite)"
  debian_lists "$state" amd64 trixie "$suite" || return 1
  debian "$state" amd64 apt-get --yes --download-only -o APT::Default-Release="$suite" install "$@" >&2 || return 1
  for package in "$state"/cache/archives/*.deb; do dpkg-deb --extract "$package" "$folder/root" || return 1; done
  { basename "$(ls "$state"/cache/archives/qemu-system-*.deb | head -n 1)" && echo "$*"; } >"$folder/complete"
  rm -rf "$state"
}

# start_of FOLDER PROGRAM: the words that start a QEMU of fetch_qemu with its own loader and libraries, a line each
start_of() {
  local root=$1/root library=$1/root/usr/lib/x86_64-linux-gnu
  printf '%s\n' "$library/ld-linux-x86-64.so.2" --library-path "$library" "$root/usr/bin/$2" -L "$root/usr/share/qemu" \
    -L "$root/usr/share/seabios"
}
