"""What `casher eval` shows while episodes run: a line for each that ended, and on a terminal a bar with the ETA."""

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

STYLES = {"success": "green", "failure": "red", "fault": "bold red", "aborted": "yellow"}


class Progress:
    """Call begin, step ..., end for every episode, then close."""

    def __init__(self, episodes, stream):
        self.episodes = episodes
        self.successes = 0
        self.trials = 0
        self.kitchen = ""
        self.console = Console(file=stream, highlight=False, soft_wrap=True)
        self.bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self.console,
        )
        self.task = self.bar.add_task("starting", total=episodes)
        if self.console.is_terminal:
            self.bar.start()

    def begin(self, index, object_name, side, kitchen=""):
        """kitchen: its name where there are several."""
        if kitchen != self.kitchen:
            self.kitchen = kitchen
            self.console.print(f"  {escape(kitchen)}", style="bold")
        self.label = f"{index + 1:3d}/{self.episodes}  {object_name:<6} {side:<5}"
        self.phase = ""
        self.bar.update(self.task, description=self.label)

    def step(self, phase, step, action_name):
        self.bar.update(self.task, description=f"{self.label}  {escape(phase)} {step or ''} {action_name}")
        if phase.startswith(("place", "waiting")) and phase != self.phase:
            self.console.print(f"      {escape(phase)}", style="bold")  # the operator's turn
        self.phase = phase

    def end(self, episode):
        """casher_policy.episode.Episode that has ended."""
        self.successes += episode.outcome == "success"
        self.trials += episode.counts
        outcome = str(episode.outcome)
        dropped = f"  [red]{episode.messages_dropped} messages dropped[/red]" if episode.messages_dropped else ""
        self.console.print(
            f"{self.label}  [{STYLES.get(outcome, '')}]{outcome:<8}[/]{episode.steps:4d} steps "
            f"{episode.duration_s:6.1f} s   {self.successes}/{self.trials} succeeded{dropped}"
        )
        if episode.reason:
            self.console.print(f"           {escape(episode.reason)}", style="dim")
        self.bar.advance(self.task)

    def note(self, text):
        self.console.print(escape(text), style="yellow")

    def close(self):
        self.bar.stop()
