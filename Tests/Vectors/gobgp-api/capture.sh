#!/bin/bash
# capture.sh: makes gobgpd.hex beside it again: what Debian's gobgpd 3.10 answers after it was given the paths of v3.hex through the API and
# some by its command line; one "name message octets" a line. gobgpd does not listen for BGP and lives in a network namespace of its
# own. Needs root, gobgpd, curl, python3.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
ns=evpndapi$$
work=$(mktemp -d)
daemon=
finish() {
    [ -z "$daemon" ] || { kill "$daemon" 2>/dev/null || true; wait "$daemon" 2>/dev/null || true; }
    ip netns del "$ns" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM
ip netns add "$ns"
ip netns exec "$ns" ip link set lo up
cat >"$work/gobgpd.toml" <<E
[global.config]
  as = 65000
  router-id = "10.0.0.1"
  port = -1
[[neighbors]]
  [neighbors.config]
    neighbor-address = "10.0.0.2"
    peer-as = 65000
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "l2vpn-evpn"
[[peer-groups]]
  [peer-groups.config]
    peer-group-name = "vteps"
    peer-as = 65000
[[dynamic-neighbors]]
  [dynamic-neighbors.config]
    prefix = "10.99.0.0/24"
    peer-group = "vteps"
E
ip netns exec "$ns" gobgpd -f "$work/gobgpd.toml" --pprof-disable --api-hosts=127.0.0.1:50051 >"$work/log" 2>&1 &
daemon=$!

# METHOD HEX SECONDS: one call; the answer's gRPC frames end up in $work/answer. WatchEvent ends only by the time limit.
call() {
    python3 -c 'import sys; b = bytes.fromhex(sys.argv[1]); sys.stdout.buffer.write(bytes(1) + len(b).to_bytes(4, "big") + b)' "$2" >"$work/request"
    rm -f "$work/headers" "$work/answer"
    ip netns exec "$ns" curl -s --http2-prior-knowledge -m "$3" -H 'content-type: application/grpc' -H 'te: trailers' \
        --data-binary "@$work/request" -o "$work/answer" -D "$work/headers" "http://127.0.0.1:50051/apipb.GobgpApi/$1" || true
}
ok() { grep -qi '^grpc-status: 0' "$work/headers" || { echo "$1:" >&2; cat "$work/headers" "$work/log" >&2; exit 1; }; }
# NAME MESSAGE: the frames of the last answer as lines.
keep() {
    python3 -c '
import sys
b = open(sys.argv[1], "rb").read(); i = 0
while i < len(b):
    n = int.from_bytes(b[i + 1:i + 5], "big"); print(sys.argv[2], sys.argv[3], b[i + 5:i + 5 + n].hex()); i += 5 + n' "$work/answer" "$1" "$2"
}
for _ in $(seq 100); do call GetBgp '' 1; grep -qi '^grpc-status: 0' "$work/headers" 2>/dev/null && break; sleep 0.1; done
grep '^path-' "$here/v3.hex" | while read -r name _ octets; do call AddPath "$octets" 5; ok "$name"; done
add() { ip netns exec "$ns" gobgp global rib add "$@"; }
add -a evpn macadv 02:00:00:00:00:aa 10.0.0.200 etag 0 label 100,500 rd 10.99.0.9:100 rt 65000:100 encap vxlan router-mac 02:00:00:00:01:00 nexthop 10.99.0.9
add -a evpn macadv 02:00:00:00:00:ab 0.0.0.0 etag 0 label 100 rd 10.99.0.9:100 rt 65000:100 default-gateway encap vxlan nexthop 10.99.0.9
add -a evpn multicast 10.99.0.9 etag 0 rd 10.99.0.9:100 rt 65000:100 encap vxlan pmsi ingress-repl 100 10.99.0.9 nexthop 10.99.0.9
add -a evpn prefix 2001:db8:5::/48 etag 0 label 500 rd 10.99.0.9:500 rt 65000:500 encap vxlan
add -a evpn esi 10.99.0.9 esi LACP aa:bb:cc:dd:ee:ff 100 rd 10.99.0.9:0
add -a evpn a-d esi LACP aa:bb:cc:dd:ee:ff 100 etag 0 label 7 rd 10.99.0.9:0 rt 65000:100 encap vxlan esi-label 7
add -a ipv4 192.0.2.77/32 community 65000:100 large-community 4200000000:0:70000 med 5 local-pref 200 aigp metric 7
{
    echo "# Made by capture.sh: answers of gobgpd 3.10. Name, message, octets."
    call GetBgp '' 5; ok GetBgp; keep global GetBgpResponse
    call ListPeer '' 5; ok ListPeer; keep peer ListPeerResponse
    call ListPeerGroup '' 5; ok ListPeerGroup; keep group ListPeerGroupResponse
    call ListDynamicNeighbor '' 5; ok ListDynamicNeighbor; keep dynamic ListDynamicNeighborResponse
    # Best paths with the present ones, and peers.
    call WatchEvent 0a0012040a021001 2; keep event WatchEventResponse
    # The EVPN and IPv4 tables as octets only.
    call ListPath 1a04081910464801 5; ok ListPath; keep octets ListPathResponse
    call ListPath 1a04080110014801 5; ok ListPath; keep octets ListPathResponse
} >"$here/gobgpd.hex"
