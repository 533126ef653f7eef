"""sniff.py [INTERFACE] : says what every VXLAN packet there carries, a line each: VNI, inner MACs, inner addresses, inner TTL.

    500 02:99:00:00:00:01 > 02:99:00:00:00:02 10.20.1.10 > 10.20.2.10 ttl 63
    101 02:20:00:00:00:01 > ff:ff:ff:ff:ff:ff arp 10.20.1.10 asks for 10.20.1.1

Without an interface: of every packet that comes in by one named to-…, with the VTEPs in front.

    10.98.0.1 > 10.98.0.2 100 02:20:00:00:00:01 > 02:20:00:00:00:02 10.20.0.1 > 10.20.0.2 ttl 64
"""
import ipaddress
import socket
import struct
import sys


def mac(octets):
    return ':'.join(f'{octet:02x}' for octet in octets)


def addresses(kind, packet):
    """The rest after the header, the addresses, the TTL; None for what is no IP."""
    if kind == 0x0800 and len(packet) >= 20:
        return packet[(packet[0] & 15) * 4:], packet[12:16], packet[16:20], packet[8], packet[9]
    if kind == 0x86DD and len(packet) >= 40:
        return packet[40:], packet[8:24], packet[24:40], packet[7], packet[6]
    return None


def told(frame):
    """What is said of the packet, and its VTEPs; None for what is no VXLAN."""
    outer = addresses(struct.unpack('>H', frame[12:14])[0], frame[14:])
    if not outer or outer[4] != socket.IPPROTO_UDP or struct.unpack('>H', outer[0][2:4])[0] != 4789:
        return None
    vxlan = outer[0][8:]
    inner = vxlan[8:]
    return said(struct.unpack('>I', vxlan[4:8])[0] >> 8, inner), pair(outer)


def pair(packet):
    return f'{ipaddress.ip_address(packet[1])} > {ipaddress.ip_address(packet[2])}'


def said(vni, inner):
    macs = f'{vni} {mac(inner[6:12])} > {mac(inner[:6])}'
    if inner[12:14] == b'\x08\x06' and len(inner) >= 42:
        sender, target = (ipaddress.ip_address(inner[at:at + 4]) for at in (28, 38))
        return f'{macs} arp {sender} {"asks for" if inner[21] == 1 else "answers"} {target}'
    ip = addresses(struct.unpack('>H', inner[12:14])[0], inner[14:])
    return f'{macs} {pair(ip)} ttl {ip[3]}' if ip else f'{macs} type {inner[12:14].hex()}'


sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
everywhere = len(sys.argv) < 2
if not everywhere:
    sniffer.bind((sys.argv[1], 0))
print('ready', flush=True)
while True:
    frame, (interface, _, kind, *_) = sniffer.recvfrom(65535)
    if everywhere and (kind == socket.PACKET_OUTGOING or not interface.startswith('to-')):
        continue
    seen = told(frame)
    if seen:
        print(f'{seen[1]} {seen[0]}' if everywhere else seen[0], flush=True)
