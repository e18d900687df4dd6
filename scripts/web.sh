#!/usr/bin/env bash
# Builds the page in web/ and serves it on this machine.
#
#   bash scripts/web.sh            builds and serves
#   bash scripts/web.sh --build    builds only: web/dist is the page, for any static server and any folder of it
#   bash scripts/web.sh --test     builds and tests in headless Chromium; screenshots go to target/web-screenshots
#
# It installs what is missing if it may (on Debian, as root or with sudo without a password). Otherwise it says what to
# install. No device is needed: Chromium brings SwiftShader.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_INCREMENTAL=0

say() {
    printf '==== %s (after %d s)\n' "$*" "$SECONDS"
}

what=${1:---serve}
case "$what" in
--serve | --build | --test) ;;
*)
    echo "expected --build, --test or nothing, found $what"
    exit 2
    ;;
esac

find_missing() {
    missing=()
    command -v node >/dev/null || missing+=(nodejs)
    command -v npm >/dev/null || missing+=(npm)
    [ "$what" != --test ] || [ -x "${CHROMIUM:-/usr/bin/chromium}" ] || missing+=(chromium)
}
find_missing
if [ "${#missing[@]}" != 0 ]; then
    sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo -n)
    if command -v apt-get >/dev/null && "${sudo[@]}" true 2>/dev/null; then
        say "installing ${missing[*]}"
        "${sudo[@]}" apt-get update -qq
        "${sudo[@]}" apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
        find_missing
    fi
fi
if [ "${#missing[@]}" != 0 ]; then
    echo "these are missing: ${missing[*]}. On Debian, as root: apt-get install ${missing[*]}"
    exit 1
fi

say "the library, for the browser"
bash crates/web/build.sh

say "the page"
cd web
npm ci --silent --no-audit --no-fund
npm run --silent build

case "$what" in
--build) say "the page is in web/dist" ;;
--serve) npx vite preview ;;
--test)
    say "the command, whose numbers the page must have"
    cargo build --quiet --release -p penalty-cli --manifest-path ../Cargo.toml
    say "tests"
    node --test ../crates/web/tests/*.test.mjs
    npm run --silent test
    say "everything passed"
    ;;
esac
