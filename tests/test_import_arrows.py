"""The arrows between the rooms: who may import whom, and who may import ROS."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "casher_perception": set(),
    "casher_policy": {"casher_perception"},
    "casher_franka": {"casher_perception", "casher_policy"},
    # The simulator's arm is served by the same ArmServer as the robot's (docs/decisions/0002).
    "casher_sim": {"casher_perception", "casher_policy", "casher_franka"},
    "casher_bringup": {"casher_perception", "casher_policy", "casher_franka", "casher_sim"},
    "casher_training": {"casher_perception", "casher_policy", "casher_sim"},
    "casher_calibration": {"casher_perception", "casher_franka"},
}
ROS = {
    "rclpy", "launch", "launch_ros", "builtin_interfaces", "rcl_interfaces", "diagnostic_msgs", "geometry_msgs",
    "sensor_msgs", "std_msgs", "std_srvs", "tf2_msgs", "casher_msgs", "action_msgs",
}  # fmt: skip
MAY_IMPORT_ROS = ("_node.py", "conversions.py", ".launch.py")


def package_folders():
    found = {path.parent.name: path.parent for path in ROOT.glob("ros2_ws/src/*/*/__init__.py")}
    found |= {path.parent.name: path.parent for path in ROOT.glob("training/*/__init__.py")}
    return found | {path.parent.name: path.parent for path in ROOT.glob("calibration/*/__init__.py")}


def imports(path):
    """(name of the top-level package, whether the import runs when the module is imported) of every import."""
    tree = ast.parse(path.read_text())
    lazy = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [node.module]
        yield from ((name.split(".")[0], id(node) not in lazy) for name in names)


def sources():
    return [(package, path) for package, folder in package_folders().items() for path in sorted(folder.rglob("*.py"))]


def test_every_package_has_its_arrows_listed():
    assert set(package_folders()) == set(MAY_IMPORT)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_along_the_arrows(package):
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for owner, path in sources()
        if owner == package
        for name, _ in imports(path)
        if name in MAY_IMPORT and name != package and name not in MAY_IMPORT[package]
    ]
    assert not wrong


def test_only_nodes_conversions_and_launch_files_import_ros_when_they_are_imported():
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for _, path in sources()
        if not path.name.endswith(MAY_IMPORT_ROS)
        for name, at_once in imports(path)
        if at_once and name in ROS
    ]
    assert not wrong


def test_init_files_are_empty():
    assert [
        path for path in ROOT.glob("**/casher_*/__init__.py") if ".venv" not in str(path) and path.read_text()
    ] == []


def test_package_manifests_name_what_their_sources_import():
    """A missing dependency shows only on somebody else's machine, after rosdep."""
    missing = []
    for package, path in sources():
        manifest = path.parents[1] / "package.xml"
        if not manifest.exists():
            continue
        text = manifest.read_text()
        wanted = {name for name, _ in imports(path)} & (ROS | set(MAY_IMPORT) | {"ament_index_python"})
        wanted -= {package}
        missing += [f"{manifest.relative_to(ROOT)}: {name}" for name in sorted(wanted) if f">{name}<" not in text]
    assert sorted(set(missing)) == []


@pytest.mark.parametrize(
    "module", ["casher_policy.action", "casher_policy.task", "casher_bringup.cli", "casher_policy.policies"]
)
def test_a_light_module_loads_neither_torch_nor_ros_nor_a_simulator(module):
    heavy = {"torch", "rclpy", "mujoco", "open3d", "matplotlib"}
    code = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert loaded == "[]"
