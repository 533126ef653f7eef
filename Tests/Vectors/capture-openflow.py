#!/usr/bin/python3
"""capture-openflow.py : what ovs-ofctl and ovs-vswitchd say to each other about the flows of openflow-flows.txt, in OpenFlow 1.3, 1.4 and
1.5, into openflow.txt. Needs Open vSwitch (openvswitch-switch), no privileges: the datapath is a dummy one in a temporary directory.

Lines of openflow.txt: `$ COMMAND` as it was run, `> OCTETS` a message of ovs-ofctl, `< OCTETS` one of ovs-vswitchd, `= TEXT` what
ovs-ofctl printed."""
import os, shutil, socket, struct, subprocess, sys, tempfile, threading, time

here = os.path.dirname(os.path.abspath(__file__))
work = tempfile.mkdtemp(prefix="evpnd-openflow-")
environment = dict(os.environ, OVS_RUNDIR=work, OVS_LOGDIR=work, OVS_DBDIR=work)
lines = []


def run(*command, check=True):
    return subprocess.run(command, env=environment, cwd=work, check=check, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)


def pump(source, target, mark):
    pending = b""
    try:
        while data := source.recv(65536):
            pending += data
            while len(pending) >= 8 and len(pending) >= struct.unpack(">H", pending[2:4])[0]:
                length = struct.unpack(">H", pending[2:4])[0]
                # Features of the tables (multipart 12): huge, and of no use here.
                if not (pending[1] in (18, 19) and pending[8:10] == b"\0\x0c"):
                    lines.append(f"{mark} {pending[:length].hex()}")
                pending = pending[length:]
            target.sendall(data)
        target.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # either end may go away at any time


def await_reply(since, kind):
    deadline = time.monotonic() + 10
    while not any(line[0] == "<" and line[4:6] == kind for line in lines[since:]):
        if time.monotonic() > deadline:
            sys.exit(f"no message of type {kind}: {lines[since:]}")
        time.sleep(0.01)


def proxy():
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{work}/proxy.sock")
    listener.listen()
    while True:
        client, _ = listener.accept()
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{work}/br0.mgmt")
        for arguments in ((client, server, ">"), (server, client, "<")):
            threading.Thread(target=pump, args=arguments, daemon=True).start()


def ofctl(version, *arguments, check=True):
    shown = " ".join(f"'{a}'" if " " in a else a for a in arguments)
    lines.append(f"$ ovs-ofctl -O OpenFlow{version} {shown.replace('unix:proxy.sock', 'br0')}")
    result = run("ovs-ofctl", "-O", f"OpenFlow{version}", *arguments, check=check)
    time.sleep(0.02)  # the last octets of a closed connection are still on their way through the proxy's threads
    lines.extend(f"= {line.strip()}" for line in (result.stdout + result.stderr).splitlines() if line.strip())


daemons = [["ovsdb-server", "conf.db", f"--remote=punix:{work}/db.sock"],
           ["ovs-vswitchd", f"unix:{work}/db.sock", "--enable-dummy", "--disable-system"]]
