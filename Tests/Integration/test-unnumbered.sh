# Sessions by interface over links with nothing but link-local addresses: evpnd with FRR and evpnd with evpnd, found by router
# advertisements. VTEPs are on loopbacks. Then trouble: a flap, another address of the peer, an interface that is made anew.
# BESIDE
. "$(dirname "$0")/lib.sh"
router() { # NAME VTEP
    ip netns add "$P-$1"
    ip -n "$P-$1" link set lo up
    ip -n "$P-$1" address add "$2/32" dev lo
    # Whoever sends advertisements is a router: the kernel is not to make default routes of those it hears.
    ip netns exec "$P-$1" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
}
cable() { # NODE PORT NODE PORT
    ip link add "$2" netns "$P-$1" mtu 9000 type veth peer name "$4" netns "$P-$3" mtu 9000
    ip -n "$P-$1" link set "$2" up
    ip -n "$P-$3" link set "$4" up
}
linklocal() { ip -n "$P-$1" -6 -o address show dev "$2" scope link -tentative | awk '{print $4}' | cut -d/ -f1; }
router ev 10.9.0.1
router frr 10.9.0.2
router ev2 10.9.0.3
cable ev to-frr frr to-ev
vxlan frr 100 10.9.0.2
host a frr pa 10.0.0.2/24 02:00:00:00:00:02
ip -n "$P-frr" link set pa master br100
host b ev pb 10.0.0.1/24 02:00:00:00:00:01
host c ev2 pc 10.0.0.3/24 02:00:00:00:00:03
cat >"$T/frr.conf" <<C
router bgp 65002
 bgp router-id 10.9.0.2
 no bgp ebgp-requires-policy
 no bgp network import-check
 neighbor to-ev interface remote-as external
 neighbor to-ev timers connect 1
 address-family ipv4 unicast
  network 10.9.0.2/32
 exit-address-family
 address-family ipv6 unicast
  network 2001:db8:2::/48
  neighbor to-ev activate
 exit-address-family
 address-family l2vpn evpn
  neighbor to-ev activate
  advertise-all-vni
 exit-address-family
C
for i in 1 3; do
    name=ev$([ $i = 1 ] || echo 2)
    cat >"$T/$name.yaml" <<C
node: {vtep: 10.9.0.$i}
bgp:
  global: {asn: 6500$i, routerID: 10.9.0.$i, families: [ipv4-unicast, ipv6-unicast, l2vpn-evpn]}
  peerGroups:
    - config: {peerGroupName: uplinks, peerAsn: external}
      timers: {config: {connectRetry: 1}}
  neighbors:
$([ $i = 1 ] && echo '    - config: {neighborInterface: to-frr, peerGroup: uplinks}')
    - config: {neighborInterface: to-ev$([ $i = 3 ] || echo 2), peerGroup: uplinks}
  netlinkImport: {enabled: true, interfaceList: [lo]}
  netlinkExport: {enabled: true, rules: [{name: underlay}]}
vnis: [{vni: 100, managed: true, members: [p$([ $i = 1 ] && echo b || echo c)]}]
C
done
start_frr frr
start_evpnd ev
state() { ctl "$1" show neighbors --json | jq -re ".[] | select(.name == \"$2\") | $3"; }
up() { state "$1" "$2" '.state == "established"' | grep true; }
await 20 'a session with FRR by interface' up ev to-frr
[ "$(state ev to-frr .address)" = "$(linklocal frr to-ev)" ] || fail 'not the address of FRR'
[ "$(state ev to-frr .asn)" = 65002 ] || fail 'not the AS of FRR'
frr frr 'show bgp l2vpn evpn summary' | grep 65001 >/dev/null || fail 'FRR has no EVPN session'
frr frr 'show bgp neighbors to-ev' | grep 'Extended nexthop.*advertised and received\|Address Family IPv4 Unicast: advertised and received' >/dev/null ||
    fail 'extended next hop was not negotiated'

# The interface to the other evpnd does not exist yet.
state ev to-ev2 .last_error | grep -q 'there is no interface to-ev2' || fail 'no word about the missing interface'
ctl ev show neighbors | grep -q 'to-ev2: there is no interface' || fail 'the table does not say why'
cable ev to-ev2 ev2 to-ev
waiting() { state ev to-ev2 .last_error | grep 'no router advertisement heard on to-ev2 yet'; }
await 10 'nobody is heard yet' waiting
start_evpnd ev2
await 20 'a session with the other evpnd' up ev to-ev2
await 15 'the other end too' up ev2 to-ev

# FRR's prefixes of both families, with link-local next hops (RFC 8950).
received() { ctl ev show routes --type "$1" --json | jq -e ".[] | select(.route | contains(\"$2\")) | .next_hop | startswith(\"fe80\")"; }
await 10 'an IPv4 prefix with an IPv6 next hop' received ipv4 10.9.0.2
await 15 'an IPv6 prefix with a link-local next hop' received ipv6 2001:db8:2
# They go on to the other evpnd, with our own link-local address.
passed() { ctl ev2 show routes --type "$1" --json | jq -e ".[] | select(.route | contains(\"$2\")) | .next_hop == \"$(linklocal ev to-ev2)\""; }
await 15 'the prefix is passed on' passed ipv4 10.9.0.2
await 15 'the IPv6 prefix is passed on' passed ipv6 2001:db8:2

