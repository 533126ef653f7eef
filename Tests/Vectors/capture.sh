#!/bin/bash
# capture.sh: makes the vectors beside it again. FRR (route reflector), gobgpd, BIRD and ExaBGP from Debian talk BGP over the loopback
# of a network namespace of their own; what each of them sent ends up in NAME.hex, one message a line. Needs root.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
ns=evpndvec$$
work=$(mktemp -d)
frr=/var/run/frr/$ns
pids=()
finish() {
    for pid in "${pids[@]}" $(cat "$frr/bgpd.pid" 2>/dev/null); do kill "$pid" 2>/dev/null || true; done
    sleep 0.5
    ip netns del "$ns" 2>/dev/null || true
    rm -rf "$work" "$frr" "/etc/frr/$ns"
}
trap finish EXIT
trap 'exit 1' INT TERM
run() { ip netns exec "$ns" "$@"; }

ip netns add "$ns"
run ip link set lo up
for host in 1 2 3 4 5; do run ip address add 10.255.0.$host/32 dev lo; done
ip netns exec "$ns" tcpdump -i lo -U -s 0 -w "$work/all.pcap" tcp port 179 2>/dev/null &
pids+=($!)

# FRR, 10.255.0.4: reflector for everyone, with prefixes of its own.
mkdir -p "$frr" "/etc/frr/$ns"
cat >"/etc/frr/$ns/frr.conf" <<E
hostname reflector
route-map attributes permit 10
 set community 65000:1 65000:2 no-export
 set large-community 65000:1:2 4200000000:3:4
 set extcommunity rt 65000:77
 set metric 50
 set atomic-aggregate
 set aggregator as 65000 10.255.0.4
router bgp 65000
 bgp router-id 10.255.0.4
 no bgp default ipv4-unicast
 no bgp network import-check
 neighbor C peer-group
 neighbor C remote-as 65000
 neighbor C capability extended-nexthop
 bgp graceful-restart
 bgp listen range 10.255.0.0/24 peer-group C
 address-family ipv4 unicast
  network 198.51.100.0/24
  network 203.0.113.128/25 route-map attributes
  neighbor C activate
  neighbor C route-reflector-client
  neighbor C addpath-tx-all-paths
 exit-address-family
 address-family ipv6 unicast
  network 2001:db8:4::/48 route-map attributes
  neighbor C activate
  neighbor C route-reflector-client
 exit-address-family
 address-family l2vpn evpn
  neighbor C activate
  neighbor C route-reflector-client
 exit-address-family
E
chown -R frr:frr "$frr" "/etc/frr/$ns"
touch "/etc/frr/$ns/vtysh.conf"
run /usr/lib/frr/bgpd -d -Z -N "$ns" -A 127.0.0.1 -l 10.255.0.4 -f /dev/null >/dev/null 2>&1
run vtysh -N "$ns" -b >/dev/null 2>&1

# gobgpd, 10.255.0.1.
cat >"$work/gobgpd.toml" <<E
[global.config]
  as = 65000
  router-id = "10.255.0.1"
  local-address-list = ["10.255.0.1"]
[[neighbors]]
  [neighbors.config]
    neighbor-address = "10.255.0.4"
    peer-as = 65000
  [neighbors.transport.config]
    local-address = "10.255.0.1"
  [neighbors.timers.config]
    connect-retry = 1
    idle-hold-time-after-reset = 1
  [neighbors.graceful-restart.config]
    enabled = true
    restart-time = 120
    notification-enabled = true
    long-lived-enabled = true
E
for family in l2vpn-evpn ipv4-unicast ipv6-unicast; do
    printf '  [[neighbors.afi-safis]]\n    [neighbors.afi-safis.config]\n      afi-safi-name = "%s"\n' $family
    printf '    [neighbors.afi-safis.mp-graceful-restart.config]\n      enabled = true\n'
