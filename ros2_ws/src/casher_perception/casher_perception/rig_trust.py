"""Whether a rig's calibration may be evaluated on: passed, recent, of these cameras and of this kitchen."""

import dataclasses
from datetime import date

MAX_AGE_DAYS = 30
WORDS = {"failed": "accept-failed", "stale": "accept-stale", "mismatched": "accept-mismatched"}
"""Doubt -> what a person says to go on all the same."""


def doubts(rig, today, max_age_days=MAX_AGE_DAYS, asked="", real=False):
    """Keys of WORDS -> what is wrong, in words; empty for a calibration to rely on and for a simulated one.

    today: datetime.date; asked: the kitchen's name that led to this rig file, empty for a path. What the rig file does
    not say (serials, kitchen: files of earlier versions) is not compared; with a `real` arm it is itself a doubt.
    """
    calibration = rig.calibration
    if calibration.status == "simulated":
        return {}
    found = {}
    if calibration.status == "failed":
        figures = ", ".join(f"{name} {value:g}" for name, value in calibration.figures.items())
        found["failed"] = f"the calibration {calibration.id!r} failed its check" + (f" ({figures})" if figures else "")
    if stale := _stale(calibration, today, max_age_days):
        found["stale"] = stale
    wrong = [
        f"{name} is {camera.serial}, calibrated was {calibration.serials.get(name, 'none')}"
        for name, camera in rig.cameras.items()
        if calibration.serials and calibration.serials.get(name) != camera.serial
    ]
    if calibration.kitchen and calibration.kitchen != rig.kitchen:
        wrong.append(f"the kitchen is {rig.kitchen!r}, calibrated was {calibration.kitchen!r}")
    if asked and asked != rig.kitchen:
        wrong.append(f"asked for is the kitchen {asked!r}, the rig file is of {rig.kitchen!r}")
    if real and (silent := [name for name in ("serials", "kitchen") if not getattr(calibration, name)]):
        wrong.append(f"the calibration does not say of which {' and '.join(silent)} it is")
    if wrong:
        found["mismatched"] = "; ".join(wrong)
    return found


def words_in(text):
    """What a person said, 'accept-failed,accept-stale' -> the set of doubts accepted; ValueError lists the words."""
    said = {word.strip() for word in text.split(",") if word.strip()}
    unknown = sorted(said - set(WORDS.values()))
    if unknown:
        raise ValueError(f"unknown {', '.join(unknown)} in {text!r}: known are {', '.join(WORDS.values())}")
    return {doubt for doubt, word in WORDS.items() if word in said}


def accepted(rig, found):
    """The rig that says a person accepted the doubts `found`: status `accepted`, and the id names them."""
    calibration = rig.calibration
    marked = dataclasses.replace(
        calibration, id=f"{calibration.id} (accepted: {', '.join(sorted(found))})", status="accepted"
    )
    return dataclasses.replace(rig, calibration=marked)


def _stale(calibration, today, max_age_days):
    try:
        made = date.fromisoformat(calibration.date[:10])
    except ValueError:
        return f"its date {calibration.date!r} is not a day like 2026-11-21, so its age is unknown"
    age = (today - made).days
    if age > max_age_days:
        return f"it is {age} days old, at most {max_age_days} are trusted"
    if age < -1:
        return f"it is dated {-age} days ahead of this machine's clock ({today}): set the clock"
    return ""
