# A gobgpd that holds 100,000 type-5 routes tells them to a starting evpnd as one message of more than 150 MB.
# LIMIT 600
. "$(dirname "$0")/lib.sh"
core
count=100000
node v1 10.99.0.1/24
node peer 10.99.0.2/24
gobgp_neighbor=$'[neighbors.transport.config]\npassive-mode = true' configure_gobgp v1 10.99.0.1 10.99.0.2 l2vpn-evpn
start_gobgpd v1
python3 - $count >"$T/updates" <<'C'
import socket, struct, sys
def attribute(flags, code, value):
    if len(value) > 255:
        return struct.pack('>BBH', flags | 0x10, code, len(value)) + value
    return struct.pack('>BBB', flags, code, len(value)) + value
address = socket.inet_aton('10.99.0.2')
targets = struct.pack('>BBHI', 0, 2, 65000, 500) + b'\x03\x0c\0\0\0\0\0\x08'
common = attribute(0x40, 1, b'\0') + attribute(0x40, 2, b'') + attribute(0x40, 5, struct.pack('>I', 100)) + attribute(0xc0, 16, targets)
def route(index):
    body = b'\0\1' + address + b'\1\xf4' + bytes(14) + b'\x20' + struct.pack('>I', 0x0b000000 + index) + bytes(4) + b'\0\1\xf4'
    return bytes([5, len(body)]) + body
# gobgpd tells each route with all that came in its UPDATE: 50 of them would be more than it can send at once.
count = int(sys.argv[1])
for start in range(0, count, 10):
    routes = b''.join(route(i) for i in range(start, min(count, start + 10)))
    reach = common + attribute(0x80, 14, struct.pack('>HBB', 25, 70, 4) + address + b'\0' + routes)
    print('2:' + (b'\0\0' + struct.pack('>H', len(reach)) + reach).hex())
C
# Only then the peer is not turned away.
listens() { on v1 gobgp neighbor | grep -i '^10.99.0.2 .*active'; }
await 20 'gobgpd waits for the peer' listens
ip netns exec "$P-peer" python3 "$here/peer.py" 10.99.0.1 10.99.0.2 <"$T/updates" >"$T/peer.out" 2>"$T/peer.log" &
echo $! >"$T/peer.pid"
holds() { on v1 gobgp global rib summary -a evpn | grep "Destination: $count,"; }
await 180 'gobgpd holds all routes' holds
cat >"$T/v1.yaml" <<C
node: {vtep: 10.99.0.1}
bgp: {speaker: gobgp, global: {asn: 65000}}
vnis: [{vni: 100, managed: true}]
C
start_evpnd v1
followed() { grep "event=gobgp.up .*paths=$count unusable=0" "$T/v1.log"; }
await 300 'the whole table' followed
! grep 'too large for one message' "$T/v1.log" >&2 || fail 'it was more than one message'
known() { ctl v1 show status --json | jq -e ".routes >= $count"; }
await 30 'every route is in the RIB' known
resident=$(awk '/^VmHWM/ {print $2}' "/proc/$(cat "$T/v1.pid")/status")
echo "peak resident: $((resident / 1024)) MiB"
# The message alone is larger: it must never be held whole.
[ "$resident" -lt 120000 ] || fail "evpnd needed $resident KiB"
await 40 'the daemon answers and is ready' ctl v1 show status
