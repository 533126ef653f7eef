# Bad input behind Open vSwitch: files of clients that are broken in every way, ports that are not there yet, a file that
# is written to again and again, a database that lacks a column. What is good goes on, and what is wrong is told by name.
. "$(dirname "$0")/lib.sh"
. "$here/ovs.sh"
core
mkdir "$T/clients"
for i in 1 2; do
    ovs_node v$i 10.98.0.$i/24
    ovs_host h$i v$i p$i 10.20.0.$i/24 02:00:00:00:20:0$i
done
configure_switch v1 10.98.0.1 10.98.0.2 <<C
clientDirectory: {path: $T/clients}
C
configure_switch v2 10.98.0.2 10.98.0.1 <<C
clients: [{vni: 100, port: p2, mac: "02:00:00:00:20:02", imp_rt: ["65000:100"], exp_rt: ["65000:100"]}]
C
targets='"imp_rt": ["0:100"], "exp_rt": ["0:100"]'
good="{\"vni\": 100, \"port\": \"p1\", \"mac\": \"02:00:00:00:20:01\", $targets}"
put() { # FILE TEXT : renamed into place
    printf '%s' "$2" >"$T/clients/.new"
    mv "$T/clients/.new" "$T/clients/$1"
}
put a "$good"
for i in 1 2; do
    start_evpnd v$i
    ports v$i p$i
done
await 20 'ping' pings h1 10.20.0.2

# Every fault is told by its file and field, and no other client is the worse for it.
ip netns exec "$P-h1" ping -i 0.01 -c 500 10.20.0.2 >"$T/stream" 2>&1 &
stream=$!
number=$(vsctl v1 get Interface p1 ofport)
declare -A faults
bad() { # FILE TEXT WORDS
    put "$1" "$2"
    faults[$1]=$3
}
bad b-comment "{\"vni\": 100, /* port */ \"ofport\": 9, \"mac\": \"02:00:00:00:20:09\"}" 'error: JSON has no comments'
bad b-trailing "{\"vni\": 100, \"ofport\": 9, \"mac\": \"02:00:00:00:20:09\"} x" 'b-trailing:1:'
bad b-half "{\"vni\": 100, \"ofport\": 9, \"mac\": \"02:00" 'b-half:1:'
bad b-empty '' 'b-empty'
bad b-list '[{"vni": 100}]' 'b-list:1:1'
bad b-octets $'\xff\xfe\x01{' 'b-octets:1:'
bad b-deep "$(printf '[%.0s' {1..5000})" 'b-deep:1:'
bad b-tag "{\"vni\": 100, \"ofport\": 9, \"type\": \"vlan\", \"tag\": 4095, \"mac\": \"02:00:00:00:20:09\"}" 'tag: '
bad b-no-tag "{\"vni\": 100, \"ofport\": 9, \"type\": \"vlan\", \"mac\": \"02:00:00:00:20:09\"}" 'tag: is required'
bad b-mac "{\"vni\": 100, \"ofport\": 9, \"mac\": \"01:00:5e:00:00:01\"}" 'mac: '
bad b-target "{\"vni\": 100, \"ofport\": 9, \"mac\": \"02:00:00:00:20:09\", \"imp_rt\": [\"65000:100:1\"]}" 'imp_rt[0]: '
bad b-vni "{\"vni\": 16777216, \"ofport\": 9, \"mac\": \"02:00:00:00:20:09\"}" 'vni: '
bad b-port "{\"vni\": 100, \"ofport\": 65278, \"mac\": \"02:00:00:00:20:09\"}" 'port 65278 is the tunnel port'
bad b-twice "{\"vni\": 100, \"ofport\": 8, \"mac\": \"02:00:00:00:20:01\", $targets}" 'MAC 02:00:00:00:20:01 in VNI 100 is already that of a'
bad b-routed '{"cfg_type": "l3", "vni": 100, "ofport": 9, "mac": "02:00:00:00:20:09", "routes": ["10.1.0.0/24"]}' 'VNI 100 is already used by a as l2'
bad b-prefix '{"cfg_type": "l3", "vni": 500, "ofport": 9, "mac": "02:00:00:00:20:09", "routes": ["10.1.0.0/33"]}' 'routes[0]: '
# By number what the first has by name: the same port.
put c-number "{\"vni\": 300, \"ofport\": $number, \"mac\": \"02:00:00:00:20:08\"}"
# What is no file is not looked at.
mkdir "$T/clients/b-directory"
mkfifo "$T/clients/b-fifo"
ln -s /dev/zero "$T/clients/b-zero"
ln -s nowhere "$T/clients/b-nowhere"
told() { ctl v1 show clients | grep -F "$1"; }
for file in "${!faults[@]}"; do await 10 "$file is told: ${faults[$file]}" told "${faults[$file]}"; done
rm -r "$T"/clients/b-*
# While a file is written to, in pieces, its client stays.
for _ in {1..60}; do
    printf '%s' "${good:0:30}" >"$T/clients/a"
    printf '%s' "${good:30}" >>"$T/clients/a"
