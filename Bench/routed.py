"""Routes of an IP-VRF, from the wire to the kernel: host routes (type 2 with two labels, RFC 9135) and prefixes (type 5, RFC 9136). The
VRF is a network namespace, on both sides, because kernels without VRF devices have those."""
from lab import *

ROUTER = bytes([2, 0x98, 0, 0, 0, 2])
COMMUNITIES = (struct.pack('>BBHIBBHI', 0, 2, 65000, 101, 0, 2, 65000, 500) + b'\x03\x0c\0\0\0\0\0\x08' + b'\x06\x03' + ROUTER)


def host(index, address):
    """Type 2: MAC and IP, L2 VNI 101 and L3 VNI 500."""
    mac = bytes([2, 0x10]) + struct.pack('>I', index)
    body = b'\0\1' + socket.inet_aton(address) + b'\0\x65' + bytes(14) + b'\x30' + mac + b'\x20' + struct.pack('>I', 0x0a000000 + index)
    body += b'\0\0\x65' + b'\0\x01\xf4'
    return bytes([2, len(body)]) + body


def prefix(index, address):
    """Type 5: 11.x.y.z/32, L3 VNI 500."""
    body = b'\0\1' + socket.inet_aton(address) + b'\x01\xf4' + bytes(14) + b'\x20' + struct.pack('>I', 0x0b000000 + index) + bytes(4)
    body += b'\0\x01\xf4'
    return bytes([5, len(body)]) + body


def build_tenant():
    """The VXLAN device of VNI 500 is made in the underlay's namespace, whose socket it keeps, and moved to the tenant's."""
    build_lab(False)
    dut, ten = PREFIX + '-dut', PREFIX + '-ten'
    run('ip', 'netns', 'add', ten)
    run('ip', '-n', ten, 'link', 'set', 'lo', 'up')
    run('ip', '-n', dut, 'link', 'add', 'vx500', 'type', 'vxlan', 'id', '500', 'dstport', '4789', 'local', DUT, 'nolearning')
    run('ip', '-n', dut, 'link', 'set', 'vx500', 'netns', ten)
    run('ip', '-n', ten, 'link', 'add', 'br500', 'type', 'bridge')
    run('ip', '-n', ten, 'link', 'set', 'br500', 'address', '02:98:00:00:00:01', 'addrgenmode', 'none')
    run('ip', '-n', ten, 'link', 'set', 'vx500', 'master', 'br500', 'addrgenmode', 'none')
    run('bridge', '-n', ten, 'link', 'set', 'dev', 'vx500', 'learning', 'off')
    run('ip', '-n', ten, 'link', 'set', 'vx500', 'up')
    run('ip', '-n', ten, 'link', 'set', 'br500', 'up')


def start_evpnd():
    with open(TEMP + '/evpnd.yaml', 'w') as file:
        file.write('''node: {vtep: %s}
bgp:
  global: {asn: 65000}
  peerGroups: [{config: {peerGroupName: peers, peerAsn: 65000}}]
  dynamicNeighbors: [{prefix: 10.99.0.0/24, peerGroup: peers}]
vrfs: [{name: ten, vni: 500, namespace: %s-ten}]
''' % (DUT, PREFIX))
    state = tempfile.mkdtemp(dir=TEMP)
    process = subprocess.Popen(
        in_ns('dut', EVPND, '--config', TEMP + '/evpnd.yaml', '--socket', state + '/sock', '--state-dir', state),
        stdout=subprocess.DEVNULL, stderr=open(TEMP + '/evpnd.log', 'a'))
    processes.append(process)
    wait_for(lambda: 'event=domain.up' in open(TEMP + '/evpnd.log').read(), 'evpnd uses VNI 500', 20)
    return [process.pid]


