"""What the benchmarks share: namespaces, the daemons under test, a small BGP speaker. Everything is named after this process and
removed by cleanup()."""
import os, shutil, signal, socket, struct, subprocess, sys, tempfile, threading, time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
EVPND = os.environ.get('EVPND', ROOT + '/.build/release/evpnd')
TEMP = tempfile.mkdtemp(prefix='evpnd-bench-')
PREFIX = 'b%d' % os.getpid()
DUT, PEER, SINK = '10.99.0.1', '10.99.0.2', '10.99.0.3'
processes, frr_spaces = [], []


def run(*words, **more):
    return subprocess.run(words, check=True, capture_output=True, text=True, **more).stdout


def in_ns(name, *words):
    return ['ip', 'netns', 'exec', '%s-%s' % (PREFIX, name), *words]


def cleanup():
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.wait()
    processes.clear()
    for space in frr_spaces:
        directory = '/var/run/frr/' + space
        if os.path.isdir(directory):
            for name in os.listdir(directory):
                if name.endswith('.pid'):
                    try:
                        pid = int(open(directory + '/' + name).read())
                        os.kill(pid, signal.SIGKILL)
                        while os.path.exists('/proc/%d/stat' % pid) and open('/proc/%d/stat' % pid).read().split()[2] != 'Z':
                            time.sleep(0.01)
                    except (ProcessLookupError, FileNotFoundError, ValueError):
                        pass
            shutil.rmtree(directory, ignore_errors=True)
        shutil.rmtree('/etc/frr/' + space, ignore_errors=True)
    frr_spaces.clear()
    for line in run('ip', 'netns', 'list').splitlines():
        if line.split()[0].startswith(PREFIX + '-'):
            subprocess.run(['ip', 'netns', 'delete', line.split()[0]], capture_output=True)


def build_lab(vxlan):
    run('ip', 'netns', 'add', PREFIX + '-core')
    run('ip', '-n', PREFIX + '-core', 'link', 'add', 'br0', 'type', 'bridge')
    run('ip', '-n', PREFIX + '-core', 'link', 'set', 'br0', 'up')
    for name, address in (('dut', DUT), ('peer', PEER), ('sink', SINK)):
        space = '%s-%s' % (PREFIX, name)
        run('ip', 'netns', 'add', space)
        run('ip', '-n', space, 'link', 'set', 'lo', 'up')
        run('ip', 'link', 'add', 'eth0', 'netns', space, 'type', 'veth', 'peer', 'name', 'to-' + name, 'netns', PREFIX + '-core')
        run('ip', '-n', PREFIX + '-core', 'link', 'set', 'to-' + name, 'master', 'br0', 'up')
        run('ip', '-n', space, 'address', 'add', address + '/24', 'dev', 'eth0')
        run('ip', '-n', space, 'link', 'set', 'eth0', 'up')
    if vxlan:
        dut = PREFIX + '-dut'
        run('ip', '-n', dut, 'link', 'add', 'br100', 'type', 'bridge')
        run('ip', '-n', dut, 'link', 'set', 'br100', 'addrgenmode', 'none', 'up')
        run('ip', '-n', dut, 'link', 'add', 'vxlan100', 'type', 'vxlan', 'id', '100', 'dstport', '4789', 'local', DUT, 'nolearning')
        run('ip', '-n', dut, 'link', 'set', 'vxlan100', 'master', 'br100', 'addrgenmode', 'none')
        run('bridge', '-n', dut, 'link', 'set', 'dev', 'vxlan100', 'learning', 'off', 'neigh_suppress', 'on')
        run('ip', '-n', dut, 'link', 'set', 'vxlan100', 'up')


