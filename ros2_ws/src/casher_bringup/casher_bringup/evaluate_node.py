"""Asks the session for one episode after the other and says how they went; its end is the end of the run."""

import sys
from dataclasses import dataclass
from pathlib import Path

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.action import ActionClient
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node

from casher_bringup.progress import Progress
from casher_bringup.schedule import schedule
from casher_msgs.action import RunEpisode
from casher_perception.parameters import declare
from casher_perception.spinning import Spinning, init_node_process
from casher_policy.asking import Asker
from casher_policy.conversions import episode_from_message
from casher_policy.episode import Outcome

START_TIMEOUT_S = 60.0
MAX_FAULTS_IN_A_ROW = 2
"""A fault of the apparatus that repeats will not go away by itself."""
FAULT_EXIT = 3


@dataclass(frozen=True)
class EvaluateConfig:
    """Parameters of the evaluate node."""

    episodes: int = 10
    """How many to run."""
    objects: tuple = ("mug",)
    """Taken in turn."""
    sides: tuple = ("left", "right")
    """Taken in turn."""
    seed: int = 0
    """Of the first episode."""
    twins: tuple = ("",)
    """Folders of digital twins, one after the other; simulator only. Empty: the kitchen the simulator began in."""


class EvaluateNode(Node):
    """Client of /casher/run_episode."""

    def __init__(self, **kwargs):
        super().__init__("evaluate", **kwargs)
        self.config = declare(self, EvaluateConfig)
        group = MutuallyExclusiveCallbackGroup()
        self.client = ActionClient(self, RunEpisode, "/casher/run_episode", callback_group=group)
        self.asker = Asker(self, group)
        self.warned, self.progress = False, None
        alone = MutuallyExclusiveCallbackGroup()
        self.create_subscription(DiagnosticArray, "/diagnostics", self.on_diagnostics, 10, callback_group=alone)

    def on_diagnostics(self, message):
        """Say once that a camera has moved: nothing corrects it, and only a person can calibrate again."""
        for status in message.status:
            if status.name == "drift" and status.level == DiagnosticStatus.ERROR and self.progress and not self.warned:
                self.warned = True
                self.progress.note(f"{status.message}: the calibration no longer holds, `casher calibrate` again")

    def run(self, progress):
        """All episodes -> exit code."""
        self.progress = progress
        if not self.client.wait_for_server(START_TIMEOUT_S):
            self.get_logger().error("no session node offers /casher/run_episode")
            return 1
        faults = in_a_row = 0
        config = self.config
        plan = schedule(config.episodes, config.objects, config.sides, config.seed, config.twins)
        for index, (twin, name, side, seed) in enumerate(plan):
            progress.begin(index, name, side, Path(twin).name)
            goal = RunEpisode.Goal(index=index, object=name, side=side, seed=seed, twin=twin)
            episode = self.episode(goal, progress)
            progress.end(episode)
            fault = episode.outcome == Outcome.FAULT
            faults += fault
            in_a_row = in_a_row + 1 if fault else 0
            if in_a_row == MAX_FAULTS_IN_A_ROW and index + 1 < len(plan):
                progress.note(f"{in_a_row} faults in a row: the remaining {len(plan) - index - 1} episodes are not run")
                break
        return FAULT_EXIT if faults else 0

    def episode(self, goal, progress):
        def on_feedback(message):
            progress.step(message.feedback.phase, message.feedback.step, message.feedback.action_name)

        handle = self.asker.result_of(
            lambda: self.client.send_goal_async(goal, on_feedback), START_TIMEOUT_S, "the session"
        )
        if not handle.accepted:
            raise RuntimeError("the session refused the episode: is another one running?")
        ending = self.asker.ask(handle.get_result_async)
        return episode_from_message(ending.result().result.episode)


def main():
    init_node_process()
    node = EvaluateNode()
    executor = MultiThreadedExecutor(num_threads=2)
    executor.add_node(node)
    spinning = Spinning(executor, lambda error: node.get_logger().error(f"{error!r}"))
    code = 130
    progress = Progress(node.config.episodes, sys.stdout)
    try:
        code = node.run(progress)
    except KeyboardInterrupt:
        pass
    finally:
        progress.close()
        spinning.stop()
        rclpy.try_shutdown()
    sys.exit(code)


if __name__ == "__main__":
    main()
