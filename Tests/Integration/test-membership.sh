# Community membership: gobgpd as the hub, three spokes whose VXLAN devices come and go.
. "$(dirname "$0")/lib.sh"
core
node hub 10.99.0.1/24
configure_gobgp_hub hub ipv4-unicast
configure() { # NODE ADDRESS [more]
    cat >"$T/$1.yaml" <<C
node: {vtep: $2}
bgp:
  global: {asn: 65000, families: [ipv4-unicast]}
  neighbors:
    - config: {neighborAddress: 10.99.0.1, peerAsn: 65000}
      timers: {config: {connectRetry: 1}}
membership: {discover: true}
telemetry: {listen: off}
${3:-}
C
}
device() { # NODE VNI OVERLAY-ADDRESS [NAME] : an operator's device without a bridge, with an address of its own
    local name=${4:-vxlan$2}
    # The same MAC each time, so that neighbours need not forget the one before.
    ip -n "$P-$1" link add "$name" address "02:00:00:00:01:0${1#s}" type vxlan id "$2" local "${vtep[$1]}" dev eth0 dstport 4789 nolearning
    [ "$3" = - ] || ip -n "$P-$1" address add "$3/24" dev "$name"
    ip -n "$P-$1" link set "$name" up
}
floods() { # NODE DEVICE : the flood list, sorted
    bridge -n "$P-$1" fdb show dev "$2" | awk '/^00:00:00:00:00:00 dst/ {print $3}' | sort | tr '\n' ' '
}
flooding() { [ "$(floods "$1" "$2")" = "$3" ]; } # NODE DEVICE "A B "
silent() { ! pings "$@"; }
# The communities of a spoke's host route in the hub's RIB, sorted.
told() {
    on hub gobgp global rib -a ipv4 -j | jq -r --arg p "${vtep[$1]}/32" \
        '.[$p] // [] | .[0].attrs // [] | .[] | select(.type == 8) | .communities[] | "\(. / 65536 | floor):\(. % 65536)"' |
        sort | tr '\n' ' '
}
telling() { [ "$(told "$1")" = "$2" ]; }
absent() { on hub gobgp global rib -a ipv4 -j | jq -e --arg p "${vtep[$1]}/32" 'has($p) | not'; }

declare -A vtep
for i in 1 2 3; do
    vtep[s$i]=10.99.0.1$i
    node s$i 10.99.0.1$i/24
    configure s$i 10.99.0.1$i
done
start_gobgpd hub

# Devices from before the daemon, with an entry that somebody else put there.
device s1 10010 10.10.10.1
bridge -n "$P-s1" fdb append 00:00:00:00:00:00 dev vxlan10010 dst 10.99.0.99
for i in 1 2 3; do start_evpnd s$i; done
for i in 1 2 3; do await 40 "session of s$i" established s$i; done
await 15 'the first device is announced' telling s1 '65000:10010 '

# Discovery, isolation.
device s2 10010 10.10.10.2
device s1 10011 10.10.11.1
device s3 10011 10.10.11.3
await 15 'the second VNI joins the same route' telling s1 '65000:10010 65000:10011 '
await 15 'flood list of 10010, foreign entry kept' flooding s1 vxlan10010 '10.99.0.12 10.99.0.99 '
await 15 'flood list of 10011' flooding s1 vxlan10011 '10.99.0.13 '
await 15 'flood list of s2' flooding s2 vxlan10010 '10.99.0.11 '
await 15 'flood list of s3' flooding s3 vxlan10011 '10.99.0.11 '
await 15 'ping in 10010' pings s1 10.10.10.2
await 15 'ping in 10011' pings s3 10.10.11.1
ip -n "$P-s3" address add 10.10.10.3/24 dev vxlan10011
silent s3 10.10.10.1 || fail 's3 reaches VNI 10010 from 10011'

# A VNI more does not make the route disappear for a moment, on any host.
monitor s2 bridge fdb
device s1 10012 -
await 15 'three VNIs' telling s1 '65000:10010 65000:10011 65000:10012 '
ip -n "$P-s1" link delete vxlan10012
await 15 'two VNIs again' telling s1 '65000:10010 65000:10011 '
flooding s2 vxlan10010 '10.99.0.11 ' || fail 's2 lost s1'
grep -q 'Deleted 00:00:00:00:00:00 dev vxlan10010' "$T/monitor.out" && fail 's2 dropped s1 for a moment'
end_monitor