def start_frr():
    """zebra takes every name of /run/netns for a VRF: in a mount namespace of its own it sees only the tenant."""
    space = PREFIX + '-dut'
    frr_spaces.append(space)
    for directory in ('/var/run/frr/' + space, '/etc/frr/' + space):
        os.makedirs(directory, exist_ok=True)
    with open('/etc/frr/%s/frr.conf' % space, 'w') as file:
        file.write('''vrf ten
 vni 500
exit-vrf
router bgp 65000
 bgp router-id %s
 no bgp default ipv4-unicast
 neighbor C peer-group
 neighbor C remote-as 65000
 bgp listen range 10.99.0.0/24 peer-group C
 address-family l2vpn evpn
  neighbor C activate
  advertise-all-vni
 exit-address-family
router bgp 65000 vrf ten
 bgp router-id %s
''' % (DUT, DUT))
    open('/etc/frr/%s/vtysh.conf' % space, 'w').close()
    run('chown', '-R', 'frr:frr', '/var/run/frr/' + space, '/etc/frr/' + space)
    run(*in_ns('dut', 'unshare', '-m', 'bash', '-ec', '''
        exec 3</run/netns/{0}-ten
        mount -t tmpfs none /run/netns
        touch /run/netns/ten
        mount --bind /proc/self/fd/3 /run/netns/ten
        /usr/lib/frr/zebra -d -n -N {1} -A 127.0.0.1 -s 90000000 -f /dev/null
        /usr/lib/frr/bgpd -d -N {1} -A 127.0.0.1 -f /dev/null
        vtysh -N {1} -b'''.format(PREFIX, space)))
    shown = lambda: run(*in_ns('dut', 'vtysh', '-N', space, '-c', 'show evpn vni 500'))
    wait_for(lambda: 'State: Up' in shown(), 'FRR uses VNI 500', 20)
    return [int(open('/var/run/frr/%s/%s.pid' % (space, name)).read()) for name in ('zebra', 'bgpd')]


def measure(start, route, count, pack):
    build_tenant()
    try:
        open(TEMP + '/evpnd.log', 'w').close()
        pids = start()
        counter = subprocess.Popen(in_ns('ten', TEMP + '/routecount', str(count)), stdout=subprocess.PIPE, text=True)
        processes.append(counter)
        counter.stdout.readline()
        announce, withdraw = updates(count, PEER, pack, route, COMMUNITIES)
        speaker = Speaker('peer', PEER)
        time.sleep(1)  # lets the daemon settle, so that only the routes are measured
        before, used = resident(pids), cpu(pids)
        began = speaker.send(announce)
        added = float(counter.stdout.readline().split()[1]) - began
        time.sleep(1)
        memory, busy = resident(pids) - before, cpu(pids) - used
        began = speaker.send(withdraw)
        removed = float(counter.stdout.readline().split()[1]) - began
        speaker.socket.close()
        return {'add': added, 'withdraw': removed, 'memory': memory / count, 'cpu': busy}
    finally:
        cleanup()


def cases(quick, rounds):
    """Rows of the table that compares evpnd with FRR."""
    run('gcc', '-O2', '-o', TEMP + '/routecount', ROOT + '/Bench/routecount.c')
    count = 10_000 if quick else 100_000
    rows = []
    for what, route in (('host routes, type 2', host), ('prefixes, type 5', prefix)):
        best = {}
        for number in range(rounds):
            for name, start in (('evpnd', start_evpnd), ('frr', start_frr)):
                print('%s, %d: %s, round %d' % (what, count, name, number + 1), file=sys.stderr)
                result = measure(start, route, count, 50)
                held = best.setdefault(name, result)
                best[name] = {key: min(held[key], result[key]) for key in result}
        for key, label, unit in (('add', '(g) wire to last route', 's'), ('cpu', '    CPU of the daemons', 's'),
                                 ('memory', '(c) resident per route', 'B'), ('withdraw', '(h) withdraw', 's')):
            rows.append(('%s %dk' % (what, count // 1000), label, unit, best['evpnd'][key], best['frr'][key]))
    return rows
