"""flows.py serve NAME PORT : answers every datagram with its name, from the address that was asked.
flows.py ask ADDRESS PORT COUNT : prints who answers each of so many flows, which have the same source ports every time; `-`: nobody.
"""
import select
import socket
import sys
import time


def serve(name, port):
    server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    server.bind(('::', port))
    while True:
        _, control, _, peer = server.recvmsg(64, 256)
        server.sendmsg([name.encode()], control, 0, peer)


def ask(address, port, count):
    flows = []
    for number in range(count):
        flow = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET, socket.SOCK_DGRAM)
        flow.bind(('', 20000 + number))
        flow.connect((address, port))
        flow.send(b'who?')
        flows.append(flow)
    answers = ['-'] * count
    end = time.monotonic() + 5
    while '-' in answers and time.monotonic() < end:
        for flow in select.select(flows, [], [], max(0, end - time.monotonic()))[0]:
            answers[flows.index(flow)] = flow.recv(64).decode()
    print(*answers, sep='\n')


if sys.argv[1] == 'serve':
    serve(sys.argv[2], int(sys.argv[3]))
else:
    ask(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
