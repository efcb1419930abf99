"""A name server on UDP port 53: each line of standard input, "NAME ADDRESS", holds from then on.

It answers for IPv4; a name without an address there has none, one it was never told is unknown.
"""

import select
import socket
import struct
import sys

A, CLASS_IN, NO_SUCH_NAME, LIFE = 1, 1, 3, 1


def answer(question, known):
    number, _, count, _, _, _ = struct.unpack_from(">6H", question)
    labels, at = [], 12
    while question[at]:
        labels.append(question[at + 1:at + 1 + question[at]])
        at += 1 + question[at]
    kind, _ = struct.unpack_from(">2H", question, at + 1)
    asked = question[12:at + 5]
    address = known.get(b".".join(labels).decode().lower())
    found = b""
    if address and kind == A:
        found = struct.pack(">3HIH", 0xC00C, A, CLASS_IN, LIFE, 4) + socket.inet_aton(address)
    flags = 0x8580 if address else 0x8580 | NO_SUCH_NAME
    return struct.pack(">6H", number, flags, count, 1 if found else 0, 0, 0) + asked + found


def main():
    asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asked.bind(("0.0.0.0", 53))
    known = {}
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([asked, sys.stdin], [], [])
        if sys.stdin in ready:
            line = sys.stdin.readline()
            if not line:
                return
            name, address = line.split()
            known[name] = address
        if asked in ready:
            question, whom = asked.recvfrom(512)
            asked.sendto(answer(question, known), whom)


main()
