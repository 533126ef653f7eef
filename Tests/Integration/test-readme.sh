# What README.md tells a new user, taken from its text: the host's configuration, and FRR on its leaf switch.
. "$(dirname "$0")/lib.sh"
block() { # KIND [NUMBER] : the text between ```KIND and ```, the first such or the NUMBERth
    awk -v kind="$1" -v number="${2:-1}" '
        /^```/ { open = !open; inside = open && $0 == "```" kind && ++count == number; next }
        inside' "$root/README.md"
}
checks() { # FILE : evpnd finds nothing wrong with it
    "$build/evpnd" --check --config "$1" >"$T/check" || fail "$(cat "$T/check")"
    grep -E 'error|warning' "$T/check" && fail 'README.md shows a configuration with problems'
    :
}
core
node host 192.0.2.1/24
node leaf 192.0.2.254/24
host guest host tap0 10.0.0.1/24 02:00:00:00:00:01
host server leaf port1 10.0.0.2/24 02:00:00:00:00:02
block yaml >"$T/host.yaml"
block '' >"$T/leaf.conf"
grep -q 'managed: true' "$T/host.yaml" && grep -q advertise-all-vni "$T/leaf.conf" || fail 'README.md has no such examples any more'
checks "$T/host.yaml"
# The tenant with two subnets: in place of the VNI.
{
    sed '/^vnis:/,$d' "$T/host.yaml"
    block yaml 2
} >"$T/tenant.yaml"
grep -q 'vrfs:' "$T/tenant.yaml" || fail 'README.md has no tenant with two subnets any more'
checks "$T/tenant.yaml"
# Clients of Open vSwitch: in place of the VNI, too.
{
    sed '/^vnis:/,$d' "$T/host.yaml"
    block yaml 3
} >"$T/switch.yaml"
grep -q 'openvswitch:' "$T/switch.yaml" || fail 'README.md has no clients of Open vSwitch any more'
checks "$T/switch.yaml"
start_frr leaf
vxlan leaf 100 192.0.2.254
ip -n "$P-leaf" link set port1 master br100
start_evpnd host
await 40 'the session with FRR' established host
await 20 'ping from behind evpnd to behind FRR' pings guest 10.0.0.2
held() { ctl host show neighbors --json | jq -e '.[0].families[0].received > 0'; }
await 10 'IN above 0' held
complete() { ctl host explain mac 02:00:00:00:00:02; }
await 10 'explain mac is complete' complete
# Who watches sees the VTEP go and come back.
"$build/evpnctl" --socket "$T/host.sock" watch >"$T/watch" &
echo $! >"$T/watch.pid"
watched() { grep -q "$1" "$T/watch"; }
await 15 'watching' watched watch.started
ip -n "$P-leaf" link set vxlan100 down
await 20 'watch tells that the VTEP left' watched 'evpn.vtep.left vni=100 vtep=192.0.2.254'
await 20 'watch tells that the MAC is gone' watched 'evpn.mac.gone vni=100 mac=02:00:00:00:00:02'
ip -n "$P-leaf" link set vxlan100 up
await 20 'watch tells that the VTEP is back' watched 'evpn.vtep.joined vni=100 vtep=192.0.2.254'
