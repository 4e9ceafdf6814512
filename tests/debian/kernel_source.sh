# Sourced, after packages.sh: the Linux kernel's sources, from Debian's packages of them.

# suite_of VERSION: the suite of Debian that has the package linux-source-VERSION
suite_of() {
  case $1 in
    6.12) echo bookworm-security ;;
    *) echo trixie-backports ;;
  esac
}

# fetch_kernel_source STATE VERSION TREE ARGUMENT...: the files that tar extracts with the arguments; TREE/complete names the package.
# Fails if it is not to be had
fetch_kernel_source() {
  local state=$1 version=$2 tree=$3 package=linux-source-$2 work status=0
  shift 3
  if [[ -e $tree/complete ]]; then return; fi
  if ! debian_lists "$state" amd64 trixie-backports bookworm-security; then return 1; fi
  rm -rf "$tree"
  mkdir -p "$tree"
  work=$(mktemp -d "$tree.XXXXXX")
  say "fetching $package ($(suite_of "$version"))"
  if (cd "$work" && debian "$state" amd64 apt-get download "$package/$(suite_of "$version")" >&2) &&
    dpkg-deb --fsys-tarfile "$work"/*.deb | tar -xO --wildcards './usr/src/*.tar.xz' | xz -dc -T0 |
    tar -x -C "$tree" --strip-components=1 "$@"; then
    basename "$work"/*.deb >"$tree/complete"
  else
    status=1
  fi
  rm -rf "$work"
  return $status
}
