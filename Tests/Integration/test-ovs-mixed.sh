# Open vSwitch on one VTEP, the kernel on another, FRR (with the kernel) on a third: one subnet over all three, and symmetric IRB and
# prefix routes between subnets, both ways, IPv4 and IPv6. Tenants are network namespaces where the kernel forwards.
. "$(dirname "$0")/lib.sh"
. "$here/tenant.sh"
. "$here/ovs.sh"
at_failure() { frr v3 'show bgp l2vpn evpn'; }
core
# VNI 110 is bridged, with a host on each.
ovs_vtep 1 2 3 <<<'  - {vni: 110, port: g1p, mac: "02:00:00:00:40:01", addresses: [10.40.0.1, "2001:db8:40::1"]}'
ovs_host g1 v1 g1p 10.40.0.1/24 02:00:00:00:40:01
ports v1 g1p
vnis='  - {vni: 110, managed: true, members: [g2p]}' evpnd_vtep 2 1 3
host g2 v2 g2p 10.40.0.2/24 02:00:00:00:40:02
frr_vtep 3 1 2
vxlan v3 110 10.98.0.3
host g3 v3 g3p 10.40.0.3/24 02:00:00:00:40:03
ip -n "$P-v3" link set g3p master br110
# Open vSwitch takes packets from the wire as they are, without the checksum that a veth leaves out.
for i in 2 3; do on v$i ethtool -K eth0 tx off >/dev/null; done
for i in 1 2 3; do ip -n "$P-g$i" address add "2001:db8:40::$i/64" dev eth0 nodad; done
for i in 1 2; do await 20 "sessions of v$i" established v$i 2; done

for i in 2 3; do
    await 20 "from Open vSwitch to VTEP $i" pings g1 10.40.0.$i
    await 10 "from VTEP $i to Open vSwitch" pings g$i 10.40.0.1
    await 10 'the same over IPv6' pings g1 2001:db8:40::$i
    await 10 'and back' pings g$i 2001:db8:40::1
    learned() { ctl v1 show macs --mac 02:00:00:00:40:0$i --json | jq -e ".[0].at == \"10.98.0.$i\""; }
    await 15 "the host behind VTEP $i is known by its route" learned
done
# FRR sends to the MAC of the host, and floods to its VTEP.
remote() { frr v3 'show evpn mac vni 110' | grep '02:00:00:00:40:01.*remote.*10.98.0.1'; }
await 15 'FRR knows the host behind Open vSwitch' remote
frr v3 'show evpn vni 110' | grep '10.98.0.1 flood: HER' >/dev/null || fail 'FRR does not flood to Open vSwitch'
traffic 'Open vSwitch and the kernel' 2
traffic 'Open vSwitch and FRR' 3
rest v1 v2
