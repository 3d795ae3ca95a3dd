"""Where the page of the simulation is served: said before it is there, so that it must be free when it is said."""

import socket

FIRST, MANY = 8080, 100


def viewer_port(first=FIRST):
    """The first port of this machine, from `first` on, that nobody listens on; OSError when a hundred are taken."""
    for port in range(first, first + MANY):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: a closed one is no hindrance
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"the ports {first} .. {first + MANY - 1} are all taken: end a viewer, or leave out viewer:=")
