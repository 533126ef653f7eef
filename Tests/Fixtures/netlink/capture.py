#!/usr/bin/env python3
"""Prints what the kernel notifies for a list of commands: `# command`, then one line of hex for each message.

Run as: unshare -n python3 capture.py > messages.txt   (root; iproute2)
With the argument `routes`: > routes.txt
With the argument `vlans` in a kernel whose bridges filter VLANs, as ../../Integration/uml/boot starts one: > vlans.txt; and `vrf`,
in a kernel with VRF devices: > vrf.txt
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

ROUTE_COMMANDS = """
ip link set lo up
ip link add br500 type bridge
ip link set br500 up
ip link add p0 type veth peer name p1
ip link set p0 master br500 up
ip link set p1 up
ip addr add 10.20.1.1/24 dev br500
ip addr add 2001:db8:1::1/64 dev br500 nodad
ip nexthop add id 101 via 192.0.2.1 dev br500 onlink proto 211
ip nexthop add id 102 via ::ffff:192.0.2.1 dev br500 onlink proto 211
ip nexthop add id 103 via 2001:db8::2 dev br500 onlink proto 211
ip nexthop add id 110 group 101/103,3 proto 211
ip nexthop add id 111 dev lo proto 211
ip nexthop replace id 110 group 101 proto 211
ip route add 10.20.2.10/32 nhid 101 proto 211 metric 20
ip route add 2001:db8:2::/64 nhid 102 proto 211 metric 1044 table 1000
ip route add 10.30.0.0/16 via 10.20.1.9 dev br500 proto static
ip route add 10.40.0.0/16 via inet6 2001:db8:1::9 dev br500
ip route add 10.50.0.0/16 nexthop via 10.20.1.8 dev br500 weight 2 nexthop via 192.0.2.9 dev br500 onlink
ip route add 2001:db8:3::/48 nexthop via 2001:db8:1::8 dev br500 nexthop via 2001:db8:1::9 dev br500
ip route add blackhole 10.60.0.0/16
ip route add default via 10.20.1.254 dev br500 table 1000
ip route del 10.30.0.0/16
ip nexthop del id 103
""".strip().splitlines()

VRF_COMMANDS = """
ip link add red type vrf table 1001
""".strip().splitlines()

if sys.argv[1:] == ["vlans"]:
    COMMANDS = VLAN_COMMANDS
elif sys.argv[1:] == ["routes"]:
    COMMANDS = ROUTE_COMMANDS
elif sys.argv[1:] == ["vrf"]:
    COMMANDS = VRF_COMMANDS

listener = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
listener.bind((0, 0))
for group in (7, 11, 32) if COMMANDS is ROUTE_COMMANDS else (1, 3, 5, 9, 33):
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
