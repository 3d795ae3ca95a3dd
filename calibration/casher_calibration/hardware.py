"""The real arm and the real cameras, opened by name. Their client libraries are imported only here."""

from casher_calibration.collector import CollectError
from casher_perception.sources import open_source

DYNAMICS = 0.1
"""Fraction of the arm's highest speed: a person stands beside it."""
SOURCE = "realsense"


def open_arm(robot, host):
    """'fr3' or 'panda' at an address -> casher_franka.arm.Arm; ArmFault says why not."""
    from casher_franka.franka_config import FrankaConfig

    config = FrankaConfig(host=host, dynamics_factor=DYNAMICS)
    if robot == "fr3":
        from casher_franka.franky_arm import open_arm as connect
    else:
        from casher_franka.panda_arm import open_arm as connect
    return connect(config)


def open_cameras(rig):
    """Rig -> {camera: CameraSource}, all open or none; CollectError says why not."""
    cameras = {}
    try:
        for name, mount in rig.cameras.items():
            cameras[name] = open_source(SOURCE, mount)
    except BaseException as error:
        for camera in cameras.values():
            camera.close()
        if isinstance(error, ValueError):  # every source's way of saying why not
            raise CollectError(str(error)) from error
        raise
    return cameras
