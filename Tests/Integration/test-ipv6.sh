# An IPv6 underlay: sessions, VTEPs, flood lists and next hops are IPv6; evpnd reflects for two evpnd clients. VNI 100 has managed devices,
# VNI 101 those of an operator on one side, and VNI 102 an IPv4 VTEP address of its own on hosts whose other VTEP address is IPv6.
. "$(dirname "$0")/lib.sh"
core
node rr 2001:db8::1/64
for i in 2 3; do
    node v$i 2001:db8::$i/64 10.99.0.$i/24
    for vni in 100 101 102; do host h$i-$vni v$i p$vni 10.0.0.$i/24 02:00:00:00:${vni#1}:0$i; done
    router_id=10.99.0.$i
    [ $i = 2 ] && adopted='vni: 101' || adopted='vni: 101, managed: true, members: [p101]'
    configure_vtep v$i 2001:db8::$i 2001:db8::1 <<C
vnis:
  - {vni: 100, managed: true, members: [p100]}
  - {$adopted}
  - {vni: 102, managed: true, members: [p102], vtep: 10.99.0.$i}
C
done
vxlan v2 101 2001:db8::2
ip -n "$P-v2" link set p101 master br101
cat >"$T/rr.yaml" <<C
node: {vtep: "2001:db8::1"}
bgp:
  global: {asn: 65000, routerID: 10.99.0.1}
  peerGroups:
    - config: {peerGroupName: vteps, peerAsn: 65000}
      routeReflector: {routeReflectorClient: true}
  dynamicNeighbors: [{prefix: "2001:db8::/64", peerGroup: vteps}]
C
start_evpnd rr
start_evpnd v2
start_evpnd v3
forwards() { bridge -n "$P-$1" fdb show dev "vxlan$2" | grep "^$3 dst $4 .*self"; } # NODE VNI MAC VTEP
mtu() { [ "$(ip -n "$P-$1" -j link show dev "$2" | jq '.[0].mtu')" = "$3" ]; }      # NODE DEVICE MTU
for vni in 100 101 102; do
    await 20 "ping in VNI $vni" pings h2-$vni 10.0.0.3
    for i in 2 3; do
        o=$((5 - i))
        [ $vni = 102 ] && vtep=10.99.0.$o || vtep=2001:db8::$o
        # The first ping may have been flooded: the MAC route follows it.
        await 15 "a destination of VNI $vni in the FDB of VTEP $i" forwards v$i $vni 02:00:00:00:${vni#1}:0$o $vtep
        await 15 "a flood entry of VNI $vni at VTEP $i" forwards v$i $vni 00:00:00:00:00:00 $vtep
        await 15 'nothing left to do' settled v$i
    done
done
mtu v3 vxlan100 8930 && mtu v3 vxlan101 8930 && mtu v3 vxlan102 8950 || fail "MTU of managed devices: $(ip -n "$P-v3" link show type vxlan)"
# Only what is managed follows the underlay.
ip -n "$P-v2" link set vxlan101 mtu 8000
ip -n "$P-v2" link set eth0 mtu 2000
await 15 'the MTU follows the underlay' mtu v2 vxlan100 1930
await 15 'that of the IPv4 VTEP too' mtu v2 vxlan102 1950
mtu v2 vxlan101 8000 || fail "the operator's device has another MTU"
