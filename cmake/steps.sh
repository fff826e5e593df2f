# What edge/run, tests/run and .ci/run share; to be sourced. Everything here speaks on stderr, so
# that stdout belongs to the program that is run in the end. Noisy parts write to build/logs.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
logs=$root/build/logs
mkdir -p "$logs"
export LATCHKEY_LOGS=$logs
jobs=$(nproc)
test_jobs=$((jobs > 4 ? 8 : 2 * jobs)) # tests wait more than they compute

say() { printf '%s\n' "$*" >&2; }
die() { say "$0: $*"; exit 1; }
now_ms() { echo $(($(date +%s%N) / 1000000)); }
seconds_since() { # a start in ms -> "12.3 s"
  local ms=$(($(now_ms) - $1))
  printf '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100))
}

# fail_with_log WHAT LOG [REMEDY]: the end of the log (from the compiler's first complaint on, where there is one), then exit 1.
fail_with_log() {
  say "---- the end of $2"
  if grep -q '^FAILED: ' "$2"; then sed -n '/^FAILED: /,$p' "$2" | head -n 40 >&2; else tail -n 40 "$2" >&2; fi
  say "----"
  say "$1 failed; the whole log is $2"
  [ -z "${3:-}" ] || say "$3"
  exit 1
}

# counted LOG: keeps ninja's output in LOG and shows how far it is: one line that is rewritten on a
# terminal, a line for each fifth of the way elsewhere.
counted() {
  local line last=
  while IFS= read -r line; do
    printf '%s\n' "$line" >> "$1"
    if [[ $line == "boringssl: "* ]]; then
      say "  $line"
    elif [[ $line =~ ^\[([0-9]+)/([0-9]+)\ ([0-9]+) ]]; then
      if [ -t 2 ]; then
        printf '\r\033[K  %s of %s steps, %s s' "${BASH_REMATCH[@]:1:3}" >&2
      elif [ $((BASH_REMATCH[1] * 5 / BASH_REMATCH[2])) != "${last:-0}" ]; then
        last=$((BASH_REMATCH[1] * 5 / BASH_REMATCH[2]))
        printf '  %s of %s steps, %s s\n' "${BASH_REMATCH[@]:1:3}" >&2
      fi
    fi
  done
  if [ -t 2 ]; then printf '\r\033[K' >&2; fi
}

# build PRESET [TARGET...]: configures and builds build/PRESET (all of it without targets).
build() {
  local preset=$1 start log=$logs/build-$1.log
  shift
  start=$(now_ms)
  : > "$log"
  (cd "$root" && cmake --preset "$preset") 2>&1 | counted "$log" ||
    fail_with_log "configuring build/$preset" "$log" "A package missing? cmake/install-dependencies.sh installs them all. Else remove build/$preset and try again."
  (cd "$root" && NINJA_STATUS='[%f/%t %e s] ' cmake --build "build/$preset" -j "$jobs" ${1:+--target "$@"}) 2>&1 | counted "$log" ||
    fail_with_log "building build/$preset" "$log"
  say "built $preset in $(seconds_since "$start")"
}
