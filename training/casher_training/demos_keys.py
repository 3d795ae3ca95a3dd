"""Which key does what. The letters W A S D Q E and the arrows are viser's own: they move the view."""

from casher_policy.action import Action

ACTIONS = {
    "I": (Action.PLUS_X, "away"),
    "K": (Action.MINUS_X, "towards you"),
    "J": (Action.PLUS_Y, "left"),
    "L": (Action.MINUS_Y, "right"),
    "U": (Action.PLUS_Z, "up"),
    "O": (Action.MINUS_Z, "down"),
    "R": (Action.PLUS_RX, "tilt sideways +"),
    "F": (Action.MINUS_RX, "tilt sideways -"),
    "T": (Action.PLUS_RY, "tilt forward +"),
    "G": (Action.MINUS_RY, "tilt forward -"),
    "Y": (Action.PLUS_RZ, "turn +"),
    "H": (Action.MINUS_RZ, "turn -"),
    "N": (Action.OPEN, "the hand"),
    "M": (Action.CLOSE, "the hand"),
}
"""Key -> action, what it does for someone who stands behind the robot."""
UNDO, SAVE, DISCARD, NEXT, STOP, HOME, RECOVER = "undo", "save", "discard", "next", "stop", "home", "recover"
COMMANDS = {
    "Z": (UNDO, "undo the last action"),
    "enter": (SAVE, "save this demonstration"),
    "X": (DISCARD, "discard it, same scene again"),
    "C": (NEXT, "discard it, another scene"),
}
ROBOT_COMMANDS = {
    "enter": (SAVE, "it succeeded: save it"),
    "X": (DISCARD, "it failed: discard it"),
    "B": (HOME, "arm to its start pose, a new episode"),
    "V": (RECOVER, "let the arm move again"),
    "space": (STOP, "STOP the arm"),
}
"""An action of a real arm cannot be taken back."""


def key_of(action):
    """The key that does an Action."""
    return next(key for key, (of_key, _) in ACTIONS.items() if of_key == action)


def commands_of(robot):
    """{key: (command, what it does)} for 'sim' or a real arm."""
    return COMMANDS if robot == "sim" else ROBOT_COMMANDS
