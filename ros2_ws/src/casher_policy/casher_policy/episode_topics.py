"""What the bag of an episode holds, by topic."""

EPISODE_TOPIC = "/casher/episode"
"""The episode's record, first and last in its bag; the recorder writes it."""
CLOUD_TOPIC = "/casher/points"
STEP_TOPIC = "/casher/policy_step"
STATE_TOPIC = "/casher/robot_state"
DIAGNOSTICS_TOPIC = "/diagnostics"
TRUTH_TOPIC = "/sim/state"
"""Of the simulator alone."""
EPISODE_TOPICS = (
    *(CLOUD_TOPIC, STEP_TOPIC, STATE_TOPIC, "/casher/tcp_pose", "/joint_states"),
    *("/tf_static", DIAGNOSTICS_TOPIC, TRUTH_TOPIC),
)
"""What was seen, decided and done, and the truth where there is one."""
_STREAMS = ("color/camera_info", "color/image_raw", "aligned_depth_to_color/image_raw")


def image_topics(cameras):
    """Names of cameras -> the topics of their images."""
    return [f"/{camera}/{stream}" for camera in cameras for stream in _STREAMS]
