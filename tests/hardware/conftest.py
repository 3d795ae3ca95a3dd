"""Arms for a whole file of tests; rigs.py makes them."""

import pytest
from rigs import VERSION, opened, served


@pytest.fixture(scope="module", params=["fr3", "panda", "fr3 in franky-sim"])
def any_rig(request):
    """An arm at home, shared by a file."""
    if request.param in VERSION:
        with served(request.param) as rig:
            yield rig
    else:
        with opened("fr3", request.getfixturevalue("fr3_host")) as rig:
            yield rig


@pytest.fixture(scope="module", params=list(VERSION))
def module_rig(request):
    """An arm at home with a robot that faults can be done to, shared by a file."""
    with served(request.param) as rig:
        yield rig


@pytest.fixture
def rig(module_rig):
    """`module_rig`, fit to move again afterwards."""
    yield module_rig
    module_rig.robot.inject("revive")
    module_rig.robot.inject("release")
    module_rig.robot.inject("patience", seconds=1.0)
    module_rig.robot.inject("object", width=None)
    module_rig.arm.recover()
    module_rig.arm.home()
