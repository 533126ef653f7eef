# Three hosts behind Open vSwitch, layer 2: who gets a frame for all, and what goes between VTEPs; several VLANs of one port; addresses that
# are learned, grow old and move.
. "$(dirname "$0")/lib.sh"
. "$here/ovs.sh"
core
#   a1 (flat) ─ v1 ─ t7, t8 (VLAN 7 and 8 of one port), u1 (its untagged frames)
#   a2 (flat) ─ v2 ─ m2 (learned)        a3 (flat), m3 (learned) ─ v3
# VNI 100: a1, a2, a3, t7, m2, m3; VNI 200: t8, b2; VNI 300: u1, b3.
switch_keys='learningSeconds: 3s'
for i in 1 2 3; do
    ovs_node v$i 10.98.0.$i/24
    ovs_host a$i v$i pa 10.20.0.$i/24 02:00:00:00:20:0$i
done
# A switch of its own, whose trunk is a port of the bridge: Linux is not asked for VLANs.
vsctl v1 add-br br-tag -- set Bridge br-tag datapath_type=netdev
for tag in 7 8; do
    ovs_host t$tag v1 pt$tag 10.20.0.1$tag/24 02:00:00:00:20:1$tag
    vsctl v1 add-port br-tag pt$tag tag=$tag
done
ovs_host u1 v1 pu 10.20.0.19/24 02:00:00:00:20:19
vsctl v1 add-port br-tag pu -- add-port br-tag up -- set Interface up type=patch options:peer=trunk
ovs_host b2 v2 pb 10.20.0.12/24 02:00:00:00:20:12
ovs_host b3 v3 pb 10.20.0.13/24 02:00:00:00:20:13
# Hosts that speak only when they are asked to.
for i in 2 3; do
    ovs_host m$i v$i pm 10.20.0.30/24 02:00:00:00:20:30
    on m$i sysctl -qw net.ipv6.conf.all.disable_ipv6=1
done
configure_switch v1 10.98.0.1 10.98.0.2 10.98.0.3 <<C
vnis: [100, 200, 300]
clients:
  - {vni: 100, port: pa, mac: "02:00:00:00:20:01", addresses: [10.20.0.1]}
  - {vni: 100, port: trunk, type: vlan, tag: 7, mac: "02:00:00:00:20:17", addresses: [10.20.0.17]}
  - {vni: 200, port: trunk, type: vlan, tag: 8, mac: "02:00:00:00:20:18"}
  - {vni: 300, ofport: 77, mac: "02:00:00:00:20:19"}
C
# v2 learns nothing yet.
switch_keys='' configure_switch v2 10.98.0.2 10.98.0.1 10.98.0.3 <<C
vnis: [100, 200]
clients:
  - {vni: 100, port: pa, mac: "02:00:00:00:20:02"}
  - {vni: 200, port: pb, mac: "02:00:00:00:20:12"}
C
configure_switch v3 10.98.0.3 10.98.0.1 10.98.0.2 <<C
vnis: [100, 300]
clients:
  - {vni: 100, port: pa, mac: "02:00:00:00:20:03"}
  - {vni: 100, port: pm}
  - {vni: 300, port: pb, mac: "02:00:00:00:20:13"}
C
for i in 1 2 3; do start_evpnd v$i; done
bridged() { vsctl v1 br-exists br-int; }
await 10 'the bridge of v1 is made' bridged
vsctl v1 add-port br-int trunk -- set Interface trunk type=patch options:peer=up ofport_request=77
ports v1 pa
ports v2 pa pm pb
ports v3 pa pm pb
for i in 1 2 3; do await 10 "the sessions of v$i" established v$i 2; done
await 20 'a flat port to another VTEP' pings a1 10.20.0.2
await 20 'a flat port to a third' pings a1 10.20.0.3
await 20 'from there to the second' pings a3 10.20.0.2
await 10 'a flat port to a VLAN of its own switch' pings a1 10.20.0.17
await 10 'a flat port to a VLAN behind another VTEP' pings a2 10.20.0.17
await 10 'another VLAN of that port, in its own VNI' pings t8 10.20.0.12
await 10 'untagged frames of that port, in theirs' pings u1 10.20.0.13
! pings t8 10.20.0.2 >&2 || fail 'two VNIs are one'
! pings u1 10.20.0.2 >&2 || fail 'two VNIs are one'
rest v1 v2 v3

