#!/usr/bin/env bash
# Builds the library for the page: web/src/library/pkg/.
set -euo pipefail
cd "$(dirname "$0")/../.."
export CARGO_INCREMENTAL=0
target=${CARGO_TARGET_DIR:-target}
# The page's glue must come from the version of wasm-bindgen that the library was compiled with.
version=$(cargo metadata --quiet --format-version 1 --locked --filter-platform wasm32-unknown-unknown |
    grep -o '"name":"wasm-bindgen","version":"[^"]*"' | head -n 1 | cut -d'"' -f8)
tools=$target/tools/wasm-bindgen-$version
if [ ! -x "$tools/bin/wasm-bindgen" ]; then
    # Compiled with little optimization, which runs long enough for one module.
    cargo install --quiet wasm-bindgen-cli --version "$version" --no-default-features --bin wasm-bindgen \
        --root "$tools" --target-dir "$tools/build" \
        --config 'profile.release.opt-level=1' --config 'profile.release.lto=false'
    rm -r "$tools/build"
fi
rustup --quiet target add wasm32-unknown-unknown
RUSTFLAGS="${PENALTY_WEB_RUSTFLAGS--C target-feature=+simd128}" \
    cargo build --quiet --profile web --target wasm32-unknown-unknown -p penalty-web
"$tools/bin/wasm-bindgen" --target web --remove-name-section --remove-producers-section --out-dir web/src/library/pkg \
    "$target/wasm32-unknown-unknown/web/penalty_web.wasm"
wasm=web/src/library/pkg/penalty_web_bg.wasm
echo "$wasm: $(wc -c < "$wasm") bytes, $(gzip -9c "$wasm" | wc -c) compressed"
