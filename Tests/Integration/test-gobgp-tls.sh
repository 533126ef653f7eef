# gobgpd behind TLS with client certificates: what fits is connected, what does not is named, and nothing falls back to plaintext.
. "$(dirname "$0")/lib.sh"
core
cd "$T"
authority() { # NAME
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$1" -keyout "$1.key" -out "$1.pem" 2>/dev/null
}
certificate() { # NAME AUTHORITY SUBJECT-ALTERNATIVE-NAME
    openssl req -newkey rsa:2048 -nodes -subj "/CN=$1" -keyout "$1.key" -out "$1.csr" 2>/dev/null
    openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -days 2 -out "$1.pem" -extfile <(echo "subjectAltName=$3") 2>/dev/null
}
authority ca
authority other
certificate server ca 'DNS:gobgp.test,IP:127.0.0.1'
certificate client ca 'DNS:host'
node v1 10.99.0.1/24
cat >v1.toml <<C
[global.config]
  as = 65000
  router-id = "10.99.0.1"
  port = -1
C
start_gobgpd v1 --tls --tls-cert-file server.pem --tls-key-file server.key
write() { # TLS
    cat >v1.yaml <<C
node: {vtep: 10.99.0.1}
bgp:
  speaker: gobgp
  gobgp: {address: "127.0.0.1:50051"$1}
  global: {asn: 65000}
vnis: [{vni: 100, managed: true}]
C
}
says() { ctl v1 show status --json | jq -e --arg t "$1" '.speaker_problems | join(" ") | test($t)'; }
connected() { ctl v1 show status --json | jq -e '.speaker_problems == []'; }
next() { # TLS TEXT
    write "$1"
    ctl v1 reload >/dev/null
    await 10 "a problem: $2" says "$2"
}
identity="certificate: $T/client.pem, key: $T/client.key"
write ", tls: {ca: $T/ca.pem, $identity}"
start_evpnd v1
await 10 'connected by address' connected
write ", tls: {ca: $T/ca.pem, $identity, serverName: gobgp.test}"
ctl v1 reload >/dev/null
await 10 'connected by name' connected
next ", tls: {ca: $T/ca.pem, $identity, serverName: elsewhere.test}" "not valid for elsewhere.test: [Hh]ostname mismatch"
next ", tls: {ca: $T/other.pem, $identity}" 'not valid for 127.0.0.1'
next ", tls: {ca: $T/missing.pem, $identity}" "authorities $T/missing.pem"
next ", tls: {ca: $T/ca.pem, certificate: $T/client.pem, key: $T/server.key}" "key $T/server.key"
next '' 'before it answered in HTTP/2|does not answer in HTTP/2'
write ", tls: {ca: $T/ca.pem, $identity}"
ctl v1 reload >/dev/null
await 10 'connected again' connected
# gobgpd 3.10 asks nobody for a certificate; a server that does gets ours, and refuses us without one.
mkfifo hold
exec 9<>hold
ip netns exec "$P-v1" openssl s_server -accept 50052 -cert server.pem -key server.key -CAfile ca.pem -Verify 1 -verify_return_error -alpn h2 -naccept 100 >server.log 2>&1 <&9 &
echo $! >server.pid
sed -i 's/50051/50052/' v1.yaml
ctl v1 reload >/dev/null
shown() { grep 'subject=CN = client' server.log; }
await 10 'the client certificate is shown' shown
next ", tls: {ca: $T/ca.pem}" '.'
sed -i 's/50051/50052/' v1.yaml
ctl v1 reload >/dev/null
await 10 'refused without a certificate' says 'certificate required|handshake failure'
# TLS asked of a gobgpd without it: an error, no plaintext.
kill_gobgpd v1
start_gobgpd v1
write ", tls: {ca: $T/ca.pem, $identity}"
ctl v1 reload >/dev/null
await 10 'no plaintext for TLS' says 'does the server speak TLS'
