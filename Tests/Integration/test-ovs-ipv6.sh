# Open vSwitch with VTEPs that have only IPv6 addresses, and evpnd with the kernel as one of them: a subnet over all, and routing.
. "$(dirname "$0")/lib.sh"
. "$here/tenant.sh"
. "$here/ovs.sh"
underlay=6
core
for i in 1 2; do
    ovs_vtep $i $((3 - i)) 3 <<<"  - {vni: 110, port: gp, mac: \"02:00:00:00:40:0$i\", addresses: [10.40.0.$i]}"
    ovs_host g$i v$i gp 10.40.0.$i/24 02:00:00:00:40:0$i
    ports v$i gp
done
vnis='  - {vni: 110, managed: true, members: [gp]}' evpnd_vtep 3 1 2
host g3 v3 gp 10.40.0.3/24 02:00:00:00:40:03
on v3 ethtool -K eth0 tx off >/dev/null
for i in 1 2 3; do await 20 "sessions of v$i" established v$i 2; done
vsctl v1 get Interface vxlan_out options | grep -q 'local_ip="2001:db8:98::1"' || fail 'options of the tunnel port'
sniff core
for pair in '1 2' '1 3' '3 2'; do
    read -r from to <<<"$pair"
    await 20 "g$from to g$to" pings g$from 10.40.0.$to
    await 15 "on the wire from g$from to g$to" sniffed core \
        "2001:db8:98::$from > 2001:db8:98::$to 110 02:00:00:00:40:0$from > 02:00:00:00:40:0$to 10.40.0.$from > 10.40.0.$to ttl 64"
done
# To all: each VTEP gets it, and hands it to none.
answers_to_all g1 g2 g3
all() { [ "$(answers g1 10.40.0.255)" = '10.40.0.2 10.40.0.3 ' ]; }
await 10 'a frame for all' all
! grep '^2001:db8:98::[23] .* 10.40.0.1 > 10.40.0.255' "$T/core.sniffed" >&2 || fail 'a frame went from one VTEP to another'
traffic 'Open vSwitch over IPv6' 2
traffic 'Open vSwitch and the kernel over IPv6' 3
rest v1 v2
