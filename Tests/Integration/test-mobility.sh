# Two hosts with one MAC: frozen after five moves, visible, explained, recoverable; a sticky MAC does not move.
. "$(dirname "$0")/lib.sh"
core
for i in 2 3; do
    node v$i 10.99.0.$i/24
    host h$i v$i p$i 10.0.0.$i/24 02:00:00:00:00:0$i
    configure_vtep v$i 10.99.0.$i 10.99.0.$((5 - i)) <<<"vnis: [{vni: 100, managed: true, members: [p$i, d$i, s$i]}]"
done
sed -i 's/s2\]}/s2], macs: [{mac: "02:00:00:00:00:ee", sticky: true}]}/' "$T/v2.yaml"
start_evpnd v2
start_evpnd v3
await 20 'ping' pings h2 10.0.0.3
duplicate=02:00:00:00:00:dd
for i in 2 3; do host d$i v$i d$i 10.0.0.77/24 $duplicate; done
frozen() { # on one of the two; each counts the moves it sees
    on d2 ping -c 1 -W 0.1 -q 10.0.0.2
    on d3 ping -c 1 -W 0.1 -q 10.0.0.3
    for v in v2 v3; do ctl $v show macs --mac $duplicate --json | jq -e '.[0].frozen' && return; done
    return 1
}
await 30 'the duplicate MAC is frozen' frozen
v=v2
ctl v2 show macs --mac $duplicate --json | jq -e '.[0].frozen' >/dev/null || v=v3
ctl $v show vnis | grep -q 'frozen as duplicates' || fail 'show vnis does not say that a MAC is frozen'
ctl $v explain mac $duplicate --vni 100 >"$T/explain" 2>&1 && fail 'explain calls a frozen MAC complete'
grep -q "evpnctl recover mac $duplicate --vni 100" "$T/explain" || fail 'explain does not say how to recover'
grep -q 'event=evpn.mac.duplicate' "$T/$v.log" || fail 'no log line about the duplicate'
# The second owner goes; the operator lets the MAC move again.
remove_host d3
for x in v2 v3; do ctl $x recover mac $duplicate 2>"$T/recover" || grep -q 'is not frozen' "$T/recover" || fail 'recover'; done
lives() { pings d2 10.0.0.3 && ctl v3 show macs --mac $duplicate --json | jq -e '.[0].place == "remote" and .[0].at == "10.99.0.2" and (.[0].frozen | not)'; }
await 20 'the MAC is where its one owner is' lives
ctl v2 recover mac $duplicate 2>"$T/recover" && fail 'recovered what is not frozen'
ctl v2 recover mac $duplicate --vni 0 2>"$T/recover" && fail 'VNI 0 was accepted'
grep -q '0 is not a VNI' "$T/recover" || fail 'no word about the wrong VNI'
# A sticky MAC of v2: whoever uses it behind v3 does not get it.
host s3 v3 s3 10.0.0.88/24 02:00:00:00:00:ee
# The kernel has it as sticky: the bridge does not even learn it from the wrong port.
sticky() { on v3 bridge fdb show dev vxlan100 | grep '02:00:00:00:00:ee.*sticky'; }
await 15 'the sticky MAC in the FDB of the other VTEP' sticky
on s3 ping -c 10 -i 0.1 -W 0.2 -q 10.0.0.3 >/dev/null && fail 'somebody answers to a stolen sticky MAC'
ctl v3 show macs --mac 02:00:00:00:00:ee --json | jq -e '.[0].place == "remote" and .[0].at == "10.99.0.2"' >/dev/null || fail 'a sticky MAC moved'
ctl v2 show routes --mac 02:00:00:00:00:ee --json | jq -e 'map(select(.neighbor == "local")) | .[0].sticky' >/dev/null || fail 'not announced as sticky'
