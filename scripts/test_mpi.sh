#!/usr/bin/env bash
# penalty-mpi under OpenMPI and MPICH: training at 1 to 4 ranks and two steps at 64 with one hash, a rank that is killed,
# and one that is stopped.
#
# The script installs both and libclang if it may (on Debian, as root or with sudo without a password). Otherwise it says
# what to install. It needs no device.
set -uo pipefail
cd "$(dirname "$0")/.."
export CARGO_INCREMENTAL=0

logs=$(mktemp -d)
job=
# A stopped process ignores the end of its job.
clean_up() {
    [ -z "$job" ] || kill -KILL "$job" 2>/dev/null
    [ ! -s "$logs/stopped" ] || kill -KILL "$(cat "$logs/stopped")" 2>/dev/null
    rm -rf "$logs"
}
trap clean_up EXIT

say() {
    printf '==== %s (after %d s)\n' "$*" "$SECONDS"
}
fail() {
    say "failed: $1"
    shift
    [ $# = 0 ] || cat "$@"
    exit 1
}

missing=()
command -v mpirun.openmpi >/dev/null && command -v mpicc.openmpi >/dev/null || missing+=(openmpi-bin libopenmpi-dev)
command -v mpirun.mpich >/dev/null && command -v mpicc.mpich >/dev/null || missing+=(mpich libmpich-dev)
compgen -G "/usr/lib/llvm-*/lib/libclang*.so*" >/dev/null || missing+=(libclang-dev)
if [ "${#missing[@]}" != 0 ]; then
    sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo -n)
    say "installing ${missing[*]}"
    if ! { "${sudo[@]}" apt-get update -q && "${sudo[@]}" apt-get install -q -y --no-install-recommends "${missing[@]}"; } >"$logs/apt" 2>&1; then
        tail -n 20 "$logs/apt"
        fail "on Debian, as root: apt-get install ${missing[*]}"
    fi
fi

# The profile of the tests, which have compiled the library before. mpi-sys does not notice that MPICC has changed, so it gets
# a setting of its own for MPICH, which changes little else: then cargo builds it once for each.
build() {
    say "build for $1"
    MPICC=mpicc.$1 cargo build --quiet --profile test -p penalty-mpi --features mpi --example mpi_training "${@:2}" || fail "the build"
    cp "${CARGO_TARGET_DIR:-target}/debug/examples/mpi_training" "$logs/$1"
}
build openmpi
build mpich --config 'profile.test.package.mpi-sys.codegen-units=2'

# Starts a job of so many ranks with these arguments, in the background.
start() {
    local ranks=$1
    shift
    local run=("mpirun.$mpi" -n "$ranks")
    # OpenMPI wants to be asked for more ranks than processors, and by root for anything.
    [ "$mpi" = mpich ] || run+=(--oversubscribe)
    [ "$mpi" = mpich ] || [ "$(id -u)" != 0 ] || run+=(--allow-run-as-root)
    "${run[@]}" "$logs/$mpi" "$@" >"$logs/out" 2>"$logs/err" &
    job=$!
}
# Waits for its end, and gives its status.
end() {
    local status=0
    wait "$job" || status=$?
    job=
    return "$status"
}
# The process of a rank of the job that has just begun.
process_of() {
    local line
    for _ in $(seq 600); do
        line=$(grep -E "^rank $1 of " "$logs/out") && break
        sleep 0.1
    done
    [ -n "$line" ] || fail "no rank $1" "$logs/err"
    echo "${line##* }"
}

hashes=()
for mpi in openmpi mpich; do
    for ranks in 1 2 3 4; do
        start "$ranks" --steps 60
        end || fail "training at $ranks ranks" "$logs/out" "$logs/err"
        grep "test rows are right" "$logs/out"
        hash=$(grep "the same alone" "$logs/out") || fail "no hash at $ranks ranks" "$logs/out"
        say "$mpi, $ranks ranks: $hash"
        hashes+=("$hash")
    done

    few=()
    for ranks in 1 64; do
        start "$ranks" --steps 2 --timeout 120
        end || fail "two steps at $ranks ranks" "$logs/out" "$logs/err"
        few+=("$(grep "the same alone" "$logs/out")")
    done
    [ -n "${few[0]}" ] && [ "${few[0]}" = "${few[1]}" ] || fail "64 ranks have other values than one: ${few[*]}"
    say "$mpi, 64 ranks: ${few[1]}"

    # It must end by itself, long before its steps do, without a result.
    start 4 --steps 100000000 --timeout 60
    killed=$(process_of 2) || exit 1
    kill -KILL "$killed"
    ! end || fail "a job with a killed rank ended well"
    ! grep "the same alone" "$logs/out" || fail "a job with a killed rank has a result" "$logs/out"
    say "$mpi, a killed rank: the job ended with an error and no result"

    start 4 --steps 100000000 --timeout 2
    stopped=$(process_of 1) || exit 1
    echo "$stopped" >"$logs/stopped"
    kill -STOP "$stopped"
    ! end || fail "a job with a stopped rank ended well"
    ! grep "the same alone" "$logs/out" || fail "a job with a stopped rank has a result" "$logs/out"
    for rank in 0 2 3; do
        grep "^rank $rank of 4: expected every rank within 2s" "$logs/err" || fail "rank $rank does not say that one is late" "$logs/err"
    done
    # It ignores the end of its job.
    kill -KILL "$stopped" 2>/dev/null
    rm "$logs/stopped"
    say "$mpi, a stopped rank: all others said so"
done
[ "$(printf '%s\n' "${hashes[@]}" | sort -u | wc -l)" = 1 ] || fail "the values depend on the number of ranks"
say "everything passed"
