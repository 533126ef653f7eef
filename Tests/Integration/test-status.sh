# What `show status` and `explain` say when everything looks well and nothing arrives: hosts with one AS behind a switch, a VTEP address that
# is not there, members that are missing or too large, a reload that waits for the next start.
. "$(dirname "$0")/lib.sh"
core
node sw 10.99.0.1/24
cat >"$T/sw.conf" <<C
router bgp 65001
 bgp router-id 10.99.0.1
 no bgp default ipv4-unicast
 no bgp ebgp-requires-policy
 neighbor 10.99.0.2 remote-as 65101
 neighbor 10.99.0.3 remote-as 65101
 address-family l2vpn evpn
  neighbor 10.99.0.2 activate
  neighbor 10.99.0.3 activate
C
start_frr sw
configure() { # NODE VTEP MEMBERS [NAME]
    cat >"$T/$1.yaml" <<C
node: {vtep: $2${4:+, name: $4}}
bgp:
  global: {asn: 65101}
  neighbors: [{config: {neighborAddress: 10.99.0.1, peerAsn: 65001}, timers: {config: {connectRetry: 1}}}]
vnis: [{vni: 100, managed: true, members: [$3]}]
C
}
for i in 2 3; do
    node v$i 10.99.0.$i/24
    host h$i v$i p$i 10.0.0.$i/24 02:00:00:00:00:0$i
done
configure v2 10.99.0.2 'p2, tap9'
configure v3 10.99.0.33 p3
for i in 2 3; do
    start_evpnd v$i
    await 20 "the session of v$i" established v$i
    await 10 "the gateway of h$i is flooded" eval '! pings h'$i' 10.0.0.99'
done
says() { ctl "$1" show status | grep -E -- "$2"; }
explains() { { ctl v2 explain "${@:2}" || true; } | grep -E -- "$1"; } # PATTERN WORD…: with a link that is missing it fails
await 20 'routes with our own AS' says v2 'neighbor 10.99.0.1.* cannot be used.*own ASN in AS_PATH'
await 10 'of a MAC' explains 'AS 65101 is also that of the other host' mac 02:00:00:00:00:03
explains '1 route that cannot be used' mac 02:00:00:00:00:03 || fail 'the route is not counted'
explains 'cannot be used' vtep 10.99.0.33 || fail 'of a VTEP'
says v3 'vtep 10.99.0.33.* is on no interface' || fail 'an address that is not there'
! says v2 'vtep 10.99.0.2' >&2 || fail 'an address that is there'
says v2 'vni 100.* waits for tap9' || fail 'a member that is missing'
ip -n "$P-v2" link set p2 mtu 9000
await 15 'a member that is too large' says v2 'member p2 has an MTU of 9000, vxlan100 8950'
ip -n "$P-v2" link set p2 mtu 1500 down
await 15 'a member that is down' says v2 'member p2 is down'

configure v2 10.99.0.2 p2 other
ctl v2 reload | grep 'node.name.*takes effect at the next start' || fail 'the reload does not say what waits'
says v2 'node.name.*next start.*systemctl restart evpnd' || fail 'the status does not say what waits'
configure v2 10.99.0.2 p2
ctl v2 reload | grep 'next start' && fail 'it waits for nothing any more'
! says v2 'next start' >&2 || fail 'it waits for nothing any more'

# A route that cannot be followed: from one network namespace into another.
for name in ten red; do ip netns add "$P-$name"; done
sed -i 's|^vnis: \[|&{vni: 101, managed: true, vrf: ten, gateway: 10.20.1.1/24}, |' "$T/v2.yaml"
cat >>"$T/v2.yaml" <<C
vrfs:
  - {name: ten, vni: 500, managed: true, namespace: $P-ten, announce: {connected: true}}
  - {name: red, vni: 501, managed: true, namespace: $P-red, routeTargets: {import: [65101:500, 65101:501]}}
C
ctl v2 reload >/dev/null
await 15 'a route that waits' says v2 'vrf red.* 10.20.1.0/24 is waiting: .*network namespace'
