#!/usr/bin/env python3
"""extract.py CAPTURE ADDRESS: prints the BGP messages that ADDRESS sent, one hex line each, in order, each only once.

The capture is a classic pcap of Ethernet frames; TCP streams are put together by sequence number."""
import socket, struct, sys

path, source = sys.argv[1], socket.inet_aton(sys.argv[2])
data = open(path, 'rb').read()
order = '<' if data[:4] in (b'\xd4\xc3\xb2\xa1', b'\x4d\x3c\xb2\xa1') else '>'
streams, offset = {}, 24
while offset + 16 <= len(data):
    _, _, length, _ = struct.unpack_from(order + 'IIII', data, offset)
    frame = data[offset + 16:offset + 16 + length]
    offset += 16 + length
    if frame[12:14] != b'\x08\x00' or frame[23] != 6 or frame[26:30] != source:
        continue
    header = (frame[14] & 15) * 4
    total = struct.unpack_from('>H', frame, 16)[0]
    tcp = frame[14 + header:14 + total]
    sport, dport, sequence = struct.unpack_from('>HHI', tcp)
    payload, flags = tcp[(tcp[12] >> 4) * 4:], tcp[13]
    if 179 not in (sport, dport):
        continue
    key = (frame[30:34], sport, dport)
    if flags & 2:
        streams[key] = [sequence + 1 & 0xffffffff, {}]
    if payload and key in streams:
        streams[key][1].setdefault(sequence - streams[key][0] & 0xffffffff, payload)
printed = set()
for _, segments in streams.values():
    octets = bytearray()
    for at in sorted(segments):
        if at > len(octets):
            break
        octets[at:] = segments[at][:] if at + len(segments[at]) > len(octets) else octets[at:]
    at = 0
    while at + 19 <= len(octets) and octets[at:at + 16] == b'\xff' * 16:
        length = struct.unpack_from('>H', octets, at + 16)[0]
        if length < 19 or at + length > len(octets):
            break
        message = octets[at:at + length].hex()
        at += length
        if message not in printed:
            printed.add(message)
            print(message)