try:
    run("ovsdb-tool", "create", "conf.db", "/usr/share/openvswitch/vswitch.ovsschema")
    for daemon in daemons:
        name = daemon[0]
        run(*daemon, f"--pidfile={work}/{name}.pid", f"--unixctl={work}/{name}.ctl", f"--log-file={work}/{name}.log",
            "--detach", "--no-chdir")
        if name == "ovsdb-server":
            run("ovs-vsctl", f"--db=unix:{work}/db.sock", "--no-wait", "init")
    run("ovs-vsctl", f"--db=unix:{work}/db.sock", "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy",
        "fail_mode=secure", "protocols=OpenFlow13,OpenFlow14,OpenFlow15", "other_config:hwaddr=02:00:00:00:00:01",
        *(word for port in (1, 2, 3) for word in ("--", "add-port", "br0", f"p{port}", "--", "set", "interface",
          f"p{port}", "type=dummy", f"ofport_request={port}", f"mac=\"02:00:00:00:01:0{port}\"")))
    threading.Thread(target=proxy, daemon=True).start()
    while not os.path.exists(f"{work}/proxy.sock"):
        time.sleep(0.01)
    flows = open(f"{here}/openflow-flows.txt").read().splitlines()
    groups = open(f"{here}/openflow-groups.txt").read().splitlines()
    bridge = "unix:proxy.sock"
    for version in (13, 14, 15):
        run("ovs-ofctl", "-O", "OpenFlow15", "del-flows", "unix:br0.mgmt")
        run("ovs-ofctl", "-O", "OpenFlow15", "del-groups", "unix:br0.mgmt")
        run("ovs-ofctl", "-O", "OpenFlow15", "add-group", "unix:br0.mgmt", groups[0])
        for flow in flows:
            ofctl(version, "add-flow", bridge, flow)
        ofctl(version, "--no-stats", "dump-flows", bridge)
        ofctl(version, "dump-aggregate", bridge, "cookie=0x6576706e/-1")
        ofctl(version, "dump-ports-desc", bridge)
        ofctl(version, "--bundle", "add-flow", bridge, "table=9,priority=1,reg0=0x1 actions=output:1")
        ofctl(version, "--strict", "del-flows", bridge, "cookie=0x6576706e/-1,table=0,priority=0")
        ofctl(version, "add-flow", bridge, "table=9,priority=2 actions=group:99", check=False)
        run("ovs-ofctl", "-O", "OpenFlow15", "del-flows", "unix:br0.mgmt")
        run("ovs-ofctl", "-O", "OpenFlow15", "del-groups", "unix:br0.mgmt")
        for group in groups:
            run("ovs-ofctl", "-O", "OpenFlow15", "add-group", "unix:br0.mgmt", group)
        if version == 15:
            run("ovs-ofctl", "-O", "OpenFlow15", "del-groups", "unix:br0.mgmt")
            for group in groups:
                ofctl(15, "add-group", bridge, group)
        ofctl(version, "dump-groups", bridge)
        ofctl(version, "dump-group-stats", bridge)
    # Unasked messages: a packet that an action sends to the controller, a flow that ends, a port that changes.
    for version in (13, 14, 15):
        run("ovs-ofctl", "-O", "OpenFlow15", "del-flows", "unix:br0.mgmt")
        watch = subprocess.Popen(["ovs-ofctl", "-O", f"OpenFlow{version}", "-P", "standard", "monitor", bridge, "65535"],
                                 env=environment, cwd=work, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        lines.append(f"$ ovs-ofctl -O OpenFlow{version} -P standard monitor br0 65535")
        before = len(lines)
        await_reply(before, "08")
        time.sleep(0.1)
        run("ovs-ofctl", "-O", "OpenFlow15", "add-flow", "unix:br0.mgmt",
            "cookie=0x6576706e,send_flow_rem,in_port=1 actions=set_field:5->reg0,CONTROLLER:128")
        run("ovs-appctl", "-t", f"{work}/ovs-vswitchd.ctl", "netdev-dummy/receive", "p1",
            "in_port(1),eth(src=50:54:00:00:00:09,dst=50:54:00:00:00:0a),eth_type(0x0800),"
            "ipv4(src=10.0.0.2,dst=10.0.0.1,proto=17,tos=0,ttl=64,frag=no),udp(src=1,dst=2)")
        await_reply(before, "0a")
        run("ovs-ofctl", "-O", "OpenFlow15", "del-flows", "unix:br0.mgmt")
        await_reply(before, "0b")
        run("ovs-vsctl", f"--db=unix:{work}/db.sock", "add-port", "br0", f"p{version}", "--", "set", "interface",
            f"p{version}", "type=dummy", f"ofport_request={version}")
        await_reply(before, "0c")
        watch.terminate()
        watch.wait()
finally:
    for daemon in reversed(daemons):
        path = f"{work}/{daemon[0]}.pid"
        if os.path.exists(path):
            os.kill(int(open(path).read()), 15)
    # The daemons remove files of their own as they end.
    shutil.rmtree(work, ignore_errors=True)
with open(f"{here}/openflow.txt", "w") as file:
    file.write("# Made by capture-openflow.py with " +
               subprocess.run(["ovs-ofctl", "--version"], text=True, stdout=subprocess.PIPE).stdout.splitlines()[0] + "\n")
    file.write("\n".join(lines) + "\n")