# Vanish, appear under another name, rename, recreate.
ip -n "$P-s2" link delete vxlan10010
await 15 's2 has nothing left to announce' absent s2
await 15 's1 forgets s2' flooding s1 vxlan10010 '10.99.0.99 '
silent s1 10.10.10.2 || fail 'ping without a device'
device s2 10010 10.10.10.2 other
await 15 's2 is back' flooding s1 vxlan10010 '10.99.0.12 10.99.0.99 '
await 15 'ping after the device is back' pings s1 10.10.10.2
ip -n "$P-s2" link set other down
ip -n "$P-s2" link set other name renamed
ip -n "$P-s2" link set renamed up
await 15 'ping over the renamed device' pings s2 10.10.10.1
ip -n "$P-s2" link delete renamed
device s2 10010 10.10.10.2 again
await 15 'flood list of the device made again' flooding s2 again '10.99.0.11 '
await 15 'ping over the device made again' pings s2 10.10.10.1

# Damage heals; what others made stays.
bridge -n "$P-s1" fdb del 00:00:00:00:00:00 dev vxlan10010 dst 10.99.0.12
await 2 'the entry is put back' flooding s1 vxlan10010 '10.99.0.12 10.99.0.99 '

# VNIs that 16 bits cannot say.
device s1 70000 10.10.70.1
device s3 70000 10.10.70.3
await 15 'a VNI above 65535' flooding s3 vxlan70000 '10.99.0.11 '
await 15 'ping in it' pings s3 10.10.70.1
await 15 'beside the others' pings s3 10.10.11.1

# Told to keep quiet by a reload, a host is withdrawn and follows the others.
configure s2 10.99.0.12
sed -i 's/discover: true/discover: true, advertise: false/' "$T/s2.yaml"
ctl s2 reload >/dev/null
await 15 'a silent host is withdrawn' absent s2
await 15 's1 forgets the silent host' flooding s1 vxlan10010 '10.99.0.99 '
flooding s2 again '10.99.0.11 ' || fail 'the silent host has lost its flood list'
configure s2 10.99.0.12
ctl s2 reload >/dev/null
await 15 's2 announces again' flooding s1 vxlan10010 '10.99.0.12 10.99.0.99 '
ctl s1 explain vni 10010 | grep -q 10.99.0.12 || fail 'explain does not name the member'

# The hub restarts: own routes come back by themselves, hosts that went meanwhile are swept, nothing is dropped before.
kill_gobgpd hub
ip -n "$P-s3" link delete vxlan10011
flooding s1 vxlan10010 '10.99.0.12 10.99.0.99 ' || fail 'flood list lost with the hub'
start_gobgpd hub
await 20 's1 announces to the new hub' telling s1 '65000:10010 65000:10011 '
await 20 's3 is gone from 10011' flooding s1 vxlan10011 ''
await 20 's2 stays in 10010' flooding s1 vxlan10010 '10.99.0.12 10.99.0.99 '

# A restart of evpnd: devices and entries stay, nothing is removed before the others' routes are here.
monitor s1 bridge fdb
stop_evpnd s1
ip -n "$P-s1" link show vxlan10010 >/dev/null || fail 'the operator'\''s device is gone'
flooding s1 vxlan10010 '10.99.0.12 10.99.0.99 ' || fail 'entries are gone after the exit'
start_evpnd s1
await 20 's1 is back' established s1
await 10 's1 has settled' settled s1
grep -q Deleted "$T/monitor.out" && fail 'entries were removed over the restart'
# The hub keeps nothing of a host that is away, so s2 has to hear of s1 again.
await 15 'ping after the restart' pings s1 10.10.10.2

# The end: withdrawn, our entries removed, the others' and the devices kept.
sed -i 's/^telemetry:.*/&\nforwarding: {onExit: remove}/' "$T/s1.yaml"
ctl s1 reload >/dev/null
kill "$(cat "$T/s1.pid")"
await 15 's1 is withdrawn' absent s1
await 15 'only the foreign entry is left' flooding s1 vxlan10010 '10.99.0.99 '
ip -n "$P-s1" link show vxlan10010 >/dev/null || fail 'the operator'\''s device was deleted'
