# Routes made by hand, with the embedded speaker and with gobgpd, over a restart, and beside evpnd's own.
. "$(dirname "$0")/lib.sh"
core
for i in 1 2; do
    node v$i 10.99.0.$i/24
    configure_vtep v$i 10.99.0.$i 10.99.0.$((3 - i)) <<<"vnis: [{vni: 100, managed: true}]"
    start_evpnd v$i
done
await 20 'the session' established v1
mac=02:00:00:00:00:aa
ctl v1 advertise mac $mac 10.0.0.9 --vni 100 --rd 10.99.0.1:9 --sequence 3 --sticky --router-mac 02:00:00:00:09:09 --persist
ctl v1 advertise multicast 10.99.0.50 --vni 100 --rd 10.99.0.50:100 --vtep 10.99.0.50
ctl v1 advertise prefix 10.77.0.0/16 --vni 500 --rt 65000:500,65000:501 --gateway 10.0.0.9 --encap geneve
arrives() { on v2 bridge fdb show dev vxlan100 | grep "$1"; }
await 10 'the MAC in the FDB of the other' arrives "$mac dst 10.99.0.1"
await 10 'the VTEP in its flood list' arrives '00:00:00:00:00:00 dst 10.99.0.50'
carried() {
    ctl v2 show routes --type 2 --json | jq -e 'map(select(.rd == "10.99.0.1:9")) | length == 1'
    ctl v2 show routes --type 5 --json | jq -e 'length == 1'
}
await 15 'all that was asked is carried' carried
[ "$(ctl v1 advertise --json | jq length)" = 3 ] || fail 'the list does not have three routes'
# Refusals name the option.
refuses() { # TEXT ARGUMENT…
    local text=$1 out
    shift
    out=$(ctl v1 "$@" 2>&1) && fail "taken: $*"
    grep -q -- "$text" <<<"$out" || fail "expected $text, got: $out"
}
refuses 'not the address of one host' advertise mac 01:00:5e:00:00:01 --vni 100
refuses '--vni 16777216 is not a number' advertise mac $mac --vni 16777216
refuses '--rt x is not a route target' advertise mac $mac --vni 100 --rt x
refuses '--encap warp' advertise mac $mac --vni 100 --encap warp
refuses '--rd is needed' advertise prefix 10.0.0.0/8
refuses 'not of the family' advertise prefix 10.0.0.0/8 --vni 5 --gateway 2001:db8::1
refuses 'what?' advertise carrot
refuses 'evpnd announces' advertise multicast --vni 100
refuses 'was not made by hand' withdraw mac 02:00:00:00:00:bb --vni 100
# A restart keeps what was to be kept, and only that.
stop_evpnd v1
start_evpnd v1
kept() { ctl v1 advertise --json | jq -e 'length == 1 and .[0].persistent'; }
await 10 'one route survives' kept
only() { ctl v2 show routes --json | jq -e '[.[] | select(.rd == "10.99.0.50:100" or .type == 5)] == []'; }
await 60 'the others are gone' only
await 10 'the MAC is there again' arrives "$mac dst 10.99.0.1"
ctl v1 withdraw mac $mac 10.0.0.9 --rd 10.99.0.1:9 --vni 100
gone() { ! arrives "$mac dst 10.99.0.1"; }
await 10 'the MAC goes' gone
ctl v1 advertise mac $mac --vni 100
await 10 'the MAC comes' arrives "$mac dst 10.99.0.1"
ctl v1 withdraw all
await 10 'the MAC goes again' gone
