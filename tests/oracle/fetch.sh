# Sourced by oracle.sh: gets Debian's QEMU and the libraries it needs, and unpacks them. Nothing is installed; all stays in build/oracle.

oracle=$PWD/build/oracle
suite=trixie-backports

# apt_get ARGUMENT...: apt-get with our suites and none of the system's, and as if nothing were installed, so that the C library
# comes with it
apt_get() {
  local state=$oracle/apt
  apt-get -qq -o Dir::State="$state/state" -o Dir::State::status="$state/status" -o Dir::Cache="$state/cache" \
    -o Dir::Etc::SourceList="$state/sources.list" -o Dir::Etc::SourceParts=- -o Dir::Etc::Preferences=/dev/null \
    -o Dir::Etc::PreferencesParts=/dev/null -o APT::Sandbox::User=root -o APT::Architecture=amd64 -o APT::Install-Recommends=false \
    -o APT::Default-Release="$suite" -o Debug::NoLocking=true "$@" </dev/null
}

# update_lists: the mirror is the one that this system uses
update_lists() {
  local state=$oracle/apt site keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  mkdir -p "$state"/state/lists/partial "$state"/cache/archives/partial
  : >"$state/status"
  site=$(apt-get update --print-uris 2>/dev/null | sed -n "s@^'\(.*/debian\)/dists/.*@\1@p" | head -n 1)
  printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$site" trixie "$keyring" "$site" "$suite" >"$state/sources.list"
  apt_get update >&2
}

# fetch_qemu: build/oracle/root, with QEMU for all machines of the test
fetch_qemu() {
  local package
  if [[ -e $oracle/complete ]]; then return; fi
  rm -rf "$oracle/root"
  mkdir -p "$oracle/root"
  say "fetching QEMU ($suite)"
  update_lists || return 1
  apt_get --yes --download-only install qemu-system-x86 qemu-system-arm qemu-system-riscv >&2 || return 1
  for package in "$oracle"/apt/cache/archives/*.deb; do dpkg-deb --extract "$package" "$oracle/root" || return 1; done
  basename "$oracle"/apt/cache/archives/qemu-system-x86_*.deb >"$oracle/complete"
  rm -rf "$oracle/apt"
}
