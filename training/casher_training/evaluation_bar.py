"""How far an evaluation is: the episodes that are done, their successes, the time that is left."""

from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


@contextmanager
def evaluation_bar(console, shares):
    """A bar on a rich Console while [Share] are evaluated -> what is called with each share's number and Episodes."""
    columns = [TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f} of {task.total:.0f}")]
    columns += [TextColumn("{task.fields[success]}"), TimeElapsedColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("episodes", total=sum(share.worlds for share in shares), success="")
        good, of = 0, 0

        def done(_, episodes):
            nonlocal good, of
            good, of = good + int(episodes.success.sum()), of + len(episodes.success)
            bar.update(task, completed=of, success=f"success {good / of:.0%}")

        yield done
