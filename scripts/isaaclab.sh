#!/usr/bin/env bash
# Isaac Lab 3 with Newton, in an environment of its own, against MuJoCo: the expert's first 20 actions (docs/isaac.md).
# The environment takes 8 GB and is made once; nothing of it is needed for anything else.
#
#   ISAACLAB_VENV     where it goes (default .venv-isaaclab)
#   ISAACLAB_PYTHON   Python 3.12 to make it with (default: python3.12, or pyenv's)
#   ACTIONS           how many actions are compared (default 20)
#   CASHER_VENV       the project's environment (default .venv), which MuJoCo's side runs in
set -euo pipefail
cd "$(dirname "$0")/.."

VENV=${ISAACLAB_VENV:-.venv-isaaclab}
MAIN=${CASHER_VENV:-.venv}
OUT=build/isaaclab
ISAACLAB=3.0.0 FRANKY_SIM=1.0.4
NEEDED_GB=12

say() { printf 'isaaclab: %s\n' "$*"; }
fail() { printf 'isaaclab: %s\n' "$*" >&2; exit 1; }

# A ROS prefix on the library path brings libraries that Isaac Lab's own would meet.
unset LD_LIBRARY_PATH _ROS_WHEELS_BOOTSTRAP_COMPLETE PYTHONPATH

python312() {
    local candidate
    for candidate in "${ISAACLAB_PYTHON:-}" python3.12 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.12*/bin/python; do
        [ -n "$candidate" ] && "$candidate" -c 'import sys, venv; sys.exit(sys.version_info[:2] != (3, 12))' 2>/dev/null &&
            printf '%s' "$candidate" && return
    done
    fail "Isaac Lab $ISAACLAB has wheels for Python 3.12 only, and there is none: install it ('apt-get install python3.12 \
python3.12-venv' on Ubuntu 24.04, 'pyenv install 3.12' elsewhere) or set ISAACLAB_PYTHON"
}

if [ ! -f "$VENV/.ready-$ISAACLAB" ]; then
    PYTHON=$(python312)
    free=$(df --output=avail -BG "$(dirname "$(realpath -m "$VENV")")" | tail -n 1 | tr -dc 0-9)
    [ "$free" -ge "$NEEDED_GB" ] || fail "$VENV needs $NEEDED_GB GB, $free GB are free: set ISAACLAB_VENV to a larger disk"
    say "installing Isaac Lab $ISAACLAB into $VENV (8 GB, some minutes)"
    "$PYTHON" -m venv "$VENV"
    "$VENV/bin/pip" install -q --disable-pip-version-check "isaaclab==$ISAACLAB"
    # without its needs: the versions of MuJoCo and Pinocchio are Isaac Lab's
    "$VENV/bin/pip" install -q --disable-pip-version-check --no-deps "franky-sim==$FRANKY_SIM"
    touch "$VENV/.ready-$ISAACLAB"
fi

[ -x "$MAIN/bin/python" ] || fail "no environment $MAIN: run 'make setup'"
mkdir -p "$OUT"
"$MAIN/bin/python" -m casher_sim.engine_reference "$OUT"
say "the same in Isaac Lab (its first run compiles kernels for some minutes)"
PYTHONPATH=$(printf '%s:' "$PWD"/ros2_ws/src/casher_{perception,policy,franka,sim}) \
    "$VENV/bin/python" -m casher_sim.isaac_agreement "$OUT" --actions "${ACTIONS:-20}"