done >>"$work/gobgpd.toml"
sed -e 1,4d -e 's/"10.255.0.4"/"10.255.0.5"/' "$work/gobgpd.toml" >"$work/second.toml"
cat "$work/second.toml" >>"$work/gobgpd.toml"
ip netns exec "$ns" gobgpd -f "$work/gobgpd.toml" --pprof-disable >"$work/gobgpd.log" 2>&1 &
pids+=($!)

# A second gobgpd, 10.255.0.5, hears what FRR would refuse.
cat >"$work/collector.toml" <<E
[global.config]
  as = 65000
  router-id = "10.255.0.5"
  local-address-list = ["10.255.0.5"]
[[neighbors]]
  [neighbors.config]
    neighbor-address = "10.255.0.1"
    peer-as = 65000
  [neighbors.transport.config]
    local-address = "10.255.0.5"
    passive-mode = true
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "l2vpn-evpn"
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "ipv4-unicast"
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "ipv6-unicast"
E
ip netns exec "$ns" gobgpd -f "$work/collector.toml" --pprof-disable --api-hosts 127.0.0.1:50052 >"$work/collector.log" 2>&1 &
pids+=($!)

# BIRD, 10.255.0.2.
cat >"$work/bird.conf" <<E
log stderr all;
router id 10.255.0.2;
protocol device { }
protocol static { ipv4; route 192.0.2.0/26 blackhole; route 192.0.2.128/32 blackhole; route 0.0.0.0/0 blackhole; }
protocol static { ipv6; route 2001:db8:2::/64 blackhole; route ::/0 blackhole; }
filter mark {
  bgp_community.add((65000, 22));
  bgp_large_community.add((65000, 1, 22));
  bgp_ext_community.add((rt, 65000, 22));
  bgp_ext_community.add((ro, 10.255.0.2, 22));
  bgp_med = 22;
  accept;
}
protocol bgp reflector {
  debug { states, events };
  local 10.255.0.2 as 65000;
  strict bind yes;
  neighbor 10.255.0.4 as 65000;
  multihop;
  connect retry time 1;
  error wait time 1, 2;
  enable extended messages on;
  ipv4 { import all; export filter mark; next hop self; add paths on; };
  ipv6 { import all; export filter mark; next hop self; extended next hop off; };
}
E
ip netns exec "$ns" bird -f -c "$work/bird.conf" -s "$work/bird.ctl" >"$work/bird.log" 2>&1 &
pids+=($!)

# ExaBGP, 10.255.0.3.
cat >"$work/exabgp.conf" <<E
neighbor 10.255.0.4 {
  router-id 10.255.0.3; local-address 10.255.0.3; local-as 65000; peer-as 65000;
  capability { graceful-restart 60; add-path send/receive; route-refresh enable; }
  family { ipv4 unicast; ipv6 unicast; l2vpn evpn; }
  static {
    route 192.0.2.64/26 { next-hop 10.255.0.3; community [65000:3 no-advertise]; large-community [65000:3:3]; extended-community [target:65000:3 origin:10.255.0.3:3]; med 3; local-preference 300; as-path [65010 4200000001]; atomic-aggregate; aggregator (65010:10.255.0.3); attribute [ 0x63 0xe0 0x01020304 ]; }
    route 2001:db8:3::/64 { next-hop 2001:db8::3; originator-id 10.255.0.9; cluster-list [10.255.0.8 10.255.0.7]; }
  }
}
E
ip netns exec "$ns" env exabgp.daemon.user=root exabgp.tcp.bind= exabgp.daemon.daemonize=false exabgp.log.destination="$work/exabgp.log" \
    exabgp "$work/exabgp.conf" >"$work/exabgp.out" 2>&1 &
pids+=($!)