def start_evpnd(vxlan):
    client = '' if vxlan else 'routeReflector: {routeReflectorClient: true}'
    with open(TEMP + '/evpnd.yaml', 'w') as file:
        file.write('''node: {vtep: %s}
bgp:
  global: {asn: 65000}
  peerGroups:
    - config: {peerGroupName: peers, peerAsn: 65000}
      timers: {config: {holdTime: 180}}
      %s
  dynamicNeighbors: [{prefix: 10.99.0.0/24, peerGroup: peers}]
%s''' % (DUT, client, 'vnis: [100]\n' if vxlan else ''))
    state = tempfile.mkdtemp(dir=TEMP)
    process = subprocess.Popen(
        in_ns('dut', EVPND, '--config', TEMP + '/evpnd.yaml', '--socket', state + '/sock', '--state-dir', state),
        stdout=subprocess.DEVNULL, stderr=open(TEMP + '/evpnd.log', 'a'))
    processes.append(process)
    return [process.pid]


def start_frr(vxlan):
    space = PREFIX + '-dut'
    frr_spaces.append(space)
    for directory in ('/var/run/frr/' + space, '/etc/frr/' + space):
        os.makedirs(directory, exist_ok=True)
    extra = '  advertise-all-vni\n' if vxlan else '  neighbor C route-reflector-client\n'
    with open('/etc/frr/%s/frr.conf' % space, 'w') as file:
        file.write('''router bgp 65000
 bgp router-id %s
 no bgp default ipv4-unicast
 neighbor C peer-group
 neighbor C remote-as 65000
 bgp listen range 10.99.0.0/24 peer-group C
 address-family l2vpn evpn
  neighbor C activate
%s exit-address-family
''' % (DUT, extra))
    open('/etc/frr/%s/vtysh.conf' % space, 'w').close()
    run('chown', '-R', 'frr:frr', '/var/run/frr/' + space, '/etc/frr/' + space)
    daemons = ['zebra', 'bgpd'] if vxlan else ['bgpd']
    for name in daemons:
        words = ['/usr/lib/frr/' + name, '-d', '-N', space, '-A', '127.0.0.1', '-f', '/dev/null']
        words += ['-s', '90000000'] if name == 'zebra' else [] if vxlan else ['-Z']
        run(*in_ns('dut', *words))
    run(*in_ns('dut', 'vtysh', '-N', space, '-b'))
    return [int(open('/var/run/frr/%s/%s.pid' % (space, name)).read()) for name in daemons]


def resident(pids):
    """Octets resident, all processes."""
    total = 0
    for pid in pids:
        for line in open('/proc/%d/status' % pid):
            if line.startswith('VmRSS'):
                total += int(line.split()[1]) * 1024
    return total


