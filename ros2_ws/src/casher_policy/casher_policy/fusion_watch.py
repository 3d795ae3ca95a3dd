"""Why no cloud came, from what fusion last said about its cameras."""

FUSION = "fusion"
"""Name of the diagnostic in which fusion says whether the cameras' clouds fit together."""
PREFIX = f"{FUSION}: "
"""Of the names of fusion's other diagnostics, before the camera's."""


class FusionWatch:
    """Keeps fusion's latest word on each camera and on itself."""

    def __init__(self):
        self._cameras = {}
        self._fusion = False, "", 0

    def heard(self, name, wrong, message, now_ns):
        """A diagnostic status came at now_ns: its name, whether its level is not OK, its message. Others are
        ignored."""
        if name.startswith(PREFIX):
            self._cameras[name] = wrong, message, now_ns
        elif name == FUSION:
            self._fusion = wrong, message, now_ns

    def why(self, gate, after_ns, waited_s):
        """The fault when no cloud later than after_ns came in waited_s [s]: (name, detail).

        gate: the FreshGate of the clouds. Fusion's word counts only when it was given after after_ns.
        """
        heard = [(wrong, message) for wrong, message, at_ns in self._cameras.values() if at_ns > after_ns]
        silent = [message for wrong, message in heard if wrong]
        if silent:
            return "camera_silent", "; ".join(silent)
        waited = f"no fused cloud from after the arm settled within {waited_s:g} s"
        apart, message, at_ns = self._fusion
        if apart and at_ns > after_ns:
            return "no_cloud", f"{waited}: {message}"
        if gate.ahead_s > 0:
            return (
                "no_cloud",
                f"{waited}: clouds are stamped {gate.ahead_s:.3f} s in the future; set the cameras' clock",
            )
        if not heard:
            return "no_cloud", f"{waited}, nor word from the fusion node: is it running?"
        if gate.newest_ns is None:
            return "no_cloud", f"{waited} although every camera sends: are their stamps close enough in time?"
        behind_s = (after_ns - gate.newest_ns) * 1e-9
        return "no_cloud", f"{waited} although every camera sends: the newest is {behind_s:.1f} s older than that"
