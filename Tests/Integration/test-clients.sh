# Clients of Open vSwitch in files: shown, followed, kept when their files break or disappear, as evpn-connector has them; anycast addresses
# by a status file and by probes.
. "$(dirname "$0")/lib.sh"
core
node a 10.99.0.2/24
node b 10.99.0.3/24
mkdir "$T/clients"
client() { # FILE VNI PORT : as a program writes it, renamed into place
    printf '{"vni": %s, "mac": "02:00:00:00:00:%02x", "ofport": %s, "type": "flat", "imp_rt": ["0:%s"], "exp_rt": ["0:%s"]}' \
        "$2" "$3" "$3" "$2" "$2" >"$T/clients/.new"
    mv "$T/clients/.new" "$T/clients/$1"
}
anycast='{"anycast_ip": "198.51.100.1", "dst_ip": "10.6.0.1", "check_ip": "10.255.0.1", "internal_dst_ip": "10.254.0.1", "internal_checker_ip": "10.254.0.254", "conntrack_zone": 7}'
cat >"$T/evpn.conf" <<C
[agent]
sync_period = 3
[daemon]
configs_dir = $T/clients
[gobgp]
source_ip = 10.99.0.2
gobgp_channel = 127.0.0.1:1
as_number = 65000
[ovs]
switch_name = br-none
[anycast]
anycast_status_file = $T/status
C
client a 10 1
client b 10 2
printf '{"cfg_type": "l3", "vni": 20, "mac": "02:00:00:00:00:03", "ofport": 3, "type": "flat", "routes": ["10.1.0.5/32"], "anycast": [%s]}' \
    "$anycast" >"$T/clients/c"
serve() { # OPTION… : evpnd in node a
    ip netns exec "$P-a" "$build/evpnd" "$@" --socket "$T/a.sock" --state-dir "$T/a.state" >>"$T/a.log" 2>&1 &
    echo $! >"$T/a.pid"
    await 10 'the control socket' ctl a show status
}
rows() { ctl a show clients --json | jq -r '.[] | "\(.source) \(.state) \(.kind) \(.port) \(.vni)"'; }
shows() { [ "$(rows)" = "$(printf '%s\n' "$@")" ]; }
says() { ctl a show status | grep "$1"; }

serve --from evpn-connector "$T/evpn.conf"
# There is no Open vSwitch here: nobody is served, and that is said.
await 10 'clients' shows 'a waiting l2 1 10' 'b waiting l2 2 10' 'c waiting l3 3 20'
ctl a show clients | grep -q 'db.sock' || fail "no reason why they wait: $(ctl a show clients)"
ctl a show vnis --json | jq -e '.[0] | .vni == 10 and .rd == "10.99.0.2:10" and .import == "65000:10"' || fail 'the VNI of the clients'
ctl a show vrfs --json | jq -e '.[0] | .name == "vrf20" and .vni == 20' || fail 'the VRF of the clients'
grep -q 'agent.sync_period: had no effect there' "$T/a.log" || fail 'sync_period is not told'

# A file that breaks keeps its client; one that is another's is left out; one that is deleted takes its client with it.
printf '{"vni": 10, // half' >"$T/clients/a"
await 15 'a kept client' shows 'a kept l2 1 10' 'b waiting l2 2 10' 'c waiting l3 3 20'
says 'clients .*broken: 1 client file' || fail 'the status does not name it'
ctl a show clients | grep 'a:1:13: error: JSON has no comments' || fail "no word about the comment: $(ctl a show clients)"
client d 20 4
await 15 'a client left out' shows 'a kept l2 1 10' 'b waiting l2 2 10' 'c waiting l3 3 20' 'd left out l2 4 20'
ctl a show clients | grep 'VNI 20 is already used by c as l3' || fail 'no reason'
# Also when its name comes first: whoever is served keeps what it has.
client 0 20 5
await 15 'a client left out that comes first' shows '0 left out l2 5 20' 'a kept l2 1 10' 'b waiting l2 2 10' 'c waiting l3 3 20' 'd left out l2 4 20'
rm "$T/clients/d" "$T/clients/0"
await 10 'a deleted file' shows 'a kept l2 1 10' 'b waiting l2 2 10' 'c waiting l3 3 20'

