# Sourced: Debian's packages, of whatever suite and architecture, fetched from the mirror that this system uses. Nothing is installed, and
# nothing is written outside of the folder STATE.

# debian STATE ARCHITECTURE COMMAND ARGUMENT...: apt-get or apt-cache with the suites of debian_lists and none of the system's, and as if
# nothing were installed, so that what a package depends on comes with it
debian() {
  local state=$1 architecture=$2 command=$3
  shift 3
  "$command" -qq -o Dir::State="$state/state" -o Dir::State::status="$state/status" -o Dir::Cache="$state/cache" \
    -o Dir::Etc::SourceList="$state/sources.list" -o Dir::Etc::SourceParts=- -o Dir::Etc::Preferences=/dev/null \
    -o Dir::Etc::PreferencesParts=/dev/null -o APT::Sandbox::User=root -o APT::Architecture="$architecture" \
    -o APT::Architectures="$architecture" -o APT::Install-Recommends=false -o Debug::NoLocking=true "$@" </dev/null
}

# debian_lists STATE ARCHITECTURE SUITE...: what packages there are; suites that this system has no mirror for are left out
debian_lists() { lists_of deb "$@"; }

# debian_source_lists STATE SUITE...: what source packages there are
debian_source_lists() { lists_of deb-src "$1" amd64 "${@:2}"; }

# lists_of deb|deb-src STATE ARCHITECTURE SUITE...
lists_of() {
  local kind=$1 state=$2 architecture=$3 suite archive site keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  shift 3
  if [[ -e $state/updated ]]; then return; fi
  mkdir -p "$state"/state/lists/partial "$state"/cache/archives/partial
  : >"$state/status"
  for suite; do
    archive=debian
    if [[ $suite == *-security ]]; then archive=debian-security; fi
    site=$(apt-get update --print-uris 2>/dev/null | sed -n "s@^'\(.*/$archive\)/dists/.*@\1@p" | head -n 1)
    if [[ -n $site ]]; then echo "$kind [signed-by=$keyring] $site $suite main"; fi
  done >"$state/sources.list"
  debian "$state" "$architecture" apt-get update >&2 && touch "$state/updated"
}
