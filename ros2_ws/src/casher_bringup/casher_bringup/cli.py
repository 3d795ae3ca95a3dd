"""The command `casher <noun> <verb>`. Each subcommand's module is imported only when it is the one called."""

import importlib
import os
import sys

COMMANDS = {
    "eval": ("casher_bringup.eval_command:EvalArgs", "run evaluation episodes, record each as a bag, report"),
    "eval teacher": (
        "casher_training.eval_teacher_command:EvalTeacherArgs",
        "evaluate a teacher in digital twins: success, reasons, films",
    ),
    "eval student": (
        "casher_training.eval_student_command:EvalStudentArgs",
        "evaluate a student in digital twins, in batch: success, reasons, films",
    ),
    "train teacher": (
        "casher_training.train_teacher_command:TrainTeacherArgs",
        "train a teacher on privileged state, from demonstrations",
    ),
    "collect": ("casher_training.collect_command:CollectArgs", "collect what a student learns from: clouds and labels"),
    "train student": (
        "casher_training.train_student_command:TrainStudentArgs",
        "train a student on clouds with a teacher's labels, or on demonstrations",
    ),
    "apparatus": (
        "casher_bringup.apparatus_command:ApparatusArgs",
        "start arm, cameras, fusion and recorder, for demonstrations",
    ),
    "report": ("casher_bringup.report:ReportArgs", "recompute the report of a folder of bags"),
    "policy replay": (
        "casher_bringup.policy_replay_command:ReplayArgs",
        "decide recorded episodes again from their bags, and compare",
    ),
    "bag recover": ("casher_bringup.recover:RecoverArgs", "make a bag readable whose recorder was killed"),
    "twin check": ("casher_sim.twin_check:CheckArgs", "check digital twins: file, meshes, sites, reach"),
    "twin show": ("casher_sim.twin_show:ShowArgs", "show a digital twin in the browser, or as a picture with --png"),
    "kitchens make": ("casher_sim.kitchens_make:MakeArgs", "make procedural kitchens: a folder of digital twins"),
    "scan import": ("casher_sim.scan_import:ImportArgs", "make a digital twin of a scan of a kitchen"),
    "twin export": ("casher_sim.usd_export:ExportArgs", "write a digital twin as USD, for Isaac Sim and Isaac Lab"),
    "demos collect": ("casher_training.demos_collect:CollectArgs", "give demonstrations in the browser, or --expert"),
    "demos list": ("casher_training.demos_list:ListArgs", "list the trajectories in a folder"),
    "demos replay": ("casher_training.demos_replay:ReplayArgs", "draw a trajectory as a film"),
    "demos effort": ("casher_training.demos_effort:EffortArgs", "sum up the ledger of people's time"),
    "data info": ("casher_training.data_info:InfoArgs", "say what folders of trajectories and clouds hold"),
    "data check": ("casher_training.data_check:CheckArgs", "read all trajectories and clouds, name what is damaged"),
    "data export": ("casher_training.data_export:ExportArgs", "write trajectories and clouds as a LeRobot data set"),
    "ready": ("casher_bringup.operator_command:ReadyArgs", "tell the session that the scene is set up"),
    "judge": ("casher_bringup.operator_command:JudgeArgs", "tell the session whether the episode succeeded"),
    "stop": ("casher_bringup.operator_command:StopArgs", "make the arm stand still now"),
    "estop": ("casher_bringup.estop_command:EstopArgs", "a terminal whose every key stops the arm"),
    "recover": ("casher_bringup.operator_command:RecoverArgs", "let the arm move again after a stop or a fault"),
    "calibrate board": ("casher_calibration.board_command:BoardArgs", "the board to print, at true scale"),
    "calibrate collect": ("casher_calibration.collect_command:CollectArgs", "take the samples of a calibration"),
    "calibrate solve": ("casher_calibration.solve_command:SolveArgs", "cameras' poses from a session, or pose pairs"),
    "calibrate touch": ("casher_calibration.touch_command:TouchArgs", "touch corners of the board, for the check"),
    "calibrate check": ("casher_calibration.check_command:CheckArgs", "judge a calibration, write rig and report"),
    "doctor": ("casher_bringup.doctor:DoctorArgs", "check this machine: one line each, ok or what to do"),
}
"""Words of the command -> (module:dataclass of its arguments, what it does)."""

MAINS = {"ready": "ready", "judge": "judge", "stop": "stop", "recover": "recover"}
"""Words of the command -> the module's function that runs it, where it is not `main`."""


def usage(noun=""):
    """What there is, or of it what begins with that word, if anything does."""
    shown = {words: text for words, (_, text) in COMMANDS.items() if words.split()[0] == noun}
    shown = shown or {words: text for words, (_, text) in COMMANDS.items()}
    width = max(map(len, shown))
    lines = [f"  casher {words:<{width}}  {text}" for words, text in shown.items()]
    return "usage: casher COMMAND [ARGUMENTS]; casher COMMAND --help says more\n\n" + "\n".join(lines)


def find(argv):
    """argv -> (the command's words, what follows them), or None when no command starts it.

    Of a command whose word begins others, too, only arguments can follow: a bare word is another command, misspelled.
    """
    for words in sorted(COMMANDS, key=len, reverse=True):
        parts = words.split()
        if argv[: len(parts)] == parts:
            rest = argv[len(parts) :]
            bare = rest and not rest[0].startswith("-") and ":=" not in rest[0]
            return None if bare and any(other.startswith(f"{words} ") for other in COMMANDS) else (words, rest)
    return None


def as_flags(argv):
    """`name:=value`, as launch files take it, means `--name value`."""
    flags = []
    for item in argv:
        name, assigned, value = item.partition(":=")
        if assigned and name.isidentifier():
            # tyro spells a flag that is true --name and one that is false --no-name
            flags += {"true": [f"--{name}"], "false": [f"--no-{name}"]}.get(value.lower(), [f"--{name}", value])
        else:
            flags.append(item)
    return flags


def main(argv=None):
    """Entry point; the exit code is the command's."""
    try:
        code = _run(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("casher: interrupted", file=sys.stderr)
        return 130
    return code


def _run(argv):
    if not argv or argv[0] in ("-h", "--help"):
        print(usage())
        return 0
    found = find(argv)
    if found is None:
        nouns = {words.split()[0] for words in COMMANDS}
        if argv[0] in nouns and argv[1:] in (["-h"], ["--help"]):
            print(usage(argv[0]))
            return 0
        print(f"casher: unknown command '{' '.join(argv[:2])}'\n\n{usage(argv[0])}", file=sys.stderr)
        return 2
    words, rest = found
    import tyro

    module_name, class_name = COMMANDS[words][0].split(":")
    module = importlib.import_module(module_name)
    args = tyro.cli(getattr(module, class_name), args=as_flags(rest), prog=f"casher {words}")
    return getattr(module, MAINS.get(words, "main"))(args)


if __name__ == "__main__":
    sys.exit(main())
