# Addresses of a routed subnet that are elsewhere than a VTEP has them: one address that two hosts took while their VTEPs did not hear of each
# other, one that a host had given up by then, and a VM whose VTEP died and that is started behind another one.
. "$(dirname "$0")/lib.sh"

core
node v1 10.99.0.4/24
node v2 10.99.0.5/24
for i in 1 2; do
    ip netns add "$P-t$i"
    ip -n "$P-t$i" link set lo up
    host "h$i" "t$i" "p$i" "10.20.$i.10/24" "02:00:00:00:20:0$i"
    host "s$i" "t$i" "q$i" "10.30.0.1$i/24" "02:00:00:00:30:0$i"
    ip -n "$P-h$i" route add default via "10.20.$i.1"
    ip -n "$P-s$i" route add default via 10.30.0.1
    configure_vtep "v$i" "10.99.0.$((3 + i))" "10.99.0.$((6 - i))" <<C
vrfs: [{name: ten, vni: 500, managed: true, namespace: $P-t$i, routerMAC: "02:98:00:00:00:0$i", announce: {connected: true}}]
vnis:
  - {vni: 10$i, managed: true, vrf: ten, gateway: [10.20.$i.1/24], gatewayMAC: "02:00:5e:00:01:01", members: [p$i]}
  - {vni: 100, managed: true, vrf: ten, gateway: [10.30.0.1/24], gatewayMAC: "02:00:5e:00:01:01", members: [q$i]}
C
    start_evpnd "v$i"
done
for i in 1 2; do
    await 20 "gateway of h$i" pings "h$i" "10.20.$i.1"
    await 20 "gateway of s$i" pings "s$i" 10.30.0.1
done
await 20 'routes between the VTEPs' pings h1 10.30.0.12

# s1 and s2 both have .50; s2 also had .51, which s1 has now, and says nothing of it.
ip -n "$P-core" link set to-v2 down
for i in 1 2; do
    for address in 10.30.0.50 10.30.0.51; do
        ip -n "$P-s$i" address add "$address/24" dev eth0
        await 15 "$address of s$i" on "s$i" ping -c 1 -W 1 -q -I "$address" 10.30.0.1
    done
done
ip -n "$P-s2" address del 10.30.0.51/24 dev eth0
ip -n "$P-core" link set to-v2 up
await 30 'v2 tells of the duplicate' grep -q 'event=evpn.address.conflict .*ip=10.30.0.50 here=02:00:00:00:30:02 there=02:00:00:00:30:01 vtep=10.99.0.4' "$T/v2.log"
await 15 'what a host has given up is where it is now' pings h2 10.30.0.51
there() { ip -n "$P-t2" neighbor show 10.30.0.51 | grep 02:00:00:00:30:01; }
await 10 'v2 has the host that has .51 now' there
for i in 1 2; do
    on "s$i" ping -c 2 -i 0.2 -W 1 -q -I 10.30.0.50 10.30.0.1 >/dev/null || fail "the address of s$i was taken from it"
    echoes "h$i" 10.30.0.50 >/dev/null || fail "h$i does not reach the host with .50 at its VTEP"
done
ctl v2 explain ip 10.30.0.50 | grep -q 'two hosts have it: 02:00:00:00:30:02 here, which keeps it while it answers, and 02:00:00:00:30:01 behind 10.99.0.4' ||
    fail 'explain says nothing of the duplicate'
ctl v2 show status | grep -q 'vni 100: 10.30.0.50: two hosts have it' || fail "the status says nothing of the duplicate: $(ctl v2 show status)"

# The underlay of v2 is cut off, and its routes stay for the hold time; s2 is started behind v1 with its MAC and address.
ip -n "$P-core" link set to-v2 down
remove_host s2
host s2 t1 q3 10.30.0.12/24 02:00:00:00:30:02
ip -n "$P-s2" route add default via 10.30.0.1
ip -n "$P-t1" link set q3 master br100
on s2 arping -c 1 -U -I eth0 10.30.0.12 >/dev/null
await 15 'the VM is routed where it is now' pings h1 10.30.0.12
await 15 'the VM reaches its gateway' pings s2 10.30.0.1
ctl v1 show routes | grep -q '^.*10\.99\.0\.5:100 .*10\.30\.0\.12' || fail 'the routes of v2 did not outlive it'
ctl v1 explain ip 10.30.0.12 | grep -q 'the host is here' || fail 'v1 does not know that the VM is here'
echo 'moved hosts are routed where they are'