# Nobody has written a route to a VTEP: each announces its loopback, and puts those of the others into its kernel.
leads() { # NODE PREFIX GATEWAY PORT
    ip -n "$P-$1" $([[ $2 == *:* ]] && echo -6) route show "$2" proto bgp | grep -q "via.* $3 dev $4"
}
await 10 'a route to the VTEP of FRR' leads ev 10.9.0.2 "$(linklocal frr to-ev)" to-frr
await 15 'an IPv6 route by FRR' leads ev 2001:db8:2::/48 "$(linklocal frr to-ev)" to-frr
await 15 'a route to the VTEP of the other evpnd' leads ev 10.9.0.3 "$(linklocal ev2 to-ev)" to-ev2
await 15 'the other evpnd reaches FRR' leads ev2 10.9.0.2 "$(linklocal ev to-ev2)" to-ev
await 10 'FRR reaches evpnd' leads frr 10.9.0.1 "$(linklocal ev to-frr)" to-ev
await 20 'ping between evpnd and FRR' pings b 10.0.0.2
await 20 'ping from behind FRR' pings a 10.0.0.1
await 20 'ping between evpnd and evpnd' pings b 10.0.0.3
await 10 'the VTEP stays the next hop of EVPN' ctl ev explain mac 02:00:00:00:00:03
remote() { on ev bridge fdb show dev vxlan100 | grep "$1.* dst $2"; }
await 15 'an entry for the host behind the other evpnd' remote 02:00:00:00:00:03 10.9.0.3

# A flap ends the session at once, and it comes back.
sessions() { [ "$(state "$1" "$2" .sessions)" -ge "$3" ] && up "$1" "$2"; }
ip -n "$P-ev" link set to-frr down
down() { state ev to-frr '.state != "established"' | grep true; }
await 15 'the session falls with its interface' down
unrouted() { ! ip -n "$P-ev" route show 10.9.0.2 | grep .; }
await 15 'no route to FRR' unrouted
state ev to-frr .last_error | grep -q 'to-frr is down or has no carrier' || fail 'no word about the interface'
ip -n "$P-ev" link set to-frr up
await 20 'the session is back after the flap' sessions ev to-frr 2

# FRR's end gets another link-local address.
old=$(linklocal frr to-ev)
ip -n "$P-frr" address add fe80::2222/64 dev to-ev nodad
ip -n "$P-frr" address delete "$old/64" dev to-ev
moved() { [ "$(state ev to-frr .address)" = fe80::2222 ] && up ev to-frr; }
await 60 'the session follows the address of FRR' moved

# Our own end gets another one, and then the whole interface is made anew.
old=$(linklocal ev to-ev2)
ip -n "$P-ev" address add fe80::1111/64 dev to-ev2 nodad
ip -n "$P-ev" address delete "$old/64" dev to-ev2
followed() { [ "$(state ev2 to-ev .address)" = fe80::1111 ] && up ev2 to-ev; }
await 40 'the session follows our own address' followed
ip -n "$P-ev" link delete to-ev2
gone() { state ev to-ev2 .last_error | grep 'there is no interface to-ev2'; }
await 10 'the interface is gone' gone
cable ev to-ev2 ev2 to-ev
await 30 'a session over the interface made anew' up ev to-ev2

before=$(state ev to-frr .sessions)
ctl ev neighbor clear to-frr >/dev/null
await 20 'a neighbor is cleared by its interface' sessions ev to-frr $((before + 1))

# FRR starts anew, with yet another address.
for f in /var/run/frr/"$P-frr"/*.pid; do stop "$f"; done
ip -n "$P-frr" address add fe80::3333/64 dev to-ev nodad
ip -n "$P-frr" address delete fe80::2222/64 dev to-ev
start_frr frr
restarted() { [ "$(state ev to-frr .address)" = fe80::3333 ] && up ev to-frr; }
await 30 'FRR is found again after a start with another address' restarted
await 10 'the route to FRR follows' leads ev 10.9.0.2 fe80::3333 to-frr
await 20 'ping between evpnd and the new FRR' pings b 10.0.0.2

# Without CAP_NET_RAW nobody can be found, which is said.
stop_evpnd ev2
ip netns exec "$P-ev2" setpriv --bounding-set -net_raw --inh-caps -net_raw "$build/evpnd" --config "$T/ev2.yaml" \
    --socket "$T/ev2.sock" --state-dir "$T/ev2.state" >>"$T/ev2.log" 2>&1 &
echo $! >"$T/ev2.pid"
told() { ctl ev2 show status | grep CAP_NET_RAW; }
await 10 'the missing capability is named' told
