#!/usr/bin/env python3
"""A replica that keeps the network busy: it answers each message with one to its neighbour.

All replicas together keep `TOKENS` messages each on their way, in a ring, as fast as they can.
"""

import os
import socket
import sys

TOKENS = 64
PAYLOAD_BYTES = 200


def main():
    own, *others = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    neighbour = min((other for other in others if other > own), default=min(others))
    head = f'{{"src":"{own}","dst":"{neighbour}","leader":"0000","type":"volley","x":"'
    message = (head + "y" * PAYLOAD_BYTES + '"}').encode()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as network:
        network.connect(os.path.join(".", own))
        for _ in range(TOKENS):
            network.send(message)
        while network.recv(1024):
            network.send(message)


if __name__ == "__main__":
    main()
