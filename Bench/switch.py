"""Open vSwitch: MAC addresses of remote VTEPs from the wire to the flows of a bridge (userspace datapath), beside what `ovs-ofctl --bundle`
needs for the same flows; then one address that moves in the full table, and a restart of evpnd beside it."""
from lab import *

OTHER = '10.99.0.9'  # where an address moves to


class Switch:
    """An ovsdb-server and an ovs-vswitchd of their own, in the namespace of evpnd."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(dir=TEMP)
        self.path = self.directory + '/db.sock'
        run('ovsdb-tool', 'create', self.directory + '/conf.db', '/usr/share/openvswitch/vswitch.ovsschema')
        self.start('ovsdb-server', self.directory + '/conf.db', '--remote=punix:' + self.path, '--unixctl=' + self.directory + '/ovsdb.ctl')
        wait_for(lambda: os.path.exists(self.path), 'ovsdb-server', 10)
        self.vsctl('--no-wait', 'init')
        self.pid = self.start('ovs-vswitchd', 'unix:' + self.path, '--unixctl=' + self.directory + '/vswitchd.ctl', '--disable-system')

    def environment(self):
        return dict(os.environ, OVS_RUNDIR=self.directory, OVS_LOGDIR=self.directory, OVS_DBDIR=self.directory)

    def start(self, *words):
        process = subprocess.Popen(
            in_ns('dut', *words), stdout=subprocess.DEVNULL, stderr=open('%s/%s.log' % (self.directory, words[0]), 'a'), env=self.environment())
        processes.append(process)
        return process.pid

    def vsctl(self, *words):
        return run(*in_ns('dut', 'ovs-vsctl', '--timeout=20', '--db=unix:' + self.path, *words), env=self.environment())

    def management(self, bridge):
        return '%s/%s.mgmt' % (self.directory, bridge)

    def ofctl(self, *words):
        return run('ovs-ofctl', '-O', 'OpenFlow15', *words, env=self.environment())


class Counts:
    """Asks a bridge again and again how many flows its table 1 has: that costs it next to nothing, however many there are."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.socket.sendall(struct.pack('>BBHI', 4, 0, 8, 1))
        self.buffer = b''

    def flows(self):
        self.socket.sendall(struct.pack('>BBHIHHI', 4, 18, 16, 7, 3, 0, 0))
        found = 0
        while True:
            while len(self.buffer) < 8 or len(self.buffer) < int.from_bytes(self.buffer[2:4], 'big'):
                self.buffer += self.socket.recv(65536)
            length = int.from_bytes(self.buffer[2:4], 'big')
            message, self.buffer = self.buffer[:length], self.buffer[length:]
            if message[1] == 2:  # asked whether we are there
                self.socket.sendall(struct.pack('>BBH', 4, 3, length) + message[4:])
            if message[1] != 19:
                continue
            for at in range(16, length - 23, 24):
                if message[at] == 1:
                    found = int.from_bytes(message[at + 4:at + 8], 'big')
            if not message[11] & 1:
                return found

    def reached(self, count, seconds=120):
        """When so many flows were there."""
        end = time.monotonic() + seconds
        while self.flows() < count:
            if time.monotonic() > end:
                sys.exit('%d of %d flows after %d s; logs are in %s' % (self.flows(), count, seconds, TEMP))
            time.sleep(0.002)
        return time.monotonic()


def start_evpnd(switch):
    with open(TEMP + '/evpnd.yaml', 'w') as file:
        file.write('''node: {vtep: %s}
bgp:
  global: {asn: 65000}
  neighbors: [{config: {neighborAddress: %s, peerAsn: 65000}}]
dataplane: openvswitch
openvswitch: {bridge: br-int, database: "unix:%s", datapathType: netdev}
vnis: [100]
''' % (DUT, PEER, switch.path))
    state = TEMP + '/state'
    process = subprocess.Popen(
        in_ns('dut', EVPND, '--config', TEMP + '/evpnd.yaml', '--socket', state + '.sock', '--state-dir', state),
        stdout=subprocess.DEVNULL, stderr=open(TEMP + '/evpnd.log', 'a'))
    processes.append(process)
    return process


def is_settled():
    """The control plane knows the routes again, and nothing is to be changed."""
    shown = subprocess.run([EVPND.removesuffix('evpnd') + 'evpnctl', '--socket', TEMP + '/state.sock', 'plan'], capture_output=True, text=True)
    return shown.stdout.startswith('nothing')


def moved(switch, speaker, number, target):
    """One address that another VTEP announces (RFC 7432 §15.1), from the UPDATE to the changed flow."""
    route = lambda _, address: type2(number, address)
    # VNI, encapsulation, mobility.
    targets = struct.pack('>BBHI', 0, 2, 65000, 100) + b'\x03\x0c\0\0\0\0\0\x08' + struct.pack('>BBBBI', 6, 0, 0, 0, 1)
    watch = subprocess.Popen(
        ['ovs-ofctl', '-O', 'OpenFlow10', 'monitor', 'unix:' + switch.management('br-int'), 'watch:!initial'], stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, env=switch.environment())
    processes.append(watch)
    watch.stderr.readline()  # the answer that the watch is set
    began = speaker.send(updates(1, target, 1, route, targets)[0])
    for line in watch.stderr:
        if target in line or '0x%x' % int.from_bytes(socket.inet_aton(target), 'big') in line:
            break
    took = time.monotonic() - began
    watch.kill()
    watch.wait()
    return took


