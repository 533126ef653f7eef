# A machine moves to the other VTEP and back under a stream of routed packets: lost is at most what is in flight. Nobody routes from its new
# VTEP to its IPv6 address, which is announced from there all the same.
. "$(dirname "$0")/irb.sh"
modprobe bonding
sites evpnd evpnd
# The machine can be at either VTEP: one of its two ports is active, both have a carrier all the time (a carrier that comes is seen by the
# kernel only after up to a second), and the bond says where it is now (gratuitous ARP, unsolicited NA), as hypervisors do.
ip netns add "$P-hm"
ip -n "$P-hm" link add eth0 address 02:40:00:00:00:09 type bond mode active-backup num_grat_arp 1 miimon 10
for i in 1 2; do
    ip link add up$i netns "$P-hm" mtu 1400 type veth peer name pm netns "$P-v$i" mtu 1400
    ip -n "$P-v$i" link set pm up
    ip -n "$P-hm" link set up$i master eth0
done
ip -n "$P-hm" -b - <<C
link set lo up
address add 10.30.0.99/24 dev eth0
address add fd30::99/64 dev eth0 nodad
link set eth0 up
link set eth0 type bond active_slave up1
route add default via 10.30.0.1
route add default via fd30::1
C
for i in 1 2; do
    members='pb, pm'
    evpnd_vtep $i
    greet $i
done
await 20 'the gateway of the machine' pings hm 10.30.0.1
await 15 'its IPv6 gateway' pings hm fd30::1
await 40 'a ping to the machine across subnets' pings ha2 10.30.0.99
await 20 'IPv6 to the machine across subnets' pings ha1 fd30::99

at() { ctl "$1" show macs --mac 02:40:00:00:00:09 --json | jq -e ".[0].place == \"$2\""; }
moves() { # FROM TO : the numbers of the VTEPs
    stream ha2 10.30.0.99 300
    stream ha$1 fd30::99 300
    for address in 10.30.0.99 fd30::99; do await 15 'the stream runs' grep -q icmp_seq=20 "$T/stream.$address"; done
    ip -n "$P-hm" link set eth0 type bond active_slave up$2
    await 15 "the machine is at v$2" at v$2 local
    await 15 "the machine is gone from v$1" at v$1 remote
    for address in 10.30.0.99 fd30::99; do
        lost $address
        echo "moved from v$1 to v$2: $count packets to $address lost, one is sent each 10 ms"
        # What comes while the routes are exchanged: none to four on a machine that has other work to do. A neighbor that has to be asked
        # again would cost 100.
        [ "$count" -le 30 ] || fail "$count packets were lost: $(tail -3 "$T/stream.$address")"
        await 10 "v$1 routes $address to v$2" has_route $1 "^$address .*br500"
        await 15 "v$2 does not route $address to v$1" lacks_route $2 "^$address "
    done
}
# One move more, and the MAC would be a duplicate (RFC 7432 §15.1).
moves 1 2
moves 2 1
moves 1 2
moves 2 1
for i in 1 2; do await 10 "v$i is settled" settled v$i; done
