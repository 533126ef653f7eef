# An FRR reflector, an FRR VTEP and an evpnd VTEP: routes and pings both ways, a MAC that moves, a host that goes.
. "$(dirname "$0")/lib.sh"
core
node rr 10.99.0.1/24
node frr 10.99.0.2/24
node ev 10.99.0.3/24
vxlan frr 100 10.99.0.2
host a frr pa 10.0.0.2/24 02:00:00:00:00:02
ip -n "$P-frr" link set pa master br100
host b ev pb 10.0.0.3/24 02:00:00:00:00:03
cat >"$T/rr.conf" <<C
router bgp 65000
 bgp router-id 10.99.0.1
 no bgp default ipv4-unicast
 neighbor C peer-group
 neighbor C remote-as 65000
 bgp listen range 10.99.0.0/24 peer-group C
 address-family l2vpn evpn
  neighbor C activate
  neighbor C route-reflector-client
 exit-address-family
C
configure_frr_client frr 10.99.0.2
configure_vtep ev 10.99.0.3 10.99.0.1 <<C
vnis: [{vni: 100, managed: true, members: [pb, pm]}]
telemetry: {listen: 127.0.0.1:9474}
C
start_frr rr
start_frr frr
start_evpnd ev
await 20 'session with the FRR reflector' established ev
await 20 'ping from evpnd to FRR' pings b 10.0.0.2
await 15 'ping from FRR to evpnd' pings a 10.0.0.3
# The first pings may have been flooded: the MAC routes follow them.
remote() { frr frr 'show evpn mac vni 100' | grep "$1.*remote.*10.99.0.3"; }
floods() { frr frr 'show evpn vni 100' | grep '10.99.0.3 flood: HER'; }
await 15 'FRR has the remote MAC of evpnd' remote 02:00:00:00:00:03
await 15 'FRR floods to evpnd' floods
await 15 'the chain to the MAC behind FRR is complete' ctl ev explain mac 02:00:00:00:00:02

# The host behind FRR moves to evpnd: same MAC and address, a new port. Its old place, which is silent, ends only then: a MAC that was withdrawn
# first would begin at 0 again.
ip netns exec "$P-a" sysctl -qw net.ipv6.conf.all.disable_ipv6=1
host m ev pm 10.0.0.2/24 02:00:00:00:00:02
# No neighbor discovery of its own accord: it has to be silent when the MAC moves on.
ip netns exec "$P-m" sysctl -qw net.ipv6.conf.all.disable_ipv6=1
moved() { pings m 10.0.0.3 && ctl ev show macs --mac 02:00:00:00:00:02 --json | jq -e '.[0].place == "local" and .[0].sequence >= 1'; }
await 10 'the moved MAC is local, with a sequence number' moved
await 10 'FRR sees the MAC at evpnd' remote 02:00:00:00:00:02
remove_host a

# And it moves back. Only then does the old place end: a MAC that was withdrawn first would begin at 0 again.
host a2 frr pa2 10.0.0.2/24 02:00:00:00:00:02
ip -n "$P-frr" link set pa2 master br100
back() { pings a2 10.0.0.3 && ctl ev show macs --mac 02:00:00:00:00:02 --json | jq -e '.[0].place == "remote" and .[0].sequence >= 2'; }
await 10 'the MAC is back behind FRR' back
remove_host m

# A host that goes is withdrawn.
remove_host a2
gone() { ! on ev bridge fdb show dev vxlan100 | grep 02:00:00:00:00:02; }
await 10 'the withdrawn MAC leaves the FDB' gone
await 15 'a second plan is empty' settled ev
