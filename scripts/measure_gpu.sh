#!/usr/bin/env bash
# Measures a machine that has an NVIDIA GPU but neither a network nor a toolchain, in 3 to 5 minutes.
#
#   bash scripts/measure_gpu.sh pack
#       where the project is built: puts what the other machine lacks into .measure/ (about 20 MB)
#   OUT=results bash scripts/measure_gpu.sh
#       on the other machine, in a copy of this folder with .measure/: measures, and prints a table
#   ADAPTER=llvmpipe LARGE=2^20 UP_TO=2^18 LARGEST=2^19,2^30 SETS=100x4096 OUT=/tmp/rehearsal bash scripts/measure_gpu.sh
#       a rehearsal on Mesa's lavapipe
#
# Rows are written as they are measured, so a time-out or a failure loses only what comes after it. $OUT gets:
#   machine.txt    the machine's facts, and its clocks and power between the steps
#   devices.json   every adapter, its limits and its self-check
#   rows.jsonl     penalty's rows, as `penalty bench --help` explains them
#   peers.jsonl    what PyTorch, CuPy (with CUB) and JAX take on the same card; Python there has to have them
#   bits.txt       whether two runs on the card and one on the CPU gave the same bits
#   log.txt        errors
# Executables in .measure/tests are run too, as tests of the card.
set -uo pipefail
cd "$(dirname "$0")/.."

pack() {
    set -e
    mkdir -p .measure/debs
    cargo build --release --package penalty-cli
    strip -o .measure/penalty "$(target_folder)/release/penalty"
    # The loaders of Vulkan and of what NVIDIA's driver for it asks for.
    (cd .measure/debs && apt-get download libvulkan1 libegl1 libglvnd0 libopengl0 libgl1 libglx0 libgles2)
    du -sh .measure
}

target_folder() {
    cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/'
}

if [ "${1:-}" = pack ]; then
    pack
    exit
fi

adapter=${ADAPTER:-NVIDIA}
large=${LARGE:-2^28} up_to=${UP_TO:-2^26} largest=${LARGEST:-2^29,2^30} sets=${SETS:-1000x65536,10000x16}
out=${OUT:?set OUT to the folder for the results}
mkdir -p "$out"
penalty=$PWD/.measure/penalty

# The loaders are unpacked beside us, not into the system.
for deb in .measure/debs/*.deb; do
    [ -e "$deb" ] && dpkg -x "$deb" .measure/root
done
export LD_LIBRARY_PATH=$PWD/.measure/root/usr/lib/x86_64-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-$PWD/.measure}
icd=/usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json
[ -f "$icd" ] && [ -z "${VK_DRIVER_FILES:-}" ] && export VK_DRIVER_FILES=$icd

# What the card is doing: a slow run may have been a hot one.
state() {
    echo "$(date +%T) $1: $(nvidia-smi --query-gpu=clocks.sm,clocks.mem,temperature.gpu,power.draw --format=csv,noheader 2>/dev/null)" |
        tee -a "$out/machine.txt"
}

facts() {
    date --utc
    uname -srm
    lscpu | grep -E '^(Model name|CPU\(s\)|Flags)' | sed 's/\(Flags:\).* \(avx512f\|avx2\) .*/\1 \2/' | cut -c1-120
    free -h | sed -n 2p
    nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,clocks.max.mem,power.limit --format=csv 2>/dev/null
    git log -1 --format='commit %h %s' 2>/dev/null
    "$penalty" --version
}

# bench SECONDS SIZES [OPTION…]
bench() {
    local seconds=$1 sizes=$2
    shift 2
    timeout "$seconds" "$penalty" bench --adapter "$adapter" --sizes "$sizes" --json-lines "$@" >>"$out/rows.jsonl" 2>>"$out/log.txt"
    local code=$?
    [ $code = 124 ] && echo "$sizes: stopped after $seconds s" | tee -a "$out/log.txt"
    state "bench $sizes"
}

# Two runs on the card and one on the CPU must print the same numbers.
bits() {
    local file=tests/data/digits_mlp_f32.safetensors penalty_options on
    for penalty_options in "--l1 1e-4" "--penalty mcp:lambda=.1,gamma=3" "--penalty log-sum:lambda=.1,epsilon=.5"; do
        for on in "--adapter $adapter" "--adapter $adapter" "--backend cpu"; do
            # shellcheck disable=SC2086 # the options are several words
            timeout 60 "$penalty" eval $file $penalty_options $on --json 2>>"$out/log.txt" |
                grep -vE '"(adapter|driver|backend|seconds)"' | md5sum
        done | sort | uniq -c | sed "s/\$/ $penalty_options/"
    done
}

: >"$out/rows.jsonl"
facts >"$out/machine.txt"
cat "$out/machine.txt"
state start
timeout 60 "$penalty" devices --json >"$out/devices.json" 2>>"$out/log.txt"
grep -E '"(name|self_check|max_buffer_size|read_gb_per_second)"' "$out/devices.json"

bench 150 "$large" --include ' step$'
bench 90 "2^10..$up_to" --include ' F32 .* dense'
bench 60 "$sets" --include ' F32 .* dense (step|recording)$'
# The last of these is beyond what NVIDIA's driver allows in one buffer.
bench 60 "$largest" --include '^(evaluate|prox|adam) F32 .* dense step$'

echo "runs on the card and on the CPU that gave the same bits (3 is right):"
bits | tee "$out/bits.txt"
for test in .measure/tests/*; do
    [ -x "$test" ] && PENALTY_ADAPTER=$adapter PENALTY_REQUIRE_ADAPTER=1 timeout 80 "$test" 2>&1 | tail -3
done

timeout 120 python3 benches/peers/gpu.py --sizes "$large,2^24,2^20,2^10" >"$out/peers.jsonl" 2>>"$out/log.txt"
state peers
python3 benches/peers/gpu.py --table "$out"
