# Sourced by conformance.sh: reads what the kselftest harness printed, and prints the table.

# skipped_by_design NAME: the variant without a vIOMMU leaves out what needs one
skipped_by_design() { [[ $1 == iommufd_viommu.no_viommu.* ]]; }

# result_of FILE STATUS NAME: one line: passed, skipped, "not run: WHY" or "failed: WHY"
result_of() {
  local file=$1 status=$2 name=$3 line why
  line=$(grep -aE '^(not )?ok [0-9]+ ' "$file" | tail -n 1 || true)
  case $line in
    ok*'# SKIP'*)
      why=${line#*# SKIP }
      if skipped_by_design "$name"; then echo skipped; else echo "not run: $why"; fi
      ;;
    ok*) if ((status == 0)); then echo passed; else echo "failed: exit status $status after it passed"; fi ;;
    *)
      why=$(grep -aoE '[a-z_]+\.[ch]:[0-9]+:.*' "$file" | head -n 1 || true)
      if [[ -z $why ]]; then why=$(grep -aE '^# .*(signal|timeout|assertion)|Assertion' "$file" | head -n 1 || true); fi
      if [[ -z $why ]]; then why=$(tail -n 1 "$file"); fi
      if ((status == 124 || status == 137)); then why="no end after $seconds s. $why"; fi
      if [[ -z $line ]]; then why="no result, exit status $status. $why"; fi
      echo "failed: $why"
      ;;
  esac
}

# print_table VERSION...: a row for each fixture, then every test that failed or was not run, and why; fails if a test failed
print_table() {
  local version
  for version; do
    (cd "$log/$version" && grep -H . -- *.result) | sed -e "s/^/$version /" -e 's/\.result:/ /'
  done | awk '
    function row(name, c) {
      printf "%-8s %-24s %6d %7d %8d %7d %8d\n", c, name, total[c, name], passed[c, name], skipped[c, name], failed[c, name], not_run[c, name]
    }
    function count(name) {
      total[$1, name]++
      if ($3 == "passed") passed[$1, name]++
      else if ($3 == "skipped") skipped[$1, name]++
      else if ($3 == "failed:") failed[$1, name]++
      else not_run[$1, name]++
    }
    BEGIN { printf "%-8s %-24s %6s %7s %8s %7s %8s\n", "Linux", "fixture", "tests", "passed", "skipped", "failed", "not run" }
    {
      fixture = $2
      sub(/\..*/, "", fixture)
      if (!(($1, fixture) in total)) { order[++rows] = fixture; of[rows] = $1 }
      count(fixture)
      count("all")
      if (!($1 in seen)) { seen[$1]; version[++versions] = $1 }
      if ($3 == "failed:") { failures++; remarks[++lines] = $0 }
      else if ($3 == "not") {
        why = $1 " " fixture ".*: " substr($0, index($0, " not run: ") + 1)
        if (!alike[why]++) reasons[++whys] = why
      }
    }
    END {
      for (v = 1; v <= versions; v++) {
        for (i = 1; i <= rows; i++) if (of[i] == version[v]) row(order[i], version[v])
        row("all", version[v])
      }
      if (lines + whys) print ""
      for (i = 1; i <= whys; i++) print reasons[i] " (" alike[reasons[i]] ")"
      for (i = 1; i <= lines; i++) print remarks[i]
      exit failures > 0
    }'
}
