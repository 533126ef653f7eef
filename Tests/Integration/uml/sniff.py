"""sniff.py INTERFACE : says what every VXLAN packet there carries, a line each: VNI, inner MACs, inner addresses, inner TTL.

    500 02:99:00:00:00:01 > 02:99:00:00:00:02 10.20.1.10 > 10.20.2.10 ttl 63
    101 02:20:00:00:00:01 > ff:ff:ff:ff:ff:ff arp 10.20.1.10 asks for 10.20.1.1
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
    outer = addresses(struct.unpack('>H', frame[12:14])[0], frame[14:])
    if not outer or outer[4] != socket.IPPROTO_UDP or struct.unpack('>H', outer[0][2:4])[0] != 4789:
        return None
    vxlan = outer[0][8:]
    inner = vxlan[8:]
    if inner[12:14] == b'\x08\x06' and len(inner) >= 42:
        sender, target = (ipaddress.ip_address(inner[at:at + 4]) for at in (28, 38))
        return (f'{struct.unpack(">I", vxlan[4:8])[0] >> 8} {mac(inner[6:12])} > {mac(inner[:6])} '
                f'arp {sender} {"asks for" if inner[21] == 1 else "answers"} {target}')
    ip = addresses(struct.unpack('>H', inner[12:14])[0], inner[14:])
    if not ip:
        return None
    return (f'{struct.unpack(">I", vxlan[4:8])[0] >> 8} {mac(inner[6:12])} > {mac(inner[:6])} '
            f'{ipaddress.ip_address(ip[1])} > {ipaddress.ip_address(ip[2])} ttl {ip[3]}')


sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
sniffer.bind((sys.argv[1], 0))
print('ready', flush=True)
while True:
    line = told(sniffer.recv(65535))
    if line:
        print(line, flush=True)
