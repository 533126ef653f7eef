# The devices of layer 3 that evpnd makes: a VRF device, gateways on bridges of their own (v2) and on VLAN devices of one bridge whose
# VXLAN device filters VNIs (v3), the L3 VNI on both; what is damaged heals, what is counted, what stays after a restart, and what goes.
. "$(dirname "$0")/../lib.sh"
core
modprobe vrf
for i in 2 3; do
    node v$i 10.99.0.$i/24
    host h$i v$i p$i 10.20.1.1$i/24 02:00:00:00:00:0$i
done
for i in 2 3; do
    cat >"$T/v$i.yaml" <<C
node: {vtep: 10.99.0.$i}
bgp:
  global: {asn: 65000}
  neighbors: [{config: {neighborAddress: 10.99.0.$((5 - i)), peerAsn: 65000}, timers: {config: {connectRetry: 1}}}]
vlanBridge: {vniFilter: true}
vrfs:
  - {name: ten, vni: 500, managed: true$([ $i = 2 ] || echo ', vlan: 50')}
vnis:
  - {vni: 101, managed: true, vrf: ten, gateway: [10.20.1.1/24, 'fd00:1::1/64'], gatewayMAC: 00:00:5e:00:01:01, members: [p$i], macs: [{mac: '02:00:00:00:77:0$i', addresses: 10.20.1.7$i}]$([ $i = 2 ] || echo ', vlan: 10')}
C
    start_evpnd v$i
