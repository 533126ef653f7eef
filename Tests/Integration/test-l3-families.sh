# All four combinations of tenants' prefixes and VTEPs, IPv4 and IPv6, between two evpnd: symmetric IRB from host to host and prefix
# routes (RFC 9136), the session in the family of the VTEPs. Tenants are network namespaces, so every kernel will do.
. "$(dirname "$0")/lib.sh"
. "$here/tenant.sh"

down() {
    local i ns pid
    for i in 1 2; do
        pid=$(cat "$T/v$i.pid")
        kill -9 "$pid"
        wait "$pid" 2>/dev/null || true
        rm -rf "$T/v$i.pid" "$T/v$i.state" "$T/v$i.sock"
        # A deleted namespace lives on for a while, and with it the other end of its port.
        ip -n "$P-core" link delete "to-v$i"
        for ns in v t h; do ip netns delete "$P-$ns$i"; done
    done
}

# Numbers of nexthop objects depend on what was there first.
via() { # PREFIX NEXT-HOP : the kernel's route of tenant 1 is by way of the other router
    local family=-4
    [[ $1 != *:* ]] || family=-6
    ip -n "$P-t1" "$family" route show "$1" proto 211 | grep -E " via $2 dev br500 .*onlink" >/dev/null || {
        ip -n "$P-t1" "$family" route show "$1" >&2
        fail "over IPv$underlay: $1 is not by way of $2"
    }
}
kernel() { # NEXT-HOP-OF-IPV4 NEXT-HOP-OF-IPV6
    local peer
    peer=$(vtep_address 2)
    via 10.20.2.10 "$1"
    via 10.30.2.0/24 "$1"
    via 2001:db8:20:2::10 "$2"
    via 2001:db8:30:2::/64 "$2"
    ip -n "$P-t1" -6 neigh show dev br500 | grep "^$2 lladdr 02:98:00:00:00:02 .*extern_learn" >/dev/null || {
        ip -n "$P-t1" -6 neigh show dev br500 >&2
        fail "no router $2"
    }
    bridge -n "$P-t1" fdb show dev vxlan500 | grep "^02:98:00:00:00:02 dst $peer " >/dev/null || fail "the router is not behind $peer"
    ctl v1 show neighbors --json | jq -e --arg peer "$peer" 'map(select(.state == "established") | .address) == [$peer]' >/dev/null \
        || fail "no session with $peer"
    await 15 "nothing left to do over IPv$underlay" settled v1
}
mtu() { # UNDERLAY LESS : those of managed devices
    local vni got
    for vni in 101 500; do
        got=$(ip -n "$P-t1" -j link show dev "vxlan$vni" | jq '.[0].mtu')
        [ "$got" = $(($1 - $2)) ] || fail "over IPv$underlay: MTU $got of vxlan$vni"
    done
}

core
for underlay in 4 6; do
    evpnd_vtep 1 2
    evpnd_vtep 2 1
    traffic "over IPv$underlay"
    if [ $underlay = 4 ]; then
        kernel 10.98.0.2 fe80::ffff:a62:2
        mtu 9000 50
    else
        kernel 'inet6 fe80::a80e:d451:476:d453' fe80::a80e:d451:476:d453
        mtu 9000 70
        # Outside: IPv6 with a checksum, which receivers insist on by themselves.
        [ -n "$(captured 'vxlan.vni == 500 and ipv6.src == 2001:db8:98::1 and ipv6.dst == 2001:db8:98::2' vxlan.vni)" ] \
            || fail 'no IPv6 outside'
        [ -z "$(captured 'udp.checksum == 0' vxlan.vni)" ] || fail 'UDP without a checksum'
    fi
    down
done
