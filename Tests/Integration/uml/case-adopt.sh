# Bridges that filter VLANs and belong to the operator: one external VXLAN device on v2 and v3, a device for each VNI on v4. VNI 100 and 200
# use the same addresses; their VLANs are others on every host.
. "$(dirname "$0")/../lib.sh"
core
for i in 2 3 4; do
    node v$i 10.99.0.$i/24
    ip -n "$P-v$i" -b - <<C
link add br0 type bridge vlan_filtering 1 vlan_default_pvid 0
link set br0 addrgenmode none up
C
    for vni in 100 200; do
        vlan=$((vni / 10 + i))
        host h$i$vni v$i p$vni 10.0.0.$i/24 02:00:00:00:0${vni%00}:0$i
        ip -n "$P-v$i" link set p$vni master br0
        bridge -n "$P-v$i" vlan add dev p$vni vid $vlan pvid untagged
        [ $i = 4 ] || continue
        ip -n "$P-v4" link add vx$vni type vxlan id $vni local 10.99.0.4 dstport 4789 nolearning
        ip -n "$P-v4" link set vx$vni master br0 addrgenmode none up
        bridge -n "$P-v4" link set dev vx$vni learning off neigh_suppress on
        bridge -n "$P-v4" vlan add dev vx$vni vid $vlan pvid untagged
    done
    [ $i != 4 ] || continue
    ip -n "$P-v$i" link add vx type vxlan external local 10.99.0.$i dstport 4789 nolearning
    ip -n "$P-v$i" link set vx master br0 addrgenmode none up
    bridge -n "$P-v$i" link set dev vx vlan_tunnel on learning off neigh_suppress on
done
map() { # NODE VLAN VNI
    bridge -n "$P-$1" vlan add dev vx vid "$2"
    bridge -n "$P-$1" vlan add dev vx vid "$2" tunnel_info id "$3"
}
for i in 2 3; do map v$i 1$i 100; map v$i 2$i 200; done
bridge -n "$P-v2" fdb append 00:00:00:00:00:00 dev vx dst 203.0.113.9 src_vni 100
for i in 2 3 4; do
    cat >"$T/v$i.yaml" <<C
node: {vtep: 10.99.0.$i}
bgp:
  global: {asn: 65000}
  neighbors:
$(for j in 2 3 4; do [ $j = $i ] || echo "    - {config: {neighborAddress: 10.99.0.$j, peerAsn: 65000}, timers: {config: {connectRetry: 1}}}"; done)
vnis: [100, 200]
C
    start_evpnd v$i
done
for vni in 100 200; do
    await 30 "ping in VNI $vni between external devices" pings h2$vni 10.0.0.3
    await 30 "ping in VNI $vni from an external device to one of its own" pings h3$vni 10.0.0.4
done
fdb() { bridge -n "$P-$1" fdb show; }
has() { fdb "$1" | grep -E "$2"; }
await 10 'the entry of VNI 100' has v2 '02:00:00:00:01:03 dev vx dst 10.99.0.3 src_vni 100 self extern_learn'
await 10 'its VLAN' has v2 '02:00:00:00:01:03 dev vx vlan 12 extern_learn master br0'
await 10 'the entry of VNI 200' has v2 '02:00:00:00:02:03 dev vx dst 10.99.0.3 src_vni 200 self extern_learn'
await 10 'the VLAN of a device for one VNI' has v4 '02:00:00:00:02:03 dev vx200 vlan 24 extern_learn master br0'
has v2 '00:00:00:00:00:00 dev vx dst 203.0.113.9 src_vni 100' >/dev/null || fail 'a foreign entry was touched'
ctl v2 show vnis

# Damage heals; one VNI's is not the other's.
bridge -n "$P-v2" fdb del 02:00:00:00:01:03 dev vx src_vni 100 self
await 6 'a deleted entry comes back' has v2 '02:00:00:00:01:03 dev vx dst 10.99.0.3 src_vni 100'
bridge -n "$P-v2" fdb del 02:00:00:00:01:03 dev vx vlan 12 master
await 6 "the bridge's entry comes back" has v2 '02:00:00:00:01:03 dev vx vlan 12'
bridge -n "$P-v2" fdb del 00:00:00:00:00:00 dev vx dst 10.99.0.3 src_vni 200
await 6 'a deleted flood entry comes back' has v2 '00:00:00:00:00:00 dev vx dst 10.99.0.3 src_vni 200'

# A VLAN device on the bridge: neighbors live there, and ARP is suppressed.
for i in 2 3; do
    ip -n "$P-v$i" -b - <<C
link add link br0 name br0.1$i type vlan id 1$i
link set br0.1$i addrgenmode none up
C
    bridge -n "$P-v$i" vlan add dev br0 vid 1$i self
done
ip -n "$P-v3" address add 10.0.0.253/24 dev br0.13
on v3 ping -c 1 -W 2 -q 10.0.0.3 >/dev/null || fail 'the VLAN device does not reach its own host'
neighbor() { ip -n "$P-v2" neigh show dev br0.12 | grep '10.0.0.3 lladdr 02:00:00:00:01:03 .*extern_learn'; }
await 10 'the neighbor on the VLAN device' neighbor

# The mapping goes: the VNI's routes are withdrawn. It comes back on another VLAN.
known() { has v3 "02:00:00:00:02:02 .*dst 10.99.0.2"; }
await 15 'v3 knows the host of VNI 200' known
bridge -n "$P-v2" vlan del dev vx vid 22
unknown() { ! known; }
await 10 'routes without a mapping are withdrawn' unknown
map v2 77 200
bridge -n "$P-v2" vlan del dev p200 vid 22
bridge -n "$P-v2" vlan add dev p200 vid 77 pvid untagged
await 20 'ping over the new VLAN' pings h2200 10.0.0.3
await 10 'the new VLAN' has v2 '02:00:00:00:02:03 dev vx vlan 77 extern_learn master br0'

# kill -9: forwarding stays and is adopted.
stop_evpnd v2 KILL
echoes h2100 10.0.0.3 || fail 'forwarding ended with the daemon'
start_evpnd v2
await 30 'settled after the restart' settled v2
echoes h2100 10.0.0.3 || fail 'no ping after the restart'
has v2 '00:00:00:00:00:00 dev vx dst 203.0.113.9 src_vni 100' >/dev/null || fail 'a foreign entry was touched'
stop_evpnd v2 KILL
on v2 "$build/evpnd" --cleanup --config "$T/v2.yaml" --state-dir "$T/v2.state"
fdb v2 | grep -E 'src_vni' | grep -v 'dst 203.0.113.9' && fail 'entries of ours are left'
fdb v2 | grep 'dst 203.0.113.9 src_vni 100' >/dev/null || fail 'cleanup removed a foreign entry'