done
for i in 2 3; do await 30 "v$i has settled" settled v$i; done
show() { ip -n "$P-$1" "${@:2}"; }
has() { show "$1" $2 | grep -E "$3"; } # NODE COMMAND PATTERN
has v2 '-d link show ten' 'vrf table 1000' && has v3 '-d link show ten' 'vrf table 1000' || fail 'no VRF device'
has v2 'link show br101' 'master ten' && has v2 'link show br500' 'master ten' || fail 'bridges are not in the VRF'
has v3 'link show br0.10' 'master ten' && has v3 'link show br0.50' 'master ten' || fail 'VLAN devices are not in the VRF'
has v3 '-d link show vxlan0' 'external vnifilter' || fail 'no filter'
for device in v2:br101 v3:br0.10; do
    node=${device%:*} name=${device#*:}
    for text in 'inet 10.20.1.1/24' 'inet6 fd00:1::1/64' 'inet6 fe80::200:5eff:fe00:101/64' 'link/ether 00:00:5e:00:01:01'; do
        has $node "address show dev $name" "$text" || fail "$text on $name"
    done
    has $node 'route show table 1000' "10.20.1.0/24 dev $name" || fail 'no route of the subnet in the table of the VRF'
    [ "$(on $node cat /proc/sys/net/ipv6/conf/all/forwarding)" = 1 ] || fail 'IPv6 is not forwarded'
    [ "$(on $node cat /proc/sys/net/ipv4/conf/$name/forwarding)" = 1 ] || fail 'IPv4 is not forwarded'
done
# Packets without a route in the VRF end there, and do not go on to the host's own table, which would send them through the underlay.
ends() { [ "$(show "$1" route show table 1000 type unreachable | grep -c '^unreachable default .*metric 4278198272')$(show "$1" -6 route show table 1000 type unreachable | grep -c '^unreachable default .*metric 4278198272')" = 11 ]; }
for i in 2 3; do await 10 "the table of v$i has an end" ends v$i; done
ip -n "$P-v2" route add default via 10.99.0.3
ip -n "$P-v2" route get 198.51.100.1 vrf ten && fail 'a packet without a route left the VRF'
ip -n "$P-h2" route add default via 10.20.1.1
on h2 ping -c 1 -W 2 -q 198.51.100.1 && fail 'an answer from nowhere'
ip -n "$P-v2" route del default
show v3 route del unreachable default table 1000 metric 4278198272
await 15 'the end of the table comes back' ends v3
# The gateway answers hosts: also where its MAC is not that of the bridge.
for i in 2 3; do await 20 "h$i reaches its gateway" pings h$i 10.20.1.1; done
await 20 'hosts of the subnet reach each other' pings h2 10.20.1.13
# What the filter of VNIs counts.
filter() { bridge -n "$P-v3" -s vni show dev vxlan0; }
filter | grep -E '(^| )101( |$)' && filter | grep -E '(^| )500( |$)' || fail 'a VNI is missing in the filter'

# What it counts for each VNI grows with its packets.
packets() { # NODE : those of VNI 101 that were sent
    on $1 python3 -c 'import urllib.request; print(urllib.request.urlopen("http://127.0.0.1:9474/metrics", timeout=5).read().decode())' |
        awk '/^evpnd_vni_packets_total/ && /vni="101"/ && /direction="out"/ {print $NF; found = 1} END {exit !found}'
}
for i in 2 3; do
    before=$(packets v$i)
    on h$i ping -c 5 -i 0.01 -q 10.20.1.1$((5 - i)) >/dev/null || fail 'pings are lost'
    grown() { awk -v a="$before" -v b="$(packets v$i)" 'BEGIN {exit !(b >= a + 5)}'; }
    await 15 "the counters of VNI 101 on v$i grow" grown
done

# A declared host that never speaks stays in the neighbor table when the kernel throws away what nobody uses. What decides about that is the
# same for all namespaces of a kernel but for the time on a device.
sysctl -qw net.ipv4.neigh.default.gc_thresh1=0 net.ipv4.neigh.default.base_reachable_time_ms=1000
declared() { show v2 neigh show 10.20.1.72 dev br101 | grep '02:00:00:00:77:02'; }
await 10 'the declared neighbor' declared
on v2 sysctl -qw net.ipv4.neigh.br101.gc_stale_time=1
show v2 neigh replace 10.20.1.200 lladdr 02:00:00:00:77:99 dev br101 nud stale
collected() { ! show v2 neigh show 10.20.1.200 dev br101 | grep .; }
await 40 'the kernel throws away an unused neighbor' collected
declared || fail 'the kernel threw a declared neighbor away'
on v2 sysctl -qw net.ipv4.neigh.br101.gc_stale_time=60
sysctl -qw net.ipv4.neigh.default.gc_thresh1=128 net.ipv4.neigh.default.base_reachable_time_ms=30000

# Damage heals.
bridge -n "$P-v3" vni delete vni 101 dev vxlan0
back() { filter | grep -E '(^| )101( |$)'; }
await 15 'the VNI comes back into the filter' back
show v3 address del 10.20.1.1/24 dev br0.10
await 15 'the address comes back' has v3 'address show dev br0.10' 'inet 10.20.1.1/24'
show v3 link set br0.10 nomaster
await 15 'the VLAN device comes back into the VRF' has v3 'link show br0.10' 'master ten'
bridge -n "$P-v3" fdb del 00:00:5e:00:01:01 dev br0 vlan 10 self
local_mac() { bridge -n "$P-v3" fdb show br br0 | grep '00:00:5e:00:01:01 .*vlan 10.*permanent'; }
await 15 "the gateway's MAC comes back" local_mac
show v3 link del br0.50
await 15 'the VLAN device of the L3 VNI comes back' has v3 'link show br0.50' 'master ten'
# A route of an operator outlives its device.
show v2 route add blackhole 192.0.2.0/24 vrf ten
show v2 link del ten
await 10 'the VRF comes back, and its bridges into it' has v2 'link show br101' 'master ten'
has v2 '-d link show ten' 'vrf table 1000' || fail 'the VRF has another table'
for i in 2 3; do await 20 "v$i has settled again" settled v$i; done
await 20 'h3 reaches its gateway again' pings h3 10.20.1.1
await 20 'hosts of the subnet reach each other again' pings h2 10.20.1.13

# kill -9: everything stays, and is found to be right, another table in use or not.
before=$(show v3 -d link show ten)
stop_evpnd v3 KILL
start_evpnd v3
await 30 'settled after the restart' settled v3
[ "$before" = "$(show v3 -d link show ten)" ] || fail 'the VRF device was made again'

# A table that somebody else uses: said, and layer 2 goes on.
show v2 link add other type vrf table 77
sed -i 's/managed: true}$/managed: true, table: 77}/' "$T/v2.yaml"
ctl v2 reload
clash() { ctl v2 show vnis --json | grep 'table 77 is that of VRF ten and of VRF device other'; }
await 10 'the clash names both users' clash
await 20 'layer 2 goes on' pings h2 10.20.1.13
# Its old device goes too: the subnet does not become one of the host's own.
outside() { ! has v2 'address show dev br101' 'inet6? (10.20|fd00|fe80)' && [ "$(on v2 cat /proc/sys/net/ipv4/conf/br{101,500}/forwarding)" = $'0\n0' ]; }
show v2 link del ten
await 10 'without its VRF nothing is routed' outside
! has v2 'route show' 10.20 || fail "the subnet is in the host's own table"
await 20 'layer 2 goes on without the VRF' pings h2 10.20.1.13
# Routes of somebody else in the table: waited for.
show v2 route add blackhole 192.0.2.0/24 table 77
show v2 link del other
used() { ctl v2 show vnis --json | grep 'table 77 of VRF ten has routes already: 192.0.2.0/24'; }
await 10 'who uses the table is said' used
show v2 route del blackhole 192.0.2.0/24 table 77
await 10 'the table is free' has v2 '-d link show ten' 'vrf table 77'
await 20 'settled with the table' settled v2
! show v2 route show table 1000 proto 211 | grep . || fail 'a route of ours in a table that is not the VRF any more'
# A host that is silent: the kernel has forgotten its address with the other table, and it is asked for.
idle() { show v3 neigh show 10.20.1.12 | grep '02:00:00:00:00:02 .*extern_learn' && show v2 neigh show 10.20.1.12 dev br101 | grep '02:00:00:00:00:02'; }
await 10 'the silent host is known again' idle

# Another VLAN: nothing of the old one stays.
sed -i 's/vlan: 10}/vlan: 11}/' "$T/v3.yaml"
ctl v3 reload
vlans() { bridge -n "$P-v3" -j vlan show dev br0 | jq -e '[.[0].vlans[].vlan] == [11, 50]'; }
await 10 'the VLANs of the bridge itself' vlans
await 20 'settled with another VLAN' settled v3
await 20 'hosts of the subnet reach each other in it' pings h2 10.20.1.13

# Of a VLAN that a VNI leaves no entry stays, neither in the bridge nor in the VXLAN device, nor of a layer-3 interface that goes.
remains() { bridge -n "$P-v3" fdb show | grep -E "$1"; } # PATTERN
lacks() { ! remains "$1"; }
own_vlans() { bridge -n "$P-v3" -j vlan show dev "$1" | jq -e "[.[0].vlans // [] | .[].vlan] == $2"; } # DEVICE LIST
lacks ' vlan 10 ' || fail 'entries of the VLAN that the VNI left'
for entry in '02:00:00:00:77:02 dev vxlan0 vlan 11 ' ' dev vxlan0 vlan 50 extern_learn' 'src_vni 101 ' 'src_vni 500 '; do
    await 10 "before it goes: $entry" remains "$entry"
done
sed -i 's/gatewayMAC: 00:00:5e:00:01:01/gatewayMAC: 00:00:5e:00:01:02/' "$T/v3.yaml"
ctl v3 reload
await 10 'another gateway MAC' remains '00:00:5e:00:01:02 dev br0 vlan 11 .*permanent'
await 15 'the old one goes' lacks '00:00:5e:00:01:01 dev br0 '
sed -i 's/ vrf: ten, gateway: .*gatewayMAC: 00:00:5e:00:01:02,//' "$T/v3.yaml"
ctl v3 reload
await 10 'a VNI that is routed no more keeps its VLAN, not the bridge its own' own_vlans br0 '[50]'
await 15 'nor the MAC of the gateway' lacks '00:00:5e:00:01:02 dev br0 '
own_vlans vxlan0 '[11,50]' || fail 'the VLANs of the VXLAN device'
# The same as if it had never been otherwise.
state() {
    bridge -n "$P-v3" fdb show | grep -E 'extern_learn| dst | dev br0 .*permanent' | sort
    bridge -n "$P-v3" vlan show
    bridge -n "$P-v3" vlan tunnelshow
    bridge -n "$P-v3" vni show
}
await 10 'settled without a gateway' settled v3
state >"$T/reloaded"
stop_evpnd v3
on v3 "$build/evpnd" --cleanup --config "$T/v3.yaml" --state-dir "$T/v3.state" >/dev/null
start_evpnd v3
same() { settled v3 && state | cmp - "$T/reloaded"; }
(await 20 'a clean start gives the same as reloading' same) || { state | diff "$T/reloaded" -; false; }
# A VNI, an L3 VNI and their VRF leave; another VNI takes one of their VLANs.
sed -i '/^vrfs\|^  - {name: ten\|vni: 101/d' "$T/v3.yaml"
echo '  - {vni: 102, managed: true, vlan: 50}' >>"$T/v3.yaml"
ctl v3 reload
await 10 'only the VLAN of the other VNI is left' own_vlans vxlan0 '[50]'
await 15 'the bridge has none' own_vlans br0 '[]'
await 15 'nothing is pending' settled v3
lacks 'extern_learn' && lacks 'src_vni (101|500)' || fail 'entries of the VNIs that left'
bridge -n "$P-v3" vni show | grep -E '(^| )(101|500)( |$)' && fail 'the filter still has what left'
grep 'event=dataplane.refused' "$T/v3.log" | grep 'bridge fdb del' && fail 'a deletion was refused'
ctl v3 show status | grep ', 0 pending,' || fail 'entries are pending'
# Also what left while the daemon was away.
sed -i 's/vni: 102, managed: true, vlan: 50/vni: 101, managed: true, vlan: 50/' "$T/v3.yaml"
ctl v3 reload
await 10 'the entry of a remote host' remains '02:00:00:00:77:02 dev vxlan0 vlan 50 '
stop_evpnd v3 KILL
sed -i 's/vni: 101, managed: true, vlan: 50/vni: 102, managed: true, vlan: 51/' "$T/v3.yaml"
start_evpnd v3
await 40 'its VLAN goes' own_vlans vxlan0 '[51]'
cleared() { lacks 'extern_learn' && lacks 'src_vni 101'; }
await 20 'no entry of a VNI that left while the daemon was away' cleared

# Two VRFs exchange their tables.
sed -i '/^  - {name: ten/a\  - {name: blue, vni: 501, managed: true, table: 78}' "$T/v2.yaml"
ctl v2 reload
await 10 'another VRF' has v2 '-d link show blue' 'vrf table 78'
await 10 'both are settled' settled v2
sed -i 's/table: 77/table: 79/; s/table: 78/table: 77/; s/table: 79/table: 78/' "$T/v2.yaml"
ctl v2 reload
exchanged() { has v2 '-d link show ten' 'vrf table 78' && has v2 '-d link show blue' 'vrf table 77' && settled v2; }
await 15 'the tables are exchanged' exchanged
await 10 'the gateway answers after it' pings h2 10.20.1.1

# Nothing of it is left when it leaves the configuration.
for i in 2 3; do
    sed -i '/^vlanBridge\|^vrfs\|^vnis\|^  - {name: \|^  - {vni/d' "$T/v$i.yaml"
    ctl v$i reload
done
gone() { ! show "$1" -o link | grep -E ' (ten|blue|br101|br501|br500|br0|vxlan)'; }
for i in 2 3; do
    await 20 "devices of v$i are gone" gone v$i
    unrouted() { [ -z "$(show v$i route show table all proto 211)$(show v$i -6 route show table all proto 211)" ]; }
    await 10 "routes of v$i are gone" unrouted
done