for attempt in $(seq 100); do [ "$(run gobgp neighbor 2>/dev/null | grep -c Establ)" = 2 ] && break; sleep 0.2; done
evpn() { run gobgp global rib -a evpn add "$@" || echo "gobgp refuses: $*" >&2; }
vx='rd 10.255.0.1:100 rt 65000:100 encap vxlan'
evpn macadv 02:00:00:00:00:01 0.0.0.0 etag 0 label 100 $vx
evpn macadv 02:00:00:00:00:02 10.0.0.2 etag 0 label 100 $vx
evpn macadv 02:00:00:00:00:03 2001:db8::3 etag 7 label 100,500 rd 65000:100 rt 65000:100 rt 10.0.0.1:5 encap vxlan router-mac 02:00:00:00:0f:01
evpn macadv 02:00:00:00:00:04 10.0.0.4 esi AS 65000 100 etag 0 label 16777215 $vx
evpn macadv 02:00:00:00:00:05 10.0.0.5 etag 0 label 100 rd 10.255.0.1:100 rt 65000:100 default-gateway encap vxlan
evpn multicast 10.255.0.1 etag 0 $vx pmsi ingress-repl 100 10.255.0.1
evpn multicast 2001:db8::1 etag 0 $vx
evpn prefix 10.9.0.0/16 etag 0 label 500 $vx router-mac 02:00:00:00:0f:01
evpn prefix 10.8.0.0/16 gw 10.0.0.9 etag 0 label 500 $vx
evpn prefix 2001:db8:9::/48 gw 2001:db8::9 etag 0 label 500 $vx
evpn esi 10.255.0.1 esi LACP aa:bb:cc:dd:ee:ff 100 rd 10.255.0.1:100
evpn esi 2001:db8::1 esi AS 65000 100 rd 10.255.0.1:100
evpn a-d esi LACP aa:bb:cc:dd:ee:ff 100 etag 10 label 200 rd 10.255.0.1:100 rt 65000:100 encap vxlan esi-label 7
for encap in l2tpv3 gre mpls nvgre mpls-in-gre mpls-in-udp geneve ip-in-ip; do
    evpn macadv 02:00:00:00:01:01 10.0.1.1 etag 0 label 100 rd 10.255.0.1:100 rt 65000:100 encap $encap
done
run gobgp global rib -a ipv4 add 192.0.2.200/32 community 65000:9,no-export large-community 65000:1:9 rt 65000:9 med 9 origin egp aigp metric 5 ||
    run gobgp global rib -a ipv4 add 192.0.2.200/32 community 65000:9
run gobgp global rib -a ipv6 add 2001:db8:1::/64 nexthop 2001:db8::1 || true
sleep 3
run gobgp global rib -a evpn del macadv 02:00:00:00:00:02 10.0.0.2 etag 0 label 100 rd 10.255.0.1:100 || true
run gobgp global rib -a evpn del multicast 10.255.0.1 etag 0 rd 10.255.0.1:100 || true
run vtysh -N "$ns" -c 'clear bgp * soft in' >/dev/null || true
run gobgp neighbor 10.255.0.5 softresetin || true
sleep 1
run gobgp neighbor 10.255.0.5 disable 'maintenance tonight' || true
run vtysh -N "$ns" -c 'conf t' -c 'router bgp 65000' -c 'neighbor C shutdown message reflector goes away' >/dev/null || true
sleep 2

emit() { # FILE ADDRESS PRODUCER VERSION
    { printf '# %s, made by Tests/Vectors/capture.sh\n' "$3"; python3 "$here/extract.py" "$work/all.pcap" "$2"; } >"$here/$1.hex"
    echo "$1: $(grep -vc '^#' "$here/$1.hex") messages"
}
emit gobgpd 10.255.0.1 "$(gobgpd --version | head -1)"
emit bird 10.255.0.2 "$(bird --version 2>&1 | head -1)"
emit exabgp 10.255.0.3 "ExaBGP $(dpkg-query -W -f '${Version}' exabgp)"
emit frr 10.255.0.4 "$(/usr/lib/frr/bgpd --version | head -1)"
[ -z "${KEEP_LOGS:-}" ] || cp -r "$work" "$KEEP_LOGS"
