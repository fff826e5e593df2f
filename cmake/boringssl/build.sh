#!/usr/bin/env bash
# Makes sure that a BoringSSL built with the given compilers and flags lies in the cache; prints its folder.
# usage: build.sh CC CXX FLAGS [SOURCE_DIR]
# SOURCE_DIR: a checkout of upstream BoringSSL; without it Debian's source package is fetched.
# LATCHKEY_CACHE: the cache folder (default: ~/.cache/latchkey). Safe to run several at once.
set -euo pipefail
cc=$1 cxx=$2 flags=$3 upstream=${4:-}
here=$(cd "$(dirname "$0")" && pwd)
cache=${LATCHKEY_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/latchkey}
mkdir -p "$cache"
exec 9>"$cache/.boringssl.lock"
flock 9

package=android-platform-external-boringssl
fetch_debian_source() { # prints the folder of the unpacked source package
  local found
  found=$(find "$cache/source" -mindepth 1 -maxdepth 1 -type d -name "$package-*" 2>/dev/null | sort | tail -n 1)
  if [ -z "$found" ]; then
    # A private list of source packages: the machine's own lists stay as they are.
    local tmp; tmp=$(mktemp -d)
    trap 'rm -rf "$tmp"' RETURN
    mkdir -p "$tmp/sources" "$tmp/lists/partial" "$tmp/unpacked"
    local f
    for f in /etc/apt/sources.list.d/*.sources; do
      [ -e "$f" ] && grep -q 'debian-archive-keyring' "$f" && sed 's/^Types:.*/Types: deb-src/' "$f" > "$tmp/sources/$(basename "$f")"
    done
    if [ -z "$(ls -A "$tmp/sources")" ]; then # the one-line format of older installations
      grep -hE '^deb ' /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | sed 's/^deb /deb-src /' > "$tmp/sources/debian.list" || true
    fi
    local apt=(-o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$tmp/sources" -o Dir::State::lists="$tmp/lists"
      -o APT::Sandbox::User=root)
    echo "boringssl: fetching Debian's source package $package" >&2
    apt-get "${apt[@]}" update -qq >&2
    (cd "$tmp/unpacked" && apt-get "${apt[@]}" source -qq "$package" >&2)
    mkdir -p "$cache/source"
    mv "$tmp"/unpacked/"$package"-*/ "$cache/source/"
    found=$(find "$cache/source" -mindepth 1 -maxdepth 1 -type d -name "$package-*" | sort | tail -n 1)
  fi
  [ -n "$found" ] || { echo "boringssl: the source package $package was not found; are Debian's sources reachable (apt-get update)?" >&2; exit 1; }
  echo "$found"
}

# A checkout that git calls clean is known by its commit; any other one by the names, sizes and times of its files.
revision_of() {
  local commit changes
  if commit=$(git -C "$1" rev-parse --short HEAD 2>/dev/null) && changes=$(git -C "$1" status --porcelain 2>/dev/null) &&
    [ -z "$changes$(git -C "$1" rev-parse --show-prefix)" ]; then # the prefix: a folder of somebody else's repository
    echo "$commit"
  else
    echo "tree-$(cd "$1" && find . -name .git -prune -o -type f -printf '%P %s %T@\n' | LC_ALL=C sort | sha256sum | cut -c1-12)"
  fi
}

if [ -n "$upstream" ]; then
  source=$(realpath "$upstream")
  version=upstream-$(revision_of "$source")
else
  source=$(fetch_debian_source)
  version=$(basename "$source"); version=${version#"$package"-}
fi
key=$(printf '%s' "$("$cc" --version | head -n 1)|$("$cxx" --version | head -n 1)|$flags|$(cat "$here/CMakeLists.txt")" | sha256sum | cut -c1-12)
out="$cache/boringssl-$version-$key"
if [ ! -e "$out/done" ]; then
  echo "boringssl: compiling $version with $cxx $flags (once; kept in $cache)" >&2
  build=$(mktemp -d)
  trap 'rm -rf "$build"' EXIT
  log="$cache/boringssl-build.log"
  project=$here extra=(-DBORINGSSL_ROOT="$source")
  if [ -n "$upstream" ]; then project=$source extra=(-DBUILD_SHARED_LIBS=OFF -DBUILD_TESTING=OFF -DCMAKE_POSITION_INDEPENDENT_CODE=ON); fi
  if ! { cmake -S "$project" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_COMPILER="$cc" -DCMAKE_CXX_COMPILER="$cxx" \
           -DCMAKE_C_FLAGS="$flags" -DCMAKE_CXX_FLAGS="$flags" -DCMAKE_INSTALL_PREFIX="$out" "${extra[@]}" &&
         cmake --build "$build" --target crypto ssl &&
         if [ -n "$upstream" ]; then
           mkdir -p "$out/lib" && cp "$(find "$build" -name libcrypto.a | head -n 1)" "$(find "$build" -name libssl.a | head -n 1)" "$out/lib/" &&
           mkdir -p "$out/include" && cp -r "$source/include/openssl" "$out/include/"
         else cmake --install "$build"; fi; } > "$log" 2>&1; then
    tail -n 30 "$log" >&2
    echo "boringssl: the build failed; the whole log is $log" >&2
    exit 1
  fi
  touch "$out/done"
fi
echo "$out"
