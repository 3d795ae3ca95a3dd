"""`python -m fci --version 10 --host 127.0.0.5`: a Franka on a loopback address, until standard input ends."""

import argparse

from .faults import Control
from .protocol import PROTOCOLS
from .server import Server


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version", type=int, choices=PROTOCOLS, default=10, help="FCI protocol: 5 Panda, 10 FR3")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--no-hand", action="store_true", help="the settings name no hand: the tcp is the flange")
    parser.add_argument("--patience", type=float, default=1.0, help="[s] a client may take for an answer")
    parser.add_argument("--speed", type=float, default=1.0, help="how much faster than a real robot")
    args = parser.parse_args()
    server = Server(PROTOCOLS[args.version], args.host, not args.no_hand, args.patience, args.speed)
    print("ready", flush=True)
    server.run(Control())


if __name__ == "__main__":
    main()
