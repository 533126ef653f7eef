# A host of one VNI floods ARP while an address of another VNI moves: the move is heard, and the flood is told of.
. "$(dirname "$0")/lib.sh"
core
for i in 1 2; do
    node "v$i" "10.99.0.$((3 + i))/24"
    host "b$i" "v$i" "b$i" "10.40.0.1$i/24" "02:00:00:00:40:0$i"
    configure_vtep "v$i" "10.99.0.$((3 + i))" "10.99.0.$((6 - i))" <<C
vnis:
  - {vni: 200, managed: true, members: [b$i]}
  - {vni: 300, managed: true, members: [f$i]}
C
done
host f2 v2 f2 10.66.0.2/24 02:00:00:00:66:02
for i in 1 2; do
    start_evpnd "v$i"
    await 10 "bridge of v$i" ip -n "$P-v$i" link show br200
    on "v$i" sysctl -qw net.ipv4.conf.br200.arp_accept=1
done
take() { ip -n "$P-$1" address add "$2/24" dev eth0; on "$1" arping -q -c 1 -U -I eth0 "$2"; } # HOST ADDRESS
holds() { ip -n "$P-$1" neighbor show "$2" dev br200 | grep -q "lladdr $3"; }                  # VTEP ADDRESS MAC
cat >"$T/flood.py" <<'PY'
import socket, sys, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(('eth0', 0))
mac = bytes.fromhex('020000006602')
frame = b'\xff' * 6 + mac + bytes.fromhex('08060001080006040001') + mac + bytes([10, 66, 0, 2]) + bytes(6) + bytes([10, 66, 0, 99]) + bytes(18)
start, sent, rate = time.time(), 0, int(sys.argv[1])
while True:
    s.send(frame)
    sent += 1
    if sent % 50 == 0:
        time.sleep(max(0, start + sent / rate - time.time()))
PY
ip netns exec "$P-f2" python3 "$T/flood.py" 8000 &
echo $! >"$T/flood.pid"
await 10 'the flood is told of' grep -q 'event=dataplane.addresses.flood .*interface=br300' "$T/v2.log"
for k in 1 2 3 4; do
    address=10.40.0.5$k
    take b1 $address
    await 10 "v2 knows $address" holds v2 $address 02:00:00:00:40:01
    ip -n "$P-b1" address del $address/24 dev eth0
    take b2 $address
    await 15 "the move of $address during the flood" holds v1 $address 02:00:00:00:40:02
done
[ "$(grep -c 'event=dataplane.addresses.flood .*interface=br300' "$T/v2.log")" = 1 ] || fail 'the flood is told of again and again'
echo 'moves are heard beside a flood'
