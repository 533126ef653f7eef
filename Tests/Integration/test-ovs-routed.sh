# Three hosts behind Open vSwitch, layer 3: gateways, hosts of different subnets, prefixes of clients and the longest of them, hops, and two
# VTEPs that share the connections to one prefix.
. "$(dirname "$0")/lib.sh"
. "$here/tenant.sh"
. "$here/ovs.sh"
core
# Besides what tenant.sh has: VNI 100 with a host on VTEP 1 and 2, and routed clients e2 and e3 that have the same prefixes in part.
# VRF services of VTEP 1, with the routed client l1, and the tenants see something of each other.
vrf_keys='leak: [{from: services, prefixes: [10.70.0.0/16 le 32, "2001:db8:70::/48 le 128"]}]' \
    vrfs='{name: services, vni: 599, routerMAC: "02:98:00:00:00:01", leak: [{from: ten, prefixes: [10.20.0.0/16 le 32, "2001:db8:20::/44 le 128"]}]}' \
    ovs_vtep 1 2 3 <<'C'
  - {vni: 100, port: sp, mac: "02:00:00:00:50:01", addresses: [10.50.0.11, "2001:db8:50::11"]}
  - {cfg_type: l3, vni: 599, port: lp, mac: "02:00:00:00:70:01", routes: [10.70.0.0/24, "2001:db8:70::/64"]}
C
vrf_keys='routeTargets: {import: [65000:500, 65000:599]}' ovs_vtep 2 1 3 <<'C'
  - {vni: 100, port: sp, mac: "02:00:00:00:50:02", addresses: [10.50.0.12, "2001:db8:50::12"]}
  - {cfg_type: l3, vni: 500, port: ep, mac: "02:00:00:00:60:02", routes: [10.60.0.0/16, "2001:db8:60::/48"]}
C
ovs_vtep 3 1 2 <<'C'
  - {cfg_type: l3, vni: 500, port: ep, mac: "02:00:00:00:60:03", routes: [10.60.7.0/24, "2001:db8:60:7::/64"]}
C
for i in 1 2; do
    ovs_host s$i v$i sp 10.50.0.1$i/24 02:00:00:00:50:0$i
    ip -n "$P-s$i" address add 2001:db8:50::1$i/64 dev eth0 nodad
    ip -n "$P-s$i" route add default via 10.50.0.1
    ip -n "$P-s$i" -6 route add default via 2001:db8:50::1
    ports v$i sp
done
for i in 2 3; do
    routed_host e$i v$i ep 02:00:00:00:60:0$i 10.60.0.0/16 2001:db8:60::/48
    # As sender of UDP it has to be an address of the host.
    ip -n "$P-e$i" address add 2001:db8:60::9/128 dev lo
    ports v$i ep
done
routed_host l1 v1 lp 02:00:00:00:70:01 10.70.0.0/24 2001:db8:70::/64
ports v1 lp
for i in 1 2 3; do await 20 "sessions of v$i" established v$i 2; done
traffic 'Open vSwitch'
for i in 1 2; do
    await 10 "services that are leaked, from VTEP $i" pings h$i 10.70.0.1
    await 15 "the same over IPv6" pings h$i 2001:db8:70::1
    echoes l1 10.20.$i.10 || fail "the services do not reach host $i"
done
! pings l1 10.30.1.1 >&2 || fail 'what is not leaked is reached'
rest v1 v2 v3

# Gateways: their MAC address, their answer, also to those of other subnets.
answered() { # HOST ADDRESS TTL [OPTION…] : the echo has this TTL
    on "$1" ping -c 1 -W 3 "${@:4}" "$2" | grep "ttl=$3 " >/dev/null
}
for address in 10.20.1.1 2001:db8:20:1::1; do answered h1 $address 64 || fail "the gateway $address"; done
for address in 10.50.0.1 2001:db8:50::1; do echoes h1 $address || fail "the gateway of another subnet, $address"; done
gateway=02:65:0a:62:00:01
ip -n "$P-h1" neigh show 10.20.1.1 | grep "lladdr $gateway" >/dev/null || fail 'ARP for the gateway'
ip -n "$P-h1" neigh show 2001:db8:20:1::1 | grep "lladdr $gateway router" >/dev/null || fail 'neighbor discovery for the gateway'
ip -n "$P-s2" neigh show 10.50.0.1 | grep . && fail 's2 has asked already'
answered s2 10.50.0.1 64 || fail 'the gateway that is on three VTEPs'
ip -n "$P-s2" neigh show 10.50.0.1 | grep 'lladdr 02:00:5e:00:01:01' >/dev/null || fail 'ARP for a gateway with a MAC of its own'

