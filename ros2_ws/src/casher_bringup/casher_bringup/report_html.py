"""The report as one self-contained page, for a desk or a phone, by day or by night."""

import base64
from datetime import datetime
from html import escape

from casher_bringup.report_rates import over_kitchens, row, score
from casher_bringup.report_style import ACTION_COLOURS, STYLE
from casher_bringup.report_summary import ALIKE
from casher_policy.task import TASKS

_LABELS = (("calibration_id", "calibration"), ("software", "software"), ("judge", "judged by"))


def page(summary, pictures, time_names):
    """report_summary.summarise(), bag name -> its PNGs, names of the times -> HTML."""
    groups = "".join(_group(group, summary, pictures, time_names) for group in summary["groups"])
    many = ""
    totals = "".join(over_kitchens(total, summary["confidence"]) for total in summary["over_kitchens"])
    if len({tuple(group[name] for name in ALIKE) for group in summary["groups"]}) > 1:
        many = _note(
            f"These bags hold {len(summary['groups'])} different evaluations: robot, policy, checkpoint, or task "
            "differ. They are never counted together."
        )
    title = " · ".join(dict.fromkeys(group["task"] for group in summary["groups"])) or "evaluation"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>"
        f"{many}{totals}{groups}{_problems(summary['problems'])}"
        "<footer>Recomputed from the bags alone by <code>casher report</code>. Bands are Wilson's interval at "
        f"{summary['confidence']:.0%}; Clopper and Pearson's is in brackets. Wide bands mean few trials.</footer>"
        "</main></body></html>\n"
    )


def _group(group, summary, pictures, time_names):
    task = TASKS.get(group["task"])
    what = task.sentence if task else group["task"]
    if summary["over_kitchens"]:
        what = f"{group['kitchen']}: {what}"
    episodes = group["episodes"]
    return (
        f"<header><h1>{escape(what[:1].upper() + what[1:])}</h1><p>{escape(_when(episodes))} · "
        f"kitchen <b>{escape(group['kitchen'])}</b> · robot <b>{escape(group['robot'])}</b> · "
        f"policy <b>{escape(group['policy'])}</b></p></header>"
        f"{_hero(group, summary['confidence'])}"
        f"<section><h2>By object and side</h2>{_breakdown(group)}</section>"
        f"<section><h2>Times of a step</h2>{_times(group['times'], time_names)}</section>"
        f"<section><h2>Episodes</h2>{_legend(episodes)}<div class=cards>"
        + "".join(_card(episode, pictures.get(episode["bag"], ())) for episode in episodes)
        + f"</div></section><section><h2>Provenance</h2>{_provenance(group)}</section>"
    )


def _hero(group, confidence):
    rate, apart = group["success"], group["not_counted"]
    facts = [
        (
            f"{group['messages_dropped']}",
            f"of {group['messages_recorded']:,} messages dropped",
            group["messages_dropped"],
        ),
        (f"{apart['fault']}", "ended in a fault, not counted as trials", apart["fault"]),
        (f"{apart['aborted']}", "aborted, not counted as trials", apart["aborted"]),
        (f"{group['actions_refused']}", "actions refused by the safety check", group["actions_refused"]),
    ]
    tiles = "".join(
        f'<div class="tile{" warn" if warn else ""}"><b>{value}</b><span>{escape(label)}</span></div>'
        for value, label, warn in facts
    )
    return f"<section class=hero>{score(rate, confidence)}<div class=tiles>{tiles}</div></section>"


def _breakdown(group):
    rows = []
    for name, rate in group["by_object"].items():
        rows.append(row(name, rate))
        rows += [
            row(side, inner, "inner") for side, inner in group["by_object_and_side"][name].items() if inner["trials"]
        ]
    rows += [row(f"{side}, all", rate, "total") for side, rate in group["by_side"].items()]
    return f"<div class=rates>{''.join(rows)}</div>"


def _times(times, names):
    longest = max((times[name]["max"] or 0.0 for name in names), default=0.0) or 1.0
    rows = []
    for name, label in names.items():
        t = times[name]
        if not t["n"]:
            rows.append(f"<tr><th>{escape(label)}</th><td colspan=5 class=dim>not recorded</td></tr>")
            continue
        left, width = 100 * t["p50"] / longest, 100 * (t["p99"] - t["p50"]) / longest
        whisker = (
            f'<td class=wide><div class="bar time"><span style="left:{left:.2f}%;width:{max(width, 0.5):.2f}%"></span>'
            f'<i style="left:{100 * t["max"] / longest:.2f}%"></i></div></td>'
        )
        values = "".join(f"<td>{1e3 * t[q]:.0f}</td>" for q in ("p50", "p90", "p99", "max"))
        rows.append(f"<tr><th>{escape(label)}</th>{values}{whisker}</tr>")
    n = max((times[name]["n"] for name in names), default=0)
    return (
        "<table><thead><tr><th>milliseconds</th><th>p50</th><th>p90</th><th>p99</th><th>max</th>"
        f"<th class=wide>p50 to p99, and the longest</th></tr></thead><tbody>{''.join(rows)}</tbody></table>"
        f"<p class=dim>Over all {n:,} steps, those of episodes that do not count included.</p>"
    )


