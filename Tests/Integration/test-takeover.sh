# evpnd in place of gobgp-evpn-agent: its own file as it is, a gobgpd on every host, and what that program did wrong.
# BESIDE
. "$(dirname "$0")/lib.sh"
core
start_agent() { # NODE
    ip netns exec "$P-$1" "$build/evpnd" --from gobgp-evpn-agent "$T/$1.config.yaml" --socket "$T/$1.sock" \
        --state-dir "$T/$1.state" >>"$T/$1.log" 2>&1 &
    echo $! >"$T/$1.pid"
    await 20 "evpnd of $1 answers" ctl "$1" show status
}
device() { # NODE VNI OVERLAY-ADDRESS [NAME]
    local name=${4:-vxlan$2}
    # The same MAC each time, so that neighbours need not forget the one before.
    ip -n "$P-$1" link add "$name" address "02:00:00:00:01:0${1#s}" type vxlan id "$2" local "${vtep[$1]}" dev eth0 dstport 4789 nolearning
    [ "$3" = - ] || ip -n "$P-$1" address add "$3/24" dev "$name"
    ip -n "$P-$1" link set "$name" up
}
flooding() { # NODE DEVICE "A B " : exactly these are on the flood list
    [ "$(bridge -n "$P-$1" fdb show dev "$2" | awk '/^00:00:00:00:00:00 dst/ {print $3}' | sort | tr '\n' ' ')" = "$3" ]
}
telling() { # NODE "ASN:VNI " : the communities of its host route at the hub
    [ "$(on hub gobgp global rib -a ipv4 -j | jq -r --arg p "${vtep[$1]}/32" \
        '.[$p] // [] | .[0].attrs // [] | .[] | select(.type == 8) | .communities[] | "\(. / 65536 | floor):\(. % 65536)"' |
        sort | tr '\n' ' ')" = "$2" ]
}
absent() { on hub gobgp global rib -a ipv4 -j | jq -e --arg p "${vtep[$1]}/32" 'has($p) | not'; }
silent() { ! pings "$@"; }
nothing_deleted() { # WHAT : no flood entry went since `monitor`
    end_monitor
    ! grep 'Deleted 00:00:00:00:00:00' "$T/monitor.out" >&2 || fail "$1"
}

declare -A vtep
node hub 10.99.0.1/24
configure_gobgp_hub hub ipv4-unicast
start_gobgpd hub
for i in 1 2 3; do
    vtep[s$i]=10.99.0.1$i
    node s$i 10.99.0.1$i/24
    gobgp_global='port = -1' configure_gobgp s$i 10.99.0.1$i 10.99.0.1 ipv4-unicast
    start_gobgpd s$i
    # As its README has it, one key twice.
    cat >"$T/s$i.config.yaml" <<C
logLevel: info
advertiseSelf: true
communityAsn: 65000
gobgp:
  address: "127.0.0.1:50051"
  timeout: "5s"
node:
  localInterface: "eth0"
  localAddress: ""
  vxlanPort: 4789
communityAsn: 65000
C
done
# The third is told what to serve, to keep quiet, and something that nobody understands.
cat >"$T/s3.config.yaml" <<C
advertiseSelf: false
communityAsn: 65000
metrics: true
node: {localAddress: 10.99.0.13, skipLinkCleanup: false}
vnis: [{id: 10011}]
C

device s1 10010 10.10.10.1
# An entry that somebody else made, and one that the program before has left.
bridge -n "$P-s1" fdb append 00:00:00:00:00:00 dev vxlan10010 dst 10.99.0.99
bridge -n "$P-s1" fdb append 00:00:00:00:00:00 dev vxlan10010 dst 10.99.0.12
monitor s1 bridge fdb
for i in 1 2 3; do start_agent s$i; done
await 30 'announced with the first device' telling s1 '65000:10010 '
device s2 10010 10.10.10.2
await 10 'flood list of s2' flooding s2 vxlan10010 '10.99.0.11 '
await 10 'ping in 10010' pings s1 10.10.10.2
nothing_deleted 'an entry was removed at the start'
flooding s1 vxlan10010 '10.99.0.12 10.99.0.99 ' || fail 'flood list of s1'

