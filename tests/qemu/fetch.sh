# Sourced: gets Debian's QEMU and the libraries it needs, and unpacks them. Nothing is installed; all stays in one folder.

suite=trixie-backports

# apt_get FOLDER ARGUMENT...: apt-get with our suites and none of the system's, and as if nothing were installed, so that the C library
# comes with it
apt_get() {
  local state=$1/apt
  shift
  apt-get -qq -o Dir::State="$state/state" -o Dir::State::status="$state/status" -o Dir::Cache="$state/cache" \
    -o Dir::Etc::SourceList="$state/sources.list" -o Dir::Etc::SourceParts=- -o Dir::Etc::Preferences=/dev/null \
    -o Dir::Etc::PreferencesParts=/dev/null -o APT::Sandbox::User=root -o APT::Architecture=amd64 -o APT::Install-Recommends=false \
    -o APT::Default-Release="$suite" -o Debug::NoLocking=true "$@" </dev/null
}

# update_lists FOLDER: the mirror is the one that this system uses
update_lists() {
  local state=$1/apt site keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  mkdir -p "$state"/state/lists/partial "$state"/cache/archives/partial
  : >"$state/status"
  site=$(apt-get update --print-uris 2>/dev/null | sed -n "s@^'\(.*/debian\)/dists/.*@\1@p" | head -n 1)
  printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$site" trixie "$keyring" "$site" "$suite" >"$state/sources.list"
  apt_get "$1" update >&2
}

# fetch_qemu FOLDER PACKAGE...: FOLDER/root; FOLDER/complete names what is in it
fetch_qemu() {
  local folder=$1 package
  shift
  if [[ -e $folder/complete && $(sed -n 2p "$folder/complete") == "$*" ]]; then return; fi
  rm -rf "$folder/root" "$folder/apt" "$folder/complete"
  mkdir -p "$folder/root"
  say "fetching QEMU ($suite)"
  update_lists "$folder" || return 1
  apt_get "$folder" --yes --download-only install "$@" >&2 || return 1
  for package in "$folder"/apt/cache/archives/*.deb; do dpkg-deb --extract "$package" "$folder/root" || return 1; done
  { basename "$(ls "$folder"/apt/cache/archives/qemu-system-*.deb | head -n 1)" && echo "$*"; } >"$folder/complete"
  rm -rf "$folder/apt"
}
