#!/usr/bin/env bash
# Every test, on the CPU and on every software driver: Mesa's lavapipe (Vulkan), Mesa's llvmpipe (OpenGL), SwiftShader.
#
# Installs the drivers where it may (Debian, as root or by sudo without a password), else says what to install and runs the
# tests on what there is. PENALTY_REQUIRE_ADAPTER=1 makes a missing driver a failure.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(mesa-vulkan-drivers libvulkan1 libegl1 libgles2 libgl1-mesa-dri chromium)
driver() { compgen -G "$1" | head -n 1 || true; }
find_drivers() {
    lavapipe=$(driver "/usr/share/vulkan/icd.d/lvp_icd.*json")
    swiftshader=$(driver "/usr/lib/chromium/vk_swiftshader_icd.json")
}

find_drivers
if [ -z "$lavapipe" ] || [ -z "$swiftshader" ] || ! ldconfig -p | grep -q libEGL.so.1; then
    sudo=""
    if [ "$(id -u)" != 0 ]; then
        sudo="sudo -n"
    fi
    if command -v apt-get >/dev/null && { [ -z "$sudo" ] || $sudo true 2>/dev/null; }; then
        echo "installing software drivers: ${packages[*]}"
        $sudo apt-get update -q
        $sudo apt-get install -q -y --no-install-recommends "${packages[@]}"
    else
        echo "some software drivers are missing, and cannot be installed from here. On Debian, as root:"
        echo "    apt-get install ${packages[*]}"
    fi
    find_drivers
fi

# Runs tests with one driver: its name, its Vulkan manifest, the text that picks its adapter, what cargo is to test.
on() {
    local name=$1 manifest=$2 adapter=$3
    shift 3
    echo
    echo "== $name: cargo test $*"
    # The older loaders' name of the variable, too.
    VK_DRIVER_FILES=$manifest VK_ICD_FILENAMES=$manifest PENALTY_ADAPTER=$adapter cargo test --quiet "$@"
}

# All but penalty-burn, which is tested apart.
workspace=(--workspace --exclude penalty-burn)
# The tests that need a device. Of the whole workspace, since cargo would build the dependencies anew for a part of it.
devices_on() {
    on "$@" "${workspace[@]}" --test drivers --test family --test weighted --test groups --test device --test sets \
        --test optimizer --test parity
    on "$@" "${workspace[@]}" --lib -- answers_are_right_on_every_adapter
}

missing=0
if [ -n "$lavapipe" ]; then
    on "lavapipe" "$lavapipe" vulkan "${workspace[@]}"
    # Burn's many kernels compile for minutes when optimized, and its tests run for seconds when not.
    on "lavapipe" "$lavapipe" vulkan -p penalty-burn --profile dev
    devices_on "llvmpipe over OpenGL" "" "(Gl,"
else
    on "the drivers that there are" "" "" "${workspace[@]}"
    missing=1
fi
if [ -n "$swiftshader" ]; then
    devices_on "SwiftShader" "$swiftshader" swiftshader
    # Over OpenGL, the checked kernels of users' own penalties compile for minutes.
    on "SwiftShader" "$swiftshader" swiftshader "${workspace[@]}" --test own
else
    echo "SwiftShader: no driver, its tests did not run"
    missing=1
fi
if [ "$missing" = 1 ] && [ "${PENALTY_REQUIRE_ADAPTER:-0}" = 1 ]; then
    echo "a driver is missing, and PENALTY_REQUIRE_ADAPTER=1 asks for all"
    exit 1
fi
