# Documentation/OpenVSwitch.md against a bridge that has every kind of flow: each flow is in its table, each row of the table has a flow, and
# `ofproto/trace` leads packets through the rows that it names. VTEP 2 is compatible with evpn-connector.
. "$(dirname "$0")/lib.sh"
. "$here/ovs.sh"
core
for i in 1 2; do ovs_node v$i 192.0.2.$i/24; done
anycast() { # ADDRESS-OF-THE-CLIENT
    echo "anycast: [{anycast_ip: 198.51.100.1, dst_ip: $1, check_ip: 10.255.0.1, internal_dst_ip: 10.254.0.1, internal_checker_ip: 10.254.0.254, conntrack_zone: 7}]"
}
switch_keys='learningSeconds: 60s, anycastCheck: {number: 65277}' configure_switch v1 192.0.2.1 192.0.2.2 <<C
vrfs:
  - {name: ten, vni: 20, routerMAC: "02:00:00:00:99:01", announce: {connected: true}, leak: [{from: other, prefixes: [10.9.0.0/16]}]}
  - {name: other, vni: 21}
vnis: [{vni: 10, vrf: ten, gateway: [10.0.0.254/24, "2001:db8::ffff/64"], gatewayMAC: "02:00:5e:00:01:01"}]
clients:
  - {vni: 10, ofport: 1, mac: "02:00:00:00:10:01", addresses: [10.0.0.1, "2001:db8::1"]}
  - {vni: 10, ofport: 2, type: vlan, tag: 7, mac: "02:00:00:00:10:02"}
  - {vni: 10, ofport: 4}
  - {cfg_type: l3, vni: 20, ofport: 3, mac: "02:00:00:00:20:03", routes: [10.1.0.5/32, 10.2.0.0/16, "2001:db8:1::/48"], $(anycast 10.1.0.5)}
  - {cfg_type: l3, vni: 21, ofport: 6, type: vlan, tag: 1, mac: "02:00:00:00:21:06", routes: [10.10.1.0/24]}
  - {cfg_type: l3, vni: 21, ofport: 6, type: vlan, tag: 2, mac: "02:00:00:00:21:06", routes: [10.10.2.0/24]}
  - {cfg_type: l3, vni: 21, ofport: 5, mac: "02:00:00:00:21:05", routes: [10.9.0.0/16]}
C
switch_keys='connectorCompatible: true, anycastCheck: {number: 65277}, routerMAC: "02:00:00:00:99:02"' configure_switch v2 192.0.2.2 192.0.2.1 <<C
clients:
  - {vni: 10, ofport: 1, mac: "02:00:00:00:10:03"}
  - {cfg_type: l3, vni: 20, ofport: 3, mac: "02:00:00:00:20:04", routes: [10.1.0.6/32, 10.2.0.0/16, 10.3.0.0/16, 169.254.169.254/32], $(anycast 10.1.0.6)}
C
for i in 1 2; do
    start_evpnd v$i
    ports v$i
    for port in 1 2 3 4 5 6 65277; do
        vsctl v$i add-port br-int p$port -- set Interface p$port type=internal ofport_request=$port
        on v$i sysctl -qw net.ipv6.conf.p$port.disable_ipv6=1
        ip -n "$P-v$i" link set p$port up
    done
done
for i in 1 2; do await 20 "sessions of v$i" established v$i; done
complete() { flows v1 | grep 'dl_dst=02:00:00:00:10:03.*192.0.2.2' && flows v1 | grep 'nw_dst=10.3.0.0/16' && flows v2 | grep 'table=2.*reg3=0x1.*198.51.100.1'; }
await 20 'everything of the other VTEP is there' complete
rest v1 v2
# Somebody says something at the port whose addresses are learned.
ip -n "$P-v1" link set p4 address 02:00:00:00:10:44
ip -n "$P-v1" address add 10.0.0.44/24 dev p4
learned() { pings v1 10.0.0.45; flows v1 | grep 'table=6.*dl_src=02:00:00:00:10:44'; }
await 10 'an address is learned' learned

