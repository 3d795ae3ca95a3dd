"""A teacher's evaluation as a table."""

from rich.table import Column, Table

_COLUMNS = ("twin", "success", "rate", "95% Wilson", "median steps", "failures")


def table(evaluation):
    """TeacherEvaluation -> rich table: a row for each twin, and one for all."""
    rows = Table(*(Column(name, overflow="fold") for name in _COLUMNS), box=None, pad_edge=False)
    for result in [*evaluation.twins, evaluation.overall]:
        low, high = result.interval
        rows.add_row(
            result.name,
            f"{result.successes}/{result.episodes}",
            f"{result.rate:.0%}",
            f"{low:.0%} .. {high:.0%}",
            "-" if result.median_steps != result.median_steps else f"{result.median_steps:.0f}",
            ", ".join(f"{reason} {count}" for reason, count in result.reasons.items()),
        )
    return rows