def wire_to_flows(count):
    build_lab(False)
    try:
        open(TEMP + '/evpnd.log', 'w').close()
        shutil.rmtree(TEMP + '/state', ignore_errors=True)
        switch = Switch()
        evpnd = start_evpnd(switch)
        wait_for(lambda: 'event=ovs.connected' in open(TEMP + '/evpnd.log').read(), 'evpnd has the bridge', 20)
        counts = Counts(switch.management('br-int'))
        announce, withdraw = updates(count, PEER, 50)
        speaker = Speaker('peer', PEER)
        time.sleep(1)  # lets the daemon settle, so that only the routes are measured
        before, used, theirs = resident([evpnd.pid]), cpu([evpnd.pid]), cpu([switch.pid])
        fixed = counts.flows()
        began = speaker.send(announce)
        added = counts.reached(fixed + count) - began
        time.sleep(1)
        result = {
            'add': added, 'cpu': cpu([evpnd.pid]) - used, 'switch cpu': cpu([switch.pid]) - theirs,
            'memory': (resident([evpnd.pid]) - before) / count}
        flows = [line for line in switch.ofctl('dump-flows', '--no-stats', 'unix:' + switch.management('br-int')).splitlines() if 'cookie=' in line]
        with open(TEMP + '/flows', 'w') as file:
            file.write('\n'.join(flows) + '\n')
        moves = sorted(moved(switch, speaker, number, OTHER) for number in range(0, count, count // 9))
        result['move'], result['longest move'] = moves[len(moves) // 2], moves[-1]
        result.update(restarted(evpnd, switch, speaker, announce))
        return result
    finally:
        cleanup()


def restarted(evpnd, switch, speaker, announce):
    """A restart with the full table, whose flows stay: until the control plane has its routes again and the plan is empty."""
    speaker.socket.close()
    evpnd.terminate()
    evpnd.wait()
    open(TEMP + '/evpnd.log', 'w').close()
    began = time.monotonic()
    process = start_evpnd(switch)
    Speaker('peer', PEER).send(announce)
    wait_for(lambda: 'event=sync.complete' in open(TEMP + '/evpnd.log').read(), 'End-of-RIB', 60)
    wait_for(is_settled, 'the plan is empty', 60)
    return {'restart': time.monotonic() - began, 'restart cpu': cpu([process.pid])}


def with_ofctl():
    """The flows that evpnd made, into an empty bridge."""
    build_lab(False)
    try:
        switch = Switch()
        switch.vsctl('add-br', 'br-int', '--', 'set', 'Bridge', 'br-int', 'datapath_type=netdev', 'fail_mode=secure',
                     'protocols=OpenFlow13,OpenFlow14,OpenFlow15')
        count = sum('table=1,' in line for line in open(TEMP + '/flows'))
        counts = Counts(switch.management('br-int'))
        time.sleep(1)
        theirs = cpu([switch.pid])
        began = time.monotonic()
        ofctl = subprocess.Popen(
            ['ovs-ofctl', '-O', 'OpenFlow15', '--bundle', 'add-flows', 'unix:' + switch.management('br-int'), TEMP + '/flows'],
            stderr=subprocess.DEVNULL, env=switch.environment())
        processes.append(ofctl)
        added = counts.reached(count) - began
        if ofctl.wait() != 0:
            sys.exit('ovs-ofctl has refused the flows')
        time.sleep(1)
        return {'add': added, 'switch cpu': cpu([switch.pid]) - theirs}
    finally:
        cleanup()


def cases(quick, rounds):
    count = 10_000 if quick else 100_000
    best, ofctl = {}, {}
    for number in range(rounds):
        for held, measure, name in ((best, lambda: wire_to_flows(count), 'evpnd'), (ofctl, with_ofctl, 'ovs-ofctl')):
            print('Open vSwitch, %d addresses: %s, round %d' % (count, name, number + 1), file=sys.stderr)
            for key, value in measure().items():
                held[key] = min(held.get(key, value), value)
    print('\nOpen vSwitch, %d addresses of other VTEPs' % count)
    print('  wire to last flow           evpnd %7.3f s   ovs-ofctl --bundle %7.3f s   ratio %.2f' % (best['add'], ofctl['add'], best['add'] / ofctl['add']))
    print('  CPU of ovs-vswitchd         evpnd %7.2f s   ovs-ofctl --bundle %7.2f s' % (best['switch cpu'], ofctl['switch cpu']))
    print('  CPU of evpnd                      %7.2f s   resident %.0f B an address' % (best['cpu'], best['memory']))
    print('  one address moves                 %7.2f ms  longest of ten %.2f ms' % (best['move'] * 1e3, best['longest move'] * 1e3))
    print('  evpnd restarts                    %7.2f s   until the plan is empty, CPU %.2f s' % (best['restart'], best['restart cpu']))