# Who gets a frame for all, each once: those of the VNI. And unknown addresses go the same way.
answers_to_all a1 a2 a3 t7 t8 u1 b2 b3
all() { [ "$(answers "$1" 10.20.0.255)" = "$2" ]; } # HOST ADDRESSES
await 10 'all of VNI 100' all a1 '10.20.0.17 10.20.0.2 10.20.0.3 '
await 10 'all of VNI 100, from a VLAN' all t7 '10.20.0.1 10.20.0.2 10.20.0.3 '
await 10 'all of VNI 200' all t8 '10.20.0.12 '
await 10 'all of VNI 300' all u1 '10.20.0.13 '
sniff core
await 10 'all of VNI 100, from another VTEP' all a2 '10.20.0.1 10.20.0.17 10.20.0.3 '
on a2 ip neigh replace 10.20.0.99 lladdr 02:00:00:00:20:99 dev eth0 nud permanent
! pings a2 10.20.0.99 >&2 || fail 'an answer from nobody'
for destination in 'ff:ff:ff:ff:ff:ff 10.20.0.2 > 10.20.0.255' '02:00:00:00:20:99 10.20.0.2 > 10.20.0.99'; do
    for vtep in 1 3; do
        sniffed core "10.98.0.2 > 10.98.0.$vtep 100 02:00:00:00:20:02 > $destination ttl 64" || fail "flooded to v$vtep: $destination"
    done
    # Split horizon: what came from one VTEP goes to no other.
    ! grep "^10.98.0.[13] .*$destination" "$T/core.sniffed" >&2 || fail 'a frame went from one VTEP to another'
done
# A question whose answer is known is not flooded.
on a2 ip neigh flush dev eth0
echoes a2 10.20.0.17 || fail 'the answer of the bridge'
! grep 'arp 10.20.0.2 asks for 10.20.0.17' "$T/core.sniffed" >&2 || fail 'a question with a known answer was flooded'

# A host that is learned, announced, and forgotten when it says nothing more.
mac() { ctl "$1" show macs --mac 02:00:00:00:20:30 --json | jq -e "$2"; } # NODE QUESTION
none() { mac "$1" 'length == 0'; }
behind() { mac "$1" ".[0].place == \"remote\" and .[0].at == \"10.98.0.$2\""; }
here() { mac "$1" '.[0].place == "local"'; }
none v1 || fail 'a host is known that has said nothing'
speaks() { pings "$1" 10.20.0.1 && "${@:2}"; } # HOST COMMAND… : so that it is not forgotten before the command looks
# Only one of the two with that address is ever to answer.
ip -n "$P-a1" neigh replace 10.20.0.30 lladdr 02:00:00:00:20:30 dev eth0 nud permanent
await 10 'a learned host reaches another' pings m3 10.20.0.1
await 15 'its VTEP knows it' speaks m3 here v3
await 15 'it is announced' speaks m3 behind v1 3
rest v3
await 10 'it is forgotten' none v1
rest v1 v2 v3
# That begins, and ends, with a reload.
! pings m2 10.20.0.1 >&2 || fail 'a host of no client is served'
cp "$T/v2.yaml" "$T/v2.before"
sed -i 's/bridge: br-int,/& learningSeconds: 3s,/; s/^clients:$/&\n  - {vni: 100, port: pm}/' "$T/v2.yaml"
for word in some none some; do
    ctl v2 reload
    rest v2
    if [ $word = none ]; then
        ! pings m2 10.20.0.1 >&2 || fail 'a host is served that is not learned any more'
        none v2 || fail 'a host is known that is not learned any more'
        mv "$T/v2.after" "$T/v2.yaml"
    else
        await 10 'a host is learned after a reload' pings m2 10.20.0.1
        await 10 'its VTEP knows it' speaks m2 here v2
        cp "$T/v2.yaml" "$T/v2.after"
        [ ! -e "$T/v2.before" ] || mv "$T/v2.before" "$T/v2.yaml"
    fi
    rest v2
done
await 10 'it is forgotten' none v1
# It moves while it is known; the VTEP that has it now announces it with a higher number, and it is reached there.
await 10 'it speaks again' pings m3 10.20.0.1
await 15 'it is announced again' speaks m3 behind v1 3
await 10 'it speaks at another VTEP' pings m2 10.20.0.1
moved() { behind v1 2 && behind v3 2 && mac v1 '.[0].sequence >= 1'; }
await 15 'it is announced from there, with a higher number, also to the VTEP where it was before' speaks m2 moved
await 10 'it speaks where it was first' pings m3 10.20.0.1
returned() { behind v1 3 && mac v1 '.[0].sequence >= 2'; }
await 15 'it is announced from there, with a number higher still' speaks m3 returned
rest v1 v2 v3
