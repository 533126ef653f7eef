# The devices of layer 3 belong to the operator on v1: what is announced of its hosts, and what is said, while a bridge is not in the VRF, and
# after the VRF device is gone and made again.
. "$(dirname "$0")/irb.sh"
sites evpnd evpnd
hand_made 1
configure_vtep v1 10.99.0.1 10.99.0.2 <<C
vrfs:
  - {name: ten, vni: 500, announce: {connected: true}}
vnis:
  - {vni: 100, vrf: ten}
  - {vni: 101, vrf: ten}
C
start_evpnd v1
evpnd_vtep 2
for i in 1 2; do greet $i; done
await 20 'ha2 to ha1' pings ha2 10.20.1.10

# The bridge of a subnet leaves the VRF: its hosts are bridged only, and not announced for routing.
routed() { has_route 2 '^10.20.1.10 .*br500'; }
await 10 'v2 routes to ha1' routed
ip -n "$P-v1" link set br101 nomaster
bridged() { ! routed; }
await 10 'v2 does not route to ha1 any more' bridged
await 10 'ha1 still has its gateway' pings ha1 10.20.1.1
announced() { ctl v2 show routes | grep '\[10.20.1.10\]'; }
await 10 'ha1 is announced' announced
bridged || fail 'v2 routes to ha1, which is outside of the VRF'
problem() { ctl v1 show "$1" --json | jq -r '.[] | .problem // empty' | grep -F -- "$2"; }
await 15 'it is said' problem vnis 'br101 is in no VRF'
ip -n "$P-v1" link set br101 master ten
ip -n "$P-v1" address replace fd20:0:0:1::1/64 dev br101 nodad
await 10 'v2 routes to ha1 again, which said nothing' routed

# The VRF device is deleted: that is said, not that it was down on its way.
ip -n "$P-v1" link del ten
await 10 'the VRF' problem vrfs 'no device ten'
await 10 'its VNIs' problem vnis 'VRF ten: no device ten'
down() { problem vnis 'ten is down'; }
down && fail 'a VNI says that the device is down'
ip -n "$P-v1" -b - <<C
link add ten type vrf table 1234
link set ten up
$(for vni in 100 101 500; do echo "link set br$vni master ten"; done)
C
await 20 'ha2 to ha1 in the other table' pings ha2 10.20.1.10
