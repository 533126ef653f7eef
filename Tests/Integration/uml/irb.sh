# Sourced by the cases of layer 3: two VTEPs in one VRF, each of FRR or of evpnd, with what hangs on them.
#
#     ha1 10.20.1.10 -- VNI 101 -- v1 ==== L3 VNI 500 ==== v2 -- VNI 102 -- 10.20.2.10 ha2
#     hb1 10.30.0.11 ------------------ VNI 100 ------------------------- 10.30.0.12 hb2
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
modprobe vrf
gateway_mac=02:00:5e:00:01:01

tenant() { # NAME NODE PORT MAC GATEWAY4 GATEWAY6 ADDRESS/LENGTH… : a host with default routes
    ip netns add "$P-$1"
    {
        echo "link add $3 mtu 1400 type veth peer name eth0 netns $P-$1 address $4 mtu 1400"
        echo "link set $3 up"
    } | ip -n "$P-$2" -b -
    {
        echo 'link set lo up'
        for address in "${@:7}"; do echo "address add $address dev eth0$([[ $address == *:* ]] && echo ' nodad')"; done
        echo 'link set eth0 up'
        echo "route add default via $5"
        echo "route add default via $6"
    } | ip -n "$P-$1" -b -
}
greet() { # NUMBER : who talks to its gateway is known to it
    await 20 "the gateway of ha$1" pings ha$1 10.20.$1.1
    await 20 "the IPv6 gateway of ha$1" pings ha$1 fd20:0:0:$1::1
    await 20 "the gateway of hb$1" pings hb$1 10.30.0.1
    await 20 "the IPv6 gateway of hb$1" pings hb$1 fd30::1
}
remote_routes() { # NUMBER : those that other VTEPs have told of, a line each, also for several next hops
    local protocol=211
    [ "${roles[$1]}" != frr ] || protocol=bgp
    ip -n "$P-v$1" route show vrf ten proto $protocol >"$T/routes"
    ip -n "$P-v$1" -6 route show vrf ten proto $protocol >>"$T/routes"
    # Paths of a route follow it, indented. The IPv6 next hops of evpnd are written as the VTEPs that they stand for.
    awk '/^[^\t ]/ {printf "%s%s", separator, $0; separator = "\n"} /^[\t ]/ {printf " %s", $0} END {print ""}' "$T/routes" | sed 's/fe80::ffff:a63:/10.99.0./g'
}
has_route() { remote_routes "$1" | grep -E -- "$2"; } # NUMBER PATTERN
lacks_route() { ! has_route "$@"; }
tenants() { # NUMBER : the hosts of VTEP vNUMBER
    tenant ha$1 v$1 pa 02:20:00:00:00:0$1 10.20.$1.1 fd20:0:0:$1::1 10.20.$1.10/24 fd20:0:0:$1::10/64
    tenant hb$1 v$1 pb 02:30:00:00:00:0$1 10.30.0.1 fd30::1 10.30.0.1$1/24 fd30::1$1/64
}
sites() { # ROLE… : a VTEP for each, with its hosts
    roles=(- "$@") peers=$(seq -s ' ' $#)
    core
    local i
    for i in $peers; do
        node v$i 10.99.0.$i/24
        tenants $i
    done
}
router_mac() { echo 02:99:00:00:00:0${1#v}; }

# The devices of a VTEP as an operator makes them, with the VRF's routes in table 1000.
hand_made() { # NUMBER
    local i=$1 vni
    {
        echo 'link add ten type vrf table 1000'
        echo 'link set ten up'
        for vni in 100 10$i 500; do
            echo "link add br$vni type bridge forward_delay 0"
            echo "link add vx$vni type vxlan id $vni dstport 4789 local 10.99.0.$i nolearning"
            echo "link set vx$vni master br$vni addrgenmode none"
            echo "link set vx$vni type bridge_slave learning off neigh_suppress on"
            echo "link set br$vni master ten"
        done
        echo "link set br100 address $gateway_mac addrgenmode none"
        echo "link set br500 address $(router_mac v$i) addrgenmode none"
        for vni in 100 10$i 500; do
            echo "link set vx$vni up"
            echo "link set br$vni up"
        done
        echo "address add 10.20.$i.1/24 dev br10$i"
        echo "address add fd20:0:0:$i::1/64 dev br10$i nodad"
        echo 'address add 10.30.0.1/24 dev br100'
        echo 'address add fd30::1/64 dev br100 nodad'
        # Without one the kernel asks nobody for the neighbor that a forwarded packet is for.
        echo 'address add fe80::1/64 dev br100 nodad'
        echo "link set pa master br10$i"
        echo 'link set pb master br100'
    } | ip -n "$P-v$i" -b -
    on v$i sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
}
frr_vtep() { # NUMBER
    local i=$1
    hand_made $i
    cat >"$T/v$i.conf" <<C
ip prefix-list over4 permit 172.16.2$i.0/24
ipv6 prefix-list over6 permit fd16:2$i::/64
route-map over permit 1
 match ip address prefix-list over4
 set evpn gateway-ip ipv4 10.30.0.1$i
route-map over permit 2
 match ipv6 address prefix-list over6
 set evpn gateway-ip ipv6 fd30::1$i
route-map over permit 3
vrf ten
 vni 500
exit-vrf
router bgp 65000
 bgp router-id 10.99.0.$i
 no bgp default ipv4-unicast
 neighbor F peer-group
 neighbor F remote-as 65000
 neighbor F timers connect 1
$(for j in $peers; do [ $j = $i ] || echo " neighbor 10.99.0.$j peer-group F"; done)
 address-family l2vpn evpn
  neighbor F activate
  advertise-all-vni
  enable-resolve-overlay-index
 exit-address-family
router bgp 65000 vrf ten
 bgp router-id 10.99.0.$i
 address-family ipv4 unicast
  redistribute connected
  redistribute kernel metric 0
 exit-address-family
 address-family ipv6 unicast
  redistribute connected
  redistribute kernel metric 0
 exit-address-family
 address-family l2vpn evpn
  advertise ipv4 unicast route-map over
  advertise ipv6 unicast route-map over
 exit-address-family
C
    start_frr v$i
}

wire() { # FROM TO LINE… : a ping, and every line was on the wire of v1, which is sniffed
    on "$1" ping -c 2 -W 10 -i 0.2 -q "$2" >/dev/null || fail "no ping from $1 to $2"
    for line in "${@:3}"; do await 15 "on the wire: $line" sniffed v1 "$line"; done
}
stream() { # HOST ADDRESS COUNT : in the background, a packet each 10 ms
    ip netns exec "$P-$1" ping -i 0.01 -c "$3" "$2" >"$T/stream.$2" 2>&1 &
    echo $! >"$T/stream.$2.pid"
}
lost() { # ADDRESS : sets `count` when the stream is over
    wait "$(cat "$T/stream.$1.pid")" || true
    rm "$T/stream.$1.pid"
    count=$(unanswered "$T/stream.$1") || fail "no stream to $1"
}

# An evpnd VTEP: everything is made by the daemon, with the VRF's routes in the table that it chooses. `members`: the ports in VNI 100.
evpnd_vtep() { # NUMBER [LINES-OF-VRFS]
    local i=$1 others=()
    for j in $peers; do [ $j = $i ] || others+=(10.99.0.$j); done
    configure_vtep v$i 10.99.0.$i "${others[@]}" <<C
vrfs:
  - {name: ten, vni: 500, managed: true, routerMAC: "$(router_mac v$i)", announce: {connected: true, static: true, gatewayIP: true}}
${2:-}
vnis:
  - {vni: 100, managed: true, vrf: ten, gateway: [10.30.0.1/24, "fd30::1/64"], gatewayMAC: "$gateway_mac", members: [${members:-pb}]}
  - {vni: 10$i, managed: true, vrf: ten, gateway: [10.20.$i.1/24, "fd20:0:0:$i::1/64"], gatewayMAC: "$gateway_mac", members: [pa]}
C
    start_evpnd v$i
}