trace() { # FLOW TABLE:PRIORITY… : a packet meets these rows, and the rest is in $T/trace
    appctl "${at:-v1}" ofproto/trace br-int "$1" ${next:+--ct-next "$next"} >"$T/trace"
    local met
    met=$(sed -n '/bridge("br-phy")/,/bridge("br-int")/d; s/^ *\([0-9]\)\. .*priority \([0-9]*\).*/\1:\2/p' "$T/trace" | tr '\n' ' ')
    [ "$met" = "${*:2} " ] || { cat "$T/trace"; fail "$1: $met"; }
}
does() { # WORDS : of the actions of the datapath at the end
    grep -F 'Datapath actions: ' "$T/trace" | tail -1 | grep -F -- "$1" >/dev/null || { cat "$T/trace"; fail "not $1"; }
}
shows() { grep -F -- "$1" "$T/trace" >/dev/null || { cat "$T/trace"; fail "not $1"; }; } # WORDS
from_1='in_port=1,dl_src=02:00:00:00:10:01'
from_3='in_port=3,dl_src=02:00:00:00:20:03,dl_dst=02:00:00:00:99:01'
tunnel='in_port=65278,tun_src=192.0.2.2,tun_dst=192.0.2.1'

# The example of the document, to the letter.
trace "$from_1,dl_dst=02:00:00:00:10:03" 0:10 1:10
sed -n '/ofproto\/trace br-evpn in_port/,/^$/ s/^    //p' "$root/Documentation/OpenVSwitch.md" | sed 1d | grep . >"$T/document"
[ "$(wc -l <"$T/document")" -gt 5 ] || fail 'the document has no such example any more'
grep '^ *[0-9]\.\|^    [a-z]' "$T/trace" | head -"$(wc -l <"$T/document")" | diff "$T/document" - || fail 'the example of the document is not what happens'

# Layer 2.
trace "$from_1,dl_dst=02:00:00:00:10:02" 0:10 1:10
does 'push_vlan(vid=7'
trace 'in_port=2,dl_vlan=7,dl_src=02:00:00:00:10:02,dl_dst=02:00:00:00:10:01' 0:10 1:10
does 'pop_vlan'
trace 'in_port=2,dl_vlan=8,dl_src=02:00:00:00:10:02,dl_dst=02:00:00:00:10:01' 0:0
trace "$from_1,dl_dst=02:00:00:00:10:99" 0:10 1:9
shows 'set_field:192.0.2.2->tun_dst'
trace "$tunnel,tun_id=10,dl_src=02:00:00:00:10:03,dl_dst=02:00:00:00:10:01" 0:10 1:10
trace "$tunnel,tun_id=10,dl_src=02:00:00:00:10:03,dl_dst=02:00:00:00:10:99" 0:10 1:9
! grep -F -- '->tun_dst' "$T/trace" >&2 || fail 'from one VTEP to another'
trace "$tunnel,tun_id=99,dl_dst=02:00:00:00:10:01" 0:0
trace 'in_port=4,dl_src=02:00:00:00:10:04,dl_dst=02:00:00:00:10:01' 0:10 6:1 1:10
shows 'CONTROLLER:128'
trace 'in_port=4,dl_src=02:00:00:00:10:44,dl_dst=02:00:00:00:10:01' 0:10 6:10 1:10
trace 'in_port=4,dl_src=03:00:00:00:10:44,dl_dst=02:00:00:00:10:01' 0:10 6:11 1:10

