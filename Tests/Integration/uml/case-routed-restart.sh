# evpnd killed and started under a stream of routed packets of both families: nothing is lost.
. "$(dirname "$0")/irb.sh"
sites evpnd evpnd
for i in 1 2; do
    evpnd_vtep $i
    greet $i
done
await 40 'a ping across subnets' pings ha2 10.30.0.11
await 20 'IPv6 across subnets' pings ha2 fd30::11

for signal in KILL TERM; do
    stream ha2 10.30.0.11 300
    stream ha2 fd30::11 300
    stop_evpnd v1 $signal
    start_evpnd v1
    await 20 'the session is back' established v1
    for address in 10.30.0.11 fd30::11; do
        lost $address
        [ "$count" = 0 ] || fail "$count packets to $address were lost with SIG$signal: $(tail -3 "$T/stream.$address")"
    done
done
await 10 'the plan after a restart is empty' settled v1