# Hops: none within a subnet, one from subnet to subnet of one VTEP, two between VTEPs.
for family in 4 6; do
    case $family in
    4) near=10.50.0.11 there=10.50.0.12 far=10.20.2.10 ;;
    6) near=2001:db8:50::11 there=2001:db8:50::12 far=2001:db8:20:2::10 ;;
    esac
    await 15 'bridged' answered s1 $there 64
    await 15 'routed by one VTEP' answered h1 $near 63
    await 15 'routed by two' answered h1 $there 62
    await 15 'and back' answered s2 $far 63
    ! answered h1 $far 62 -t 2 || fail 'a packet whose hops were over arrived'
    answered h1 $far 62 -t 3 || fail 'a packet with just enough hops'
done
! pings h1 203.0.113.1 >&2 || fail 'an answer from nowhere'

# Prefixes of clients, the longest first, with the routers' MAC addresses on the wire.
sniff core
wire() { # VTEP ADDRESS : a ping to the address goes to this VTEP
    await 15 "a ping to $2" pings h1 "$2"
    local from=10.20.1.10
    [[ $2 != *:* ]] || from=2001:db8:20:1::10
    await 15 "$2 is reached through VTEP $1" sniffed core "10.98.0.1 > 10.98.0.$1 500 02:98:00:00:00:01 > 02:98:00:00:00:0$1 $from > $2 ttl 63"
}
wire 2 10.60.6.1
wire 3 10.60.7.1
wire 2 2001:db8:60:6::1
wire 3 2001:db8:60:7::1

# One prefix behind two VTEPs: both get connections; when it is gone from one, those of the other one stay, and when it is back, all are
# where they were.
for i in 2 3; do
    ip netns exec "$P-e$i" python3 "$here/flows.py" serve e$i 7777 >"$T/e$i.log" 2>&1 &
    echo $! >"$T/e$i.pid"
done
who() { on h1 python3 "$here/flows.py" ask "$1" 7777 60 >"$T/$2.$family"; } # ADDRESS FILE
each() { # FILE : sets `count` to the connections that e3 has
    ! grep -q - "$T/$1.$family" || fail "connections without an answer: $(grep -c - "$T/$1.$family")"
    count=$(grep -c e3 "$T/$1.$family") || true
}
change() { # FROM TO : the prefixes of e3
    sed -i "s#$1#$2#" "$T/v3.yaml"
    ctl v3 reload >/dev/null
}
paths() { ctl v1 show prefixes --json | jq -e "[.[] | select(.prefix == \"10.60.0.0/16\" or .prefix == \"2001:db8:60::/48\") | .next_hops | length] == [$1, $1]"; }
change '10.60.7.0/24, "2001:db8:60:7::/64"' '10.60.0.0/16, "2001:db8:60::/48"'
await 15 'two paths' paths 2
rest v1 v2 v3
for family in 4 6; do
    target=$([ $family = 4 ] && echo 10.60.0.9 || echo 2001:db8:60::9)
    listens() { who $target shared && ! grep -q - "$T/shared.$family"; }
    await 30 'the servers answer' listens
    each shared
    echo "IPv$family: $count of 60 connections are those of VTEP 3"
    [ "$count" -ge 15 ] && [ "$count" -le 45 ] || fail 'the connections are not spread'
done
change '10.60.0.0/16, "2001:db8:60::/48"' '10.60.7.0/24, "2001:db8:60:7::/64"'
await 15 'one path' paths 1
rest v1 v2 v3
for family in 4 6; do
    target=$([ $family = 4 ] && echo 10.60.0.9 || echo 2001:db8:60::9)
    who $target alone
    each alone
    [ "$count" = 0 ] || fail 'VTEP 3 has connections that are not its own any more'
done
change '10.60.7.0/24, "2001:db8:60:7::/64"' '10.60.0.0/16, "2001:db8:60::/48"'
await 15 'two paths again' paths 2
rest v1 v2 v3
for family in 4 6; do
    target=$([ $family = 4 ] && echo 10.60.0.9 || echo 2001:db8:60::9)
    who $target again
    diff "$T/shared.$family" "$T/again.$family" || fail 'connections are not where they were'
done
rest v1 v2 v3
