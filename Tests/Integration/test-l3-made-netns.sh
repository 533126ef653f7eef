# A managed VRF whose network namespace is missing: evpnd makes it, keeps it over a restart, and takes it away when nothing else is in it.
. "$(dirname "$0")/lib.sh"
core
node v1 10.98.0.1/24
ten=$P-made
at_end() { ip netns delete "$ten" 2>/dev/null || true; }
exists() { ip netns list | grep -x "$ten\( .*\)\?" >/dev/null; }
missing() { ! exists; }
configure() { # WITH-VRF
    {
        printf 'vnis:\n  - {vni: 100, managed: true}\n'
        [ -z "$1" ] || printf '  - {vni: 101, managed: true, vrf: ten, gateway: 10.20.1.1/24}\nvrfs:\n  - {name: ten, vni: 500, managed: true, namespace: %s}\n' "$ten"
    } | configure_vtep v1 10.98.0.1
}
start() { # unlike `ip netns exec` without a mount namespace of its own
    nsenter --net="/run/netns/$P-v1" "$build/evpnd" --config "$T/v1.yaml" --socket "$T/v1.sock" --state-dir "$T/v1.state" >>"$T/v1.log" 2>&1 &
    echo $! >"$T/v1.pid"
    await 10 'the control socket' test -S "$T/v1.sock"
}
configure vrf
start
await 10 'the namespace is there' exists
up() { ctl v1 show vrfs --json | jq -e '.[0].state == "up"'; }
await 10 'the VRF is up' up
ip -n "$ten" link show dev lo | grep -q '<.*UP' || fail 'lo is down in it'
ip -n "$ten" address show dev br101 | grep 10.20.1.1/24 >/dev/null || fail 'the gateway is not there'
inode() { stat -Lc %i "/run/netns/$ten"; }
before=$(inode)
stop_evpnd v1
exists || fail 'the namespace went with the daemon'
start
await 10 'the VRF is up again' up
[ "$(inode)" = "$before" ] || fail 'another namespace was made'

# A device of somebody else keeps it.
ip -n "$ten" link add theirs type veth peer name theirs2
configure ''
kill -HUP "$(cat "$T/v1.pid")"
no_bridge() { ! ip -n "$ten" link show dev br101; }
await 20 'our devices are removed' no_bridge
exists || fail 'a namespace with devices of somebody else was removed'
ip -n "$ten" link delete theirs
await 20 'the empty namespace is removed' missing

configure vrf
kill -HUP "$(cat "$T/v1.pid")"
await 10 'the namespace is made again' exists
await 10 'the VRF is up once more' up
stop_evpnd v1
nsenter --net="/run/netns/$P-v1" "$build/evpnd" --cleanup --config "$T/v1.yaml" --state-dir "$T/v1.state" >"$T/cleanup"
grep -qx "ip netns delete $ten" "$T/cleanup" || fail "$(cat "$T/cleanup")"
missing || fail 'cleanup left the namespace'

# One that evpnd did not make is not its to remove.
ip netns add "$ten"
start
await 10 'the VRF is up in a namespace of the operator' up
stop_evpnd v1
nsenter --net="/run/netns/$P-v1" "$build/evpnd" --cleanup --config "$T/v1.yaml" --state-dir "$T/v1.state" >"$T/cleanup"
exists || fail "cleanup removed a namespace of the operator: $(cat "$T/cleanup")"
ip netns delete "$ten"

# Where nobody would see it, evpnd does not make it, and says so; layer 2 goes on.
start_evpnd v1
told() { ctl v1 show vrfs --json | jq -re '.[0].problem' | grep "ip netns add $ten"; }
await 10 'the reason is told' told
bridged() { ip -n "$P-v1" link show dev br100; }
await 10 'layer 2 goes on' bridged
missing || fail 'a namespace was made that nobody can use'
