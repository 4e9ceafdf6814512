# Sourced by conformance.sh: some selftests want MAP_HUGETLB memory, up to 64 pages of 2 MiB at once.

nr_hugepages=/proc/sys/vm/nr_hugepages
huge_pages_before=
huge_pages_reserved=0

free_huge_pages() { awk '/^HugePages_Free/ { free = $2 } /^Hugepagesize/ { size = $2 } END { print size == 2048 ? free : 0 }' /proc/meminfo; }

reserve_huge_pages() {
  local free before
  free=$(free_huge_pages)
  huge_pages_reserved=1
  if ((free >= 64)); then return; fi
  before=$(<"$nr_hugepages")
  if ! { echo $((before + 64 - free)) >"$nr_hugepages"; } 2>/dev/null; then
    say "may not reserve huge pages, so the tests that need them are not run"
    huge_pages_reserved=0
    return
  fi
  huge_pages_before=$before
}

give_back_huge_pages() {
  if [[ -n $huge_pages_before ]]; then echo "$huge_pages_before" >"$nr_hugepages"; fi
}

# have_huge_pages: waits for whoever else uses them
have_huge_pages() {
  local tries=50
  until (($(free_huge_pages) >= 64)); do
    if ((!huge_pages_reserved || --tries == 0)); then return 1; fi
    sleep 0.1
  done
}

# needs_huge_pages NAME: the variants with files have _hugepage in their names, but use an ordinary memfd
needs_huge_pages() {
  case $1 in
    *_file_hugepage.*) return 1 ;;
    *_hugepage.* | *M_huge.* | *.access_domain_destory | *.huge_map) return 0 ;;
    *) return 1 ;;
  esac
}
