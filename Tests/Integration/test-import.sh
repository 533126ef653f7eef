# evpnctl import: what it prints is usable, says what was lost, and a file that is no good ends with status 1.
. "$(dirname "$0")/lib.sh"
fixtures=$root/Tests/Fixtures/Takeover
import() { # PROGRAM FILE EXPECTED-STATUS
    local status=0
    "$build/evpnctl" import "$1" "$2" >"$T/out.yaml" 2>"$T/out.err" || status=$?
    [ $status = "$3" ] || fail "import $1 $2: status $status, not $3: $(cat "$T/out.err")"
}
usable() { "$build/evpnd" --config "$T/out.yaml" --check >"$T/check" || fail "not usable: $(cat "$T/check")"; }

for file in dynamic static; do
    import gobgp-evpn-agent "$fixtures/gobgp-evpn-agent/$file.yaml" 0
    usable
done
grep -q '^# .*metrics: unknown key' "$T/out.yaml" || fail 'an unknown key is not listed'
grep -q '^    address: "10.0.0.1:50052"' "$T/out.yaml" || fail 'the address of gobgpd is lost'
for file in hub everything; do
    import gobgpd "$fixtures/gobgpd/$file.toml" 0
    usable
done
grep -q '^# .*policy-definitions: no equivalent' "$T/out.yaml" || fail 'policies are not listed'

import gobgp-evpn-agent "$fixtures/gobgp-evpn-agent/bad.yaml" 1
[ ! -s "$T/out.yaml" ] || fail 'half a translation'
grep -q 'bad.yaml:2:16: error: advertiseSelf' "$T/out.err" || fail 'no line is named'
import gobgpd "$fixtures/gobgpd/broken.toml" 1
import gobgpd "$T/nothing.toml" 1
import gobgpd "$fixtures" 1
import other "$fixtures/gobgpd/hub.toml" 2

# What can be said but not used says why, at the place in the other file.
printf '[global.config]\nas = 65000\nrouter-id = "127.0.0.1"\n' >"$T/odd.toml"
import gobgpd "$T/odd.toml" 1
grep -q 'odd.toml: one mistake to be put right' "$T/out.err" || fail 'what is wrong is told in a comment only'
grep -q '^# .*odd.toml:3:13: error: bgp.global.routerID' "$T/out.yaml" || fail 'a mistake is not told'

for file in evpn everything; do
    import evpn-connector "$fixtures/evpn-connector/$file.conf" 0
    usable
done
grep -q '^# .*sentry.enabled: no equivalent' "$T/out.yaml" || fail 'sentry is not listed'
import evpn-connector "$fixtures/evpn-connector/broken.conf" 1
import evpn-connector "$fixtures/evpn-connector/bad.conf" 1
grep -q 'daemon.configs_dir: is required' "$T/out.err" || fail 'a missing option is not named'

# As evpnd itself reads it: the file, its directory, then the command line.
cp "$fixtures/evpn-connector/evpn.conf" "$T/evpn.conf"
mkdir "$T/evpn.conf.d"
printf '[gobgp]\nsource_ip = 192.0.2.77\n' >"$T/evpn.conf.d/50-address.conf"
"$build/evpnd" --from evpn-connector "$T/evpn.conf" --ovs-vxlan_udp_port 99999 --check >"$T/check" && fail 'a wrong flag was taken'
grep -q -- '--ovs-vxlan_udp_port:1:1: error: openvswitch.udpPort' "$T/check" || fail "the flag is not named: $(cat "$T/check")"
"$build/evpnd" --from evpn-connector "$T/evpn.conf" --gobgp-as_number=65000 --check || fail 'not usable'
printf '[gobgp]\nsource_ip = 192.0.2.777\n' >"$T/evpn.conf.d/60-address.conf"
"$build/evpnd" --from evpn-connector "$T/evpn.conf" --check >"$T/check" && fail 'the directory was not read'
grep -q '60-address.conf:2:13: error' "$T/check" || fail "another place: $(cat "$T/check")"
"$build/evpnd" --from evpn-connector "$T/nothing.conf" --check >"$T/check" && fail 'a missing file was taken'
true
