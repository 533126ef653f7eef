#!/usr/bin/env python3
"""peer.py PEER LOCAL : a BGP speaker for AS 65000 that sends each line of standard input, hexadecimal message bodies as TYPE:BODY or
raw:OCTETS, once the session is up; prints NOTIFICATIONs it gets."""
import socket, struct, sys, threading, time
peer, local = sys.argv[1:3]


def message(kind, body):
    return b'\xff' * 16 + struct.pack('>HB', 19 + len(body), kind) + body


s = socket.create_connection((peer, 179), timeout=10, source_address=(local, 0))
s.settimeout(None)
capabilities = b'\x01\x04\0\x19\0\x46' + b'\x41\x04' + struct.pack('>I', 65000)
s.sendall(message(1, struct.pack('>BHH', 4, 65000, 90) + socket.inet_aton(local) + bytes([len(capabilities) + 2, 2, len(capabilities)]) + capabilities))
up = threading.Event()


def read():
    data = b''
    while True:
        chunk = s.recv(65536)
        if not chunk:
            print('closed', flush=True)
            return
        data += chunk
        while len(data) >= 19 and len(data) >= struct.unpack('>H', data[16:18])[0]:
            length, kind = struct.unpack('>HB', data[16:19])
            if kind == 1:
                s.sendall(message(4, b''))
            elif kind == 4:
                up.set()
            elif kind == 3:
                print('notification %d/%d' % (data[19], data[20]), flush=True)
            data = data[length:]


threading.Thread(target=read, daemon=True).start()
if not up.wait(60):
    sys.exit('no session')
print('up', flush=True)
for line in sys.stdin:
    kind, body = line.strip().split(':')
    try:
        s.sendall(bytes.fromhex(body) if kind == 'raw' else message(int(kind), bytes.fromhex(body)))
    except OSError:
        break
while True:
    time.sleep(5)
    try:
        s.sendall(message(4, b''))
    except OSError:
        break
