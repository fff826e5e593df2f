#!/usr/bin/env bash
# Installs what is missing of Debian's packages, without questions; says what it does.
# usage: install-dependencies.sh [GROUP...]    groups: build demo test ci bench (default: build demo test)
# Costs a few milliseconds when nothing is missing. Nothing is ever removed. Servers among them (named, nginx,
# Caddy, HAProxy) are for tests to start: as services they are neither started nor enabled.
set -euo pipefail
logs=${LATCHKEY_LOGS:-$(cd "$(dirname "$0")/.." && pwd)/build/logs}
say() { printf '%s\n' "$*" >&2; }

# a|b: either will do, the first is installed.
build="g++ cmake ninja-build pkg-config|pkgconf dpkg-dev xz-utils ca-certificates
  libuv1-dev libc-ares-dev libcurl4-gnutls-dev|libcurl4-openssl-dev rapidjson-dev libnghttp2-dev libsqlite3-dev libpq-dev
  libpsl-dev libidn2-dev libbrotli-dev zlib1g-dev node-llhttp libgtest-dev libgmock-dev libbenchmark-dev"
demo="curl ca-certificates"
test="pebble caddy certbot lego dehydrated uacme bind9 bind9-dnsutils nginx-light haproxy openssl curl sqlite3 binutils faketime nghttp2-client nodejs
  chromium"
ci="clang clang-format clang-tidy libclang-rt-14-dev llvm ccache git"
bench="nginx-light haproxy caddy pebble util-linux"

wanted=()
for group in "${@:-build demo test}"; do
  for name in $group; do
    case $name in
      build | demo | test | ci | bench) read -r -d '' -a packages <<< "${!name}" || true; wanted+=("${packages[@]}") ;;
      *) say "install-dependencies.sh: there is no group \"$name\"; there are: build demo test ci bench"; exit 2 ;;
    esac
  done
done

command -v dpkg-query > /dev/null || {
  say "This is not Debian: please install what these packages of Debian 12 contain: ${wanted[*]}"
  exit 1
}
# dpkg-query complains of packages that it has never heard of: those are missing, too.
known=$(dpkg-query -W -f '${db:Status-Status}:${Package}\n' "${wanted[@]%%|*}" "${wanted[@]##*|}" 2> /dev/null || true)
installed=" $(sed -n 's/^installed://p' <<< "$known" | tr '\n' ' ')"
missing=()
for package in $(printf '%s\n' "${wanted[@]}" | sort -u); do
  [[ $installed == *" ${package%%|*} "* || $installed == *" ${package##*|} "* ]] || missing+=("${package%%|*}")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo > /dev/null || {
    say "Packages are missing and there is no sudo. As root: apt-get install --no-install-recommends ${missing[*]}"
    exit 1
  }
  as_root=(sudo)
fi
mkdir -p "$logs"
log=$logs/install.log
say "installing ${#missing[@]} of Debian's packages (log: $log): ${missing[*]}"
SECONDS=0

# With a status stream apt tells how far it is: dlstatus:N:PERCENT:TEXT, then pmstatus:PACKAGE:PERCENT:TEXT.
progress() { # one line that is rewritten on a terminal, else a line for each quarter
  local line kind percent last=
  while IFS= read -r line; do
    IFS=: read -r kind _ percent _ <<< "$line"
    case $kind in
      dlstatus) kind=downloading ;;
      pmstatus) kind=installing ;;
      *) continue ;;
    esac
    percent=${percent%%.*}
    if [ -t 2 ]; then
      printf '\r\033[K  %s %s %%' "$kind" "$percent" >&2
    elif [ "$kind $((percent / 25))" != "$last" ]; then
      last="$kind $((percent / 25))"
      say "  $kind $percent %"
    fi
  done
  if [ -t 2 ]; then printf '\r\033[K' >&2; fi
}
apt() { # the status on descriptor 3, which sudo would close: hence the shell within
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 bash -c 'exec apt-get "$@" 3>&1 >> "$0" 2>&1 < /dev/null' "$log" \
    -o APT::Status-Fd=3 -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -q -y "$@" | progress
}
# A file that Debian's packages ask whether they may start what they bring; we put one there for the while.
policy=/usr/sbin/policy-rc.d
keep_stopped() {
  [ -e "$policy" ] && return
  "${as_root[@]}" sh -c 'printf "#!/bin/sh\nexit 101\n" > "$0" && chmod 0755 "$0"' "$policy"
  trap '"${as_root[@]}" rm -f "$policy"' EXIT
}
# What we have brought just now does not start at the next boot either.
disable_services() {
  local services=()
  command -v systemctl > /dev/null || return 0
  for package in "${missing[@]}"; do
    case $package in
      bind9) services+=(named.service) ;;
      certbot) services+=(certbot.timer) ;;
      caddy | haproxy) services+=("$package.service") ;;
      nginx-light) services+=(nginx.service) ;;
    esac
  done
  [ ${#services[@]} = 0 ] || "${as_root[@]}" systemctl disable "${services[@]}" >> "$log" 2>&1 || true
}

: > "$log"
keep_stopped
if ! { apt update && apt install --no-install-recommends --no-remove "${missing[@]}"; }; then
  tail -n 20 "$log" >&2
  say "installing packages failed (log: $log)."
  say "Is Debian's mirror reachable, and is this Debian 12? To see for yourself: apt-get install --no-install-recommends ${missing[*]}"
  exit 1
fi
disable_services
say "installed in $SECONDS s"