# Questions and answers.
arp() { echo "arp,arp_op=1,arp_spa=$1,arp_tpa=$2,arp_sha=${3:-02:00:00:00:10:01},dl_dst=ff:ff:ff:ff:ff:ff"; }
nd() { echo "icmp6,icmpv6_type=135,icmpv6_code=0,nw_ttl=255,ipv6_src=$1,ipv6_dst=ff02::1:ff00:1,nd_target=$2,nd_sll=02:00:00:00:10:01,dl_dst=33:33:ff:00:00:01"; }
trace "$from_1,$(arp 10.0.0.1 10.0.0.254)" 0:10 1:20 3:10 4:10 5:10 1:10
shows 'set_field:02:00:5e:00:01:01->eth_src'
trace "$from_1,$(nd 2001:db8::1 2001:db8::ffff)" 0:10 1:20 3:10 4:10 5:10 1:10
trace "$from_1,$(arp 10.0.0.1 10.0.0.77)" 0:10 1:20 3:0 1:9
trace "$from_1,$(arp 0.0.0.0 10.0.0.254)" 0:10 1:20 3:20 1:9
trace "$from_1,$(arp 10.0.0.1 10.0.0.1)" 0:10 1:20 3:20 1:9
trace "$tunnel,tun_id=10,dl_src=02:00:00:00:10:03,$(arp 10.0.0.3 10.0.0.254)" 0:10 1:20 3:10 4:10 5:10 1:10
shows 'set_field:192.0.2.2->tun_dst'
trace "$from_3,$(arp 10.1.0.5 10.1.0.99 | sed 's/,dl_dst.*//')" 0:13
shows 'IN_PORT'
trace "$from_3,$(arp 10.1.0.5 10.1.0.5 | sed 's/,dl_dst.*//')" 0:14
trace "${from_3%,*},$(nd fe80::3 fe80::1)" 0:13 4:10 5:11

# Layer 3.
udp() { echo "udp,nw_src=$1,nw_dst=$2,nw_ttl=64"; }
trace "$from_3,$(udp 10.2.0.1 10.3.0.1)" 0:10 1:26
shows 'set_field:02:00:00:00:99:02->eth_dst'
does 'ttl=63'
trace "$from_3,$(udp 10.2.0.1 10.0.0.1)" 0:10 1:42 1:10
shows 'output:1'
trace "$from_3,$(udp 10.2.0.1 10.0.0.88)" 0:10 1:34
trace "$from_3,$(udp 10.2.0.1 224.0.0.5)" 0:10 1:210
trace "$from_3,$(udp 10.2.0.1 169.254.7.7)" 0:10 1:26
does 'drop'
trace "$from_3,$(udp 10.2.0.1 169.254.169.254)" 0:10 1:42
shows 'set_field:192.0.2.2->tun_dst'
trace "$from_3,$(udp 10.2.0.1 10.9.0.1)" 0:10 1:26 1:26
shows 'output:5'
trace "$from_3,$(udp 10.2.0.1 10.7.0.1)" 0:10 1:0
trace "$from_3,icmp,nw_src=10.2.0.1,nw_dst=10.0.0.254,icmp_type=8,icmp_code=0,nw_ttl=64" 0:10 1:200 1:26
trace "$from_1,dl_dst=02:00:5e:00:01:01,icmp,nw_src=10.0.0.1,nw_dst=10.0.0.254,icmp_type=8,icmp_code=0,nw_ttl=64" 0:10 1:20 5:10 1:10
trace "$from_1,dl_dst=02:00:5e:00:01:01,$(udp 10.0.0.1 10.3.0.1)" 0:10 1:10 1:26
trace "$tunnel,tun_id=20,dl_dst=02:00:00:00:99:01,$(udp 10.3.0.1 10.1.0.5)" 0:10 1:42
shows 'output:3'
trace "$tunnel,tun_id=20,dl_dst=02:00:00:00:99:01,$(udp 10.3.0.1 10.0.0.1)" 0:10 1:42 1:10
trace "in_port=6,dl_vlan=1,dl_src=02:00:00:00:21:06,dl_dst=02:65:c0:00:02:01,$(udp 10.10.1.1 10.10.2.1)" 0:10 1:34
does 'push_vlan(vid=2'
# What is not for the router: frames between hosts of a client's segment, and broadcasts.
for other in 02:00:00:00:20:88 ff:ff:ff:ff:ff:ff 02:00:00:00:99:02; do
    trace "${from_3%,*},dl_dst=$other,$(udp 10.2.0.1 10.2.0.255)" 0:0
    trace "${from_3%,*},dl_dst=$other,$(udp 10.1.0.5 10.3.0.1)" 0:0