def cpu(pids):
    total = 0
    for pid in pids:
        fields = open('/proc/%d/stat' % pid).read().rsplit(')', 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf('SC_CLK_TCK')


# A small BGP speaker.
MARKER = b'\xff' * 16


def message(kind, body):
    return MARKER + struct.pack('>HB', 19 + len(body), kind) + body


def attribute(flags, code, value):
    if len(value) > 255:
        return struct.pack('>BBH', flags | 0x10, code, len(value)) + value
    return struct.pack('>BBB', flags, code, len(value)) + value


def type2(index, address):
    mac = bytes([2, 0x10, index >> 24 & 255, index >> 16 & 255, index >> 8 & 255, index & 255])
    body = b'\0\1' + socket.inet_aton(address) + b'\0\x64' + bytes(14) + b'\x30' + mac + b'\0' + b'\0\0\x64'
    return bytes([2, len(body)]) + body


def type5(index, address):
    body = b'\0\1' + socket.inet_aton(address) + b'\0\x64' + bytes(14) + b'\x20' + struct.pack('>I', 0x0b000000 + index) + bytes(4) + b'\0\0\x64'
    return bytes([5, len(body)]) + body


def updates(count, address, pack, route=type2, targets=struct.pack('>BBHI', 0, 2, 65000, 100) + b'\x03\x0c\0\0\0\0\0\x08'):
    """The UPDATEs that announce and those that withdraw. `targets`: all extended communities."""
    common = attribute(0x40, 1, b'\0') + attribute(0x40, 2, b'') + attribute(0x40, 5, struct.pack('>I', 100)) + attribute(0xc0, 16, targets)
    announce, withdraw = bytearray(), bytearray()
    for start in range(0, count, pack):
        routes = b''.join(route(i, address) for i in range(start, min(count, start + pack)))
        reach = common + attribute(0x80, 14, struct.pack('>HBB', 25, 70, 4) + socket.inet_aton(address) + b'\0' + routes)
        announce += message(2, b'\0\0' + struct.pack('>H', len(reach)) + reach)
        unreach = attribute(0x80, 15, struct.pack('>HB', 25, 70) + routes)
        withdraw += message(2, b'\0\0' + struct.pack('>H', len(unreach)) + unreach)
    end = attribute(0x80, 15, struct.pack('>HB', 25, 70))
    announce += message(2, b'\0\0' + struct.pack('>H', len(end)) + end)
    return bytes(announce), bytes(withdraw)


class Speaker:
    """A session with the daemon under test from inside a namespace; counts the routes it is told."""

    def __init__(self, name, address):
        # A thread enters the namespace only to make the socket: a socket stays where it was made.
        result = []

        def enter():
            import ctypes
            with open('/run/netns/%s-%s' % (PREFIX, name)) as handle:
                if ctypes.CDLL(None, use_errno=True).setns(handle.fileno(), 0x40000000) != 0:
                    return
            end = time.monotonic() + 20
            while time.monotonic() < end:
                try:
                    result.append(socket.create_connection((DUT, 179), timeout=2, source_address=(address, 0)))
                    return
                except OSError:
                    time.sleep(0.05)

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if not result:
            sys.exit('no connection to the daemon; its log is in ' + TEMP)
        self.socket = result[0]
        self.socket.settimeout(None)
        self.announced = self.withdrawn = self.messages = 0
        self.last_announced = self.last_withdrawn = 0.0
        self.up = threading.Event()
        capabilities = b'\x01\x04\0\x19\0\x46' + b'\x41\x04' + struct.pack('>I', 65000)
        parameters = bytes([2, len(capabilities)]) + capabilities
        body = struct.pack('>BHH', 4, 65000, 180) + socket.inet_aton(address) + bytes([len(parameters)]) + parameters
        self.socket.sendall(message(1, body))
        threading.Thread(target=self.read, daemon=True).start()
        if not self.up.wait(20):
            sys.exit('no session with the daemon; its log is in ' + TEMP)

    def read(self):
        data = bytearray()
        while True:
            try:
                chunk = self.socket.recv(1 << 20)
            except OSError:
                return
            if not chunk:
                return
            data += chunk
            position = 0
            while len(data) - position >= 19:
                length = data[position + 16] << 8 | data[position + 17]
                if len(data) - position < length:
                    break
                kind = data[position + 18]
                if kind == 1:
                    self.socket.sendall(message(4, b''))
                elif kind == 4:
                    self.up.set()
                elif kind == 2:
                    self.count(data, position + 19, position + length)
                position += length
            del data[:position]

    def count(self, data, start, end):
        position = start + 2 + (data[start] << 8 | data[start + 1]) + 2
        while position < end:
            flags, code = data[position], data[position + 1]
            if flags & 0x10:
                length = data[position + 2] << 8 | data[position + 3]
                position += 4
            else:
                length = data[position + 2]
                position += 3
            if code in (14, 15):
                at = position + (3 if code == 15 else 5 + data[position + 3])
                routes = 0
                while at < position + length:
                    routes += data[at] == 2
                    at += 2 + data[at + 1]
                if routes and code == 14:
                    self.announced += routes
                    self.messages += 1
                    self.last_announced = time.monotonic()
                elif routes:
                    self.withdrawn += routes
                    self.last_withdrawn = time.monotonic()
            position += length

    def send(self, data):
        start = time.monotonic()
        self.socket.sendall(data)
        return start


def wait_for(condition, what, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit('not within %d s: %s; logs are in %s' % (seconds, what, TEMP))
        time.sleep(0.01)
