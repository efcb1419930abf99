"""A slow cable: carries frames between two interfaces, late, unevenly, not all of them.

    far.py ONE OTHER

Each line of standard input, "DELAY JITTER LOSS" (ms, ms, per cent, each way), holds from then on.
What the kernel knows of a frame (its checksum, its segments) goes with it: PACKET_VNET_HDR.
"""

import heapq
import random
import select
import socket
import sys
import time

SOL_PACKET, PACKET_VNET_HDR, ETH_P_ALL = 263, 15, 3


def port(name):
    it = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    it.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    it.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    it.bind((name, 0))
    it.setblocking(False)
    return it


def main():
    one, other = port(sys.argv[1]), port(sys.argv[2])
    draw = random.Random(7)
    delay = jitter = loss = 0.0
    waiting, count, last = [], 0, {one: 0.0, other: 0.0}
    print("ready", flush=True)
    while True:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, to, frame = heapq.heappop(waiting)
            try:
                to.send(frame)
            except OSError:
                pass  # a full queue or a cable that is out loses frames
        wait = max(waiting[0][0] - now, 0) if waiting else None
        for ready in select.select([one, other, sys.stdin], [], [], wait)[0]:
            if ready is sys.stdin:
                line = sys.stdin.readline()
                if not line:
                    return
                delay, jitter, loss = (float(part) for part in line.split())
                continue
            while True:
                try:
                    frame, whence = ready.recvfrom(1 << 17)
                except OSError:
                    break
                if whence[2] == socket.PACKET_OUTGOING or draw.random() * 100 < loss:
                    continue
                at = time.monotonic() + (delay + jitter * draw.random()) / 1000
                last[ready] = at = max(at, last[ready])  # in order, as on a cable
                count += 1
                heapq.heappush(waiting, (at, count, other if ready is one else one, frame))


main()
