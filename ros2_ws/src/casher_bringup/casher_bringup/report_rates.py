"""Rates of success on the report's page: bars with their intervals, and the evaluation over several kitchens."""

from html import escape

from casher_policy.task import TASKS


def bar(rate):
    """A rate's interval as a band, the rate itself as a mark."""
    low, high = (100 * bound for bound in rate["wilson"])
    mark = "" if rate["rate"] is None else f'<i style="left:{100 * rate["rate"]:.2f}%"></i>'
    return f'<div class=bar><span style="left:{low:.2f}%;width:{high - low:.2f}%"></span>{mark}</div>'


def span(bounds):
    """An interval in words."""
    return f"{bounds[0]:.0%}–{bounds[1]:.0%}"


def row(label, rate, kind=""):
    """One line: name, band, numbers; kind: a CSS class."""
    numbers = f"<b>{rate['successes']}/{rate['trials']}</b>"
    return (
        f'<div class="rate {kind}"><span>{escape(label)}</span>{bar(rate)}<span class=num>{numbers} '
        f"<small>{span(rate['wilson'])} [{span(rate['clopper_pearson'])}]</small></span></div>"
    )


def score(rate, confidence):
    """The number people look for, large."""
    share = "no trials yet" if rate["rate"] is None else f"{rate['rate']:.0%} of trials succeeded"
    return (
        f"<div class=score><div class=big>{rate['successes']}<i>/</i>{rate['trials']}</div>"
        f"<div class=grow><p>{share}</p>{bar(rate)}"
        f"<p class=dim>{confidence:.0%} intervals: Wilson {span(rate['wilson'])}, "
        f"Clopper–Pearson {span(rate['clopper_pearson'])}</p></div></div>"
    )


def over_kitchens(total, confidence):
    """One of report_summary's over_kitchens -> HTML."""
    task = TASKS.get(total["task"])
    what = task.sentence if task else total["task"]
    kitchens = total["by_kitchen"]
    rows = [row(name, rate) for name, rate in kitchens.items()]
    rows += [row(f"{name}, all", rate, "total") for name, rate in total["by_object"].items()]
    return (
        f"<header><h1>{escape(what[:1].upper() + what[1:])}</h1><p>{len(kitchens)} kitchens · robot "
        f"<b>{escape(total['robot'])}</b> · policy <b>{escape(total['policy'])}</b></p></header>"
        f"<section class=hero>{score(total['success'], confidence)}</section>"
        f"<section><h2>By kitchen</h2><div class=rates>{''.join(rows)}</div><p class=dim>Each kitchen is an evaluation "
        "of its own, further down. The intervals of the total take its episodes for independent; those in one kitchen "
        "are not quite.</p></section>"
    )
