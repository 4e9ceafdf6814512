# Sourced by guest.sh: gets Debian's kernel for a guest, and what its first program needs, and unpacks them. Nothing is installed; all
# stays in build/guest.

guest=$PWD/build/guest

# apt ARCHITECTURE COMMAND ARGUMENT...: apt-get or apt-cache with our suite and none of the system's
apt() {
  local state=$guest/apt-$1 command=$2
  local options=(-o Dir::State="$state/state" -o Dir::State::status="$state/status" -o Dir::Cache="$state/cache"
    -o Dir::Etc::SourceList="$state/sources.list" -o Dir::Etc::SourceParts=- -o Dir::Etc::Preferences=/dev/null
    -o Dir::Etc::PreferencesParts=/dev/null -o APT::Sandbox::User=root -o APT::Architecture="$1" -o APT::Architectures="$1"
    -o APT::Install-Recommends=false -o Debug::NoLocking=true)
  shift 2
  "$command" "${options[@]}" "$@" </dev/null
}

# fetch_guest ARCHITECTURE PACKAGE_OF_THE_KERNEL: build/guest/ARCHITECTURE/root
fetch_guest() {
  local architecture=$1 folder=$guest/$1 state=$guest/apt-$1 site keyring=/usr/share/keyrings/debian-archive-keyring.gpg kernel package
  if [[ -e $folder/complete ]]; then return; fi
  rm -rf "$folder" "$state"
  mkdir -p "$folder/packages" "$folder/root" "$state"/state/lists/partial "$state"/cache/archives/partial
  : >"$state/status"
  site=$(apt-get update --print-uris 2>/dev/null | sed -n "s@^'\(.*/debian\)/dists/.*@\1@p" | head -n 1)
  printf 'deb [signed-by=%s] %s trixie main\n' "$keyring" "$site" >"$state/sources.list"
  apt "$architecture" apt-get -qq update >&2 || return 1
  kernel=$(apt "$architecture" apt-cache depends "$2" 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
  if [[ -z $kernel ]]; then
    say "there is no $2"
    return 1
  fi
  say "fetching $kernel ($architecture)"
  (cd "$folder/packages" && apt "$architecture" apt-get -qq download "$kernel" busybox-static e2fsprogs libc6 libext2fs2t64 \
    libcom-err2 libblkid1 libuuid1 >&2) || return 1
  for package in "$folder"/packages/*.deb; do dpkg-deb --extract "$package" "$folder/root" || return 1; done
  echo "$kernel" >"$folder/complete"
  rm -rf "$folder/packages" "$state"
}
