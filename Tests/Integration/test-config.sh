# Configuration and control: five mistakes, a refused reload, a reload that resets nothing, a taken port, garbage on the socket.
. "$(dirname "$0")/lib.sh"
core
node a 10.99.0.2/24
node b 10.99.0.3/24
cat >"$T/bad.yaml" <<C
node: {vtep: 10.99.0.300}
bgp:
  global: {asn: 0, colour: blue}
  neighbors:
    - config: {neighborAddress: nowhere, peerAsn: 65000}
vnis: [{vni: 16777216}]
C
"$build/evpnd" --check --config "$T/bad.yaml" >"$T/problems" && fail 'a wrong configuration was accepted'
[ "$(grep -c ': error: ' "$T/problems")" = 5 ] || fail "not five problems: $(cat "$T/problems")"
grep -q 'bad.yaml:[0-9]*:[0-9]*: error:' "$T/problems" || fail 'a problem without a position'
# A password that every user may read: said, with the way out.
printf 'secret\n' >"$T/secret"
chmod 644 "$T/secret"
printf 'bgp:\n  global: {asn: 65000, routerID: 10.99.0.2}\n  neighbors: [{config: {neighborAddress: 10.99.0.3, peerAsn: 65000, passwordFile: %s}}]\n' "$T/secret" >"$T/secret.yaml"
"$build/evpnd" --check --config "$T/secret.yaml" | grep -q "warning.*chmod o= $T/secret" || fail 'no warning about an open password file'
chmod 600 "$T/secret"
"$build/evpnd" --check --config "$T/secret.yaml" | grep -q warning && fail 'a warning about a closed password file'
for n in 2:a:3 3:b:2; do
    IFS=: read -r own name other <<<"$n"
    cat >"$T/$name.yaml" <<C
node: {vtep: 10.99.0.$own}
bgp:
  global: {asn: 65000}
  neighbors:
    - config: {neighborAddress: 10.99.0.$other, peerAsn: 65000}
      timers: {config: {connectRetry: 1}}
vnis: [{vni: 100, managed: true}]
C
    start_evpnd $name
done
await 20 'session' established a
sessions() { ctl a show neighbors --json | jq '.[0].sessions'; }
before=$(sessions)
cp "$T/a.yaml" "$T/good.yaml"
cp "$T/bad.yaml" "$T/a.yaml"
ctl a reload 2>"$T/refused" && fail 'a broken file was accepted'
grep -q 'running state was kept' "$T/refused" || fail 'no word about the running state'
established a >/dev/null || fail 'the session was lost by a refused reload'
sed 's/vnis: .*/vnis: [{vni: 100, managed: true}, {vni: 101, managed: true}]/' "$T/good.yaml" >"$T/a.yaml"
ctl a reload
up() { ctl a show vnis --json | jq -e 'map(select(.state == "up")) | length == 2'; }
await 10 'the added VNI' up
[ "$(sessions)" = "$before" ] || fail 'the reload reset the session'
cp "$T/good.yaml" "$T/a.yaml"
kill -HUP "$(cat "$T/a.pid")"
removed() { ! on a ip link show vxlan101; }
await 10 'the removed VNI and its device' removed
# Garbage on the control socket.
head -c 20000 /dev/urandom | timeout 30 python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(sys.stdin.buffer.read() + b"\n"); s.settimeout(2)
try: print(s.recv(100))
except Exception as e: print(e)' "$T/a.sock"
ctl a show status >/dev/null || fail 'the daemon did not survive garbage'
# No daemon: exit status 3 and a way out.
set +e
"$build/evpnctl" --socket "$T/none.sock" show status 2>"$T/none"
[ $? = 3 ] || fail 'exit status without a daemon'
set -e
grep -q 'not running' "$T/none" || fail 'no clear message without a daemon'
# A taken port is retried and shown.
ip netns exec "$P-b" python3 -c 'import socket,time
s = socket.socket(); s.bind(("10.99.0.3", 1790)); s.listen(); time.sleep(100)' &
echo $! >"$T/port.pid"
taken() { on b ss -Hltn 'sport = 1790' | grep 1790; }
await 15 'the port is taken' taken
sed 's/global: {asn: 65000}/global: {asn: 65000, listenPort: 1790, listenAddresses: [10.99.0.3]}/' "$T/b.yaml" >"$T/b2.yaml"
cp "$T/b2.yaml" "$T/b.yaml"
ctl b reload
shown() { ctl b show status | grep 'Address already in use'; }
await 15 'a taken port is shown' shown
kill "$(cat "$T/port.pid")"
free() { ! ctl b show status | grep 'Address already in use'; }
await 10 'the port is taken over when it is free' free
# Cleanup leaves nothing.
ctl a cleanup --yes
await 15 'managed devices are removed' bash -c "! ip -n $P-a link show vxlan100"

# Files of clients are read as well; what is wrong with one is no reason not to start.
mkdir "$T/clients"
printf '{"vni": 10, "mac": "02:00:00:00:00:01"' >"$T/clients/a"
cat >"$T/switch.yaml" <<C
node: {vtep: 192.0.2.1}
bgp: {global: {asn: 65000}}
dataplane: openvswitch
openvswitch: {bridge: br0}
clientDirectory: {path: $T/clients}
C
"$build/evpnd" --check --config "$T/switch.yaml" >"$T/check" || fail "a broken client is in the way: $(cat "$T/check")"
grep -q "^$T/clients/a:1:" "$T/check" || fail "the broken client is not named: $(cat "$T/check")"
rm -r "$T/clients"
"$build/evpnd" --check --config "$T/switch.yaml" | grep -q 'warning: clientDirectory.path.*No such file' || fail 'a missing directory is not told'
