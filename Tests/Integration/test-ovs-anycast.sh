# Anycast addresses behind Open vSwitch on two VTEPs: probes through the bridge (ICMP, TCP, HTTP) and a status file switch them on and off, and
# packets follow, translated on their way.
. "$(dirname "$0")/lib.sh"
. "$here/tenant.sh"
. "$here/ovs.sh"
core
serve() { # I : the service of e<I>, which says its name
    mkdir -p "$T/e$1.files"
    echo "e$1" >"$T/e$1.files/name"
    ip netns exec "$P-e$1" python3 -m http.server --bind :: --directory "$T/e$1.files" 8080 >"$T/e$1.log" 2>&1 &
    echo $! >"$T/e$1.pid"
}
end() { stop "$T/e$1.pid"; }
anycast() { # I
    cat <<C
  - cfg_type: l3
    vni: 500
    port: ep
    mac: "02:00:00:00:60:0$1"
    routes: [10.60.0.$1/32, "2001:db8:60::$1/128"]
    anycast:
      - {anycast_ip: 198.51.100.1, dst_ip: 10.60.0.$1, check_ip: 10.255.0.1, internal_dst_ip: 10.254.0.1, internal_checker_ip: 10.254.0.254, conntrack_zone: 7}
      - {anycast_ip: "2001:db8:51::1", dst_ip: "2001:db8:60::$1", check_ip: "2001:db8:255::1", internal_dst_ip: "2001:db8:254::1", internal_checker_ip: "2001:db8:254::fe", conntrack_zone: 8}
C
}
probe='interval: 1s, timeout: 1s, rise: 1, fall: 2'
ovs_vtep 1 2 3 </dev/null
switch_keys="anycastCheck: {interface: check0, probe: {type: http, port: 8080, path: /name, $probe}}" ovs_vtep 2 1 3 < <(anycast 2)
switch_keys="anycastCheck: {interface: check0, probe: {type: icmp, $probe}}, anycastStatusFile: $T/status" ovs_vtep 3 1 2 < <(anycast 3)
for i in 2 3; do
    routed_host e$i v$i ep 02:00:00:00:60:0$i 10.60.0.$i/32 2001:db8:60::$i/128
    ports v$i ep
    vsctl v$i add-port br-int check0 -- set Interface check0 type=internal 'mac="12:34:56:78:90:aa"' ofport_request=65277
    ip -n "$P-v$i" address add 10.254.0.254/24 dev check0
    ip -n "$P-v$i" address add 2001:db8:254::fe/64 dev check0 nodad
    on v$i ethtool -K check0 tx off >/dev/null
    ip -n "$P-v$i" link set check0 up
done
for i in 1 2 3; do await 20 "sessions of v$i" established v$i 2; done

# Nobody serves at VTEP 2, and the status file of VTEP 3 does not exist.
addresses='198.51.100.1 2001:db8:51::1'
enabled() { ctl "v$1" show anycast --json | jq -e "map(.enabled) == [$2, $2]"; } # I BOOLEAN
refused() { ctl v2 show anycast | grep -F "$1: Connection refused"; }
for i in 1 2; do await 10 'a probe that fails, with its reason' refused "$(cut -d' ' -f$i <<<'10.60.0.2 2001:db8:60::2')"; done
up() { ctl v3 show anycast --json | jq -e 'map([.probe, .up, .listed]) == [["icmp", true, false], ["icmp", true, false]]'; }
await 10 'answers to probes of an address that is not listed' up
for i in 2 3; do enabled $i false >/dev/null || fail "VTEP $i has an address that nobody serves"; done
ask() { on "$1" curl -sS --max-time 2 "http://$([[ $2 == *:* ]] && echo "[$2]" || echo "$2"):8080/name"; } # HOST ADDRESS
for address in $addresses; do ! pings h1 $address >&2 || fail 'an answer from nobody'; done

# A service is there: its address is announced, and packets are translated, from elsewhere and from behind the same VTEP.
serve 2
await 10 'the address is enabled with its service' enabled 2 true
from() { [ "$(ask "$1" "$2")" = "$3" ]; } # HOST ADDRESS NAME
for address in $addresses; do
    await 15 "$address, from another VTEP" from h1 $address e2
    await 15 "$address, from the same VTEP" from h2 $address e2
    await 15 "ping of $address" pings h1 $address
done
grep -q '10.20.1.10\|ffff:10.20.1.10' "$T/e2.log" || fail 'the service does not see who asks'
await 15 'the client itself goes on' pings e2 10.20.1.10
rest v1 v2 v3

# It is listed at VTEP 3 as well: both get connections.
echo '["198.51.100.1_10.254.0.1", "2001:db8:51::1_2001:db8:254::1"]' >"$T/status"
serve 3
await 10 'a status file enables' enabled 3 true
for address in $addresses; do
    both() { for _ in {1..8}; do ask h1 $address; done | sort -u | tr '\n' ' ' | grep -x 'e2 e3 '; }
    await 30 "both serve $address" both
done
rest v1 v2 v3

# Off by the probe, then by the status file.
end 2
await 10 'the address is disabled without its service' enabled 2 false
for address in $addresses; do
    alone() { for _ in {1..8}; do ask h1 $address; done | sort | uniq -c | grep -x ' *8 e3'; }
    await 30 "only VTEP 3 serves $address" alone
done
await 15 'from the VTEP whose own is off' from h2 198.51.100.1 e3
echo '[]' >"$T/status"
await 10 'a status file disables' enabled 3 false
gone() { ! ctl v1 show prefixes | grep -E '198.51.100.1|2001:db8:51::1'; }
await 15 'nobody announces it' gone
rest v1 v2 v3
for address in $addresses; do ! pings h1 $address >&2 || fail 'an answer from nobody'; done
await 15 'probes go on' up
rest v1 v2 v3
# On again by a probe that asks for less.
sed -i 's/type: http, port: 8080, path: .name/type: tcp, port: 8081/' "$T/v2.yaml"
ip netns exec "$P-e2" python3 -m http.server --bind :: --directory "$T/e2.files" 8081 >"$T/e2.log" 2>&1 &
echo $! >"$T/e2.pid"
ctl v2 reload >/dev/null
await 10 'a TCP probe enables' enabled 2 true
for address in $addresses; do await 15 "$address is reached" pings h1 $address; done
# Nothing is lost while evpnd is away, and until its probes are answered again.
streams=()
for address in $addresses; do
    ip netns exec "$P-h1" ping -i 0.02 -c 200 -q $address >"$T/ping.${#streams[@]}" &
    streams+=($!)
done
stop_evpnd v2 KILL
start_evpnd v2
await 15 'the session is back' established v2 2
for stream in "${streams[@]}"; do wait "$stream" || true; done
for i in 0 1; do grep -q ' 0% packet loss' "$T/ping.$i" || fail "lost over a restart: $(grep loss "$T/ping.$i")"; done
ctl v2 show anycast
rest v1 v2 v3
