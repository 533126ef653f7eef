#!/usr/bin/env python3
"""Prints what the kernel notifies for a list of commands: `# command`, then one line of hex for each message.

Run as: unshare -n python3 capture.py > messages.txt   (root; iproute2)
With the argument `vlans` in a kernel whose bridges filter VLANs, as ../../Integration/uml/boot starts one: > vlans.txt
"""
import socket
import subprocess
import sys

COMMANDS = """
ip link add br0 type bridge
ip link set br0 up
ip link add vx type vxlan id 100 local 192.0.2.1 dstport 4789 ttl 64 nolearning
ip link set vx alias evpnd:vni=100
ip link set vx master br0
bridge link set dev vx learning off neigh_suppress on
ip link set vx up
bridge fdb replace 02:00:00:00:00:0a dev vx dst 192.0.2.2 self master extern_learn
bridge fdb replace 02:00:00:00:00:0b dev vx dst 192.0.2.3 vni 200 self extern_learn
bridge fdb append 00:00:00:00:00:00 dev vx dst 192.0.2.2
bridge fdb add 02:00:00:00:00:0c dev vx master static sticky
bridge fdb del 02:00:00:00:00:0a dev vx self
ip neigh replace 10.0.0.1 lladdr 02:00:00:00:00:0a dev br0 nud noarp extern_learn protocol 211
ip neigh replace 2001:db8::1 lladdr 02:00:00:00:00:0a dev br0 nud reachable router
ip neigh del 10.0.0.1 dev br0
ip addr add 10.0.0.254/24 dev br0
ip link add v6 type vxlan id 300 local 2001:db8::1 dstport 4790 learning
ip link del vx
""".strip().splitlines()

VLAN_COMMANDS = """
ip link add br0 type bridge vlan_filtering 1 vlan_default_pvid 0
ip link add vx type vxlan external local 192.0.2.1 dstport 4789 nolearning
ip link set vx master br0
bridge link set dev vx vlan_tunnel on learning off
bridge vlan add dev vx vid 10-12
bridge vlan add dev vx vid 10-12 tunnel_info id 22001-22003
bridge vlan add dev vx vid 20 pvid untagged
bridge fdb replace 02:00:00:00:00:0a dev vx vlan 10 dst 192.0.2.2 src_vni 22001 self master extern_learn
bridge vlan del dev vx vid 11
ip link add link br0 name br0.10 type vlan id 10
""".strip().splitlines()

if sys.argv[1:] == ["vlans"]:
    COMMANDS = VLAN_COMMANDS

listener = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
listener.bind((0, 0))
for group in (1, 3, 5, 9, 33):
    listener.setsockopt(270, 1, group)
listener.settimeout(0.3)
for command in COMMANDS:
    print("#", command)
    subprocess.run(command.split(), check=True)
    while True:
        try:
            print(listener.recv(65536).hex())
        except TimeoutError:
            break