# Isolation, and a host that is told to keep quiet.
device s1 10011 10.10.11.1
device s3 10011 10.10.11.3
await 15 's3 follows' flooding s3 vxlan10011 '10.99.0.11 '
absent s3 || fail 'advertiseSelf: false is ignored'
grep -q 'metrics: unknown key' "$T/s3.log" || fail 'the unknown key is not listed'
sed -i 's/advertiseSelf: false/advertiseSelf: true/' "$T/s3.config.yaml"
ctl s3 reload >/dev/null
await 15 's3 speaks up' telling s3 '65000:10011 '
await 15 'ping in 10011' pings s1 10.10.11.3
ip -n "$P-s3" address add 10.10.10.3/24 dev vxlan10011
silent s3 10.10.10.1 || fail 's3 reaches VNI 10010 from 10011'

# A VNI more or less moves nothing else.
monitor s2 bridge fdb
device s1 10012 -
await 15 'three VNIs' telling s1 '65000:10010 65000:10011 65000:10012 '
ip -n "$P-s1" link delete vxlan10012
await 15 'two VNIs again' telling s1 '65000:10010 65000:10011 '
nothing_deleted 's2 dropped s1 for a moment'

# Vanish, recreate, rename; the entry that was left is removed with its host, the other one is not ours.
ip -n "$P-s2" link delete vxlan10010
await 15 's2 is withdrawn' absent s2
await 15 's1 forgets s2' flooding s1 vxlan10010 '10.99.0.99 '
device s2 10010 10.10.10.2 other
await 15 'ping over a device of another name' pings s1 10.10.10.2
ip -n "$P-s2" link set other down
ip -n "$P-s2" link set other name renamed
ip -n "$P-s2" link set renamed up
await 15 'ping over the renamed device' pings s2 10.10.10.1

# A host that still runs the other program: standard communities alone. Fewer of them leave nothing behind.
old() { on hub gobgp global rib "$1" -a ipv4 10.99.0.50/32 nexthop 10.99.0.50 ${2:+community $2}; }
old add 65000:10010,65000:10011
await 15 'the host of the other program is a member' flooding s1 vxlan10010 '10.99.0.12 10.99.0.50 10.99.0.99 '
await 15 'of both VNIs' flooding s1 vxlan10011 '10.99.0.13 10.99.0.50 '
old add 65000:10011
await 15 'and then of one' flooding s1 vxlan10010 '10.99.0.12 10.99.0.99 '
flooding s1 vxlan10011 '10.99.0.13 10.99.0.50 ' || fail 'the VNI that stayed is gone'
old del
await 15 'and of none' flooding s1 vxlan10011 '10.99.0.13 '

# What 16 bits cannot say.
device s1 70000 10.10.70.1
device s2 70000 10.10.70.2
await 15 'ping in a VNI above 65535' pings s1 10.10.70.2
flooding s3 vxlan10011 '10.99.0.11 ' || fail 'another VNI is disturbed'

# gobgpd of s1 is killed and comes back empty; meanwhile a host goes.
monitor s1 bridge fdb
kill_gobgpd s1
await 10 'the hub has lost s1' absent s1
flooding s1 vxlan10010 '10.99.0.12 10.99.0.99 ' || fail 'forwarding is not held'
nothing_deleted 'an entry was removed with gobgpd'
ip -n "$P-s3" link delete vxlan10011
start_gobgpd s1
await 20 'announced again' telling s1 '65000:10010 65000:10011 '
await 40 'the host that went is swept' flooding s1 vxlan10011 ''
flooding s1 vxlan10010 '10.99.0.12 10.99.0.99 ' || fail 'the host that stayed is gone'

# The end: status 0, devices stay. A file that is no good: status 1.
kill "$(cat "$T/s1.pid")"
status=0
wait "$(cat "$T/s1.pid")" || status=$?
[ $status = 0 ] || fail "status $status at the end"
ip -n "$P-s1" link show vxlan10010 >/dev/null || fail 'the device was deleted'
printf 'vnis: []\n' >"$T/bad.yaml"
status=0
on s1 "$build/evpnd" --from gobgp-evpn-agent "$T/bad.yaml" --socket "$T/bad.sock" >"$T/bad.out" 2>&1 || status=$?
[ $status = 1 ] && grep -q 'communityAsn: is required' "$T/bad.out" || fail "status $status of a bad file"