done
# A packet that has one hop left ends here.
trace "$from_3,udp,nw_src=10.2.0.1,nw_dst=10.3.0.1,nw_ttl=1" 0:10 1:26
shows 'decrement TTL exception'

# Several paths, where VTEP 2 has one of its own besides that of VTEP 1.
shared() {
    for port in {1..40}; do
        appctl v2 ofproto/trace br-int "in_port=3,dl_src=02:00:00:00:20:04,udp,nw_src=10.3.0.1,nw_dst=10.2.0.1,nw_ttl=64,udp_src=$port" | sed -n 's/^ *2\. .*reg3=\([^,]*\),.*/\1/p'
    done | sort | uniq -c | awk '$1 > 5 {both++} END {exit both != 2}'
}
await 10 'paths are shared' shared
at=v2 trace 'in_port=3,dl_src=02:00:00:00:20:04,udp,nw_src=10.3.0.1,nw_dst=10.2.0.1,nw_ttl=64' 0:10 1:26 2:26
at=v2 trace "in_port=3,dl_src=02:00:00:00:20:04,$(arp 10.3.0.1 10.3.0.99 | sed 's/,dl_dst.*//')" 0:11

# Anycast addresses, and probes through the check port.
next=trk,new trace "$tunnel,tun_id=20,dl_dst=02:00:00:00:99:01,udp,nw_src=10.3.0.1,nw_dst=198.51.100.1,nw_ttl=64" 0:10 1:42 1:42
does 'nat(dst=10.1.0.5)'
shows 'output:3'
next=trk,est trace "$from_3,udp,nw_src=10.1.0.5,nw_dst=10.3.0.1,nw_ttl=64" 0:11 0:11 1:26
next=trk,new trace "$from_3,udp,nw_src=10.1.0.5,nw_dst=10.3.0.1,nw_ttl=64" 0:11 0:10 1:26
trace "$from_3,udp,nw_src=10.1.0.5,nw_dst=10.255.0.1,nw_ttl=64" 0:12
does 'src=10.254.0.1,dst=10.254.0.254'
trace 'in_port=65277,udp,nw_src=10.254.0.254,nw_dst=10.254.0.1,nw_ttl=64' 0:11
does 'src=10.255.0.1,dst=10.1.0.5'
trace 'in_port=65277,arp,arp_op=1,arp_spa=10.254.0.254,arp_tpa=10.254.0.1' 0:11

# Each flow of both bridges is in the document's table, and each row of that has a flow.
for i in 1 2; do flows v$i; done | python3 -c '
import re, sys
rows, table = {}, None
for line in open(sys.argv[1]):
    cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
    if len(cells) != 5 or not re.search(r"\d", cells[4]): continue
    if cells[0]: table = range(7) if cells[0] == "all" else [int(re.sub(r"\D.*", "", cells[0].strip("*")))]
    least = int(cells[1].split()[0])
    span = range(least, least + 129) if "length" in cells[1] else [least]
    for number in table:
        for cookie in re.findall(r"\d", cells[4]):
            rows.setdefault((number, int(cookie)), []).append((span, line.strip()))
met, wrong = set(), 0
for flow in sys.stdin:
    number = re.search(r"table=(\d+)", flow)
    key = int(number[1]) if number else 0, int(re.search(r"cookie=0x6576706e0000000(\d)", flow)[1])
    priority = int(re.search(r"priority=(\d+)", flow)[1])
    fits = [row for span, row in rows.get(key, []) if priority in span]
    met.update(fits)
    if not fits: wrong += 1; print("not in the document:", flow.strip())
for row in sorted({row for each in rows.values() for _, row in each} - met): wrong += 1; print("no such flow:", row)
sys.exit(wrong > 0 or len(met) < 20)
' "$root/Documentation/OpenVSwitch.md" || fail 'document and bridges differ'
rest v1 v2