# The last good state outlives evpnd.
stop_evpnd a
serve --from evpn-connector "$T/evpn.conf"
shows 'a kept l2 1 10' 'b waiting l2 2 10' 'c waiting l3 3 20' || fail "after a restart: $(rows)"

# An emptied or missing directory changes nothing until that is confirmed.
ctl a confirm-empty 2>/dev/null && fail 'there was nothing to confirm'
rm "$T"/clients/*
await 15 'an empty directory' shows 'a missing l2 1 10' 'b missing l2 2 10' 'c missing l3 3 20'
rmdir "$T/clients"
await 15 'a missing directory' says 'clientDirectory: No such file'
mkdir "$T/clients"
client b 11 5
await 15 'a file that is back' shows 'a missing l2 1 10' 'b waiting l2 5 11' 'c missing l3 3 20'
says 'until evpnctl confirm-empty' || fail 'the way out is not told'
ctl a confirm-empty | grep '^a: its client is gone' || fail 'nothing was confirmed'
shows 'b waiting l2 5 11' || fail "after the confirmation: $(rows)"

# The status file: missing at first, then listing, then broken.
printf '{"cfg_type": "l3", "vni": 20, "mac": "02:00:00:00:00:03", "ofport": 3, "routes": [], "anycast": [%s]}' "$anycast" >"$T/clients/c"
enabled() { ctl a show anycast --json | jq -e "length == 1 and .[0].enabled == $1"; }
await 15 'a disabled anycast address' enabled false
echo '["198.51.100.1_10.254.0.1"]' >"$T/status"
await 15 'an enabled anycast address' enabled true
echo '[' >"$T/status"
await 15 'a broken status file' says "$T/status"
enabled true || fail 'a broken status file disables'
stop_evpnd a

# Probes of our own, through a veth in place of the check port, to a server that comes and goes.
ip link add check0 netns "$P-a" address 12:34:56:78:90:aa type veth peer name check1 netns "$P-b"
on a ip addr add 10.254.0.254/24 dev check0
on b ip addr add 10.254.0.1/24 dev check1
on a ip link set check0 up
on b ip link set check1 up
configure() { # PROBE
    cat >"$T/a.yaml" <<C
node: {vtep: 10.99.0.2}
bgp:
  global: {asn: 65000}
  neighbors: [{config: {neighborAddress: 10.99.0.3, peerAsn: 65000}}]
dataplane: openvswitch
openvswitch: {bridge: br-none, anycastCheck: {interface: check0, probe: {$1, interval: 1, rise: 1, fall: 2}}}
clients: [{cfg_type: l3, vni: 20, mac: 02:00:00:00:00:03, ofport: 3, anycast: [$anycast]}]
C
}
server() {
    ip netns exec "$P-b" python3 -m http.server --directory "$T/clients" --bind 10.254.0.1 8080 >"$T/server.log" 2>&1 &
    server=$!
    echo $server >"$T/server.pid"
}
configure 'type: icmp'
serve --config "$T/a.yaml"
await 10 'an echo' enabled true
for probe in 'type: tcp, port: 8080' 'type: http, port: 8080, path: /b'; do
    configure "$probe"
    ctl a reload
    await 10 "a failed probe ($probe)" enabled false
    reason() { ctl a show anycast | grep 'Connection refused'; }
    await 10 "its reason ($probe)" reason
    server
    await 10 "a good probe ($probe)" enabled true
    kill "$server"
    await 10 "a lost server ($probe)" enabled false
done
configure 'type: http, port: 8080, path: /nothing'
ctl a reload
server
answered() { ctl a show anycast | grep 'status 404'; }
await 10 'a status that is an error' answered
enabled false || fail 'an error enables'
