#!/usr/bin/env bash
# The tests, on the CPU and on Mesa's lavapipe, a Vulkan driver in software.
#
# With --all, also on Mesa's llvmpipe over OpenGL and on SwiftShader, with longer samples on lavapipe, with
# penalty-burn, and on the CPU as users build it.
#
# The script installs the drivers if it may (on Debian, as root or with sudo without a password). Otherwise it says what
# to install. A missing driver is a failure. The script goes on after a failure, and lists all failures at the end.
set -uo pipefail
cd "$(dirname "$0")/.."

all=0
case "${1:-}" in
"") ;;
--all) all=1 ;;
*)
    echo "usage: $0 [--all]" >&2
    exit 2
    ;;
esac

logs=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$logs"' EXIT
failures=()
export PENALTY_REQUIRE_ADAPTER=1
# Nothing is built twice here, so incremental builds would only cost time and space.
export CARGO_INCREMENTAL=0
# More jobs than processors, so that the build gets its share of a busy machine.
export CARGO_BUILD_JOBS=${CARGO_BUILD_JOBS:-$(($(nproc) + 2))}

say() {
    printf '\n==== %s (after %d s)\n' "$*" "$SECONDS"
}

# Runs a command with its output in a log: the step's name, the log's name, the command.
run() {
    local name=$1 log=$logs/$2 start=$SECONDS code=0
    shift 2
    "$@" >"$log" 2>&1 || code=$?
    echo "$code $((SECONDS - start)) $name" >"$log.end"
}

# Prints the log of a finished step, and notes what failed.
report() {
    local log=$logs/$1 code seconds name tests failed
    read -r code seconds name <"$log.end"
    # If a binary has none of the requested trials, one line is enough.
    say "$name"
    grep -vE '^$|^running 0 tests$|^test result: ok. 0 passed; 0 failed; 0 ignored' "$log"
    tests=$(sed -nE 's/.*test result: .* ([0-9]+) passed; ([0-9]+) failed.*/\1 \2/p' "$log" | awk '{ n += $1 + $2 } END { print n + 0 }')
    echo "$name: $tests tests in $seconds s"
    if [ "$code" != 0 ]; then
        failures+=("$name")
        failed=$(sed -nE 's/^test (.*) +\.\.\. +FAILED$/\1/p; s/^---- (.*) stdout ----$/\1/p; s/^---- (.*) ----$/\1/p' "$log" | sed -E 's/ +/ /g' | sort -u)
        [ -n "$failed" ] || failed=$(grep -E '^error' "$log" | head -n 5)
        while IFS= read -r line; do failures+=("    $line"); done <<<"${failed:-exit code $code}"
    fi
    return "$code"
}

step() {
    say "$1: ${*:3}"
    run "$@"
    report "$2"
}

# Lists the failures, and exits.
finish() {
    if [ "${#failures[@]}" = 0 ]; then
        say "everything passed"
        exit 0
    fi
    say "failed"
    printf '%s\n' "${failures[@]}"
    exit 1
}

# Runs a command with a step's settings: the Vulkan manifest (also under the name that older loaders read), the text that
# picks the adapter, and the sample (PENALTY_SAMPLE in docs/testing.md). Then comes the command.
on() {
    local manifest=$1 adapter=$2 sample=$3
    shift 3
    VK_DRIVER_FILES=$manifest VK_ICD_FILENAMES=$manifest PENALTY_ADAPTER=$adapter PENALTY_SAMPLE=$sample "$@"
}

# All packages except penalty-burn and the benches, which have no tests. Every step names all of them: for a part, cargo
# would build the dependencies again.
packages=(--workspace --exclude penalty-burn --exclude penalty-benches)
tests() {
    cargo test --quiet --no-fail-fast "${packages[@]}" --features penalty/serde,penalty-fit/serde,penalty-cli/parquet "$@"
}
cpu_trials() {
    PENALTY_TRIALS=cpu tests "$@"
}
device_trials() {
    PENALTY_TRIALS=device tests "$@"
}

# ---- Drivers

