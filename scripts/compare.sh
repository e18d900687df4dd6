#!/usr/bin/env bash
# Compares penalty with other libraries on this machine's processor, all in one run: PyTorch and numpy; in Rust iterators, rayon,
# ndarray, faer, candle and Burn's Flex. Answers are compared first. The sources are in benches/peers.
#
#   bash scripts/compare.sh                                   with the processor's best vectors
#   bash scripts/compare.sh --instructions avx2               penalty uses AVX2 (the others use what they use)
#   bash scripts/compare.sh --sizes 2^20,2^26 --operations value,prox_step --out results.jsonl
#
# PyTorch takes 3 GB to download and 6 GB on disk. It is installed into a temporary environment that is removed at the end, or
# used from PYTHON, an interpreter that has torch and numpy. Without either, its rows are left out, and the run says so.
# A card of NVIDIA's is measured by scripts/measure_gpu.sh, with PyTorch, CuPy and JAX beside us.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release --manifest-path benches/peers/Cargo.toml
target=$(cargo metadata --format-version 1 --no-deps --manifest-path benches/peers/Cargo.toml |
    sed 's/.*"target_directory":"\([^"]*\)".*/\1/')

python=${PYTHON:-}
if [ -z "$python" ]; then
    environment=$(mktemp -d)
    trap 'rm -rf "$environment"' EXIT
    python3 -m venv "$environment"
    python=$environment/bin/python
    "$python" -m pip install --quiet --no-cache-dir numpy
    # Processors alone need only a tenth of it, from an index that not every network reaches.
    "$python" -m pip install --quiet --no-cache-dir torch --index-url https://download.pytorch.org/whl/cpu --retries 0 2>/dev/null ||
        { [ "$(df --output=avail -k "$environment" | tail -1)" -gt $((25 << 20)) ] && "$python" -m pip install --quiet --no-cache-dir torch; } ||
        echo "PyTorch is left out: it cannot be installed, or there are less than 25 GB free"
fi

out=target/compare.jsonl
mkdir -p target
case " $* " in *" --out "*) ;; *) set -- "$@" --out "$out" ;; esac
# Threads that wait must not take the processor from whoever's turn it is.
OMP_WAIT_POLICY=PASSIVE "$python" benches/peers/compare.py --binary "$target/release/penalty-peers" "$@"