def _card(episode, pictures):
    outcome = episode["outcome"]
    images = "".join(
        f'<figure><img alt="{alt}" src="data:image/png;base64,{base64.b64encode(data).decode()}">'
        f"<figcaption>{alt}</figcaption></figure>"
        for data, alt in zip(pictures, ("first cloud", "last cloud"), strict=False)
    )
    reason = f"<p class=reason>{escape(episode['reason'])}</p>" if episode["reason"] else ""
    apart = "" if episode["counts"] else " <small>not a trial</small>"
    dropped = f" · <b>{episode['messages_dropped']} messages dropped</b>" if episode["messages_dropped"] else ""
    where = f"{episode['object']}, {episode['side']}".strip(", ")
    return (
        f'<article class="{outcome}"><h3><span class=badge>{outcome}</span> {escape(where)}'
        f"{apart}<small class=index>#{episode['index']}</small></h3>{reason}"
        f"<div class=pictures>{images or '<p class=dim>no cloud was recorded</p>'}</div>{_strip(episode)}"
        f"<p class=dim>{episode['steps']} of {episode['horizon']} actions · {episode['duration_s']:.1f} s · "
        f"seed {episode['seed']}{dropped}<br><code>{escape(episode['bag'])}</code></p></article>"
    )


def _strip(episode):
    """The actions taken, one sliver each, as wide as the horizon so that episodes compare."""
    width = max(episode["horizon"], len(episode["actions"]), 1)
    slivers = "".join(
        f'<rect x="{i}" width="1.02" height="10" fill="{ACTION_COLOURS.get(name, "#888")}">'
        f"<title>{i}: {escape(name)}</title></rect>"
        + (f'<rect x="{i}" y="8" width="1" height="2" fill="#e5484d"/>' if i in episode["refused"] else "")
        for i, name in enumerate(episode["actions"])
    )
    return (
        f'<svg class=strip viewBox="0 0 {width} 10" preserveAspectRatio="none" role=img '
        f'aria-label="{len(episode["actions"])} actions">{slivers}</svg>'
    )


def _legend(episodes):
    used = {name for episode in episodes for name in episode["actions"]}
    items = "".join(
        f'<span><i style="background:{colour}"></i>{escape(name)}</span>'
        for name, colour in ACTION_COLOURS.items()
        if name in used
    )
    refused = any(episode["refused"] for episode in episodes)
    items += '<span><i style="background:#e5484d;height:.3em"></i>refused</span>' if refused else ""
    return f"<p class=legend>{items}</p>"


def _provenance(group):
    rows = [("checkpoint", group["checkpoint_id"] or "none")]
    rows += [(label, ", ".join(group[name]) or "unknown") for name, label in _LABELS]
    rows += [("kitchen", group["kitchen"]), ("task", group["task"])]
    mixed = [label for name, label in _LABELS if len(group[name]) > 1]
    warning = _note(f"More than one {' and '.join(mixed)} within this evaluation.") if mixed else ""
    cells = "".join(f"<dt>{label}</dt><dd><code>{escape(value)}</code></dd>" for label, value in rows)
    if group["drift"]:
        warning += _note(moved(group["drift"]))
    return f"{warning}<dl>{cells}</dl>"


def moved(drift):
    """Alarms of the watch over the calibration, one an episode -> one sentence."""
    return f"a camera had moved in {len(drift)} episodes, last: {drift[-1]}; what they saw was out of place"


def _problems(problems):
    if not problems:
        return ""
    rows = "".join(f"<li><code>{escape(p['bag'])}</code><br>{escape(p['problem'])}</li>" for p in problems)
    return f"<section><h2>Bags that are not in the numbers</h2><ul class=problems>{rows}</ul></section>"


def _note(text):
    return f"<p class=note>{escape(text)}</p>"


def _when(episodes):
    starts = [datetime.fromtimestamp(episode["start_ns"] * 1e-9).astimezone() for episode in episodes]
    first, last = min(starts), max(starts)
    until = f"–{last:%H:%M}" if last.date() == first.date() else f" – {last:%Y-%m-%d %H:%M}"
    return f"{first:%Y-%m-%d %H:%M}{until if last - first else ''}, {len(episodes)} episodes"