driver() {
    compgen -G "$1" | head -n 1
}
find_drivers() {
    lavapipe=$(driver "/usr/share/vulkan/icd.d/lvp_icd.*json")
    swiftshader=$(driver "/usr/lib/chromium/vk_swiftshader_icd.json")
    missing=()
    [ -n "$lavapipe" ] || missing+=(mesa-vulkan-drivers libvulkan1)
    if [ "$all" = 1 ]; then
        [ -n "$swiftshader" ] || missing+=(chromium)
        ldconfig -p | grep -q libEGL.so.1 || missing+=(libegl1 libgles2 libgl1-mesa-dri)
    fi
}
find_drivers
if [ "${#missing[@]}" != 0 ]; then
    sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo -n)
    if command -v apt-get >/dev/null && "${sudo[@]}" true 2>/dev/null; then
        say "installing drivers: ${missing[*]}"
        "${sudo[@]}" apt-get update -q >"$logs/apt" 2>&1 &&
            "${sudo[@]}" apt-get install -q -y --no-install-recommends "${missing[@]}" >>"$logs/apt" 2>&1 || tail -n 20 "$logs/apt"
        find_drivers
    fi
fi
if [ "${#missing[@]}" != 0 ]; then
    echo "these are missing and cannot be installed from here; on Debian, as root: apt-get install ${missing[*]}"
    failures+=("drivers that are missing: ${missing[*]}")
fi

# ---- Steps

short=32 long=4
sample=$([ "$all" = 1 ] && echo $long || echo brief)
# The trials of a device in parts: each waits most of the time for one thread that compiles kernels.
started=()
part() {
    local name=$1 log=$2
    shift 2
    run "$name" "$log" "$@" &
    started+=("$!:$log")
}
start_parts() {
    local name=$1 log=$2 on=(on "$3" "$4" "$5" device_trials)
    shift 5
    say "$name: in four parts in the background"
    part "$name, gpu" "$log-gpu" "${on[@]}" --test gpu -- "$@"
    part "$name, parity" "$log-parity" "${on[@]}" --test parity -- --skip parity::devices "$@"
    part "$name, parity of devices" "$log-devices" "${on[@]}" --test parity -- parity::devices --skip parity::devices::sets "$@"
    part "$name, parity of sets" "$log-sets" "${on[@]}" --test parity -- parity::devices::sets "$@"
}
report_parts() {
    local part
    for part in "${started[@]}"; do
        wait "${part%%:*}"
        report "${part#*:}"
    done
    started=()
}
# The tests for devices come first, since lavapipe takes longest.
step "build, first part" build-first tests --no-run --test gpu --test parity || finish
[ -z "$lavapipe" ] || start_parts lavapipe lavapipe "$lavapipe" vulkan "$sample"
step "build, the rest" build tests --no-run || finish
step "CPU" cpu on "$lavapipe" vulkan "$sample" cpu_trials
if [ "$all" = 1 ]; then
    step "CPU, without wgpu" no-gpu cargo test --quiet --no-fail-fast -p penalty --no-default-features --lib --tests
    step "CPU, as users build it" release on "$lavapipe" vulkan 1 \
        env PENALTY_TRIALS=cpu cargo test --quiet --no-fail-fast "${packages[@]}" --release --test parity
fi
report_parts
if [ "$all" = 1 ]; then
    # Allocations by wgpu are compared on Vulkan only. Each driver leaves out tests that compile for minutes on it.
    # OpenGL leaves out custom penalties and the range test of checked kernels, and SwiftShader leaves out custom penalties
    # with mistakes.
    [ -z "$swiftshader" ] ||
        start_parts SwiftShader swiftshader "$swiftshader" swiftshader "$short" --skip ::allocations:: --skip halves_that_disagree
    start_parts "llvmpipe over OpenGL" opengl "" "(Gl," "$short" --skip ::allocations:: --skip ::custom:: --skip ranges::checked_kernels
    # Its many kernels compile for minutes if optimized. Its tests run for only seconds if not.
    [ -z "$lavapipe" ] ||
        step "lavapipe, penalty-burn" burn on "$lavapipe" vulkan 1 cargo test --quiet --no-fail-fast -p penalty-burn --features train --profile dev
    report_parts
    [ -z "$swiftshader" ] ||
        step "SwiftShader, bandwidth" bandwidth on "$swiftshader" swiftshader 1 tests --lib -- answers_are_right_on_every_adapter
    step "llvmpipe over OpenGL, bandwidth" bandwidth on "" "(Gl," 1 tests --lib -- answers_are_right_on_every_adapter
fi

finish