done
whole() { ctl v1 show clients --json | jq -e 'map(select(.source == "a"))[0].state == "served"'; }
await 10 'the file is whole again' whole
wait $stream || true
none_unanswered "$T/stream" 'while files are bad'
await 10 'a second client of one port' grep 'the client of port .* is left out: p1 is that of another client' "$T/v1.log"
rm "$T/clients/c-number"

# A port that comes later, goes and comes back with another number.
put late "{\"vni\": 100, \"port\": \"p3\", \"mac\": \"02:00:00:00:20:03\", $targets}"
ovs_host h3 v1 p3 10.20.0.3/24 02:00:00:00:20:03
announced() { ctl v2 show macs --mac 02:00:00:00:20:03 --json | jq -e 'length == 1'; }
await 15 'a client whose port is not there waits' told 'p3 is not a port of br-int: ovs-vsctl add-port br-int p3'
! announced || fail 'a host without a port is announced'
for number in 33 44; do
    vsctl v1 add-port br-int p3 -- set Interface p3 ofport_request=$number
    await 10 'the host of a port that has come' pings h3 10.20.0.2
    vsctl v1 del-port br-int p3
    withdrawn() { ! announced; }
    await 10 'the host of a port that has gone is withdrawn' withdrawn
done
rest v1

says() { ctl v1 show status | grep -F -- "$1"; }
# A database that lacks a column: told, and when it is another one, everything goes on.
stop "$T/v1.ovsdb.pid"
jq 'del(.tables.Interface.columns.ofport_request) | del(.cksum)' /usr/share/openvswitch/vswitch.ovsschema >"$T/less.ovsschema"
mv "$T/v1.ovs/conf.db" "$T/v1.ovs/whole.db"
ovsdb-tool create "$T/v1.ovs/conf.db" "$T/less.ovsschema"
stop "$T/v1.vswitchd.pid"
start_ovsdb v1
await 10 'the column that is missing' says 'no column Interface.ofport_request'
stop "$T/v1.ovsdb.pid"
mv "$T/v1.ovs/whole.db" "$T/v1.ovs/conf.db"
start_ovsdb v1
start_vswitchd v1
underlay v1 10.98.0.1/24
await 20 'ping with a whole database' pings h1 10.20.0.2
rest v1

# The tunnel port gets another name: the old one makes way, as Open vSwitch has no two with the same tunnels.
sed -i 's/bridge: br-int,/& tunnelPort: vx0,/' "$T/v1.yaml"
ctl v1 reload
renamed() { [ "$(vsctl v1 --bare --columns=name find Interface type=vxlan)" = vx0 ] && [ "$(vsctl v1 get Interface vx0 ofport)" = 65278 ]; }
await 10 'the tunnel port has its new name' renamed
await 10 'ping through it' pings h1 10.20.0.2
rest v1

# What the connections are made with waits for the next start, and that is told.
sed -i 's|bridge: br-int,|& runDirectory: /nowhere,|' "$T/v1.yaml"
ctl v1 reload | grep 'openvswitch.runDirectory.*next start' || fail 'the reload does not say what waits'
says 'openvswitch.runDirectory' || fail 'the status does not say what waits'
echoes h1 10.20.0.2 || fail 'what waits has an effect'
