# What is said of a tenant that does not work, and what to do about it: bridges set down, forwarding off, targets that do not match,
# silent hosts, members and VNIs in other hands.
. "$(dirname "$0")/lib.sh"
. "$here/tenant.sh"

says() { # NODE WHAT COMMAND… : WHAT is part of the output, whatever the exit status
    local text
    text=$(ctl "$1" "${@:3}" 2>&1) || true
    [[ $text == *"$2"* ]]
}
expect() { await 15 "evpnctl ${*:3} says: $2" says "$@"; }
ends() { # STATUS NODE COMMAND…
    local code=0
    ctl "${@:2}" || code=$?
    [ $code = "$1" ]
}
exits() { await 15 "evpnctl ${*:3} ends with status $1" ends "$@"; }
configure() { # the part of VTEP 1's file below its neighbors
    { sed -E '/^(vrfs|vnis):/,$d' "$T/v1.yaml"; cat; } >"$T/new.yaml"
    mv "$T/new.yaml" "$T/v1.yaml"
    ctl v1 reload >/dev/null
}

core
evpnd_vtep 1 2
evpnd_vtep 2 1
t=$P-t1
await 20 'routes' pings h1 10.20.2.10
exits 0 v1 explain ip 10.20.2.10
exits 0 v1 explain vni 500
exits 2 v1 explain prefix 10.20.2.0/33
exits 2 v1 show vrf
expect v1 'did you mean evpnctl show vrfs?' show vrf
expect v1 'no VRF tem; there is ten' show prefixes --vrf tem
ctl v1 show vnis --json | jq -e 'map(select(.vni == 500 and .l3 and .vrf == "ten" and .state == "up")) | length == 1' >/dev/null ||
    fail 'show vnis does not have the L3 VNI'

# What evpnd made is set up again, and that is logged.
for device in br500 vxlan500 br101; do
    ip -n "$t" link set $device down
    await 15 "$device is set up again" grep -q "corrected.*ip link set $device up" "$T/v1.log"
done
await 10 'routed again' pings h1 10.20.2.10

# A host that has never sent anything: asked for in vain, and nobody announces it.
expect v1 'this host has not asked for it yet' explain ip 10.20.1.77
on t1 ping -c1 -W1 -q 10.20.1.77 >/dev/null || true
expect v1 'The first ping' explain ip 10.20.1.77
exits 1 v1 explain ip 10.20.1.77

# Another target than the one that is imported; a member that is elsewhere; prefixes that are announced in any case.
ip -n "$P-v1" link add stray type bridge
configure <<C
vrfs:
  - {name: ten, vni: 500, managed: true, namespace: $t, routeTargets: {import: ["65000:77"]}, routerMAC: "02:98:00:00:00:01",
     announce: {connected: true, prefixes: [10.66.0.0/16]}}
vnis:
  - {vni: 101, managed: true, vrf: ten, gateway: [10.20.1.1/24], members: [p1, tap7, stray]}
C
expect v1 'none with a route target that is imported' explain ip 10.20.2.10
expect v1 '65000:500' explain ip 10.20.2.10
expect v1 'vrf ten imports 65000:77' explain ip 10.20.2.10
expect v1 "member stray is in the network namespace of evpnd, not in $t" show status
expect v1 "ip link set stray netns $t" plan
expect v1 'tap7' show vnis
expect v1 '10.66.0.0/16' show prefixes ten
exits 0 v1 explain prefix 10.66.0.0/16
expect v2 '10.66.0.0/16' show prefixes ten

# Adopted: what is down, or does not forward, is said, with the command that ends it.
configure <<C
vrfs:
  - {name: ten, vni: 500, namespace: $t, announce: {connected: true}}
vnis:
  - {vni: 101, vrf: ten}
C
await 10 'devices of ours are gone' sh -c "! ip -n $t link show br500"
for vni in 101 500; do
    ip -n "$P-v1" link add "vx$vni" netns "$t" type vxlan id $vni dstport 4789 local 10.98.0.1 nolearning
    ip -n "$t" link add "br$vni" type bridge
    ip -n "$t" link set "vx$vni" master "br$vni" addrgenmode none
    bridge -n "$t" link set dev "vx$vni" learning off
    ip -n "$t" link set "br$vni" addrgenmode none
    ip -n "$t" link set "br$vni" up
    ip -n "$t" link set "vx$vni" up
done
ip -n "$t" address add 10.20.1.1/24 dev br101
ip -n "$t" link set p1 master br101
# The gateway has another MAC address now.
ip -n "$P-h1" neigh flush dev eth0
await 20 'adopted' pings h1 10.20.2.10
on t1 sysctl -qw net.ipv4.ip_forward=0
for command in 'show vrfs' 'show status' 'explain ip 10.20.2.10'; do
    expect v1 "IPv4 forwarding is off on br101, br500, lan in network namespace $t" $command
    expect v1 "ip netns exec $t sysctl -w net.ipv4.ip_forward=1" $command
done
exits 1 v1 explain ip 10.20.2.10
on t1 sysctl -qw net.ipv4.ip_forward=1
exits 0 v1 explain ip 10.20.2.10
ip -n "$t" link set br500 down
for command in 'show vrfs' 'show vnis' 'show status' 'explain ip 10.20.2.10'; do
    expect v1 'br500 is down' $command
    expect v1 "ip -n $t link set br500 up" $command
done
ip -n "$t" link set br500 up
await 20 'up again' pings h1 10.20.2.10

# A VXLAN device of the operator's keeps ours from being made.
configure <<C
vrfs:
  - {name: ten, vni: 500, namespace: $t}
vnis:
  - {vni: 300, managed: true}
C
await 10 'ours' ip -n "$P-v1" link show vxlan300
configure <<C
vnis: []
C
await 10 'gone' sh -c "! ip -n $P-v1 link show vxlan300"
ip -n "$P-v1" link add mine type vxlan id 300 dstport 4789 local 10.98.0.1
configure <<C
vnis:
  - {vni: 300, managed: true}
C
expect v1 'mine has VNI 300 and UDP port 4789 already' show status
expect v1 'ip link del mine' explain vni 300
ip -n "$P-v1" link del mine
await 10 'made when the other is gone' ip -n "$P-v1" link show vxlan300
